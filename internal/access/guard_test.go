package access_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/access"
	"github.com/tallyman-io/tallyman/internal/access/accesstest"
	"github.com/tallyman-io/tallyman/internal/grant"
)

func TestEachRouteLetsInWhomItHasToAndNobodyElse(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	table := b.table(accesstest.Visitors(t, b.mux, b.mint)...)
	if rows, err := table.Rows(); err != nil || len(rows) < 300 {
		t.Errorf("got %d rows (%v), want those of all routes", len(rows), err)
	}
	table.Check(t, b.mux)
}

func TestAnonymousMayReadWhereThatIsConfigured(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *access.Config) { c.Anonymous = access.Viewer })
	b.table(accesstest.Visitor{Name: "anonymous", Role: access.Viewer, Scopes: []grant.Scope{grant.Read}}).Check(t, b.mux)
	if got := b.ask("GET", "/", nil).Body.String(); got != "anonymous  viewer 192.0.2.7" {
		t.Errorf("anonymous: got %q", got)
	}
}

func TestPathsThatAreNotThere(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, path := range []string{"/nothing", "/api/v1/nothing", "/release", "/login/", "/login/oidc", "/settings", "/%2e%2e/etc/passwd"} {
		for _, headers := range [][]string{nil, {"Authorization", "Bearer " + b.token(access.Operator, grant.Scopes()...)}} {
			if got := b.ask("GET", path, nil, headers...); got.Code != http.StatusNotFound {
				t.Errorf("%s: got %d, want 404", path, got.Code)
			}
		}
	}
}

func TestARouteWithoutARoleIsNotInstalled(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	h := http.NotFoundHandler()
	good := access.Route{Method: "GET", Pattern: "/a", Kind: access.Page, Role: access.Viewer, Handler: h}
	with := func(change func(*access.Route)) access.Route {
		r := good
		change(&r)
		return r
	}
	tests := map[string]access.Route{
		"no role":                       with(func(r *access.Route) { r.Role = grant.None }),
		"no kind":                       with(func(r *access.Route) { r.Kind = 0 }),
		"no handler":                    with(func(r *access.Route) { r.Handler = nil }),
		"expected a method of":          with(func(r *access.Route) { r.Method = "" }),
		"expected a pattern":            with(func(r *access.Route) { r.Pattern = "GET /a" }),
		"no scope":                      with(func(r *access.Route) { r.Method = "POST" }),
		"unknown scope all":             with(func(r *access.Route) { r.Scope = "all" }),
		"the scope rescan needs the ro": with(func(r *access.Route) { r.Scope = grant.Rescan }),
		"a public route has neither":    with(func(r *access.Route) { r.Kind = access.Public }),
	}
	for want, route := range tests {
		mux := http.NewServeMux()
		err := b.guard.Install(mux, good, route)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", want, err)
		}
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/a", nil))
		if w.Code != http.StatusNotFound {
			t.Errorf("%s: the other route is there", want)
		}
	}
}

func TestWhoIsNotSignedInIsSentOrTold(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	page := b.ask("GET", "/release/x?tab=sbom&q=a%26b", nil)
	if got, want := page.Header().Get("Location"), "/login?next=%2Frelease%2Fx%3Ftab%3Dsbom%26q%3Da%2526b"; page.Code != http.StatusSeeOther || got != want {
		t.Errorf("page: got %d to %s, want 303 to %s", page.Code, got, want)
	}
	if post := b.ask("POST", "/release/x", url.Values{}); post.Code != http.StatusSeeOther || post.Header().Get("Location") != "/login" {
		t.Errorf("form: got %d to %s, want 303 to /login", post.Code, post.Header().Get("Location"))
	}
	api := b.ask("GET", "/api/v1/releases", nil)
	var problem struct {
		Title, Detail string
		Status        int
	}
	if err := json.Unmarshal(api.Body.Bytes(), &problem); err != nil || problem.Status != 401 || problem.Title == "" {
		t.Errorf("API: got %v, %s", err, api.Body)
	}
	for name, want := range map[string]string{"WWW-Authenticate": `Bearer realm="tallyman"`, "Content-Type": "application/problem+json", "Cache-Control": "no-store", "Vary": "Authorization, Cookie"} {
		if got := api.Header().Get(name); got != want {
			t.Errorf("API: %s: got %q, want %q", name, got, want)
		}
	}
	viewer := "Bearer " + b.token(access.Viewer, grant.Read)
	if got := b.ask("GET", "/audit", nil, "Authorization", viewer); got.Code != 403 || !strings.Contains(got.Body.String(), "This needs the role auditor") ||
		!strings.HasPrefix(got.Header().Get("Content-Type"), "text/html") {
		t.Errorf("too low a role for a page: got %d %s", got.Code, got.Body)
	}
	if got := b.ask("GET", "/api/v1/audit", nil, "Authorization", viewer); got.Code != 403 || got.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("too low a role for an API: got %d %s", got.Code, got.Body)
	}
	reads := "Bearer " + b.token(access.Operator, grant.Read)
	if got := b.ask("PUT", "/api/v1/sboms/x", nil, "Authorization", reads); got.Code != 403 || !strings.Contains(got.Body.String(), "needs the scope upload") {
		t.Errorf("too few scopes: got %d %s", got.Code, got.Body)
	}
}

func TestTokensThatDoNotHold(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	good, revoked := b.token(access.Viewer, grant.Read), b.token(access.Viewer, grant.Read)
	if got := b.ask("GET", "/api/v1/releases", nil, "Authorization", "bearer "+good).Body.String(); got != "token token:"+idOf(good)+" viewer 192.0.2.7" {
		t.Errorf("a token that holds: got %q", got)
	}
	if ok, err := b.guard.RevokeToken(t.Context(), idOf(revoked)); !ok || err != nil {
		t.Fatal(ok, err)
	}
	last := good[:len(good)-1] + map[bool]string{true: "b", false: "a"}[strings.HasSuffix(good, "a")]
	tests := []struct{ name, header, id, why string }{
		{"another secret", "Bearer " + last, idOf(good), "wrong secret"},
		{"revoked", "Bearer " + revoked, idOf(revoked), "revoked"},
		{"unknown", "Bearer tally_aaaabbbb_" + strings.Repeat("x", 52), "aaaabbbb", "unknown"},
		{"no token", "Bearer hunter2", "", "not of the form of a token"},
		{"its id alone", "Bearer tally_" + idOf(good), "", "not of the form of a token"},
		{"nothing", "Bearer", "", "not of the form of a token"},
		{"SQL", "Bearer tally_' OR 1=1_" + strings.Repeat("x", 52), "", "not of the form of a token"},
	}
	before := len(b.audit())
	for i, tt := range tests {
		for _, path := range []string{"/api/v1/releases", "/"} {
			got := b.ask("GET", path, nil, "Authorization", tt.header)
			if got.Code != 401 || got.Header().Get("WWW-Authenticate") != `Bearer realm="tallyman", error="invalid_token"` {
				t.Errorf("%s: %s: got %d %v", tt.name, path, got.Code, got.Header())
			}
		}
		e := b.audit()[before+2*i]
		want := grant.Entry{
			Key: e.Key, At: b.clock.now(), Actor: "nobody", Via: "anonymous", Action: grant.ActionLoginFailed, Subject: tt.id, Detail: tt.why,
			Remote: "192.0.2.7", Request: "r1",
		}
		if diff := cmp.Diff(want, e); diff != "" {
			t.Errorf("%s: audit (-want +got):\n%s", tt.name, diff)
		}
	}
	b.clock.wait(30 * 24 * time.Hour)
	if got := b.ask("GET", "/api/v1/releases", nil, "Authorization", "Bearer "+good); got.Code != 401 {
		t.Errorf("expired: got %d, want 401", got.Code)
	}
	for _, secret := range []string{good, revoked, last, "hunter2"} {
		if strings.Contains(b.log.String(), secret) {
			t.Errorf("a secret is in the log:\n%s", b.log)
		}
	}
}

func TestCredentialsForAProxyInFrontAreNotOurs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	token := b.token(access.Operator, grant.Scopes()...)
	basic := "Basic " + token
	if got := b.ask("GET", "/api/v1/releases", nil, "Authorization", basic); got.Code != 401 || got.Header().Get("WWW-Authenticate") != `Bearer realm="tallyman"` {
		t.Errorf("alone: got %d %v", got.Code, got.Header())
	}
	cookie := b.signIn(token)
	if got := b.ask("GET", "/", nil, "Authorization", basic, "Cookie", cookie); got.Code != 200 {
		t.Errorf("beside a session: got %d, want 200", got.Code)
	}
	if got := b.ask("POST", "/logout", url.Values{}, "Authorization", basic, "Cookie", cookie, "Sec-Fetch-Site", "cross-site"); got.Code != 403 {
		t.Errorf("beside a session, from another site: got %d, want 403", got.Code)
	}
}

func TestTheUseOfATokenIsWrittenDown(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	token := b.token(access.Viewer, grant.Read)
	for range 3 {
		b.ask("GET", "/api/v1/releases", nil, "Authorization", "Bearer "+token)
	}
	if err := b.guard.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	got, _, err := b.store.Token(t.Context(), idOf(token))
	if err != nil || !got.LastUsed.Equal(b.clock.now()) {
		t.Errorf("got %s, %v, want %s", got.LastUsed, err, b.clock.now())
	}
}

func TestOtherSitesCannotHaveABrowserChangeThings(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *access.Config) { c.ConsoleURL = "https://tally.example" })
	token := b.token(access.Operator, grant.Scopes()...)
	cookie := b.signIn(token)
	tests := []struct {
		name    string
		headers []string
		want    int
	}{
		{"from our page", []string{"Sec-Fetch-Site", "same-origin"}, 200},
		{"by hand", []string{"Sec-Fetch-Site", "none"}, 200},
		{"from our page, by an old browser", []string{"Origin", "http://localhost"}, 200},
		{"through a proxy that changes the host", []string{"Origin", "https://tally.example", "Sec-Fetch-Site", "cross-site"}, 200},
		{"from another site", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, 403},
		{"from a neighbour", []string{"Sec-Fetch-Site", "same-site", "Origin", "https://evil.localhost"}, 403},
		{"from another site, by an old browser", []string{"Origin", "https://evil.example"}, 403},
		{"from nowhere", []string{"Origin", "null"}, 403},
	}
	for _, tt := range tests {
		if got := b.ask("POST", "/release/x", url.Values{}, append(tt.headers, "Cookie", cookie)...); got.Code != tt.want {
			t.Errorf("%s, by cookie: got %d, want %d", tt.name, got.Code, tt.want)
		}
		if got := b.ask("POST", "/release/x", url.Values{}, append(tt.headers, "Cookie", cookie, "Authorization", "Bearer "+token)...); got.Code != 200 {
			t.Errorf("%s, by token: got %d, want 200", tt.name, got.Code)
		}
		if tt.want == 403 {
			for _, path := range []string{"/login", "/logout"} {
				if got := b.ask("POST", path, url.Values{"token": {token}}, append(tt.headers, "Cookie", cookie)...); got.Code != 403 || len(got.Result().Cookies()) > 0 {
					t.Errorf("%s, %s: got %d, %v, want 403 and no cookie", tt.name, path, got.Code, got.Result().Cookies())
				}
			}
		}
	}
	if got := b.ask("GET", "/", nil, "Cookie", cookie, "Sec-Fetch-Site", "cross-site"); got.Code != 200 {
		t.Errorf("a link from another site: got %d, want 200", got.Code)
	}
}

func TestWhoAsksTooOftenHasToWait(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *access.Config) { c.Requests, c.FailedLogins = 2, 3 })
	token, other := b.token(access.Viewer, grant.Read), b.token(access.Viewer, grant.Read)
	get := func(token, remote string) *httptest.ResponseRecorder {
		if token == "" {
			return b.ask("GET", "/api/v1/releases", nil, "Remote", remote)
		}
		return b.ask("GET", "/api/v1/releases", nil, "Remote", remote, "Authorization", "Bearer "+token)
	}
	for i, want := range []int{200, 200, 200, 200, 429} {
		if got := get(token, "192.0.2.1:1"); got.Code != want || want == 429 && got.Header().Get("Retry-After") != "1" {
			t.Errorf("request %d: got %d, wait %s, want %d", i+1, got.Code, got.Header().Get("Retry-After"), want)
		}
	}
	for name, tt := range map[string]struct {
		token, remote string
		want          int
	}{
		"from another address":         {token, "192.0.2.2:1", 429},
		"another token":                {other, "192.0.2.1:1", 200},
		"nobody from the same address": {"", "192.0.2.1:1", 401},
	} {
		if got := get(tt.token, tt.remote); got.Code != tt.want {
			t.Errorf("%s: got %d, want %d", name, got.Code, tt.want)
		}
	}
	b.clock.wait(time.Second)
	if got := get(token, "192.0.2.1:1"); got.Code != 200 {
		t.Errorf("a second later: got %d, want 200", got.Code)
	}
	// A network of IPv6 is one client.
	for i, want := range []int{401, 401, 401, 401, 429} {
		if got := get("", fmt.Sprintf("[2001:db8::%d]:1", i+1)); got.Code != want {
			t.Errorf("address %d of a network: got %d, want %d", i+1, got.Code, want)
		}
	}
	for i, want := range []int{401, 401, 401, 429} {
		if got := get("tally_wrong", "192.0.2.9:1"); got.Code != want {
			t.Errorf("wrong token %d: got %d, want %d", i+1, got.Code, want)
		}
	}
}

func TestTheClientBehindProxies(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(c *access.Config) {
		c.Anonymous = access.Viewer
		c.Proxies = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	})
	const header = "X-Forwarded-For"
	tests := []struct {
		name, remote string
		headers      []string
		want         string
	}{
		{"none", "192.0.2.1:1", nil, "192.0.2.1"},
		{"a header that nobody vouches for", "192.0.2.1:1", []string{header, "198.51.100.1"}, "192.0.2.1"},
		{"one proxy", "10.0.0.1:1", []string{header, "198.51.100.1"}, "198.51.100.1"},
		{"a proxy that says nothing", "10.0.0.1:1", nil, "10.0.0.1"},
		{"what the client made up", "10.0.0.1:1", []string{header, "203.0.113.9, 198.51.100.1"}, "198.51.100.1"},
		{"two proxies", "10.0.0.1:1", []string{header, "203.0.113.9, 198.51.100.1", header, "10.9.9.9"}, "198.51.100.1"},
		{"proxies alone", "10.0.0.1:1", []string{header, "10.2.2.2,10.3.3.3"}, "10.2.2.2"},
		{"with ports", "[fd00::1]:1", []string{header, "[2001:db8::1]:4000, 10.0.0.2:80"}, "2001:db8::1"},
		{"mapped to IPv6", "[::ffff:10.0.0.1]:1", []string{header, "::ffff:198.51.100.1"}, "198.51.100.1"},
		{"rubbish", "10.0.0.1:1", []string{header, "198.51.100.1, <script>"}, "10.0.0.1"},
		{"another header", "10.0.0.1:1", []string{"X-Real-IP", "198.51.100.1", "Forwarded", "for=198.51.100.1"}, "10.0.0.1"},
	}
	for _, tt := range tests {
		got := b.ask("GET", "/", nil, append(tt.headers, "Remote", tt.remote)...).Body.String()
		if want := "anonymous  viewer " + tt.want; got != want {
			t.Errorf("%s: got %q, want %q", tt.name, got, want)
		}
	}
}
