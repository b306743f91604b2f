// Package grant holds the words for who may do what: roles, scopes, tokens,
// sessions, and the entries of the audit log. It imports nothing of ours, so that
// the store that keeps them and the guard that asks for them share it.
package grant

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Role is what somebody may do. A higher role may do all that a lower one may.
type Role int

// Roles, the lowest first. The zero value may do nothing.
const (
	None     Role = iota
	Viewer        // reads everything but the audit log
	Auditor       // reads the audit log as well
	Operator      // changes things as well
)

// Roles are all that somebody can be given, the lowest first.
func Roles() []Role { return []Role{Viewer, Auditor, Operator} }

// String is the word for the role, "none" for the zero value.
func (r Role) String() string {
	switch r {
	case Viewer:
		return "viewer"
	case Auditor:
		return "auditor"
	case Operator:
		return "operator"
	case None:
	}
	return "none"
}

// ParseRole understands what [Role.String] gives; the error names what is expected.
func ParseRole(s string) (Role, error) {
	for _, r := range append(Roles(), None) {
		if r.String() == s {
			return r, nil
		}
	}
	return None, fmt.Errorf("role: expected viewer, auditor or operator, found %q", s)
}

// Scope is what a token can be used for. It can do what both its role and its
// scopes allow.
type Scope string

// Scopes.
const (
	Read   Scope = "read"   // whatever the role may see
	Rescan Scope = "rescan" // have a release looked at again
	Upload Scope = "upload" // hand in papers that a registry cannot hold
	Tokens Scope = "tokens" // make, list and revoke tokens
)

// Scopes are all there are, in the order in which they are shown.
func Scopes() []Scope { return []Scope{Read, Rescan, Upload, Tokens} }

// Needs is the least role without which a scope is worth nothing.
func (s Scope) Needs() Role {
	if s == Read {
		return Viewer
	}
	return Operator
}

// ParseScopes understands words divided by spaces, as [FormatScopes] gives them. The
// result is in the order of [Scopes], each once.
func ParseScopes(s string) ([]Scope, error) {
	var found []Scope
	for word := range strings.FieldsSeq(s) {
		if !slices.Contains(Scopes(), Scope(word)) {
			return nil, fmt.Errorf("scope: expected read, rescan, upload or tokens, found %q", word)
		}
		found = append(found, Scope(word))
	}
	return slices.DeleteFunc(Scopes(), func(s Scope) bool { return !slices.Contains(found, s) }), nil
}

// FormatScopes is the opposite of [ParseScopes].
func FormatScopes(scopes []Scope) string {
	words := make([]string, len(scopes))
	for i, s := range scopes {
		words[i] = string(s)
	}
	return strings.Join(words, " ")
}

// Token is an API token without its secret.
type Token struct {
	// Key counts up as tokens are made.
	Key int64
	// ID is the part of the token that is no secret.
	ID string
	// Hash is the SHA-256 of the whole token.
	Hash []byte
	// Name says what it is for.
	Name   string
	Role   Role
	Scopes []Scope
	// MadeBy is the name of who made it.
	MadeBy   string
	Made     time.Time
	Expires  time.Time
	LastUsed time.Time // zero when it never was; exact to the minute
	Revoked  time.Time // zero when it is not
	// Bootstrap marks the one token that a new database begins with.
	Bootstrap bool
}

// Valid reports whether the token can be used at that time.
func (t *Token) Valid(now time.Time) bool { return t.Revoked.IsZero() && now.Before(t.Expires) }

// Session is somebody who signed in with a browser.
type Session struct {
	// Hash is the SHA-256 of the id that the browser keeps.
	Hash []byte
	// TokenID is that of the token that was signed in with; "" for OpenID Connect.
	TokenID string
	// Subject identifies who it is; Name is shown.
	Subject, Name string
	Role          Role
	Scopes        []Scope
	Began         time.Time
	Seen          time.Time // exact to the minute
	// Expires is when it ends, however much it is used.
	Expires time.Time
	// TokenEnded says that the token was revoked or has expired since.
	TokenEnded bool
}

// Entry is a line of the audit log.
type Entry struct {
	// Key counts up as entries are written.
	Key int64
	At  time.Time
	// Actor is the name of who did it, ActorID identifies them, Via says how they
	// came in: token, session, anonymous, hook, or system.
	Actor, ActorID, Via string
	// Action is what was done, such as token.make; Subject is what to.
	Action, Subject string
	// Detail says more, for people.
	Detail string
	// Remote is the address that it came from, Request the id of the request; both
	// are "" when it was not by a request.
	Remote, Request string
}

// Page says which part of the tokens, or of the audit log, is asked for.
type Page struct {
	// After is the key of the last item of the part before it; 0 for the first part.
	After int64
	// Limit is the most items, of which the store has a bound of its own; 0 is that.
	Limit int
	// Oldest: the oldest come first, instead of the newest.
	Oldest bool
}

// Actions that this program knows. Others may be added by those who do them.
const (
	ActionLogin       = "session.login"
	ActionLoginFailed = "session.login_failed"
	ActionLogout      = "session.logout"
	ActionTokenMake   = "token.make"
	ActionTokenRevoke = "token.revoke"
	ActionBootstrap   = "token.bootstrap"
	ActionRescan      = "release.rescan"
	ActionUpload      = "sbom.upload"
	ActionDossier     = "dossier.ask"
	ActionAnnounce    = "repository.announce"
)
