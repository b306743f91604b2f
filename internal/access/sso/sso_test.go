package sso

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/access"
)

// Signing in at a real issuer is tested in e2e/login.

func TestRolesFollowFromAClaim(t *testing.T) {
	t.Parallel()
	roles := map[string]access.Role{"staff": access.Viewer, "audit": access.Auditor, "ops, all": access.Operator, "": access.Operator}
	tests := []struct {
		name, claim string
		claims      map[string]any
		want        access.Role
	}{
		{"a string", "role", map[string]any{"role": "audit"}, access.Auditor},
		{"the highest of a list", "groups", map[string]any{"groups": []any{"staff", "ops, all", "audit"}}, access.Operator},
		{"in an object", "realm_access.roles", map[string]any{"realm_access": map[string]any{"roles": []any{"staff"}}}, access.Viewer},
		{"a name with dots", "https://x.example/roles", map[string]any{"https://x.example/roles": []any{"staff"}}, access.Viewer},
		{"other values", "groups", map[string]any{"groups": []any{"guests", 1, nil, true, map[string]any{}}}, 0},
		{"letters of another case", "groups", map[string]any{"groups": []any{"Staff"}}, 0},
		{"a string of words", "groups", map[string]any{"groups": "staff audit"}, 0},
		{"no such claim", "groups", map[string]any{"group": []any{"staff"}}, 0},
		{"a number", "groups", map[string]any{"groups": 7}, 0},
		{"true", "admin", map[string]any{"admin": true}, 0},
		{"an object", "groups", map[string]any{"groups": map[string]any{"staff": true}}, 0},
		{"an empty list", "groups", map[string]any{"groups": []any{}}, 0},
	}
	for _, tt := range tests {
		i := New(Config{Claim: tt.claim, Roles: roles})
		got, err := i.person("u1", tt.claims)
		if got.Role != tt.want || (err == nil) != (tt.want > 0) {
			t.Errorf("%s: got %s, %v, want %s", tt.name, got.Role, err, tt.want)
		}
	}
}

func TestNamesArePrintable(t *testing.T) {
	t.Parallel()
	tests := []struct {
		claims map[string]any
		want   string
	}{
		{map[string]any{"preferred_username": "ada", "email": "a@x", "name": "Ada"}, "ada"},
		{map[string]any{"email": "a@x", "name": "Ada"}, "a@x"},
		{map[string]any{"preferred_username": 7, "name": "Ada\u202e\n\x00 L."}, "Ada L."},
		{map[string]any{"name": " \t"}, "u1"},
		{nil, "u1"},
		{map[string]any{"name": strings.Repeat("é", 100)}, strings.Repeat("é", 50) + "…"},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, nameOf("u1", tt.claims)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tt.claims, diff)
		}
	}
}

func TestAnIssuerThatFailsIsLeftAloneForAMoment(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	up := atomic.Bool{}
	server := httptest.NewUnstartedServer(nil)
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		if !up.Load() {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		url := "http://" + server.Listener.Addr().String()
		w.Header().Set("Content-Type", "application/json")
		if _, err := w.Write([]byte(`{"issuer":"` + url + `","authorization_endpoint":"` + url + `/a","token_endpoint":"` + url + `/t","jwks_uri":"` + url + `/k"}`)); err != nil {
			t.Error(err)
		}
	})
	server.Start()
	defer server.Close()
	var mu sync.Mutex
	now := time.Unix(1, 0)
	i := New(Config{Issuer: server.URL, ClientID: "c", Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now }})
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			if _, err := i.Begin(t.Context(), "", access.Attempt{}); err == nil || !strings.Contains(err.Error(), "502") {
				t.Errorf("while it is down: got %v", err)
			}
		})
	}
	wg.Wait()
	if got := asked.Load(); got != 1 {
		t.Errorf("asked %d times, want once", got)
	}
	up.Store(true)
	mu.Lock()
	now = now.Add(pause)
	mu.Unlock()
	for range 3 {
		to, err := i.Begin(t.Context(), "https://c.example/cb", access.Attempt{State: "s", Nonce: "n", Verifier: strings.Repeat("v", 43)})
		if err != nil || !strings.HasPrefix(to, server.URL+"/a?") || !strings.Contains(to, "code_challenge_method=S256") {
			t.Errorf("when it is up: got %s, %v", to, err)
		}
	}
	if got := asked.Load(); got != 2 {
		t.Errorf("asked %d times, want twice", got)
	}
}

func TestEndpointsInTheClearAndRedirectsAreRefused(t *testing.T) {
	t.Parallel()
	i := New(Config{Issuer: "https://id.example"})
	for endpoint, want := range map[string]bool{"https://keys.example/x": true, "": true, "http://id.example/token": false, "//id.example": false, "%": false} {
		if got := i.asSafe(endpoint) == nil; got != want {
			t.Errorf("%q: got %t, want %t", endpoint, got, want)
		}
	}
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the issuer led elsewhere") }))
	defer elsewhere.Close()
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusFound))
	defer server.Close()
	if _, err := New(Config{Issuer: server.URL}).Begin(t.Context(), "", access.Attempt{}); err == nil {
		t.Error("a redirect: got no error")
	}
}

func TestAnAnswerOfTheIssuerIsBounded(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	if _, err := New(Config{Issuer: server.URL}).Begin(ctx, "", access.Attempt{}); err == nil || ctx.Err() != nil {
		t.Errorf("got %v, %v, want an error at once", err, ctx.Err())
	}
}
