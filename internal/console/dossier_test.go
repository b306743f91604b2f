package console_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/access"
	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/console"
	"github.com/tallyman-io/tallyman/internal/grant"
	"github.com/tallyman-io/tallyman/internal/release"
)

func TestAReleaseSaysHowItsDossierStands(t *testing.T) {
	t.Parallel()
	ready := account.Dossier{State: account.DossierReady, Size: 1_234_000, MadeAt: now.Add(-time.Hour), ExpiresAt: now.Add(23 * time.Hour), Digest: digest("dossier")}
	outdated := ready
	outdated.Outdated = true
	const file = "/api/v1/components/ghcr.io~tallyman-io~tallyman~web/releases/v1.10.0/dossier"
	auditor := access.Principal{Name: "a", Role: access.Auditor, Scopes: []grant.Scope{grant.Read}, Via: access.ViaSession}
	viewer := access.Principal{Name: "v", Role: access.Viewer, Scopes: []grant.Scope{grant.Read}, Via: access.ViaSession}
	tests := map[string]struct {
		dossier account.Dossier
		who     access.Principal
		says    string
		link    []string
		asks    int
	}{
		"none":                   {account.Dossier{State: account.DossierNone}, auditor, "none is made yet", nil, 1},
		"none, for a viewer":     {account.Dossier{State: account.DossierNone}, viewer, "none is made yet", nil, 0},
		"being made":             {account.Dossier{State: account.DossierMaking, AskedAt: now.Add(-time.Minute)}, auditor, "Being made asked for 1 minute ago", nil, 0},
		"could not be made":      {account.Dossier{State: account.DossierFailed, Failure: "<registry> is gone"}, auditor, "Failed it could not be made: <registry> is gone", nil, 1},
		"ready":                  {ready, auditor, "1.2 MB, made 1 hour ago, kept until 25 Nov 2026, 11:45 UTC; its digest is " + string(digest("dossier")), []string{file}, 0},
		"evidence changed since": {outdated, auditor, "Old 1.2 MB", []string{file}, 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := harbour()
			m.dossier = tt.dossier
			doc := parse(t, get(t, as(tt.who, handler(t, m, &bytes.Buffer{})), releasePath).Body.String())
			if got := doc.one(".dossier p"); !strings.Contains(got, tt.says) {
				t.Errorf("got %q, want %q in it", got, tt.says)
			}
			var links []string
			for _, n := range doc.all(".dossier a") {
				links = append(links, attr(n, "href"))
			}
			if diff := cmp.Diff(tt.link, links); diff != "" {
				t.Error(diff)
			}
			if got := len(doc.all(".dossier button")); got != tt.asks {
				t.Errorf("got %d buttons, want %d", got, tt.asks)
			}
		})
	}
	bare := get(t, as(auditor, handler(t, harbour(), &bytes.Buffer{}, func(c *console.Config) { c.Reference = nil })), releasePath).Body.String()
	if strings.Contains(bare, "/api/v1") {
		t.Error("without an API there is a link to it")
	}
}

func TestADossierIsAskedFor(t *testing.T) {
	t.Parallel()
	m := harbour()
	h := as(operator(), handler(t, m, &bytes.Buffer{}))
	for form, want := range map[string]int{
		"repository=" + webRepository + "&name=v1.10.0": http.StatusSeeOther,
		"repository=" + webRepository:                   http.StatusNotFound, // of a whole repository there is none
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/dossier", strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != want {
			t.Errorf("%s: got status %d, want %d", form, w.Code, want)
		}
		if want == http.StatusSeeOther && w.Header().Get("Location") != releasePath+"#documents" {
			t.Errorf("%s: led to %s", form, w.Header().Get("Location"))
		}
	}
	want := []account.Request{{Step: release.StepDossier, Repository: webRepository, Digest: digest("web v1.10.0"), By: "ada@example.org"}}
	if diff := cmp.Diff(want, m.asked); diff != "" {
		t.Error(diff)
	}
}
