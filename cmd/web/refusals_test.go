package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/access"
	"github.com/tallyman-io/tallyman/internal/api/apitest"
	"github.com/tallyman-io/tallyman/internal/grant"
)

// operations are the routes of the API.
func operations(b *building) []access.Route {
	var all []access.Route
	for _, r := range b.guard.Routes() {
		if strings.HasPrefix(r.Pattern, "/api/v1/") {
			all = append(all, r)
		}
	}
	return all
}

var wildcard = regexp.MustCompile(`\{([^}]*)\}`)

// example is a path of a route that its operation would understand.
func example(pattern string) string {
	known := map[string]string{
		"name": "v1.0.0", "id": "7", "digest": "sha256:" + strings.Repeat("0", 64), "repository": "ghcr.io~acme~web", "badge": "verdict.svg", "kind": "ghcr",
	}
	return wildcard.ReplaceAllStringFunc(pattern, func(name string) string { return known[strings.Trim(name, "{}")] })
}

// refused asks for an operation and expects a problem with a status, which is recorded
// for the validator.
func refused(t *testing.T, b *building, route *access.Route, status int, headers ...string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), route.Method, "http://localhost"+example(route.Pattern), http.NoBody)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	if route.Kind == access.PublicAPI {
		r.Header.Set("Content-Type", "application/json")
	}
	w := httptest.NewRecorder()
	b.mux.ServeHTTP(w, r)
	if w.Code != status || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s %s: got %d as %s, want %d as a problem", route.Method, route.Pattern, w.Code, w.Header().Get("Content-Type"), status)
	}
	r.Header.Del("Authorization") // a secret, of which the validator needs none
	apitest.Record(t, r, nil, w)
}

func (b *building) token(t testing.TB, role access.Role, scopes ...grant.Scope) string {
	t.Helper()
	ctx := access.With(t.Context(), access.Principal{Name: "test", Role: access.Operator, Scopes: grant.Scopes(), Via: access.ViaSystem})
	secret, _, err := b.guard.MakeToken(ctx, access.NewToken{Name: "ci", Role: role, Scopes: scopes, Days: 1})
	if err != nil {
		t.Fatal(err)
	}
	return "Bearer " + secret
}

func TestEveryOperationRefusesWithAProblem(t *testing.T) {
	t.Parallel()
	b := assembled(t, "TALLYMAN_HOOKS_SECRET="+strings.Repeat("s3cret.", 4))
	uploads, reads := b.token(t, access.Operator, grant.Upload), b.token(t, access.Viewer, grant.Read)
	for _, route := range operations(b) {
		refused(t, b, &route, http.StatusUnauthorized)
		switch {
		case route.Kind == access.PublicAPI:
			refused(t, b, &route, http.StatusForbidden, "Sec-Fetch-Site", "cross-site")
		case route.Role > access.Viewer:
			refused(t, b, &route, http.StatusForbidden, "Authorization", reads)
		default:
			refused(t, b, &route, http.StatusForbidden, "Authorization", uploads)
		}
	}
}

func TestEveryOperationSaysWhenThereAreTooManyRequests(t *testing.T) {
	t.Parallel()
	b := assembled(t, "TALLYMAN_LIMITS_REQUESTS=1")
	for _, route := range operations(b) {
		// Whoever is not known is counted by address: the first two may.
		for range 2 {
			b.mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/api/v1/queue", http.NoBody))
		}
		refused(t, b, &route, http.StatusTooManyRequests)
	}
}

func TestEveryOperationSaysWhenTheStoreDoesNotAnswer(t *testing.T) {
	t.Parallel()
	b := assembled(t)
	token := b.token(t, access.Operator, grant.Scopes()...)
	if err := b.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, route := range operations(b) {
		if route.Kind != access.PublicAPI {
			refused(t, b, &route, http.StatusServiceUnavailable, "Authorization", token)
		}
	}
	if dir := os.Getenv(apitest.Variable); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, "openapi.document"), b.api.OpenAPI(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
