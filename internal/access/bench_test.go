package access_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tallyman-io/tallyman/internal/access"
	"github.com/tallyman-io/tallyman/internal/access/accesstest"
	"github.com/tallyman-io/tallyman/internal/buildinfo"
	"github.com/tallyman-io/tallyman/internal/console"
	"github.com/tallyman-io/tallyman/internal/grant"
	"github.com/tallyman-io/tallyman/internal/service"
	"github.com/tallyman-io/tallyman/internal/store"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

// clock is set by a test.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) wait(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// logs is what was logged, from any goroutine.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// bench is a guard with the real store and the real pages, and some routes.
type bench struct {
	t     testing.TB
	store *store.Store
	guard *access.Guard
	mux   *service.Routes
	clock *clock
	log   *logs
}

// sample are routes of all kinds. They answer with who asks.
func sample() []access.Route {
	who := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, o := access.Of(r.Context()), access.From(r.Context())
		fmt.Fprintf(w, "%s %s %s %s", p.Via, p.ID, p.Role, o.Remote)
	})
	return []access.Route{
		{Method: "GET", Pattern: "/{$}", Kind: access.Page, Role: access.Viewer, Handler: who},
		{Method: "GET", Pattern: "/release/{name}", Kind: access.Page, Role: access.Viewer, Handler: who},
		{Method: "GET", Pattern: "/audit", Kind: access.Page, Role: access.Auditor, Handler: who},
		{Method: "POST", Pattern: "/release/{name}", Kind: access.Page, Role: access.Operator, Scope: grant.Rescan, Handler: who},
		{Method: "GET", Pattern: "/api/v1/releases", Kind: access.API, Role: access.Viewer, Handler: who},
		{Method: "POST", Pattern: "/api/v1/search", Kind: access.API, Role: access.Viewer, Scope: grant.Read, Handler: who},
		{Method: "GET", Pattern: "/api/v1/audit", Kind: access.API, Role: access.Auditor, Handler: who},
		{Method: "PUT", Pattern: "/api/v1/sboms/{digest}", Kind: access.API, Role: access.Operator, Scope: grant.Upload, Handler: who},
		{Method: "DELETE", Pattern: "/api/v1/tokens/{id}", Kind: access.API, Role: access.Operator, Scope: grant.Tokens, Handler: who},
		{Method: "GET", Pattern: "/static/{file...}", Kind: access.Public, Handler: who},
	}
}

func newBench(t testing.TB, changes ...func(*access.Config)) *bench {
	t.Helper()
	b := &bench{t: t, clock: &clock{at: time.Date(2026, 11, 26, 18, 0, 0, 0, time.UTC)}, log: &logs{}, mux: new(service.Routes)}
	b.open(storetest.SQLite(t), changes...)
	return b
}

func (b *bench) open(url string, changes ...func(*access.Config)) {
	b.t.Helper()
	var err error
	if b.store, err = store.Open(b.t.Context(), url, store.Options{Now: b.clock.now}); err != nil {
		b.t.Fatal(err)
	}
	log := zerolog.New(b.log)
	pages, err := console.New(console.Config{Store: b.store, Log: log, Now: b.clock.now, Build: buildinfo.Read("")})
	if err != nil {
		b.t.Fatal(err)
	}
	cfg := access.Config{
		Store: b.store, Pages: pages, Log: log, Now: b.clock.now,
		SessionIdle: time.Hour, SessionLifetime: 24 * time.Hour, Requests: 10_000, FailedLogins: 1000,
	}
	for _, change := range changes {
		change(&cfg)
	}
	if b.guard, err = access.New(b.t.Context(), cfg); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if err := b.guard.Close(context.WithoutCancel(b.t.Context())); err != nil {
			b.t.Error(err)
		}
		if err := b.store.Close(); err != nil {
			b.t.Error(err)
		}
	})
	if err := b.guard.Install(b.mux, sample()...); err != nil {
		b.t.Fatal(err)
	}
}

// table is what the bench has registered, all of it behind the guard, with who asks.
func (b *bench) table(visitors ...accesstest.Visitor) *accesstest.Table {
	return &accesstest.Table{
		Registered: b.mux.Patterns(), Routes: b.guard.Routes(), Visitors: visitors,
		Open: map[string]accesstest.Answer{accesstest.Nowhere: accesstest.NotThere},
	}
}

// mint makes a token as the program itself.
func (b *bench) mint(n access.NewToken) (string, error) {
	ctx := access.With(b.t.Context(), access.Principal{Name: "test", Role: access.Operator, Scopes: grant.Scopes(), Via: access.ViaSystem})
	secret, _, err := b.guard.MakeToken(ctx, n)
	return secret, err
}

func (b *bench) token(role access.Role, scopes ...grant.Scope) string {
	b.t.Helper()
	secret, err := b.mint(access.NewToken{Name: "a " + role.String(), Role: role, Scopes: scopes, Days: 30})
	if err != nil {
		b.t.Fatal(err)
	}
	return secret
}

func idOf(token string) string { return strings.Split(token, "_")[1] }

// ask asks once, as a browser on the machine would. Headers are names and values in turn.
func (b *bench) ask(method, path string, form url.Values, headers ...string) *httptest.ResponseRecorder {
	b.t.Helper()
	var body io.Reader = http.NoBody
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r := httptest.NewRequestWithContext(b.t.Context(), method, "http://localhost"+path, body)
	r.RemoteAddr = "192.0.2.7:4321"
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		switch headers[i] {
		case "Host":
			r.Host = headers[i+1]
		case "Remote":
			r.RemoteAddr = headers[i+1]
		default:
			r.Header.Add(headers[i], headers[i+1])
		}
	}
	w := httptest.NewRecorder()
	w.Header().Set("X-Request-Id", "r1") // as package service does
	b.mux.ServeHTTP(w, r.WithContext(zerolog.New(b.log).WithContext(r.Context())))
	return w
}

func (b *bench) audit() []grant.Entry {
	b.t.Helper()
	all, err := b.store.Audit(b.t.Context(), grant.Page{})
	if err != nil {
		b.t.Fatal(err)
	}
	slices.Reverse(all)
	return all
}

// lines are the audit log, one action and subject a line.
func (b *bench) lines() []string {
	var all []string
	for _, e := range b.audit() {
		all = append(all, strings.TrimSpace(e.Action+" "+e.Subject))
	}
	return all
}
