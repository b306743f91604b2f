package access_test

import (
	"bytes"
	"crypto/rand"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tallyman-io/tallyman/internal/access"
	"github.com/tallyman-io/tallyman/internal/grant"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
)

var shownToken = regexp.MustCompile(`tally_[a-z0-9]{16}_[a-z2-7]{52}`)

func form(name, role, days string, scopes ...string) url.Values {
	return url.Values{"name": {name}, "role": {role}, "days": {days}, "scope": scopes}
}

func TestATokenIsMadeShownOnceAndRevoked(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	cookie := b.signIn(b.token(access.Operator, grant.Scopes()...))
	hostile := `<script>alert(1)</script>"'&`
	made := b.ask("POST", "/settings/tokens", form(" "+hostile+" ", "auditor", "7", "read"), "Cookie", cookie)
	token := shownToken.FindString(made.Body.String())
	if made.Code != 200 || token == "" || made.Header().Get("Cache-Control") != "no-store" {
		t.Fatalf("got %d %s", made.Code, made.Body)
	}
	list := b.ask("GET", "/settings/tokens", nil, "Cookie", cookie).Body.String()
	if shownToken.MatchString(list) || !strings.Contains(list, idOf(token)) || strings.Contains(list, "<script>") || !strings.Contains(list, "&lt;script&gt;") {
		t.Errorf("the list: got\n%s", list)
	}
	kept, _, err := b.store.Token(t.Context(), idOf(token))
	if err != nil || kept.Name != hostile || kept.MadeBy != "a operator" || !kept.Expires.Equal(b.clock.now().Add(7*24*time.Hour)) || bytes.Contains(kept.Hash, []byte(token)) {
		t.Errorf("kept: got %+v, %v", kept, err)
	}
	if got := b.ask("GET", "/api/v1/audit", nil, "Authorization", "Bearer "+token); got.Code != 200 {
		t.Errorf("use it: got %d, want 200", got.Code)
	}
	for i, want := range []int{303, 404} {
		if got := b.ask("POST", "/settings/tokens/"+idOf(token)+"/revoke", url.Values{}, "Cookie", cookie); got.Code != want {
			t.Errorf("revoke %d: got %d, want %d", i+1, got.Code, want)
		}
	}
	if got := b.ask("GET", "/api/v1/audit", nil, "Authorization", "Bearer "+token); got.Code != 401 {
		t.Errorf("use it after: got %d, want 401", got.Code)
	}
	log := b.audit()
	if e := log[2]; e.Action != grant.ActionTokenMake || e.Subject != idOf(token) || e.Actor != "a operator" || e.Via != "session" || !strings.Contains(e.Detail, "auditor, read, until 2026-12-03T18:00:00Z") {
		t.Errorf("audit: got %+v", e)
	}
	if e := log[3]; e.Action != grant.ActionTokenRevoke || e.Subject != idOf(token) || e.Remote != "192.0.2.7" {
		t.Errorf("audit: got %+v", e)
	}
}

func TestTokensThatAreNotMade(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	limited := b.signIn(b.token(access.Operator, grant.Read, grant.Tokens))
	tests := []struct {
		name string
		form url.Values
		code int
		want string
	}{
		{"no name", form("", "viewer", "1", "read"), 422, "The name has to have 1 to 100 characters."},
		{"a name too long", form(strings.Repeat("é", 101), "viewer", "1", "read"), 422, "The name has to have 1 to 100 characters."},
		{"a line break in the name", form("a\nb", "viewer", "1", "read"), 422, "The name has to have 1 to 100 characters."},
		{"no role", form("x", "none", "1", "read"), 422, "Choose a role."},
		{"another role", form("x", "admin", "1", "read"), 400, "The form could not be read"},
		{"no scope", form("x", "viewer", "1"), 422, "Choose at least one scope."},
		{"another scope", form("x", "viewer", "1", "everything"), 400, "The form could not be read"},
		{"a scope that the maker has not", form("x", "operator", "1", "upload"), 422, "You do not have the scope upload yourself."},
		{"a scope that the role cannot use", form("x", "auditor", "1", "tokens"), 422, "The scope tokens needs the role operator."},
		{"never ending", form("x", "viewer", "0", "read"), 422, "It has to end after 1 to 366 days."},
		{"too long", form("x", "viewer", "367", "read"), 422, "It has to end after 1 to 366 days."},
		{"not a number", form("x", "viewer", "soon", "read"), 422, "It has to end after 1 to 366 days."},
	}
	before := len(b.lines())
	for _, tt := range tests {
		got := b.ask("POST", "/settings/tokens", tt.form, "Cookie", limited)
		if got.Code != tt.code || !strings.Contains(got.Body.String(), tt.want) || shownToken.MatchString(got.Body.String()) {
			t.Errorf("%s: got %d, want %d with %q\n%s", tt.name, got.Code, tt.code, tt.want, got.Body)
		}
	}
	if got := len(b.lines()); got != before {
		t.Errorf("audit: got %d more entries, want none", got-before)
	}
	ctx := access.With(t.Context(), access.Principal{Role: access.Auditor, Scopes: []grant.Scope{grant.Read}})
	if _, _, err := b.guard.MakeToken(ctx, access.NewToken{Name: "x", Role: access.Operator, Scopes: []grant.Scope{grant.Read}, Days: 1}); err == nil {
		t.Error("a role higher than the maker's: got no error")
	}
}

func TestTokensArePaged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 60 {
		if _, err := b.mint(access.NewToken{Name: "number " + strconv.Itoa(i), Role: access.Viewer, Scopes: []grant.Scope{grant.Read}, Days: 1}); err != nil {
			t.Fatal(err)
		}
	}
	bearer := "Bearer " + b.token(access.Operator, grant.Tokens)
	first := b.ask("GET", "/settings/tokens", nil, "Authorization", bearer).Body.String()
	older := regexp.MustCompile(`/settings/tokens\?before=\d+`).FindString(first)
	second := b.ask("GET", older, nil, "Authorization", bearer).Body.String()
	if !strings.Contains(first, "number 59<") || strings.Contains(first, "number 10<") || !strings.Contains(second, "number 10<") || strings.Contains(second, "before=") {
		t.Errorf("pages: got\n%s\nand\n%s", first, second)
	}
	oldest := b.ask("GET", "/settings/tokens?sort=-made", nil, "Authorization", bearer).Body.String()
	newer := regexp.MustCompile(`/settings/tokens\?after=\d+&amp;sort=-made`).FindString(oldest)
	rest := b.ask("GET", strings.ReplaceAll(newer, "&amp;", "&"), nil, "Authorization", bearer).Body.String()
	if !strings.Contains(oldest, "number 0<") || strings.Contains(oldest, "number 59<") || !strings.Contains(rest, "number 59<") || strings.Contains(rest, "number 0<") {
		t.Errorf("pages of the oldest: got\n%s\nand\n%s", oldest, rest)
	}
	if got := b.ask("GET", "/settings/tokens?before=-1%27", nil, "Authorization", bearer); got.Code != 200 || !strings.Contains(got.Body.String(), "number 59<") {
		t.Errorf("a page that is none: got %d", got.Code)
	}
}

func TestTheFirstToken(t *testing.T) {
	t.Parallel()
	given := "tally_first_" + strings.Repeat("ab", 32)
	never := issuer{}
	tests := []struct {
		name   string
		given  string
		change func(*access.Config)
		made   bool
		says   string
	}{
		{"is made up and shown", "", nil, true, `"level":"warn"`},
		{"is taken from the configuration", given, nil, true, "first token taken from access.bootstrap_token"},
		{"is taken from the configuration with an issuer", given, func(c *access.Config) { c.Issuer = never }, true, "first token taken"},
		{"is not needed with an issuer", "", func(c *access.Config) { c.Issuer = never }, false, ""},
		{"is not made where nobody would see it", "", func(c *access.Config) { c.Log = c.Log.Level(zerolog.ErrorLevel) }, false, "log.level hides it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var changes []func(*access.Config)
			if tt.change != nil {
				changes = append(changes, tt.change)
			}
			b := newBench(t, changes...)
			for range 2 {
				if err := b.guard.Bootstrap(t.Context(), tt.given); err != nil {
					t.Fatal(err)
				}
			}
			token := tt.given
			if shown := shownToken.FindAllString(b.log.String(), -1); tt.given == "" && tt.made {
				if len(shown) != 1 {
					t.Fatalf("got %d tokens in the log, want 1:\n%s", len(shown), b.log)
				}
				token = shown[0]
			} else if len(shown) > 0 || strings.Contains(b.log.String(), given) {
				t.Errorf("the log shows a token:\n%s", b.log)
			}
			if !strings.Contains(b.log.String(), tt.says) {
				t.Errorf("log: got\n%s\nwant %q", b.log, tt.says)
			}
			if got := len(b.lines()) == 1 && b.lines()[0] == "token.bootstrap "+idOf(token+"__"); got != tt.made {
				t.Errorf("audit: got %q", b.lines())
			}
			if !tt.made {
				return
			}
			cookie := b.signIn(token)
			if got := b.ask("POST", "/settings/tokens", form("x", "operator", "30", "read", "tokens"), "Cookie", cookie); got.Code != 200 {
				t.Errorf("make another: got %d", got.Code)
			}
			b.clock.wait(24 * time.Hour)
			if got := b.ask("GET", "/", nil, "Authorization", "Bearer "+token); got.Code != 401 {
				t.Errorf("a day later: got %d, want 401", got.Code)
			}
		})
	}
	b := newBench(t)
	if err := b.guard.Bootstrap(t.Context(), "hunter2"); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("of another form: got %v, want an error without it", err)
	}
	b.token(access.Viewer, grant.Read)
	if err := b.guard.Bootstrap(t.Context(), given); err != nil {
		t.Fatal(err)
	}
	if _, ok, _ := b.store.Token(t.Context(), "first"); ok {
		t.Error("it is made where there are tokens")
	}
}

func TestTwoThatStartAtOnceShowOneFirstToken(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		const processes = 4
		var all [processes]*bench
		for i := range all {
			all[i] = &bench{t: t, clock: &clock{at: time.Now()}, log: &logs{}, mux: newMux()}
			all[i].open(url)
		}
		var wg sync.WaitGroup
		errs := make([]error, processes)
		for i, b := range all {
			wg.Go(func() { errs[i] = b.guard.Bootstrap(t.Context(), "") })
		}
		wg.Wait()
		var shown []string
		for i, b := range all {
			if errs[i] != nil {
				t.Error(errs[i])
			}
			shown = append(shown, shownToken.FindAllString(b.log.String(), -1)...)
		}
		if len(shown) != 1 {
			t.Fatalf("got %d tokens shown, want 1", len(shown))
		}
		for _, b := range all {
			b.signIn(shown[0])
		}
	})
}

func TestTokensAreMadeOfTheRandomnessThatIsHandedIn(t *testing.T) {
	t.Parallel()
	zero := newBench(t, func(c *access.Config) { c.Random = bytes.NewReader(make([]byte, 42)) })
	if got, want := zero.token(access.Viewer, grant.Read), "tally_aaaaaaaaaaaaaaaa_"+strings.Repeat("a", 52); got != want {
		t.Errorf("of zeros: got %s, want %s", got, want)
	}
	if _, err := zero.mint(access.NewToken{Name: "x", Role: access.Viewer, Scopes: []grant.Scope{grant.Read}, Days: 1}); err == nil {
		t.Error("without randomness: got no error")
	}
	random := newBench(t, func(c *access.Config) { c.Random = rand.Reader })
	form := regexp.MustCompile(access.TokenForm)
	seen := map[string]bool{}
	for range 50 {
		token := random.token(access.Viewer, grant.Read)
		if seen[token] || !form.MatchString(token) {
			t.Errorf("got %s twice, or not of the form", token)
		}
		seen[token] = true
	}
}
