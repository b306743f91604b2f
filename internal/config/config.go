package config

import (
	"net/netip"
	"time"
)

// Web is what the console is configured with.
type Web struct {
	Service

	Console Console
	// TrustedProxies are the networks whose X-Forwarded headers are believed.
	TrustedProxies []netip.Prefix
	Access         Access
	OIDC           OIDC
	Limits         Limits
	Hooks          Hooks
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
	// Lease is how long this process may be silent before others take its jobs over.
	Lease time.Duration

	Trust      Trust
	Evidence   Evidence
	Advisories Advisories
	Policy     Policy
	VEX        VEX
	Notify     Notify
	Hooks      Hooks
	Console    Console
}

// Service is what web and worker have in common.
type Service struct {
	// Listen is the host:port of the HTTP server; an empty host means every
	// interface.
	Listen   string
	Database Database
	Log      Log
	Server   Server
	TLS      TLS
	// ShutdownDelay is for how long everything is still answered after the first signal.
	ShutdownDelay time.Duration
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
	// MaxConnections bounds the pool of connections to PostgreSQL; 0 leaves it to the
	// store. SQLite has one writer and is not touched by it.
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

// TLS names the files of the HTTP server's certificate. Both are there, or none.
type TLS struct {
	// Certificate has the certificate, and those between it and a root; Key its
	// private key.
	Certificate, Key File
}

// Access says who may use the console.
type Access struct {
	// Anonymous is what who is not signed in may do: none or viewer.
	Anonymous string
	// BootstrapToken is a token to begin with; empty when one is made up.
	BootstrapToken Secret
	// SessionIdle ends a session that is not used, SessionLifetime any.
	SessionIdle, SessionLifetime time.Duration
}

// OIDC says at which issuer people sign in. Without an issuer nothing else is set.
type OIDC struct {
	Issuer       string
	ClientID     string
	ClientSecret Secret
	// RoleClaim names the claim that Roles are about.
	RoleClaim string
	Roles     []ClaimedRole
	// Scopes are asked for beside openid.
	Scopes []string
}

// ClaimedRole says which role a value of a claim gives: viewer, auditor or operator.
type ClaimedRole struct{ Value, Role string }

// Limits bound what one client may ask for.
type Limits struct {
	// Requests are those a second, FailedLogins those a minute.
	Requests, FailedLogins int
}

// Registry says how OCI registries are spoken to.
type Registry struct {
	// Insecure are the host[:port] that may be spoken to over plain HTTP.
	Insecure []string
	// Hosts are further hosts that registries may send the worker to: host,
	// host:port or *.suffix.
	Hosts []string
	// Timeout bounds one request.
	Timeout time.Duration
	// Concurrency is the most requests at the same time to one host.
	Concurrency int
}

// Hooks says how registries tell of what was pushed.
type Hooks struct {
	// Secret is shared with them; empty when they cannot tell.
	Secret Secret
}

// File is a file that a setting names, as it was when the configuration was
// loaded.
type File struct {
	// Path is as it was configured; "" when no file is named.
	Path    string
	Content []byte
}

// Trust says whose signatures count.
type Trust struct {
	// Keys each hold one public key, as PEM.
	Keys       []File
	Identities []Identity
	// Root is a Sigstore trusted root. Identities need it.
	Root File
	// RequireLog demands a log entry of signatures by key as well.
	RequireLog bool
}

// Identity is who a signing certificate has to be for. Exactly one of Subject
// and Pattern is set.
type Identity struct {
	// Issuer is the URL of whoever proved the identity.
	Issuer  string
	Subject string
	// Pattern is a regular expression (RE2) for the whole subject, from ^ to $.
	Pattern string
}

// Evidence says how the papers of a release are looked at.
type Evidence struct {
	// Interval is the time between two looks at the papers of a release.
	Interval time.Duration
}

// Advisories says where advisories come from.
type Advisories struct {
	// Source is an http, https or file URL of a folder of <Ecosystem>/all.zip.
	Source string
	// Ecosystems are those to keep, as OSV names them. Empty means those that
	// the packages which were found need.
	Ecosystems []string
	// Interval is the time between two looks at the source.
	Interval time.Duration
}

// Policy says how a release is judged.
type Policy struct {
	// File is the policy; without one it is the built-in policy.
	File File
	// MaxAge is how old advisory data may be for the built-in policy.
	MaxAge time.Duration
}

// VEX says which findings do not matter.
type VEX struct {
	// Files are OpenVEX documents that hold beside those attested.
	Files []File
}

// Notify says who is told of changes.
type Notify struct {
	// Webhooks are URLs that get a signed message, Slack those that get one of
	// the shape of Slack's incoming webhooks. A URL may hold a token.
	Webhooks []Secret
	Slack    []Secret
	// Secret signs messages to Webhooks, as Standard Webhooks serialises it. It
	// is there when Webhooks are.
	Secret Secret
	// AllowPrivate lets messages go to private and link-local addresses.
	AllowPrivate bool
}

// Console says where the console is.
type Console struct {
	// URL is where it is seen from outside, for links; "" when that is not known.
	URL string
}

// Discover says how repositories are looked at.
type Discover struct {
	// Interval is the time between two looks at the same repository.
	Interval time.Duration
}
