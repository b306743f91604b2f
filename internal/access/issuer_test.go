package access_test

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/access"
	"github.com/tallyman-io/tallyman/internal/grant"
	"github.com/tallyman-io/tallyman/internal/service"
)

func newMux() *service.Routes { return new(service.Routes) }

// issuer answers as it is told. What a real one does is tested in e2e/login.
type issuer struct {
	person access.Person
	err    error
	down   error
}

func (i issuer) Begin(_ context.Context, redirect string, a access.Attempt) (string, error) {
	return "https://id.example/auth?" + url.Values{"redirect_uri": {redirect}, "state": {a.State}, "nonce": {a.Nonce}}.Encode(), i.down
}

func (i issuer) Finish(_ context.Context, redirect, code string, a access.Attempt) (access.Person, error) {
	if redirect != "https://tally.example/login/oidc/callback" || code != "c0de" || len(a.Verifier) != 43 || a.Verifier == a.Nonce || a.Nonce == a.State {
		return access.Person{}, errors.New("wrong arguments")
	}
	return i.person, i.err
}

func withIssuer(i access.Issuer) func(*access.Config) {
	return func(c *access.Config) { c.Issuer, c.ConsoleURL = i, "https://tally.example/" }
}

// begin goes to the issuer, and returns the browser's cookie and the state that the issuer
// hands back.
func (b *bench) begin(next string) (cookie, state string) {
	b.t.Helper()
	w := b.ask("GET", "/login/oidc?"+url.Values{"next": {next}}.Encode(), nil)
	to, err := url.Parse(w.Header().Get("Location"))
	if err != nil || w.Code != 303 || to.Host != "id.example" || to.Query().Get("redirect_uri") != "https://tally.example/login/oidc/callback" {
		b.t.Fatalf("got %d to %s, %v", w.Code, to, err)
	}
	c := w.Result().Cookies()[0]
	if c.Name != "__Host-tallyman-login" || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" {
		b.t.Errorf("cookie: got %s", c)
	}
	return c.Name + "=" + c.Value, to.Query().Get("state")
}

func (b *bench) comeBack(cookie string, query url.Values) *httptest.ResponseRecorder {
	b.t.Helper()
	return b.ask("GET", "/login/oidc/callback?"+query.Encode(), nil, "Cookie", cookie, "Sec-Fetch-Site", "cross-site")
}

func TestSigningInAtAnIssuer(t *testing.T) {
	t.Parallel()
	b := newBench(t, withIssuer(issuer{person: access.Person{Subject: "u1", Name: "Ada", Role: access.Operator}}))
	if page := b.ask("GET", "/login?next=/audit", nil).Body.String(); !strings.Contains(page, `href="/login/oidc?next=%2Faudit"`) {
		t.Errorf("page: got %s", page)
	}
	cookie, state := b.begin("/audit")
	w := b.comeBack(cookie, url.Values{"state": {state}, "code": {"c0de"}})
	if got, want := w.Header().Get("Location"), "/login?arrived=&next=%2Faudit"; w.Code != 303 || got != want {
		t.Fatalf("got %d to %s, want 303 to %s: %s", w.Code, got, want, w.Body)
	}
	if c := w.Result().Cookies()[0]; c.Name != "__Host-tallyman-login" || c.MaxAge >= 0 {
		t.Errorf("the attempt is not forgotten: %s", c)
	}
	session := sent(t, w)
	if got := b.ask("GET", "/audit", nil, "Cookie", session).Body.String(); got != "session oidc:u1 operator 192.0.2.7" {
		t.Errorf("with the session: got %q", got)
	}
	if got := b.ask("PUT", "/api/v1/sboms/x", nil, "Cookie", session).Code; got != 200 {
		t.Errorf("all scopes of the role: got %d", got)
	}
	if e := b.audit()[0]; e.Action != grant.ActionLogin || e.Actor != "Ada" || e.Subject != "oidc:u1" || e.Detail != "by OpenID Connect" {
		t.Errorf("audit: got %+v", e)
	}
}

func TestSigningInAtAnIssuerThatDoesNotGoThrough(t *testing.T) {
	t.Parallel()
	refused := &access.RefusedError{Why: "No role here for <b>you</b>.", Subject: "u2"}
	tests := []struct {
		name   string
		issuer issuer
		// change is done to what the browser brings back.
		change func(b *bench, cookie *string, query url.Values)
		code   int
		says   string
		audit  string
	}{
		{"no cookie", issuer{}, func(_ *bench, c *string, _ url.Values) { *c = "" }, 400, "began no attempt", "session.login_failed"},
		{"another's cookie", issuer{}, func(b *bench, c *string, _ url.Values) { *c, _ = b.begin("/") }, 400, "belongs to another attempt", "session.login_failed"},
		{"another state", issuer{}, func(_ *bench, _ *string, q url.Values) { q.Set("state", "x") }, 400, "belongs to another attempt", "session.login_failed"},
		{"no state", issuer{}, func(_ *bench, _ *string, q url.Values) { q.Del("state") }, 400, "belongs to another attempt", "session.login_failed"},
		{"a cookie of rubbish", issuer{}, func(_ *bench, c *string, _ url.Values) { *c = "__Host-tallyman-login=x" }, 400, "cannot be read", "session.login_failed"},
		{"an empty attempt", issuer{}, func(_ *bench, c *string, q url.Values) {
			*c = "__Host-tallyman-login=" + base64.RawURLEncoding.EncodeToString([]byte("{}"))
			q.Set("state", "")
		}, 400, "cannot be read", "session.login_failed"},
		{"too late", issuer{}, func(b *bench, _ *string, _ url.Values) { b.clock.wait(10 * time.Minute) }, 400, "took too long", "session.login_failed"},
		{"the person refused", issuer{}, func(_ *bench, _ *string, q url.Values) {
			q.Set("error", "access_denied")
			q.Set("error_description", "<i>no</i>")
		}, 403, "access_denied &lt;i&gt;no", "session.login_failed"},
		{"no role", issuer{err: refused}, nil, 403, "No role here for &lt;b&gt;", "session.login_failed oidc:u2"},
		{"the issuer is down", issuer{err: errors.New("hunter2: connection refused")}, nil, 503, "cannot be reached", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, withIssuer(tt.issuer))
			cookie, state := b.begin("/audit")
			query := url.Values{"state": {state}, "code": {"c0de"}}
			if tt.change != nil {
				tt.change(b, &cookie, query)
			}
			got := b.comeBack(cookie, query)
			if got.Code != tt.code || !strings.Contains(got.Body.String(), tt.says) || strings.Contains(got.Body.String(), "hunter2") {
				t.Errorf("got %d, want %d with %q:\n%s", got.Code, tt.code, tt.says, got.Body)
			}
			for _, c := range got.Result().Cookies() {
				if c.MaxAge >= 0 {
					t.Errorf("got a cookie: %s", c)
				}
			}
			if lines := strings.Join(b.lines(), "\n"); lines != tt.audit {
				t.Errorf("audit: got %q, want %q", lines, tt.audit)
			}
		})
	}
	b := newBench(t, withIssuer(issuer{down: errors.New("down")}))
	if got := b.ask("GET", "/login/oidc", nil); got.Code != 503 || !strings.Contains(got.Body.String(), "cannot be reached") || !strings.Contains(got.Body.String(), `name="token"`) {
		t.Errorf("down from the start: got %d %s", got.Code, got.Body)
	}
	if got := b.ask("GET", "/login/oidc", nil, "Host", "tally.internal"); got.Code != 400 || len(got.Result().Cookies()) > 0 {
		t.Errorf("over plain HTTP: got %d", got.Code)
	}
}
