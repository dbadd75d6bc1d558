// Copies a file with a greeting and standard input in capitals, and ends with 7.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot copy:", err)
		os.Exit(3)
	}
	greeting := os.Getenv("GREETING") + ", " + string(text)
	if err := os.WriteFile(os.Args[2], []byte(greeting), 0o644); err != nil {
		panic(err)
	}
	lines := make(chan string)
	go func() {
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			lines <- strings.ToUpper(in.Text())
		}
		close(lines)
	}()
	for line := range lines {
		fmt.Println(line)
	}
	os.Exit(7)
}
