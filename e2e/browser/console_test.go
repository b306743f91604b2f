package browser_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// What the demo releases, and what happened to it: see e2e/cmd/demo.
const (
	oldVersion, newVersion = "v1.0.0", "v1.1.0"
	cve, advisory          = "CVE-2026-99007", "DEMO-2026-0007"
	module                 = "github.com/google/go-cmp"

	// nothing is a search that finds nothing.
	nothing = "/search?q=nothing-of-that-name"
)

func TestConsole(t *testing.T) {
	d := startDemo(t)
	browser := openBrowser(t)
	b := newTab(t, browser, d.console)
	web := d.registry + "/tallyman/web"
	component := "/components/" + web
	older, newer := component+"/-/"+oldVersion, component+"/-/"+newVersion
	path := tools(t)

	// Each goes on where the one before ended, as a person does.
	steps := []struct {
		name string
		run  func(t *testing.T)
	}{
		{"sign in, and be led to where one wanted to go", func(t *testing.T) { signIn(t, b, d) }},
		{"the overview says which release stands how", func(t *testing.T) {
			b.visit(t, "/")
			text := b.text(t, "main")
			for _, want := range []string{"web", "worker", newVersion, "Pass"} {
				if !strings.Contains(text, want) {
					t.Errorf("got %q, want it to say %q", text, want)
				}
			}
		}},
		{"find a release by CVE", func(t *testing.T) {
			b.visit(t, "/")
			b.follow(t, chromedp.SendKeys("#q", cve+kb.Enter, chromedp.ByID))
			var others int
			b.do(t, chromedp.Evaluate(`document.querySelectorAll('main a[href="`+newer+`"]').length`, &others))
			if text := b.text(t, "main"); !strings.Contains(text, module) || others != 0 {
				t.Errorf("got %q, want %s by %s, and not %s", text, oldVersion, module, newVersion)
			}
			b.follow(t, chromedp.Click(`main a[href="`+older+`"]`, chromedp.ByQuery))
			if at := b.location(t); at != older {
				t.Errorf("got to %s, want %s", at, older)
			}
		}},
		{"read why its verdict changed", func(t *testing.T) {
			b.visit(t, older)
			card := b.text(t, ".verdict-card")
			if !strings.Contains(card, "Fail") || !strings.Contains(card, "no-critical") || !strings.Contains(card, "At release: Pass") {
				t.Errorf("verdict: got %q, want a fail that was a pass at release", card)
			}
			changed(t, b, web)
			b.visit(t, older+"/findings")
			if findings := b.text(t, "main"); !strings.Contains(findings, advisory) || !strings.Contains(findings, cve) || !strings.Contains(findings, "99.0.0") {
				t.Errorf("findings: got %q, want %s, its alias, and what fixes it", findings, advisory)
			}
		}},
		{"compare two releases", func(t *testing.T) {
			b.visit(t, "/compare?repository="+url.QueryEscape(web))
			b.do(t, chromedp.SetValue("#from", oldVersion, chromedp.ByID), chromedp.SetValue("#to", newVersion, chromedp.ByID))
			b.follow(t, chromedp.Click(`main form.filters button[type=submit]`, chromedp.ByQuery))
			if text := b.text(t, "main"); !strings.Contains(text, module) || !strings.Contains(text, advisory) {
				t.Errorf("got %q, want %s to be gone, and %s fixed", text, module, advisory)
			}
			compareAnother(t, b)
		}},
		{"read what the gate decided", func(t *testing.T) { receipt(t, b, older) }},
		{"download everything that there is", func(t *testing.T) { files(t, b, newer) }},
		{"paste what verifies it", func(t *testing.T) { paste(t, b, d, newer, path) }},
		{"paste what reproduces it", func(t *testing.T) { reproduce(t, b, d, newer, path) }},
		{"make a token, and revoke it", func(t *testing.T) { token(t, b, d) }},
		{"sort lists", func(t *testing.T) { sorted(t, b, older) }},
		{"the keyboard gets everywhere", func(t *testing.T) {
			for _, p := range pages(t, b, web) {
				stops(t, b, p.path)
			}
		}},
		{"download an SBOM and verify it", func(t *testing.T) { download(t, b, d, web, newer, path) }},
		{"follow a rescan", func(t *testing.T) { rescan(t, b, newer) }},
		{"find nothing", func(t *testing.T) {
			b.visit(t, nothing)
			if text := b.text(t, "#results"); !strings.Contains(text, "Nothing was found") || strings.Contains(text, oldVersion) {
				t.Errorf("got %q, want to be told that nothing was found", text)
			}
		}},
		{"search as you type", func(t *testing.T) {
			b.visit(t, "/advisories")
			b.do(t, chromedp.SendKeys("#q", "go-cmp", chromedp.ByID), chromedp.SetValue("#q", module, chromedp.ByID), chromedp.SendKeys("#q", " ", chromedp.ByID),
				chromedp.WaitVisible(`a[href="`+older+`"]`, chromedp.ByQuery))
		}},
		{"the keyboard gets to the content first", func(t *testing.T) {
			b.visit(t, "/")
			var focused string
			b.do(t, chromedp.KeyEvent(kb.Tab), chromedp.Evaluate(`document.activeElement.className`, &focused))
			if focused != "skip" {
				t.Errorf("the first stop is %q, want the link to the content", focused)
			}
			b.do(t, chromedp.KeyEvent(kb.Enter), chromedp.Evaluate(`document.activeElement.id`, &focused))
			if focused != "main" {
				t.Errorf("it leads to %q, want main", focused)
			}
		}},
		{"everything works without scripts", func(t *testing.T) {
			b.do(t, scripts(false))
			defer b.do(t, scripts(true))
			b.visit(t, "/")
			b.follow(t, chromedp.SetValue("#q", cve, chromedp.ByID), chromedp.Submit("#q", chromedp.ByID))
			b.follow(t, chromedp.Click(`main a[href="`+older+`"]`, chromedp.ByQuery))
			sorted(t, b, older)
			b.visit(t, older)
			b.follow(t, chromedp.Submit(`main form.rescan`, chromedp.ByQuery))
			if at := b.location(t); at != older+"?asked=1" {
				t.Errorf("a rescan leads to %s, want %s?asked=1", at, older)
			}
		}},
	}
	for _, s := range steps {
		if !t.Run(s.name, func(t *testing.T) { s.run(t); b.clean(t, s.name) }) && s.name == steps[0].name {
			t.Fatal("nobody is signed in")
		}
	}
	t.Run("every page", func(t *testing.T) { everyPage(t, b, pages(t, b, web)) })
	t.Run("pictures of the README", func(t *testing.T) { keepPictures(t, shots(t)) })
	t.Run("what is not there says so", func(t *testing.T) { missing(t, b, component) })
}

func signIn(t *testing.T, b *tab, d *demo) {
	t.Helper()
	if at := b.arrive(t, http.StatusOK, chromedp.Navigate(d.console+"/activity")); !strings.HasPrefix(at, "/login?next=") {
		t.Errorf("got to %s, want to be asked who it is", at)
	}
	b.accessible(t, "sign in")
	dir := shots(t)
	for _, a := range appearances() {
		b.look(t, a, "sign in")
		b.shoot(t, shotName(dir, "sign-in", a))
	}
	b.follow(t, chromedp.SendKeys(`input[name=token]`, d.token+kb.Enter, chromedp.ByQuery))
	if at := b.location(t); at != "/activity" {
		t.Errorf("after signing in: at %s, want /activity", at)
	}
}

// page is a page of the console.
type pageOf struct{ name, path string }

// pages are all pages, on what the demo made.
func pages(t *testing.T, b *tab, web string) []pageOf {
	t.Helper()
	component := "/components/" + web
	older := component + "/-/" + oldVersion
	b.visit(t, "/activity")
	var wave string
	b.do(t, chromedp.Evaluate(`(document.querySelector('main a[href^="/activity/waves/"]') || {getAttribute: () => ""}).getAttribute("href")`, &wave))
	if wave == "" {
		t.Error("no event in the activity")
		wave = "/activity"
	}
	return []pageOf{
		{"overview", "/"},
		{"component", component},
		{"release", older},
		{"findings", older + "/findings"},
		{"packages", older + "/packages"},
		{"compare", "/compare?" + url.Values{"repository": {web}, "from": {oldVersion}, "to": {newVersion}}.Encode()},
		{"compare-choose", "/compare"},
		{"search", "/search?q=" + cve},
		{"search-none", nothing},
		{"advisories", "/advisories"},
		{"advisory", "/advisories/" + advisory},
		{"activity", "/activity"},
		{"event", wave},
		{"settings", "/settings"},
		{"tokens", "/settings/tokens"},
		{"audit", "/settings/audit"},
		{"api", "/docs/api"},
	}
}

// everyPage looks at every page as axe does, and as people do.
func everyPage(t *testing.T, b *tab, all []pageOf) {
	t.Helper()
	dir := shots(t)
	for _, p := range all {
		t.Run(p.name, func(t *testing.T) {
			b.visit(t, p.path)
			var title string
			b.do(t, chromedp.Title(&title))
			if !strings.HasSuffix(title, " · Tallyman") {
				t.Errorf("title: got %q, want one that ends in the product's name", title)
			}
			for _, a := range appearances() {
				b.look(t, a, p.path)
				b.accessible(t, p.path+" at "+a.name)
				b.shoot(t, shotName(dir, p.name, a))
			}
			for _, a := range between() {
				b.look(t, a, p.path)
				b.accessible(t, p.path+" at "+a.name)
			}
			b.clean(t, p.path)
		})
	}
}

// missing asks for what is not there.
func missing(t *testing.T, b *tab, component string) {
	t.Helper()
	for _, path := range []string{component + "/-/v9.9.9", "/components/nowhere.example/x", "/advisories/CVE-0000-0", "/activity/waves/999999", "/nothing"} {
		if at := b.arrive(t, http.StatusNotFound, chromedp.Navigate(b.home+path)); at != path {
			t.Errorf("%s: got to %s, want to be told that there is nothing", path, at)
		}
		if title := b.text(t, "h1"); title != "Not found" {
			t.Errorf("%s: says %q, want %q", path, title, "Not found")
		}
		for _, a := range append(appearances(), between()...) {
			b.look(t, a, path)
			b.accessible(t, path+" at "+a.name)
		}
		b.clean(t, path)
	}
}
