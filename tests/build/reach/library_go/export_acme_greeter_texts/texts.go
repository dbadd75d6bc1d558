package export_acme_greeter_texts

import "strings"

func SameString(value string) string {
	return value
}

func SameStrings(value []string) []string {
	return value
}

func Encoded(text string) []byte {
	return []byte(text)
}

func Joined(texts []string, separator string) string {
	return strings.Join(texts, separator)
}
