package access

import (
	"context"
	"slices"

	"github.com/tallyman-io/tallyman/internal/grant"
)

// Role is [grant.Role]: what somebody may do.
type Role = grant.Role

// Roles, the lowest first.
const (
	Viewer   = grant.Viewer
	Auditor  = grant.Auditor
	Operator = grant.Operator
)

// Via says how a principal came in.
type Via string

// Ways in. The zero value says that no guard has looked at the request.
const (
	ViaAnonymous Via = "anonymous"
	ViaToken     Via = "token"
	ViaSession   Via = "session"
	ViaSystem    Via = "system" // this program itself, or who runs it
)

// Principal is who makes a request.
type Principal struct {
	// ID is token:<id> or oidc:<subject>, "" for anonymous. A session has that of what
	// was signed in with.
	ID string
	// Name is for people.
	Name   string
	Role   Role
	Scopes []grant.Scope
	Via    Via
}

// May reports whether both the role and the scopes of the principal allow something.
func (p Principal) May(role Role, scope grant.Scope) bool {
	return role > grant.None && p.Role >= role && p.Role >= scope.Needs() && slices.Contains(p.Scopes, scope)
}

// Known reports whether it is somebody, and not anybody.
func (p Principal) Known() bool { return p.ID != "" }

// Origin is where a request comes from.
type Origin struct {
	// Remote is the address of the client, "" when it cannot be told.
	Remote string
	// Request is the id of the request.
	Request string
	// Secure says that the browser keeps secure cookies: it spoke TLS, or it is on this
	// machine.
	Secure bool
}

type (
	principalKey struct{}
	originKey    struct{}
)

// Of returns who makes the request of a context; the zero value when no guard has
// looked at it.
func Of(ctx context.Context) Principal {
	p, _ := ctx.Value(principalKey{}).(Principal)
	return p
}

// With returns a context in which [Of] returns p. It is for tests, and for work that
// goes on after its request.
func With(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// From returns where the request of a context comes from.
func From(ctx context.Context) Origin {
	o, _ := ctx.Value(originKey{}).(Origin)
	return o
}

func withOrigin(ctx context.Context, o Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}
