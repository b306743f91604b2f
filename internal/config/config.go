package config

import "time"

// Web is what the console is configured with.
type Web struct {
	Service
}

// Worker is what the background worker is configured with.
type Worker struct {
	Service

	// Repositories are the OCI repositories to keep the tally of, each
	// registry/path without a tag. Empty means there is nothing to look at.
	Repositories []string
	Registry     Registry
	Discover     Discover
	// Concurrency is how many jobs run at the same time in this process.
	Concurrency int
}

// Service is what web and worker have in common.
type Service struct {
	// Listen is the host:port of the HTTP server; an empty host means every
	// interface.
	Listen   string
	Database Database
	Log      Log
	Server   Server
	// ShutdownTimeout bounds everything between the first signal and the exit.
	ShutdownTimeout time.Duration
	// ImageDigest is the digest of the image that this process runs from, as
	// the platform says; "" when it does not say.
	ImageDigest string
}

// Shared returns the part of a program's configuration that all programs have.
func (s Service) Shared() Service { return s }

// Database says where the store is.
type Database struct {
	// URL is sqlite:PATH or postgres://…; it may hold a password.
	URL Secret
	// MaxConnections bounds the pool of connections to PostgreSQL. SQLite
	// has one writer and is not touched by it.
	MaxConnections int
}

// Log says what is logged and how.
type Log struct {
	// Level is the least severe level that is written: trace, debug, info,
	// warn or error.
	Level string
	// Format is json, console, or auto: console on a terminal, else json.
	Format string
}

// Server holds the time limits of the HTTP server, as net/http names them.
type Server struct {
	ReadHeaderTimeout time.Duration
	ReadTimeout       time.Duration
	WriteTimeout      time.Duration
	IdleTimeout       time.Duration
}

// Registry says how OCI registries are spoken to.
type Registry struct {
	// Insecure are the host[:port] that may be spoken to over plain HTTP.
	Insecure []string
	// Timeout bounds one request.
	Timeout time.Duration
}

// Discover says how repositories are looked at.
type Discover struct {
	// Interval is the time between two looks at the same repository.
	Interval time.Duration
}
