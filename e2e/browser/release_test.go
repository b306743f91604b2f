package browser_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// receipt wants the release page to say what the gate decided, with what, and both counts.
func receipt(t *testing.T, b *tab, older string) {
	t.Helper()
	b.visit(t, older)
	part := b.text(t, "section.receipt")
	for _, want := range []string{"Passed", "Policy digest", "sha256:", "Advisory data", "Age then", "no-critical"} {
		if !strings.Contains(part, want) {
			t.Errorf("got %q, want %q in it", part, want)
		}
	}
	counted := b.text(t, ".counted")
	for _, want := range []string{"Now, after VEX", "Now, before VEX", "At release, before VEX", "By the gate, after VEX", "By the gate, before VEX"} {
		if !strings.Contains(counted, want) {
			t.Errorf("got %q, want %q in it", counted, want)
		}
	}
	if gate := b.text(t, ".counted tbody tr:nth-child(5)"); strings.Contains(gate, "unknown") {
		t.Errorf("got %q, want what the gate counted", gate)
	}
	if builders := b.text(t, ".builders"); !strings.Contains(builders, "the build above") {
		t.Errorf("got %q, want who built it", builders)
	}
}

// files wants every file of a release to be had by who is signed in.
func files(t *testing.T, b *tab, newer string) {
	t.Helper()
	b.visit(t, newer)
	var got []struct{ Href, Type, Start string }
	b.do(t, chromedp.Evaluate(`Promise.all([...document.querySelectorAll("a[download]")].map(a => fetch(a.href).then(async r =>
		({href: a.getAttribute("href"), type: r.status + " " + r.headers.get("content-type"), start: (await r.text()).slice(0, 40)}))))`, &got,
		func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	starts := map[string]string{"/packages.csv": "name,version,purl", "/findings.csv": "id,aliases", "/findings.sarif": "{"}
	documents := 0
	for _, f := range got {
		if !strings.HasPrefix(f.Type, "200 ") {
			t.Errorf("%s: got %s", f.Href, f.Type)
		}
		for end, start := range starts {
			if strings.HasSuffix(f.Href, end) {
				if delete(starts, end); !strings.HasPrefix(f.Start, start) {
					t.Errorf("%s: begins with %q, want %q", f.Href, f.Start, start)
				}
			}
		}
		if strings.HasPrefix(f.Href, "/documents/") {
			documents++
		}
	}
	if len(starts) > 0 || documents < 4 {
		t.Errorf("got %d documents, and none of %v; want SBOMs, provenance and receipt, and the exports", documents, starts)
	}
}

// compareAnother names a release that is not there, and then one that is.
func compareAnother(t *testing.T, b *tab) {
	t.Helper()
	b.do(t, chromedp.SetValue("#from", "v9.9.9", chromedp.ByID))
	b.arrive(t, http.StatusNotFound, chromedp.Click(`main form.filters button[type=submit]`, chromedp.ByQuery))
	if text := b.text(t, ".wrong"); !strings.Contains(text, "No release or digest of that name") {
		t.Errorf("got %q, want to be told which is not there", text)
	}
	b.accessible(t, "a comparison with a release that is not there")
	b.do(t, chromedp.SetValue("#from", oldVersion, chromedp.ByID))
	b.follow(t, chromedp.SendKeys("#to", kb.Enter, chromedp.ByID))
	if text := b.text(t, "h1"); !strings.Contains(text, oldVersion) || !strings.Contains(text, newVersion) {
		t.Errorf("got %q, want the two compared", text)
	}
}

// token makes a token, uses it, and revokes it.
func token(t *testing.T, b *tab, d *demo) {
	t.Helper()
	b.visit(t, "/settings/tokens")
	b.follow(t, chromedp.SendKeys("#name", "browser test", chromedp.ByID), chromedp.Submit("#name", chromedp.ByID))
	secret := strings.TrimSpace(b.text(t, "pre.secret"))
	b.accessible(t, "a token that was made")
	use := func() int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.console+"/api/v1/components", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+secret)
		answer, err := (&http.Client{Timeout: stepTakes}).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		return answer.StatusCode
	}
	if got := use(); got != http.StatusOK {
		t.Errorf("with the token: got status %d", got)
	}
	b.visit(t, "/settings/tokens")
	if strings.Contains(b.text(t, "main"), secret) {
		t.Error("the token is shown again")
	}
	b.follow(t, chromedp.Click(`button[aria-label="Revoke browser test"]`, chromedp.ByQuery))
	if got := use(); got != http.StatusUnauthorized {
		t.Errorf("with the token that was revoked: got status %d, want 401", got)
	}
}

// sorted follows the links that sort and page a list, without scripts too.
func sorted(t *testing.T, b *tab, older string) {
	t.Helper()
	for _, list := range []struct{ path, column string }{
		{older + "/findings", "Advisory"}, {older + "/packages", "Findings"}, {"/advisories", "Published"}, {"/", "Critical now"},
	} {
		b.visit(t, list.path)
		b.follow(t, chromedp.Click(`//thead//a[contains(@class, "sort") and normalize-space()="`+list.column+`"]`, chromedp.BySearch))
		var order string
		b.do(t, chromedp.Evaluate(`(document.querySelector("th[aria-sort]") || {textContent: ""}).textContent.trim()`, &order))
		if at := b.location(t); order != list.column || !strings.Contains(at, "sort=") {
			t.Errorf("%s by %s: at %s, sorted by %q", list.path, list.column, at, order)
		}
	}
}
