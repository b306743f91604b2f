package browser_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// entry is one of the history of a verdict.
type entry struct{ Now, Was, Cause, Why, Wave string }

// history is that of the verdict on the page that is open, newest first.
func history(t *testing.T, b *tab) []entry {
	t.Helper()
	var all []entry
	b.do(t, chromedp.Evaluate(`[...document.querySelectorAll('section[aria-labelledby="history"] ol.history > li')].map(li => {
		const say = s => (li.querySelector(s)?.textContent ?? "").replace(/\s+/g, " ").trim();
		return {now: say(".step .state"), was: say(".step .was"), cause: say(".step + p"),
			why: [...li.querySelectorAll(".why li")].map(w => w.textContent).join("\n"), wave: li.querySelector(".step + p a")?.getAttribute("href") ?? ""};
	})`, &all))
	return all
}

// failed is how a history says which rule made a verdict fail, and by what count.
var failed = regexp.MustCompile(`(?m)^no-critical: Fail, was (Pass|Unknown): expected 0 critical findings, found 1\b`)

// changed wants the history on the page of a release to say that it was released with a
// pass and fails by now, which rule says so, and what came in that made it; and what came
// in to say the same.
func changed(t *testing.T, b *tab, web string) {
	t.Helper()
	all := history(t, b)
	at := -1
	for i, e := range all {
		if e.Now == "Fail" {
			at = i // the oldest
		}
	}
	if at < 0 || at == len(all)-1 {
		t.Fatalf("got %+v, want a fail, and what was before it", all)
	}
	if first := all[len(all)-1]; first.Now != "Pass" || !strings.HasPrefix(first.Cause, "The image became a release") || !strings.Contains(first.Cause, "0 critical") {
		t.Errorf("history begins with %+v, want a pass at release, with nothing critical", first)
	}
	e := all[at]
	if e.Was != "was "+all[at+1].Now {
		t.Errorf("got %q, want it to be %q that was before", e.Was, all[at+1].Now)
	}
	if !failed.MatchString(e.Why) || !strings.Contains(e.Cause, "1 critical") {
		t.Errorf("got %+v, want the rule that fails, and its count", e)
	}
	// Which of them the worker came upon last is no matter of the console.
	before := strings.TrimPrefix(e.Was, "was ")
	cause, _, _ := strings.Cut(e.Cause, " (")
	switch cause {
	case "Advisories changed", "Another policy, or a later look":
	case "A release was found":
		before = "Not judged" // by the worker: the pass is what would have been said at release
	default:
		t.Errorf("got %q, want advisories, a later look or a release for the cause", e.Cause)
	}
	if e.Wave == "" {
		t.Fatalf("got %+v, want it to lead to what came in", e)
	}
	b.visit(t, e.Wave)
	if title := b.text(t, "h1"); !strings.Contains(title, cause) {
		t.Errorf("%s: got %q, want %q", e.Wave, title, cause)
	}
	if row := rowOf(t, b, "verdicts", web+" "+oldVersion); !strings.Contains(row, before+" Fail expected 0 critical findings, found 1") {
		t.Errorf("%s: says %q of the release, want that it fails, and was: %s", e.Wave, row, before)
	}
	if cause != "Advisories changed" {
		return
	}
	if row := rowOf(t, b, "findings", advisory); !strings.HasPrefix(row, "critical "+advisory+" new pkg:golang/"+module+"@") || !strings.Contains(row, " 99.0.0 ") {
		t.Errorf("%s: says %q of %s, want that it is new, critical, and fixed in 99.0.0", e.Wave, row, advisory)
	}
}

// rowOf is what a table says of what a row of it is for.
func rowOf(t *testing.T, b *tab, table, of string) string {
	t.Helper()
	var rows []string
	b.do(t, chromedp.Evaluate(fmt.Sprintf(`[...document.querySelectorAll('table[aria-labelledby=%q] tbody tr')]
		.filter(r => r.querySelector("th").innerText.trim() === %q).map(r => r.innerText.replace(/\s+/g, " ").trim())`, table, of), &rows))
	return strings.Join(rows, "\n")
}
