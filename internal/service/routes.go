package service

import (
	"net/http"
	"slices"
)

// Routes are everything that a program answers, each by a pattern as [http.ServeMux] takes
// it. They remember the patterns, so that a test can ask for all of them. The zero value
// answers nothing. It is safe for concurrent use once everything is registered.
type Routes struct {
	// Lost answers GET and HEAD of what no pattern is for; nil leaves that to
	// [http.ServeMux].
	Lost http.Handler

	mux      http.ServeMux
	patterns []string
}

// Handle registers a handler. It panics as [http.ServeMux.Handle] does.
func (s *Routes) Handle(pattern string, h http.Handler) {
	s.mux.Handle(pattern, h)
	s.patterns = append(s.patterns, pattern)
}

// HandleFunc is Handle with a function.
func (s *Routes) HandleFunc(pattern string, h http.HandlerFunc) { s.Handle(pattern, h) }

// Patterns are those that were registered, in that order.
func (s *Routes) Patterns() []string { return slices.Clone(s.patterns) }

// ServeHTTP answers as what is registered does, or Lost. That another method is not for an
// address goes on being told as such.
func (s *Routes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.Lost == nil || r.Method != http.MethodGet && r.Method != http.MethodHead {
		s.mux.ServeHTTP(w, r)
		return
	}
	if _, pattern := s.mux.Handler(r); pattern != "" {
		s.mux.ServeHTTP(w, r)
		return
	}
	answer := &unsent{header: make(http.Header)}
	s.mux.ServeHTTP(answer, r)
	if answer.status == http.StatusNotFound {
		s.Lost.ServeHTTP(w, r)
		return
	}
	for name, values := range answer.header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.status)
	_, _ = w.Write(answer.body) // its error is that of a client that went away
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
