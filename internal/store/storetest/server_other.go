//go:build !linux

package storetest

import "testing"

// startServer knows how to start a server on Linux only.
func startServer() (serverURL string, stop func(), missing string) {
	return "", nil, "set " + EnvPostgres
}

// Server is a PostgreSQL of a test's own.
type Server struct{}

// NewServer skips the test.
func NewServer(t testing.TB) *Server {
	t.Skip("starts PostgreSQL on Linux only")
	return nil
}

// URL is that of its only database.
func (*Server) URL() string { return "" }

// Crash ends the server with no word.
func (*Server) Crash() {}

// Start starts it again.
func (*Server) Start(testing.TB) {}
