package main

import (
	"cmp"
	"fmt"
	"net/http"
)

// What answers is registered here; the server is Wherry's.
func main() {
	http.HandleFunc("GET /{$}", greet)
}

func greet(w http.ResponseWriter, r *http.Request) {
	name := cmp.Or(r.FormValue("name"), "World")
	fmt.Fprintf(w, "Hello, %s!\n", name)
}
