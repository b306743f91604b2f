package console_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/release"
)

const wavePath = "/activity/waves/42"

// list is the part of a page under the heading of an id.
func (d document) list(id string) document {
	d.t.Helper()
	for _, section := range d.all("section") {
		if attr(section, "aria-labelledby") == id {
			return document{d.t, section}
		}
	}
	d.t.Fatalf("no list %s", id)
	return document{}
}

// links are where the pager of a list leads, by their relation.
func (d document) links() map[string]string {
	to := make(map[string]string)
	for _, a := range d.all(".pager a") {
		to[attr(a, "rel")] = attr(a, "href")
	}
	return to
}

func TestEachListOfAWaveIsPagedByItself(t *testing.T) {
	t.Parallel()
	m := harbour()
	w := &m.waves[0]
	for i := range 45 {
		version := fmt.Sprintf("v2.%d.0", i)
		w.Findings = append(w.Findings, release.FindingChange{ID: fmt.Sprintf("GO-2026-%d", i), Severity: "low", Change: release.ChangeGone})
		w.Changes = append(w.Changes, release.VerdictChange{Repository: webRepository, Version: version, Before: "pass", After: "fail"})
		w.Evidence = append(w.Evidence, release.EvidenceChange{Repository: webRepository, Version: version, Kind: release.PaperSBOM})
	}
	for id, all := range map[string]int{"findings": len(w.Findings), "verdicts": len(w.Changes), "evidence": len(w.Evidence)} {
		seen, path := map[string]bool{}, wavePath
		for path != "" {
			list := page(t, m, path).list(id)
			if got, want := list.one(".pager p"), fmt.Sprintf("%d of %d changes", min(20, all-len(seen)), all); got != want {
				t.Errorf("%s: got %q, want %q", path, got, want)
			}
			for _, row := range list.texts("tbody tr") {
				seen[row] = true
			}
			to := list.links()
			if first := to["first"]; (first == "") != (path == wavePath) || first != "" && first != wavePath+"#"+id {
				t.Errorf("%s: the first page is said to be %q", path, first)
			}
			path, _, _ = strings.Cut(to["next"], "#")
		}
		if len(seen) != all {
			t.Errorf("%s: got %d on all pages, want %d", id, len(seen), all)
		}
	}
	next := page(t, m, wavePath+"?findings-after=20&verdicts-after=20").list("findings").links()["next"]
	if next != wavePath+"?findings-after=40&verdicts-after=20#findings" {
		t.Errorf("got next findings %s, want the verdicts to stay where they are", next)
	}
	if w := get(t, handler(t, m, nil), wavePath+"?evidence-after=x"); w.Code != http.StatusBadRequest {
		t.Errorf("cursor of nobody: got %d, want %d", w.Code, http.StatusBadRequest)
	}
}
