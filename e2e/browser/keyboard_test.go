package browser_test

import (
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// walk is what the tab key is followed with: window.controls are what a person can use of
// the page, window.stops what the key has led to.
const walk = `(() => {
	const usable = e => !e.disabled && e.tabIndex >= 0 && e.getClientRects().length > 0 &&
		e.checkVisibility({visibilityProperty: true, contentVisibilityAuto: true}) && !e.closest("[inert]");
	window.stops = [];
	window.controls = [...document.querySelectorAll('a[href], area[href], button, input, select, textarea, summary, iframe, audio[controls], [tabindex], [contenteditable]')].filter(usable);
	return controls.length;
})()`

// step notes where the tab key led to, and reports whether that was the first stop again.
// The body is where it is between the last and the first.
const step = `(() => {
	const e = document.activeElement, last = stops.at(-1);
	if (e === document.body) return false;
	if (e === stops[0] && last !== e) return true;
	const r = e.getBoundingClientRect(), s = getComputedStyle(e);
	stops.push(e);
	e.dataset.seen = String(r.width > 0 && r.bottom > 0 && r.top < innerHeight && (s.outlineStyle !== "none" || e.className === "skip"));
	e.dataset.order = String(!last || last === e || !last.isConnected || Boolean(last.compareDocumentPosition(e) & Node.DOCUMENT_POSITION_FOLLOWING));
	return false;
})()`

// stops walks through a page with the tab key until it comes around. It wants every stop
// to be seen, and to come in the order of the page, and everything that can be used to be
// a stop.
func stops(t *testing.T, b *tab, path string) {
	t.Helper()
	b.visit(t, path)
	var controls int
	b.do(t, chromedp.Evaluate(walk, &controls))
	// What scrolls is a stop of its own, and some fields are several.
	around := false
	for range 2*controls + 20 {
		if b.do(t, chromedp.KeyEvent(kb.Tab), chromedp.Evaluate(step, &around)); around {
			break
		}
	}
	if !around || controls == 0 {
		t.Errorf("%s: the tab key does not come around %d controls", path, controls)
	}
	var wrong, missed []string
	b.do(t, chromedp.Evaluate(`stops.filter(e => e.dataset.seen !== "true" || e.dataset.order !== "true").map(e => e.outerHTML.slice(0, 200))`, &wrong),
		// What the server replaced meanwhile is not there to be reached.
		chromedp.Evaluate(`controls.filter(e => e.isConnected && !stops.includes(e)).map(e => e.outerHTML.slice(0, 200))`, &missed))
	for _, e := range wrong {
		t.Errorf("%s: a stop that is not seen, or out of order: %s", path, e)
	}
	for _, e := range missed {
		t.Errorf("%s: the tab key does not lead to %s", path, e)
	}
}
