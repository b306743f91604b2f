package console_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/tallyman-io/tallyman/internal/access"
	"github.com/tallyman-io/tallyman/internal/console"
	"github.com/tallyman-io/tallyman/internal/grant"
)

const hostile = `"><script>alert(1)</script><a href='javascript:x'>`

// shown renders a page of access for a principal.
func shown(t *testing.T, who access.Principal, show func(access.Pages, http.ResponseWriter, *http.Request)) (*httptest.ResponseRecorder, document) {
	t.Helper()
	c, err := console.New(console.Config{Store: &memory{}, Log: zerolog.New(&bytes.Buffer{}), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	show(c, w, r.WithContext(access.With(r.Context(), who)))
	return w, parse(t, w.Body.String())
}

func pagesOfAccess() map[string]func(access.Pages, http.ResponseWriter, *http.Request) {
	token := grant.Token{ID: "abcd", Name: hostile, Role: access.Operator, Scopes: grant.Scopes(), MadeBy: hostile, Made: now, Expires: now.Add(time.Hour)}
	revoked, expired := token, token
	revoked.Revoked, expired.Expires = now, now
	return map[string]func(access.Pages, http.ResponseWriter, *http.Request){
		"sign in": func(p access.Pages, w http.ResponseWriter, r *http.Request) {
			p.SignIn(w, r, http.StatusUnauthorized, access.SignIn{Next: "/" + hostile, OIDC: "/login/oidc?next=x", Problem: hostile, CookieLost: true})
		},
		"sign in over plain HTTP": func(p access.Pages, w http.ResponseWriter, r *http.Request) {
			p.SignIn(w, r, http.StatusOK, access.SignIn{Insecure: true})
		},
		"tokens": func(p access.Pages, w http.ResponseWriter, r *http.Request) {
			p.Tokens(w, r, http.StatusOK, access.TokenList{
				Tokens: []grant.Token{token, revoked, expired}, Now: now, Next: "/settings/tokens?before=3", Roles: grant.Roles(), Scopes: grant.Scopes(),
				Form: access.NewToken{Name: hostile}, Problem: hostile, Made: &token, Secret: "tally_x_y",
			})
		},
		"audit": func(p access.Pages, w http.ResponseWriter, r *http.Request) {
			e := grant.Entry{At: now, Actor: hostile, ActorID: hostile, Via: hostile, Action: hostile, Subject: hostile, Detail: hostile, Remote: hostile, Request: hostile}
			p.Audit(w, r, http.StatusOK, access.AuditLog{Entries: []grant.Entry{e, {At: now}}, Now: now, Next: "/settings/audit?before=3"})
		},
		"refusal": func(p access.Pages, w http.ResponseWriter, r *http.Request) {
			p.Refuse(w, r, http.StatusForbidden, access.Refusal{Title: hostile, Detail: hostile})
		},
	}
}

func TestPagesOfAccessAreHarmlessAndKeptByNobody(t *testing.T) {
	t.Parallel()
	for name, show := range pagesOfAccess() {
		w, d := shown(t, access.Principal{ID: "x", Name: hostile, Role: access.Operator, Scopes: grant.Scopes(), Via: access.ViaSession}, show)
		if got := w.Header().Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: Cache-Control: got %q, want no-store", name, got)
		}
		if got := w.Header().Get("Content-Security-Policy"); !strings.Contains(got, "form-action 'self'") || !strings.Contains(got, "default-src 'none'") {
			t.Errorf("%s: Content-Security-Policy: got %q", name, got)
		}
		if len(d.all("script")) != 1 || text(d.all("script")[0]) != "" || len(d.all("style")) > 0 || len(d.all("main")) != 1 || len(d.all("h1")) != 1 {
			t.Errorf("%s: got a script but our file, a style, or not one main and one heading:\n%s", name, w.Body)
		}
		ids, labelled := map[string]bool{}, map[string]bool{}
		for _, n := range d.all("label") {
			labelled[attr(n, "for")] = true
		}
		for n := range d.root.Descendants() {
			if id := attr(n, "id"); id != "" {
				if ids[id] {
					t.Errorf("%s: id %s twice", name, id)
				}
				ids[id] = true
			}
			if href := attr(n, "href"); strings.HasPrefix(href, "javascript") || attr(n, "style") != "" || attr(n, "onclick") != "" {
				t.Errorf("%s: a link or attribute that runs something: %s", name, href)
			}
			if kind := attr(n, "type"); n.Data == "select" || n.Data == "input" && kind != "hidden" && kind != "checkbox" {
				if !labelled[attr(n, "id")] {
					t.Errorf("%s: %s has no label", name, attr(n, "name"))
				}
			}
		}
		for n := range d.root.Descendants() {
			for _, reference := range []string{"aria-labelledby", "aria-describedby"} {
				if id := attr(n, reference); id != "" && !ids[id] {
					t.Errorf("%s: %s names %s, which is not there", name, reference, id)
				}
			}
		}
	}
}

// Who went back in the log, or among tokens, gets to the newest again.
func TestListsOfAccessLeadBackToTheNewest(t *testing.T) {
	t.Parallel()
	c, err := console.New(console.Config{Store: &memory{}, Log: zerolog.New(&bytes.Buffer{}), Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for path, show := range map[string]func(w http.ResponseWriter, r *http.Request, older string){
		"/settings/audit": func(w http.ResponseWriter, r *http.Request, older string) {
			c.Audit(w, r, http.StatusOK, access.AuditLog{Entries: []grant.Entry{{At: now}}, Now: now, Next: older})
		},
		"/settings/tokens": func(w http.ResponseWriter, r *http.Request, older string) {
			c.Tokens(w, r, http.StatusOK, access.TokenList{Tokens: []grant.Token{{Made: now}}, Now: now, Next: older})
		},
	} {
		for _, tt := range []struct {
			query, older string
			want         []string
		}{
			{"", "", nil},
			{"", path + "?before=3", []string{"Next page " + path + "?before=3"}},
			{"?before=3", path + "?before=1", []string{"First page " + path, "Next page " + path + "?before=1"}},
			{"?before=1", "", []string{"First page " + path}},
		} {
			w := httptest.NewRecorder()
			show(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path+tt.query, nil), tt.older)
			var got []string
			for _, n := range parse(t, w.Body.String()).all("nav.pager a") {
				got = append(got, text(n)+" "+attr(n, "href"))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s%s (-want +got):\n%s", path, tt.query, diff)
			}
		}
	}
}

func TestTheMastheadSaysWhoIsSignedIn(t *testing.T) {
	t.Parallel()
	page := pagesOfAccess()["refusal"]
	tests := []struct {
		name string
		who  access.Principal
		want []string // texts of links and buttons
	}{
		{"nobody was asked", access.Principal{}, nil},
		{"anonymous", access.Principal{Name: "anonymous", Via: access.ViaAnonymous}, []string{"Sign in"}},
		{"a viewer", access.Principal{Name: "v", Role: access.Viewer, Scopes: []grant.Scope{grant.Read}, Via: access.ViaSession}, []string{"Sign out"}},
		{"an auditor", access.Principal{Name: "a", Role: access.Auditor, Scopes: []grant.Scope{grant.Read}, Via: access.ViaSession}, []string{"Audit log", "Sign out"}},
		{"an operator", access.Principal{Name: "o", Role: access.Operator, Scopes: grant.Scopes(), Via: access.ViaSession}, []string{"Audit log", "Tokens", "Sign out"}},
		{"an operator who may not make tokens", access.Principal{Name: "o", Role: access.Operator, Scopes: []grant.Scope{grant.Read}, Via: access.ViaSession}, []string{"Audit log", "Sign out"}},
	}
	for _, tt := range tests {
		_, d := shown(t, tt.who, page)
		got := append(d.texts("div.account a"), d.texts("div.account button")...)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}
