package login_test

import (
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

const callback = "/login/oidc/callback"

// world is an issuer, and a web that people sign in to at it.
type world struct {
	issuer *issuer
	web    string // host:port
	log    *output
}

func newWorld(t *testing.T, where string, public bool, environ ...string) *world {
	t.Helper()
	l := listen(t)
	w := &world{web: freeAddress(t)}
	w.issuer = newIssuer(t, l, "http://"+w.web, where, public)
	if !public {
		environ = append(environ, "TALLYMAN_OIDC_CLIENT_SECRET="+clientSecret)
	}
	w.log = startWeb(t, w.web, append(environ, "TALLYMAN_OIDC_ISSUER="+w.issuer.server.URL,
		"TALLYMAN_OIDC_ROLES=staff=auditor; the operators=operator")...)
	return w
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l := listen(t)
	defer l.Close()
	return l.Addr().String()
}

// toIssuer goes from the console's page to the issuer, says who it is, and stops before it
// goes back to the console. It returns the query that the issuer was asked with.
func (w *world) toIssuer(t *testing.T, b *browser, person, next string) url.Values {
	t.Helper()
	b.ask(http.MethodGet, "http://"+w.web+"/login/oidc?"+url.Values{"next": {next}}.Encode(), nil)
	asked, err := url.Parse(b.to)
	if err != nil || b.code != http.StatusSeeOther || "http://"+asked.Host != w.issuer.server.URL {
		t.Fatalf("to the issuer: got %d to %q: %s", b.code, b.to, b.body)
	}
	b.follow("")
	_, form, _ := strings.Cut(b.body, `name="id" value="`)
	id, _, found := strings.Cut(form, `"`)
	if !found {
		t.Fatalf("the issuer shows no form: %d %s", b.code, b.body)
	}
	b.ask(http.MethodPost, b.at.String(), url.Values{"username": {person}, "password": {password}, "id": {id}})
	b.follow(callback)
	if !strings.Contains(b.to, callback) {
		t.Fatalf("the issuer does not lead back: %d %q %s", b.code, b.to, b.body)
	}
	return asked.Query()
}

// signIn goes all the way.
func (w *world) signIn(t *testing.T, person, next string) *browser {
	t.Helper()
	b := newBrowser(t)
	w.toIssuer(t, b, person, next)
	b.follow("")
	return b
}

func TestPeopleSignInByTheirRole(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, where string
		public      bool
		environ     []string
	}{
		{"claim in the ID token", "id token", false, nil},
		{"claim in an object", "id token", false, []string{"TALLYMAN_OIDC_ROLE_CLAIM=realm_access.roles"}},
		{"claim at the user info endpoint, public client", "user info", true, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, tt.where, tt.public, tt.environ...)
			ada := w.signIn(t, "ada", "/settings/tokens")
			if ada.code != 200 || ada.at.Path != "/settings/tokens" || !strings.Contains(ada.body, "<strong>ada</strong>") || !strings.Contains(ada.body, "operator") {
				t.Errorf("an operator: got %d at %s: %s", ada.code, ada.at, ada.body)
			}
			bob := w.signIn(t, "bob", "/")
			if bob.code != 200 || bob.at.Path != "/" || !strings.Contains(bob.body, "auditor") {
				t.Errorf("an auditor: got %d at %s: %s", bob.code, bob.at, bob.body)
			}
			if bob.ask(http.MethodGet, "/settings/tokens", nil); bob.code != 403 {
				t.Errorf("an auditor makes tokens: got %d, want 403", bob.code)
			}
			for _, person := range []string{"eve", "nil"} {
				b := w.signIn(t, person, "/")
				if b.code != 403 || !strings.Contains(b.body, "gives you no role here") || !strings.Contains(b.body, "knows you as "+person) {
					t.Errorf("%s, who has no role: got %d at %s: %s\n%s", person, b.code, b.at, b.body, w.log)
				}
				if b.ask(http.MethodGet, "/", nil); b.code != 303 {
					t.Errorf("%s is in: %d", person, b.code)
				}
			}
			if ada.ask(http.MethodPost, "/logout", url.Values{}); ada.code != 303 {
				t.Errorf("sign out: got %d", ada.code)
			}
			if ada.ask(http.MethodGet, "/settings/tokens", nil); ada.code != 303 {
				t.Errorf("signed out: got %d, want 303", ada.code)
			}
		})
	}
}

// edit changes what the browser keeps of its attempt.
func (b *browser) edit(t *testing.T, host string, change func(map[string]any)) {
	t.Helper()
	const name = "__Host-tallyman-login"
	content, err := base64.RawURLEncoding.DecodeString(b.jars[host][name])
	if err != nil {
		t.Fatal(err)
	}
	var attempt map[string]any
	if err := json.Unmarshal(content, &attempt); err != nil {
		t.Fatal(err)
	}
	change(attempt)
	if content, err = json.Marshal(attempt); err != nil {
		t.Fatal(err)
	}
	b.jars[host][name] = base64.RawURLEncoding.EncodeToString(content)
}

func TestAttemptsThatAreNotTheBrowsersOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "id token", true) // PKCE alone protects the code
	set := func(key string) func(*testing.T, *browser) {
		return func(t *testing.T, b *browser) {
			b.edit(t, w.web, func(a map[string]any) { a[key] = strings.Repeat("x", 43) })
		}
	}
	tests := []struct {
		name string
		does func(*testing.T, *browser)
		code int
		says string
	}{
		{"another nonce", set("Nonce"), 403, "belongs to another attempt"},
		{"another state", set("State"), 400, "belongs to another attempt"},
		{"another verifier", set("Verifier"), 403, "does not accept its own code"},
		{"another browser", func(_ *testing.T, b *browser) { delete(b.jars, w.web) }, 400, "began no attempt"},
		{"a code that was used", func(t *testing.T, b *browser) {
			copied := newBrowser(t)
			copied.jars = map[string]map[string]string{w.web: {"__Host-tallyman-login": b.jars[w.web]["__Host-tallyman-login"]}}
			copied.ask(http.MethodGet, b.to, nil)
			if copied.follow(""); copied.code != 200 {
				t.Fatalf("the first time: got %d %s", copied.code, copied.body)
			}
		}, 403, "does not accept its own code"},
		{"an ID token that has expired", func(t *testing.T, _ *browser) {
			w.issuer.people.setLife(-time.Hour)
			t.Cleanup(func() { w.issuer.people.setLife(time.Hour) })
		}, 403, "expired"},
	}
	for _, tt := range tests { // one after the other, for the life of ID tokens
		t.Run(tt.name, func(t *testing.T) {
			b := newBrowser(t)
			asked := w.toIssuer(t, b, "ada", "/")
			if asked.Get("code_challenge_method") != "S256" || len(asked.Get("code_challenge")) != 43 || len(asked.Get("nonce")) != 43 || len(asked.Get("state")) != 43 {
				t.Errorf("asked with %v", asked)
			}
			tt.does(t, b)
			b.follow("")
			if b.code != tt.code || !strings.Contains(b.body, tt.says) {
				t.Errorf("got %d, want %d with %q: %s", b.code, tt.code, tt.says, b.body)
			}
			if _, in := b.jars[w.web]["__Host-tallyman"]; in {
				t.Error("signed in")
			}
		})
	}
	if got := strings.Count(w.log.String(), `"message":"token refused"`); got != len(tests) {
		t.Errorf("the log has %d failed attempts, want %d:\n%s", got, len(tests), w.log)
	}
}

func TestAnIssuerThatIsDownKeepsNobodyElseOut(t *testing.T) {
	t.Parallel()
	l, web := listen(t), freeAddress(t)
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	token := "tally_first_" + strings.Repeat("ab", 32)
	log := startWeb(t, web, "TALLYMAN_OIDC_ISSUER=http://"+address, "TALLYMAN_OIDC_CLIENT_SECRET="+clientSecret, "TALLYMAN_OIDC_ROLES=staff=auditor",
		"TALLYMAN_ACCESS_BOOTSTRAP_TOKEN="+token)
	b := newBrowser(t)
	b.ask(http.MethodGet, "http://"+web+"/login/oidc", nil)
	if b.code != 503 || !strings.Contains(b.body, "cannot be reached") || !strings.Contains(log.String(), "connection refused") {
		t.Errorf("while it is down: got %d %s\n%s", b.code, b.body, log)
	}
	b.ask(http.MethodPost, "/login", url.Values{"token": {token}})
	if b.follow(""); b.code != 200 || b.at.Path != "/" {
		t.Errorf("by token: got %d at %s", b.code, b.at)
	}
	again, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Skipf("needs the port back: %v", err)
	}
	w := &world{issuer: newIssuer(t, again, "http://"+web, "id token", false), web: web, log: log}
	// It is left alone for a moment.
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); b.code != http.StatusSeeOther; <-tick.C {
		if b.ask(http.MethodGet, "/login/oidc", nil); time.Now().After(deadline) {
			t.Fatalf("after a while: got %d %s", b.code, b.body)
		}
	}
	if bob := w.signIn(t, "bob", "/"); bob.code != 200 || bob.at.Path != "/" {
		t.Errorf("when it is up: got %d at %s: %s", bob.code, bob.at, bob.body)
	}
}
