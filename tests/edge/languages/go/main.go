// The application of the suite, in Go.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

func main() {
	http.HandleFunc("GET /hello", hello)
	http.HandleFunc("POST /echo", echo)
	http.HandleFunc("POST /json", greet)
	http.HandleFunc("GET /fetch", fetch)
	http.HandleFunc("GET /trap", func(http.ResponseWriter, *http.Request) { panic("as it was asked to") })
	http.HandleFunc("GET /slow", slow)
}

func hello(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	fmt.Fprint(w, "Hello, World!")
}

func echo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
	piece := make([]byte, 16384)
	for {
		size, err := r.Body.Read(piece)
		w.Write(piece[:size])
		w.(http.Flusher).Flush()
		if err != nil {
			return
		}
	}
}

func greet(w http.ResponseWriter, r *http.Request) {
	var asked struct{ Name string }
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]string{"greeting": "Hello, " + asked.Name + "!"})
}

func fetch(w http.ResponseWriter, r *http.Request) {
	answer, err := http.Get(r.FormValue("url"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer answer.Body.Close()
	w.WriteHeader(answer.StatusCode)
	io.Copy(w, answer.Body)
}

func slow(w http.ResponseWriter, r *http.Request) {
	time.Sleep(300 * time.Millisecond)
	fmt.Fprint(w, "At last")
}
