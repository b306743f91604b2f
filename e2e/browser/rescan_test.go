package browser_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// asServed keeps how far a rescan is as the server rendered it: a document is interactive
// before a script that is deferred, as that of the console is, may run.
const asServed = `document.addEventListener("readystatechange", () => {
	if (document.readyState === "interactive") window.served = document.querySelector("#live")?.innerHTML ?? "";
})`

// asks is how often a rescan is asked for, to see one on its way. A worker that is quicker
// than the way back to the page leaves nothing to follow, which is no fault.
const asks = 5

// rescan asks for another look at a release, and follows it without loading the page again.
func rescan(t *testing.T, b *tab, newer string) {
	t.Helper()
	var script page.ScriptIdentifier
	b.do(t, chromedp.ActionFunc(func(ctx context.Context) (err error) {
		script, err = page.AddScriptToEvaluateOnNewDocument(asServed).Do(ctx)
		return err
	}))
	defer b.do(t, chromedp.ActionFunc(func(ctx context.Context) error { return page.RemoveScriptToEvaluateOnNewDocument(script).Do(ctx) }))

	before := askAgain(t, b, newer)
	b.do(t, chromedp.WaitVisible(`.is-asked strong`, chromedp.ByQuery))
	var same bool
	if b.do(t, chromedp.Evaluate(`window.opened === true`, &same)); !same {
		t.Error("the page was loaded again, want the one that is open to change")
	}
	told(t, b)
	steps := b.text(t, ".steps")
	for _, want := range []string{"Asked for by", "Taken by a worker", "Papers looked at", "Judged"} {
		if !strings.Contains(steps, want) {
			t.Errorf("got %q, want %q in it", steps, want)
		}
	}
	var open int
	if b.do(t, chromedp.Evaluate(`document.querySelectorAll(".steps li:not(.is-good)").length`, &open)); open != 0 {
		t.Errorf("got %q, want every step to be done", steps)
	}
	if strings.Contains(b.text(t, "#live"), "Fetch advisories") {
		t.Errorf("got %q, want nothing but this rescan", b.text(t, "#live"))
	}
	b.accessible(t, "a rescan that ended")
	b.follow(t, chromedp.Click(`.is-asked a`, chromedp.ByQuery))
	if at := looked(t, b); at == "" || at == before {
		t.Errorf("papers looked at: %q, and before %q", at, before)
	}
}

// askAgain asks for a rescan until it has a page that was served before that ended, which
// it marks, and returns when the papers were looked at before.
func askAgain(t *testing.T, b *tab, newer string) (before string) {
	t.Helper()
	for range asks {
		b.visit(t, newer)
		before = looked(t, b)
		b.mu.Lock()
		b.sources, b.told = nil, nil
		b.mu.Unlock()
		if at := b.arrive(t, 200, chromedp.Click(`form.rescan button`, chromedp.ByQuery)); at != newer+"?asked=1" {
			t.Errorf("a rescan leads to %s, want %s?asked=1", at, newer)
		}
		var served string
		b.do(t, chromedp.Evaluate(`window.opened = true; window.served`, &served))
		if !strings.Contains(served, "Asked for by") {
			t.Fatalf("the page came with %q, want it to say how far the rescan is", served)
		}
		if !strings.Contains(served, "<strong>") {
			return before
		}
	}
	t.Fatalf("of %d rescans, all had ended before the page was there", asks)
	return ""
}

// looked is when the papers of a release were looked at, as its page says.
func looked(t *testing.T, b *tab) string {
	t.Helper()
	var at string
	b.do(t, chromedp.Evaluate(`(document.querySelector(".title .summary p:nth-of-type(2) time") || {dateTime: ""}).dateTime`, &at))
	return at
}

// told wants the page to have asked for the events of its rescan, and of nothing else, and
// to have been told that it ended.
func told(t *testing.T, b *tab) {
	t.Helper()
	var address string
	b.do(t, chromedp.Evaluate(`document.querySelector("#live").dataset.live || ""`, &address))
	ctx, cancel := context.WithTimeout(b.ctx, stepTakes)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	// What Chromium says of the network may come later than what the page shows.
	for {
		b.mu.Lock()
		sources, kinds := slices.Clone(b.sources), slices.Clone(b.told)
		b.mu.Unlock()
		if address != "" && slices.Equal(sources, []string{address}) && slices.Contains(kinds, "ended") {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Errorf("followed %q, and was told %q; want %q to say that it ended", sources, kinds, address)
			return
		}
	}
}
