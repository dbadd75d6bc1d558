// Package export_wit_world has what wit/@kebab@.wit exports; `wherry build`
// generates what calls it.
package export_wit_world

// Greet is a greeting for whoever is named.
func Greet(name string) string {
	return "Hello, " + name + "!"
}
