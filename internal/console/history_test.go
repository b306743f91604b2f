package console_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/release"
)

// longAgo is a harbour of which the latest release has a long history: 120 verdicts and the
// one at release, and 70 changes of evidence after the first states.
func longAgo() *memory {
	m := harbour()
	r := &m.releases[webRepository][0]
	r.Verdicts.Items, r.Changes.Items = nil, nil
	for i := 120; i > 0; i-- {
		r.Verdicts.Items = append(r.Verdicts.Items, *verdict(i, now.Add(time.Duration(i-200)*time.Hour), i%2, 0))
	}
	for i := 70; i > 0; i-- {
		r.Changes.Items = append(r.Changes.Items, account.EvidenceChange{
			At: now.Add(time.Duration(i-100) * time.Hour), Kind: release.PaperSBOM, Subject: r.Image.Digest,
			Before: release.StateVerified, After: release.StateUnknown, Reason: fmt.Sprintf("reason %d", i),
		})
	}
	for range 18 {
		r.Changes.Items = append(r.Changes.Items, account.EvidenceChange{At: now.Add(-100 * time.Hour), Kind: release.PaperSBOM, After: release.StateVerified})
	}
	return m
}

// with is the first element of a name with an attribute.
func (d document) with(element, name, value string) document {
	d.t.Helper()
	for _, n := range d.all(element) {
		if attr(n, name) == value {
			return document{d.t, n}
		}
	}
	d.t.Fatalf("no %s with %s=%q", element, name, value)
	return document{}
}

// next is where a pager leads on to, empty where it does not.
func (d document) next() string {
	for _, a := range d.all("a") {
		if attr(a, "rel") == "next" {
			path, _, _ := strings.Cut(attr(a, "href"), "#")
			return path
		}
	}
	return ""
}

func TestTheHistoryOfAReleaseIsPagedAndEachVerdictToldWithTheOneBeforeIt(t *testing.T) {
	t.Parallel()
	m := longAgo()
	seen, path := 0, releasePath
	for path != "" {
		list := page(t, m, path).list("history")
		if got, want := attr(list.all("ol.history")[0], "start"), fmt.Sprint(121-seen); got != want {
			t.Errorf("%s: begins with verdict %s, want %s", path, got, want)
		}
		shown := 0
		for _, li := range list.all("ol.history li") {
			if attr(li, "class") == "" {
				continue // one of the reasons
			}
			shown++
			step := text(li)
			number := 120 - seen
			critical := fmt.Sprintf("critical: %d, was %d", number%2, 1-number%2)
			if number == 0 {
				critical = "The image became a release"
			}
			if !strings.Contains(step, critical) {
				t.Errorf("%s: verdict %d: got %q, want %q", path, number, step, critical)
			}
			seen++
		}
		to, says := list.with("nav", "aria-label", "Pages of verdicts"), fmt.Sprintf("%d of 121 verdicts", shown)
		if got := to.one("p"); got != says {
			t.Errorf("%s: got %q, want %q", path, got, says)
		}
		if title := list.one(".charts figcaption"); !strings.HasPrefix(title, "Critical and high findings, by the newest 50 of 121 verdicts") {
			t.Errorf("%s: got a chart %q, want one that says over what it goes", path, title)
		}
		path = to.next()
	}
	if seen != 121 {
		t.Errorf("got %d verdicts on all pages, want 121", seen)
	}
}

func TestTheChangesOfTheEvidenceOfAReleaseArePaged(t *testing.T) {
	t.Parallel()
	m := longAgo()
	var reasons []string
	path := releasePath + "?history-after=50"
	for path != "" {
		d := page(t, m, path)
		list := d.list("history")
		if start := attr(list.all("ol.history")[0], "start"); start != "71" {
			t.Errorf("%s: the verdicts begin with %s, want them to stay where they are", path, start)
		}
		reasons = append(reasons, list.with("table", "aria-labelledby", "evidence-changes").texts("tbody tr")...)
		to := list.with("nav", "aria-label", "Pages of changes of evidence")
		if got := to.one("p"); !strings.HasSuffix(got, " of 70 changes") {
			t.Errorf("%s: got %q, want the first states not to count", path, got)
		}
		path = to.next()
	}
	if len(reasons) != 70 || !strings.HasSuffix(reasons[0], "reason 70") || !strings.HasSuffix(reasons[69], "reason 1") {
		t.Errorf("got %d changes, want 70, newest first: %q", len(reasons), reasons)
	}
	past := page(t, m, releasePath+"?history-after=121&evidence-changes-after=70").list("history")
	if says := past.texts(".pager p"); len(says) != 2 || says[0] != "0 of 121 verdicts" || says[1] != "0 of 70 changes" || len(past.all(".pager a")) != 2 {
		t.Errorf("after the last: got %q, want ways back", says)
	}
	for _, name := range []string{"history-after", "evidence-changes-after"} {
		if w := get(t, handler(t, m, nil), releasePath+"?"+name+"=x"); w.Code != http.StatusBadRequest {
			t.Errorf("%s of nobody: got %d, want %d", name, w.Code, http.StatusBadRequest)
		}
	}
	short := page(t, harbour(), releasePath).list("history")
	if len(short.all(".pager")) != 0 || !strings.HasPrefix(short.one(".charts figcaption"), "Critical and high findings since release") {
		t.Error("a short history: got a pager, or a chart of a part, want neither")
	}
}
