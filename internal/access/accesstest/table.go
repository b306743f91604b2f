// Package accesstest checks that a server lets in whom it has to, and nobody else: each
// route, with each method, as each role. The table is made from the routes themselves, so
// that a new one cannot be forgotten.
package accesstest

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/access"
	"github.com/tallyman-io/tallyman/internal/grant"
)

// Visitor is somebody who asks.
type Visitor struct {
	Name string
	// Role and Scopes are what they have; none for anonymous.
	Role   access.Role
	Scopes []grant.Scope
	// Known says that they present something, whatever it is worth.
	Known bool
	// Present puts what they have into a request; nil for who has nothing.
	Present func(*http.Request)
}

// Answer is what a row expects.
type Answer string

// Answers.
const (
	Admitted  Answer = "admitted"   // the handler answers, whatever it says
	ToSignIn  Answer = "to sign-in" // 303 to /login
	Unknown   Answer = "401"
	Forbidden Answer = "403"
	NoMethod  Answer = "405"
)

// Row is a question and the answer that it has to get.
type Row struct {
	Visitor Visitor
	Method  string
	Path    string
	Want    Answer
}

// Rows are all questions about routes.
func Rows(routes []access.Route, visitors []Visitor) []Row {
	byPattern := make(map[string]map[string]access.Route)
	for _, r := range routes {
		if byPattern[r.Pattern] == nil {
			byPattern[r.Pattern] = make(map[string]access.Route)
		}
		byPattern[r.Pattern][r.Method] = r
	}
	var rows []Row
	for _, pattern := range slices.Sorted(maps.Keys(byPattern)) {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			registered := method
			if method == http.MethodHead {
				registered = http.MethodGet
			}
			route, ok := byPattern[pattern][registered]
			for _, v := range visitors {
				row := Row{Visitor: v, Method: method, Path: pathOf(pattern), Want: NoMethod}
				if ok {
					row.Want = expected(&route, v)
				}
				rows = append(rows, row)
			}
		}
	}
	return rows
}

// expected says in its own words what the guard has to do.
func expected(r *access.Route, v Visitor) Answer {
	switch {
	case r.Open():
		return Admitted
	case v.Role >= r.Role && slices.Contains(v.Scopes, r.Scope):
		return Admitted
	case v.Known:
		return Forbidden
	case r.Kind == access.API:
		return Unknown
	}
	return ToSignIn
}

var wildcard = regexp.MustCompile(`\{[^}]*\}`)

// pathOf is a path that a pattern matches.
func pathOf(pattern string) string {
	path := strings.TrimSuffix(pattern, "{$}")
	return wildcard.ReplaceAllString(path, "accesstest")
}

// Check asks a handler all questions about routes.
func Check(t *testing.T, h http.Handler, routes []access.Route, visitors []Visitor) {
	t.Helper()
	if len(routes) == 0 || len(visitors) == 0 {
		t.Fatal("accesstest: nothing to ask")
	}
	for _, row := range Rows(routes, visitors) {
		name := fmt.Sprintf("%s %s as %s", row.Method, row.Path, row.Visitor.Name)
		r := httptest.NewRequestWithContext(t.Context(), row.Method, "http://localhost"+row.Path, http.NoBody)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		if row.Visitor.Present != nil {
			row.Visitor.Present(r)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := answerOf(w); got != row.Want {
			t.Errorf("%s: got %s (status %d), want %s", name, got, w.Code, row.Want)
		}
	}
}

// answerOf tells the guard's answers from those of a handler: a handler that answers 403 by
// itself is not told apart, and a public one that redirects to /login is.
func answerOf(w *httptest.ResponseRecorder) Answer {
	switch w.Code {
	case http.StatusUnauthorized:
		if w.Header().Get("WWW-Authenticate") == "" {
			return Admitted // the sign-in page, after a wrong token
		}
		return Unknown
	case http.StatusForbidden:
		return Forbidden
	case http.StatusMethodNotAllowed:
		return NoMethod
	case http.StatusSeeOther:
		to, err := url.Parse(w.Header().Get("Location"))
		if err == nil && to.Path == "/login" && w.Header().Get("Vary") != "" {
			return ToSignIn
		}
	}
	return Admitted
}

// Bearer presents a token.
func Bearer(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

// Visitors are anonymous and one with a token of each role and all scopes that it may
// have, made by make.
func Visitors(t *testing.T, mint func(access.NewToken) (string, error)) []Visitor {
	t.Helper()
	all := []Visitor{{Name: "anonymous"}}
	for _, role := range grant.Roles() {
		scopes := slices.DeleteFunc(grant.Scopes(), func(s grant.Scope) bool { return s.Needs() > role })
		token, err := mint(access.NewToken{Name: role.String(), Role: role, Scopes: scopes, Days: 1})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, Visitor{Name: role.String(), Role: role, Scopes: scopes, Known: true, Present: Bearer(token)})
	}
	return all
}
