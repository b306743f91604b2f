package access

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/tallyman-io/tallyman/internal/grant"
)

// Kind says how a route refuses.
type Kind int

// Kinds. The zero value is none.
const (
	// Page sends a browser that is not signed in to /login, and refuses with pages.
	Page Kind = iota + 1
	// API answers 401, 403 and 429 with problem details (RFC 9457).
	API
	// Public lets everybody in, and finds out about nobody: it is for what pages need
	// before somebody signs in.
	Public
	// PublicAPI is Public for programs, which the handler finds out about itself: it answers
	// 403 and 429 with problem details.
	PublicAPI
)

// Route is one method of one path, and who may use it.
type Route struct {
	// Method is GET, which answers HEAD as well, POST, PUT, PATCH or DELETE.
	Method string
	// Pattern is a path as [http.ServeMux] takes it, without a method and a host.
	Pattern string
	// Role is the least role that may. A public route has none; every other has one.
	Role Role
	// Scope is what a token needs beside it. "" is grant.Read for GET; other methods
	// have to name one.
	Scope   grant.Scope
	Kind    Kind
	Handler http.Handler
	// Lasting: the answer goes on for long. It is ended, by its context, soon after whoever
	// it is for may not have it any more.
	Lasting bool
}

// Open reports whether everybody is let in.
func (r *Route) Open() bool { return r.Kind == Public || r.Kind == PublicAPI }

// check says what is wrong with a route.
func (r *Route) check() error {
	fail := func(what string) error { return fmt.Errorf("route %s %s: %s", r.Method, r.Pattern, what) }
	methods := []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
	switch {
	case !slices.Contains(methods, r.Method):
		return fail("expected a method of " + strings.Join(methods, ", "))
	case !strings.HasPrefix(r.Pattern, "/"):
		return fail("expected a pattern that begins with /")
	case r.Handler == nil:
		return fail("no handler")
	case r.Kind < Page || r.Kind > PublicAPI:
		return fail("no kind")
	case r.Open() && (r.Role != grant.None || r.Scope != ""):
		return fail("a public route has neither role nor scope")
	case !r.Open() && (r.Role < Viewer || r.Role > Operator):
		return fail("no role")
	case !r.Open() && r.Scope == "" && r.Method != http.MethodGet:
		return fail("no scope")
	case r.Scope != "" && !slices.Contains(grant.Scopes(), r.Scope):
		return fail("unknown scope " + string(r.Scope))
	case r.Scope != "" && r.Scope.Needs() > r.Role:
		return fail("the scope " + string(r.Scope) + " needs the role " + r.Scope.Needs().String())
	}
	return nil
}

// Registry is where handlers are registered, by a pattern as [http.ServeMux] takes it.
type Registry interface {
	Handle(pattern string, h http.Handler)
}

// Install registers routes, and those of the guard itself, behind the guard. It registers
// nothing when one of them is not as it has to be. It is called once.
func (g *Guard) Install(mux Registry, routes ...Route) error {
	all := append(g.own(), routes...)
	var errs []error
	for i := range all {
		r := &all[i]
		if !r.Open() && r.Scope == "" && r.Method == http.MethodGet {
			r.Scope = grant.Read
		}
		errs = append(errs, r.check())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("install routes: %w", err)
	}
	for i := range all {
		mux.Handle(all[i].Method+" "+all[i].Pattern, g.protect(all[i]))
	}
	g.routes = all
	return nil
}

// Routes are those that were installed, scopes filled in.
func (g *Guard) Routes() []Route { return slices.Clone(g.routes) }
