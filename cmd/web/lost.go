package main

import "net/http"

// withLost serves what no route is for: a page that says so, where it is asked for with
// GET or HEAD. That another method is not for an address goes on being told as such.
func withLost(mux *http.ServeMux, lost http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern != "" || r.Method != http.MethodGet && r.Method != http.MethodHead {
			mux.ServeHTTP(w, r)
			return
		}
		answer := &unsent{header: make(http.Header)}
		mux.ServeHTTP(answer, r)
		if answer.status == http.StatusNotFound {
			lost(w, r)
			return
		}
		for name, values := range answer.header {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.status)
		_, _ = w.Write(answer.body) // its error is that of a client that went away
	})
}

// unsent keeps an answer of a mux itself, which is a line of text at most.
type unsent struct {
	header http.Header
	status int
	body   []byte
}

// Header is that of the answer.
func (u *unsent) Header() http.Header { return u.header }

// WriteHeader keeps the status.
func (u *unsent) WriteHeader(status int) { u.status = status }

// Write keeps the body.
func (u *unsent) Write(p []byte) (int, error) {
	if u.status == 0 {
		u.status = http.StatusOK
	}
	u.body = append(u.body, p...)
	return len(p), nil
}
