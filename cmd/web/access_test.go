package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tallyman-io/tallyman/internal/access"
	"github.com/tallyman-io/tallyman/internal/access/accesstest"
	"github.com/tallyman-io/tallyman/internal/api/wire"
	"github.com/tallyman-io/tallyman/internal/buildinfo"
	"github.com/tallyman-io/tallyman/internal/command"
	"github.com/tallyman-io/tallyman/internal/config"
	"github.com/tallyman-io/tallyman/internal/grant"
	"github.com/tallyman-io/tallyman/internal/service"
)

// assembled is web as it is put together for settings, without a server around it.
func assembled(t testing.TB, environ ...string) *building {
	t.Helper()
	return assembledWith(t, zerolog.Nop(), environ...)
}

// assembledWith is assembled with a log.
func assembledWith(t testing.TB, log zerolog.Logger, environ ...string) *building {
	t.Helper()
	environ = append([]string{"TALLYMAN_DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "t.db"), "TALLYMAN_LIMITS_REQUESTS=100000"}, environ...)
	loaded, err := config.ForWeb().Load(config.Input{Environ: environ})
	if err != nil {
		t.Fatal(err)
	}
	b, err := assemble(t.Context(), command.Env[config.Web]{Config: loaded.Config, Settings: loaded.Values, Log: log, Build: buildinfo.Read(""), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return b
}

// served is everything that web answers, as its server has it.
func served(b *building, log zerolog.Logger) http.Handler {
	app := b.app(grant.None.String())
	return service.Handler(service.Config{
		Name: "web", Log: log, Build: buildinfo.Read(""), Now: time.Now, Uptime: func() time.Duration { return 0 },
	}, &app)
}

func TestEveryRouteOfWebLetsInWhomItHasToAndNobodyElse(t *testing.T) {
	t.Parallel()
	b := assembled(t, "TALLYMAN_LIMITS_FAILED_LOGINS=1000")
	site := served(b, zerolog.Nop())
	ctx := access.With(t.Context(), access.Principal{Name: "test", Role: access.Operator, Scopes: grant.Scopes(), Via: access.ViaSystem})
	visitors := accesstest.Visitors(t, site, func(n access.NewToken) (string, error) {
		secret, _, err := b.guard.MakeToken(ctx, n)
		return secret, err
	})
	b.pages.Close() // progress would be told for ever
	table := accesstest.Table{
		Registered: b.mux.Patterns(), Routes: b.guard.Routes(), Visitors: visitors,
		// docs/access.md says that these answer everybody.
		Open: map[string]accesstest.Answer{
			"GET /healthz": accesstest.Told, "GET /readyz": accesstest.Told, "GET /version": accesstest.Told, "GET /metrics": accesstest.Told,
			wire.Base + "/": accesstest.NotThere, accesstest.Nowhere: accesstest.NotThere,
		},
	}
	table.Check(t, site)
}

func TestARouteBesideTheGuardHasToSayWhoGetsWhat(t *testing.T) {
	t.Parallel()
	b := assembled(t)
	b.mux.Handle("GET /debug", http.NotFoundHandler())
	table := accesstest.Table{
		Registered: b.mux.Patterns(), Routes: b.guard.Routes(),
		Open: map[string]accesstest.Answer{wire.Base + "/": accesstest.NotThere, "GET /gone": accesstest.Told},
	}
	_, err := table.Rows()
	for _, want := range []string{"GET /debug: registered beside the guard", "GET /gone: in the table, and not registered"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to say %q", err, want)
		}
	}
}

func TestWebMayBeReadByAnybodyWhereThatIsConfigured(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]int{"none": http.StatusSeeOther, "viewer": http.StatusOK} {
		b := assembled(t, "TALLYMAN_ACCESS_ANONYMOUS="+setting)
		w := httptest.NewRecorder()
		b.mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
		if w.Code != want {
			t.Errorf("%s: got %d, want %d", setting, w.Code, want)
		}
	}
}

func TestWebStartsWhileItsIssuerIsDown(t *testing.T) {
	t.Parallel()
	b := assembled(t, "TALLYMAN_OIDC_ISSUER=http://"+freeAddress(t), "TALLYMAN_OIDC_CLIENT_ID=tally", "TALLYMAN_OIDC_ROLES=ops=operator", "TALLYMAN_CONSOLE_URL=http://localhost")
	w := httptest.NewRecorder()
	b.mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/login/oidc", nil))
	if w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "cannot be reached") {
		t.Errorf("sign in: got %d %s", w.Code, w.Body)
	}
}

func TestWhoRunsWebMakesATokenByHand(t *testing.T) {
	t.Parallel()
	environ := []string{"TALLYMAN_DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "t.db")}
	call := func(args ...string) (int, string, string) {
		var out, errs output
		code := run(t.Context(), command.Process{Args: args, Environ: environ, Stdout: &out, Stderr: &errs, Began: time.Now()})
		return code, out.String(), errs.String()
	}
	tests := []struct {
		name string
		args []string
		code int
		says string
	}{
		{"an operator for a day", []string{"token", "make", "rescue"}, command.ExitOK, "tally_"},
		{"a viewer", []string{"token", "make", "ci", "--role=viewer", "--scopes=read", "--days=366"}, command.ExitOK, "tally_"},
		{"a viewer with too many scopes", []string{"token", "make", "ci", "--role=viewer"}, command.ExitFailed, "The scope rescan needs the role operator."},
		{"another role", []string{"token", "make", "ci", "--role=root"}, command.ExitFailed, "--role: role: expected viewer, auditor or operator"},
		{"for ever", []string{"token", "make", "ci", "--days=367"}, command.ExitFailed, "It has to end after 1 to 366 days."},
	}
	for _, tt := range tests {
		code, stdout, stderr := call(tt.args...)
		if code != tt.code || !strings.Contains(stdout+stderr, tt.says) || strings.Contains(stdout, "tally_") != (tt.code == command.ExitOK) {
			t.Errorf("%s: got exit code %d and\n%s%s\nwant %d and %q", tt.name, code, stdout, stderr, tt.code, tt.says)
		}
	}
}

func TestWebShowsItsFirstTokenInTheLogOnce(t *testing.T) {
	t.Parallel()
	listen := freeAddress(t)
	environ := []string{"TALLYMAN_DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "t.db"), "TALLYMAN_LISTEN=" + listen}
	var log output
	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan int, 1)
		go func() {
			ended <- run(ctx, command.Process{Args: []string{"serve"}, Environ: environ, Stdout: io.Discard, Stderr: &log, Began: time.Now()})
		}()
		for deadline := time.Now().Add(20 * time.Second); ; {
			if status, _, _ := get(t, "http://"+listen+"/readyz"); status == http.StatusOK {
				break
			}
			if time.Now().After(deadline) {
				t.Errorf("not ready:\n%s", log.String())
				break
			}
		}
		cancel()
		if code := <-ended; code != command.ExitOK {
			t.Errorf("exit code: got %d, want 0\n%s", code, log.String())
		}
	}
	if got := strings.Count(log.String(), "tally_"); got != 1 {
		t.Errorf("got %d tokens in the log, want 1:\n%s", got, log.String())
	}
}

func TestWhatNoRouteIsForSaysSo(t *testing.T) {
	t.Parallel()
	b := assembled(t)
	for _, tt := range []struct {
		method, path string
		status       int
		says         string
	}{
		{"GET", "/nothing", 404, "<h1>Not found</h1>"},
		{"GET", "/static/nothing.css", 404, ""},
		{"HEAD", "/nothing", 404, ""},
		{"GET", "/rescan", 405, ""},
		{"POST", "/nothing", 404, ""},
		{"GET", "/api/v1/nothing", 404, "urn:tallyman:problem"},
		{"GET", "/activity/../../etc/passwd", 307, ""},
	} {
		w := httptest.NewRecorder()
		b.mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), tt.method, tt.path, nil))
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.says) {
			t.Errorf("%s %s: got %d %.200s, want %d and %q", tt.method, tt.path, w.Code, w.Body, tt.status, tt.says)
		}
	}
}
