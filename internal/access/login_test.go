package access_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/access"
	"github.com/tallyman-io/tallyman/internal/grant"
)

// signIn signs in and returns the cookie, as a browser sends it.
func (b *bench) signIn(token string) string {
	b.t.Helper()
	w := b.ask("POST", "/login", url.Values{"token": {token}}, "Sec-Fetch-Site", "same-origin")
	if w.Code != http.StatusSeeOther {
		b.t.Fatalf("sign in: got %d %s", w.Code, w.Body)
	}
	return sent(b.t, w)
}

// sent is the session's cookie of an answer.
func sent(t testing.TB, w *httptest.ResponseRecorder) string {
	t.Helper()
	for _, c := range w.Result().Cookies() {
		if c.Name == "__Host-tallyman" && c.MaxAge >= 0 {
			return c.Name + "=" + c.Value
		}
	}
	t.Fatalf("no cookie: %v", w.Header())
	return ""
}

func TestSigningInAndOut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	token := b.token(access.Operator, grant.Read, grant.Rescan)
	page := b.ask("GET", "/login?next=/release/x", nil)
	if page.Code != 200 || !strings.Contains(page.Body.String(), `name="next" value="/release/x"`) || page.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("page: got %d %s", page.Code, page.Body)
	}
	w := b.ask("POST", "/login", url.Values{"token": {" " + token + "\n"}, "next": {"/release/x"}})
	if got, want := w.Header().Get("Location"), "/login?arrived=&next=%2Frelease%2Fx"; w.Code != 303 || got != want {
		t.Errorf("signed in: got %d to %s, want 303 to %s", w.Code, got, want)
	}
	c := w.Result().Cookies()[0]
	if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || len(c.Value) != 43 || !c.Expires.Equal(b.clock.now().Add(24*time.Hour)) {
		t.Errorf("cookie: got %s", c)
	}
	cookie := sent(t, w)
	if got := b.ask("GET", "/login?arrived=&next=/release/x", nil, "Cookie", cookie); got.Code != 303 || got.Header().Get("Location") != "/release/x" {
		t.Errorf("arrived: got %d to %s, want 303 to /release/x", got.Code, got.Header().Get("Location"))
	}
	if got, want := b.ask("POST", "/release/x", url.Values{}, "Cookie", cookie).Body.String(), "session token:"+idOf(token)+" operator 192.0.2.7"; got != want {
		t.Errorf("with the cookie: got %q, want %q", got, want)
	}
	if got := b.ask("PUT", "/api/v1/sboms/x", nil, "Cookie", cookie); got.Code != 403 {
		t.Errorf("a scope that the token has not: got %d, want 403", got.Code)
	}
	out := b.ask("POST", "/logout", url.Values{}, "Cookie", cookie)
	if out.Code != 303 || out.Header().Get("Location") != "/login" || out.Result().Cookies()[0].MaxAge >= 0 {
		t.Errorf("out: got %d %v", out.Code, out.Header())
	}
	if got := b.ask("GET", "/", nil, "Cookie", cookie); got.Code != 303 {
		t.Errorf("with the cookie of before: got %d, want 303", got.Code)
	}
	if got := b.ask("POST", "/logout", url.Values{}, "Cookie", cookie); got.Code != 303 {
		t.Errorf("out again: got %d, want 303", got.Code)
	}
	want := []string{"token.make " + idOf(token), "session.login token:" + idOf(token), "session.logout token:" + idOf(token)}
	if diff := cmp.Diff(want, b.lines()); diff != "" {
		t.Errorf("audit (-want +got):\n%s", diff)
	}
	if e := b.audit()[1]; e.Actor != "a operator" || e.Remote != "192.0.2.7" || e.Request != "r1" || e.Via != "session" {
		t.Errorf("audit of the login: got %+v", e)
	}
}

func TestEachLoginIsASessionOfItsOwn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	token := b.token(access.Viewer, grant.Read)
	planted := "__Host-tallyman=" + strings.Repeat("A", 43)
	w := b.ask("POST", "/login", url.Values{"token": {token}}, "Cookie", planted)
	first := sent(t, w)
	if first == planted {
		t.Error("the id that the browser brought along is used")
	}
	if got := b.ask("GET", "/", nil, "Cookie", planted); got.Code != 303 {
		t.Errorf("with the planted id: got %d, want 303", got.Code)
	}
	second := sent(t, b.ask("POST", "/login", url.Values{"token": {token}}, "Cookie", first))
	for cookie, want := range map[string]int{first: 303, second: 200} {
		if got := b.ask("GET", "/", nil, "Cookie", cookie); got.Code != want {
			t.Errorf("got %d, want %d", got.Code, want)
		}
	}
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		does func(t *testing.T, b *bench, token, cookie string)
		want int
	}{
		{"not yet", func(_ *testing.T, b *bench, _, _ string) { b.clock.wait(59 * time.Minute) }, 200},
		{"idle", func(_ *testing.T, b *bench, _, _ string) { b.clock.wait(61 * time.Minute) }, 303},
		{"revoked", func(t *testing.T, b *bench, token, _ string) {
			if _, err := b.guard.RevokeToken(t.Context(), idOf(token)); err != nil {
				t.Fatal(err)
			}
		}, 303},
		{"used for as long as it may be", func(t *testing.T, b *bench, _, cookie string) {
			for range 47 {
				b.clock.wait(30 * time.Minute)
				b.seen(t, cookie)
			}
		}, 200},
		{"used for longer", func(t *testing.T, b *bench, _, cookie string) {
			for range 47 {
				b.clock.wait(30 * time.Minute)
				b.seen(t, cookie)
			}
			b.clock.wait(31 * time.Minute)
		}, 303},
		{"its token expired", func(t *testing.T, b *bench, _, cookie string) {
			for range 20 {
				b.clock.wait(50 * time.Minute)
				b.seen(t, cookie)
			}
		}, 303},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, func(c *access.Config) {
				if tt.name == "its token expired" {
					c.SessionLifetime = 72 * time.Hour
				}
			})
			token := b.token(access.Viewer, grant.Read)
			if tt.name == "its token expired" {
				b.clock.wait(30*24*time.Hour - 16*time.Hour)
			}
			cookie := b.signIn(token)
			tt.does(t, b, token, cookie)
			if got := b.ask("GET", "/", nil, "Cookie", cookie); got.Code != tt.want {
				t.Errorf("got %d, want %d", got.Code, tt.want)
			}
		})
	}
}

// seen uses a session, and waits until that is written down.
func (b *bench) seen(t *testing.T, cookie string) {
	t.Helper()
	b.ask("GET", "/", nil, "Cookie", cookie)
	if err := b.guard.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestFailedLogins(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *access.Config) { c.FailedLogins = 3 })
	token := b.token(access.Viewer, grant.Read)
	wrong := url.Values{"token": {"tally_aaaaaaaa_" + strings.Repeat("b", 52)}, "next": {"/audit"}}
	for i, want := range []int{401, 401, 401, 429} {
		got := b.ask("POST", "/login", wrong)
		if got.Code != want || len(got.Result().Cookies()) > 0 || !strings.Contains(got.Body.String(), `role="alert"`) || !strings.Contains(got.Body.String(), `value="/audit"`) {
			t.Errorf("attempt %d: got %d %s, want %d", i+1, got.Code, got.Body, want)
		}
		if want == 429 && got.Header().Get("Retry-After") != "20" {
			t.Errorf("Retry-After: got %s, want 20", got.Header().Get("Retry-After"))
		}
	}
	if got := b.ask("POST", "/login", url.Values{"token": {token}}); got.Code != 429 {
		t.Errorf("the right token, too soon: got %d, want 429", got.Code)
	}
	if got := b.ask("POST", "/login", url.Values{"token": {token}}, "Remote", "192.0.2.8:1"); got.Code != 303 {
		t.Errorf("from elsewhere: got %d, want 303", got.Code)
	}
	b.clock.wait(20 * time.Second)
	if got := b.ask("POST", "/login", url.Values{"token": {token}}); got.Code != 303 {
		t.Errorf("later: got %d, want 303", got.Code)
	}
	if got := strings.Join(b.lines(), "\n"); strings.Count(got, "session.login_failed aaaaaaaa") != 3 {
		t.Errorf("audit: got\n%s", got)
	}
	if got := b.ask("POST", "/login", url.Values{"token": {strings.Repeat("x", 20<<10)}}); got.Code != 400 {
		t.Errorf("a huge form: got %d, want 400", got.Code)
	}
}

func TestSigningInLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	token := b.token(access.Viewer, grant.Read)
	cookie := b.signIn(token)
	tests := map[string]string{
		"/":                       "/",
		"/search?q=a+b&x=%2F%2Fe": "/search?q=a+b&x=%2F%2Fe",
		"/search?q=//x":           "/search?q=//x",
		"":                        "/", "search": "/", "//evil.example": "/", "///evil.example": "/", `/\evil.example`: "/", `\\evil.example`: "/",
		"https://evil.example": "/", "javascript:alert(1)": "/", "/\t/evil.example": "/", "/\n/evil.example": "/", "\x00/x": "/",
		"/a\x7f": "/", "/%5cevil.example": "/", "/%09/evil.example": "/", "/./%2fevil.example": "/", "/..//evil.example": "/", "/%2f/evil.example": "/",
		"/x#y": "/", "/%zz": "/", "/" + strings.Repeat("x", 3000): "/",
	}
	for next, want := range tests {
		got := b.ask("GET", "/login?"+url.Values{"next": {next}}.Encode(), nil, "Cookie", cookie)
		if to := got.Header().Get("Location"); got.Code != 303 || to != want {
			t.Errorf("%q: got %d to %q, want 303 to %q", next, got.Code, to, want)
		}
		w := b.ask("POST", "/login", url.Values{"token": {token}, "next": {next}})
		if to, err := url.Parse(w.Header().Get("Location")); err != nil || to.Path != "/login" || to.Query().Get("next") != want {
			t.Errorf("%q: after signing in: got %s, want %q", next, w.Header().Get("Location"), want)
		}
	}
}

func TestSigningInNeedsABrowserThatKeepsTheCookie(t *testing.T) {
	t.Parallel()
	proxy := func(c *access.Config) { c.Proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }
	outside := func(c *access.Config) { c.ConsoleURL = "https://tally.example" }
	tests := []struct {
		name    string
		change  func(*access.Config)
		headers []string
		secure  bool
	}{
		{"loopback", nil, []string{"Host", "127.0.0.1:8080"}, true},
		{"loopback, IPv6", nil, []string{"Host", "[::1]:8080"}, true},
		{"localhost", nil, []string{"Host", "localhost"}, true},
		{"plain HTTP", nil, []string{"Host", "tally.example"}, false},
		{"plain HTTP by address", nil, []string{"Host", "192.168.1.2:8080"}, false},
		{"a host that begins like localhost", nil, []string{"Host", "localhost.evil.example"}, false},
		{"TLS at a trusted proxy", proxy, []string{"Host", "tally.example", "Remote", "10.0.0.1:1", "X-Forwarded-Proto", "https"}, true},
		{"plain HTTP at a trusted proxy", proxy, []string{"Host", "tally.example", "Remote", "10.0.0.1:1", "X-Forwarded-Proto", "http"}, false},
		{"TLS, says nobody", proxy, []string{"Host", "tally.example", "X-Forwarded-Proto", "https"}, false},
		{"the host that is said to have TLS", outside, []string{"Host", "tally.example"}, true},
		{"another host", outside, []string{"Host", "tally.internal"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var changes []func(*access.Config)
			if tt.change != nil {
				changes = append(changes, tt.change)
			}
			b := newBench(t, changes...)
			page := b.ask("GET", "/login", nil, tt.headers...)
			if form := strings.Contains(page.Body.String(), `name="token"`); form != tt.secure || strings.Contains(page.Body.String(), "needs HTTPS") == tt.secure {
				t.Errorf("form: got %t, want %t:\n%s", form, tt.secure, page.Body)
			}
			got := b.ask("POST", "/login", url.Values{"token": {b.token(access.Viewer, grant.Read)}}, tt.headers...)
			if want := map[bool]int{true: 303, false: 400}[tt.secure]; got.Code != want || len(got.Result().Cookies()) > 0 != tt.secure {
				t.Errorf("sign in: got %d, %v, want %d", got.Code, got.Result().Cookies(), want)
			}
		})
	}
	b := newBench(t)
	if got := b.ask("GET", "/login?arrived=&next=/", nil); got.Code != 200 || !strings.Contains(got.Body.String(), "did not keep the cookie") {
		t.Errorf("a browser that keeps no cookies: got %d %s", got.Code, got.Body)
	}
}
