// Package accesstest checks that a server lets in whom it has to, and nobody else: each
// route, with each method, as each role. The table is made from what is registered, so
// that a new route cannot be forgotten, wherever it is registered.
package accesstest

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
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
	Told      Answer = "200"
	NotThere  Answer = "404"
)

// Nowhere stands, in [Table.Open], for what no pattern is for.
const Nowhere = ""

// Table is what a server has registered, and who gets what there.
type Table struct {
	// Registered are all of its patterns.
	Registered []string
	// Routes are those behind the guard.
	Routes []access.Route
	// Open says what everybody gets beside the guard, by pattern.
	Open map[string]Answer
	// Visitors are who asks.
	Visitors []Visitor
}

// methods are those that are asked with. HEAD is answered as GET is.
func methods() []string {
	return []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
	}
}

// Row is a question and the answer that it has to get.
type Row struct {
	Visitor Visitor
	Method  string
	Path    string
	Want    Answer
}

// says is what a visitor gets of a pattern.
type says func(Visitor) Answer

// answers are what is expected of each pattern. It is an error when the table does not say
// who gets what of one that is registered, or speaks of one that is not.
func (t *Table) answers() (map[string]says, error) {
	all := make(map[string]says)
	for i := range t.Routes {
		r := &t.Routes[i]
		all[r.Method+" "+r.Pattern] = func(v Visitor) Answer { return expected(r, v) }
	}
	var errs []error
	for pattern, want := range t.Open {
		if all[pattern] != nil {
			errs = append(errs, fmt.Errorf("%s: behind the guard and beside it", pattern))
		}
		all[pattern] = func(Visitor) Answer { return want }
	}
	for _, pattern := range t.Registered {
		if all[pattern] == nil {
			errs = append(errs, fmt.Errorf("%s: registered beside the guard, and the table does not say who gets what there", pattern))
		}
	}
	for _, pattern := range slices.Sorted(maps.Keys(all)) {
		if pattern != Nowhere && !slices.Contains(t.Registered, pattern) {
			errs = append(errs, fmt.Errorf("%s: in the table, and not registered", pattern))
		}
	}
	return all, errors.Join(errs...)
}

// Rows are all questions about what is registered.
func (t *Table) Rows() ([]Row, error) {
	answers, err := t.answers()
	if err != nil {
		return nil, fmt.Errorf("accesstest: %w", err)
	}
	byPath := make(map[string]map[string]says)
	for pattern, a := range answers {
		method, path, ok := strings.Cut(pattern, " ")
		if !ok {
			method, path = "", pattern
		}
		if path == Nowhere {
			path = "/accesstest"
		}
		if byPath[path] == nil {
			byPath[path] = make(map[string]says)
		}
		byPath[path][method] = a
	}
	var rows []Row
	for _, path := range slices.Sorted(maps.Keys(byPath)) {
		for _, method := range methods() {
			asked := method
			if method == http.MethodHead {
				asked = http.MethodGet
			}
			a := byPath[path][asked]
			if a == nil {
				a = byPath[path][""]
			}
			for _, v := range t.Visitors {
				row := Row{Visitor: v, Method: method, Path: pathOf(path), Want: NoMethod}
				if a != nil {
					row.Want = a(v)
				}
				rows = append(rows, row)
			}
		}
	}
	return rows, nil
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

// pathOf is a path that a pattern matches, and no other pattern.
func pathOf(pattern string) string {
	path := strings.TrimSuffix(pattern, "{$}")
	if path == pattern && strings.HasSuffix(path, "/") {
		path += "accesstest"
	}
	return wildcard.ReplaceAllString(path, "accesstest")
}

// Check asks a handler all questions about what it has registered.
func (t *Table) Check(tb testing.TB, h http.Handler) {
	tb.Helper()
	rows, err := t.Rows()
	if err != nil || len(rows) == 0 {
		tb.Fatalf("%d rows: %v", len(rows), err)
	}
	for _, row := range rows {
		name := fmt.Sprintf("%s %s as %s", row.Method, row.Path, row.Visitor.Name)
		r := httptest.NewRequestWithContext(tb.Context(), row.Method, "http://localhost"+row.Path, http.NoBody)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		if row.Visitor.Present != nil {
			row.Visitor.Present(r)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		got := answerOf(w)
		if beside := Answer(strconv.Itoa(w.Code)); got == Admitted && (row.Want == Told || row.Want == NotThere) {
			got = beside
		}
		if got != row.Want {
			tb.Errorf("%s: got %s (status %d), want %s", name, got, w.Code, row.Want)
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

// Visitors are anonymous; one with a token of each role and all scopes that it may have;
// an operator with a token of each scope alone; and those of each role signed in at a
// server, as a browser is. The tokens are made by mint.
func Visitors(t testing.TB, h http.Handler, mint func(access.NewToken) (string, error)) []Visitor {
	t.Helper()
	all := []Visitor{{Name: "anonymous"}}
	holder := func(name string, role access.Role, scopes []grant.Scope) string {
		token, err := mint(access.NewToken{Name: name, Role: role, Scopes: scopes, Days: 1})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, Visitor{Name: name, Role: role, Scopes: scopes, Known: true, Present: Bearer(token)})
		return token
	}
	for _, role := range grant.Roles() {
		scopes := slices.DeleteFunc(grant.Scopes(), func(s grant.Scope) bool { return s.Needs() > role })
		token := holder(role.String(), role, scopes)
		all = append(all, Visitor{Name: role.String() + " in a browser", Role: role, Scopes: scopes, Known: true, Present: signedIn(t, h, token)})
	}
	for _, scope := range grant.Scopes() {
		holder("operator with "+string(scope)+" alone", access.Operator, []grant.Scope{scope})
	}
	return all
}

// signedIn presents the cookies of who signed in with a token. Whoever signs out signs in
// again for what they ask next.
func signedIn(t testing.TB, h http.Handler, token string) func(*http.Request) {
	t.Helper()
	var cookies []*http.Cookie
	return func(r *http.Request) {
		if cookies == nil {
			cookies = signIn(t, h, token)
		}
		for _, c := range cookies {
			r.AddCookie(c)
		}
		if r.Method == http.MethodPost && r.URL.Path == "/logout" {
			cookies = nil
		}
	}
}

func signIn(t testing.TB, h http.Handler, token string) []*http.Cookie {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost/login", strings.NewReader(url.Values{"token": {token}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	cookies := w.Result().Cookies()
	if len(cookies) == 0 {
		t.Fatalf("sign in: got %d %s, want a cookie", w.Code, w.Body)
	}
	return cookies
}
