package release

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestNoticeID(t *testing.T) {
	t.Parallel()
	ids := map[string][]string{}
	for _, parts := range [][]string{{"a", "b"}, {"ab"}, {"a.b"}, {"", "ab"}, {"a", "b", ""}} {
		id := NoticeID(parts...)
		if other, taken := ids[id]; taken {
			t.Errorf("NoticeID: %q and %q have the same", parts, other)
		}
		ids[id] = parts
		if strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			t.Errorf("NoticeID: got %q, want letters, digits and underscores only", id)
		}
	}
	if a, b := NoticeID("tag", "x"), NoticeID("tag", "x"); a != b {
		t.Errorf("NoticeID of equal parts: got %s and %s", a, b)
	}
}

func TestABoundedNoticeHasWhatMattersMostAndCountsTheRest(t *testing.T) {
	t.Parallel()
	var n Notice
	for i := range 1000 {
		result := [...]string{"pass", "unknown", "fail"}[i%3]
		n.Releases = append(n.Releases, VerdictChange{Repository: "ghcr.io/a/b", Version: fmt.Sprintf("v1.%d.0", i), After: result})
		n.Findings = append(n.Findings, FindingChange{ID: fmt.Sprintf("GO-%04d", i), Severity: "low", Change: ChangeNew})
	}
	n.Findings[999].Severity = "critical"
	n.Findings[998].Severity = "critical"
	n.Findings[998].Change = ChangeGone
	n.Findings[997].Severity = "unscored"
	n.Moves = []Move{{Tag: "latest"}, {Tag: "v1.0.0"}}
	n.Evidence = []EvidenceChange{{Kind: PaperSBOM, After: StateVerified}, {Kind: PaperSBOM, After: StateInvalid}}
	got := n.Bounded()
	if want := (NoticeOmitted{Releases: 950, Findings: 950}); got.Omitted != want {
		t.Errorf("omitted: got %+v, want %+v", got.Omitted, want)
	}
	if len(got.Releases) != NoticeMost || got.Releases[0].Version != "v1.998.0" || got.Releases[NoticeMost-1].After != "fail" {
		t.Errorf("releases: got %d from %+v", len(got.Releases), got.Releases[0])
	}
	if got.Findings[0].ID != "GO-0999" || got.Findings[1].ID != "GO-0997" || got.Findings[2].ID != "GO-0000" {
		t.Errorf("findings: got %s, %s, %s", got.Findings[0].ID, got.Findings[1].ID, got.Findings[2].ID)
	}
	if got.Moves[0].Tag != "v1.0.0" || got.Evidence[0].After != StateInvalid {
		t.Errorf("moves and evidence: got %+v, %+v", got.Moves, got.Evidence)
	}
	if n.Releases[0].Version != "v1.0.0" || n.Omitted != (NoticeOmitted{}) {
		t.Error("the notice itself was changed")
	}
	if diff := cmp.Diff(got, got.Bounded()); diff != "" {
		t.Errorf("bounded twice (-once +twice):\n%s", diff)
	}
}

func TestABoundedNoticeHasNoTextWithoutEnd(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ü", 1000)
	many := make([]string, 100)
	for i := range many {
		many[i] = long
	}
	n := Notice{
		Cause:    NoticeCause{Text: long},
		Releases: []VerdictChange{{Reasons: many}},
		Findings: []FindingChange{{PURLs: many, Aliases: many, Fixed: many}},
		Evidence: []EvidenceChange{{Reason: long}},
	}.Bounded()
	want := strings.Repeat("ü", 148) + "…"
	for _, got := range []string{n.Cause.Text, n.Releases[0].Reasons[9], n.Findings[0].PURLs[0], n.Evidence[0].Reason} {
		if got != want {
			t.Errorf("text: got %d bytes ending in %q, want %d", len(got), got[len(got)-6:], len(want))
		}
	}
	if r := n.Releases[0].Reasons; len(r) != 11 || r[10] != "…" {
		t.Errorf("reasons: got %d", len(r))
	}
}

func TestAnEmptyNoticeHasListsAndNothingToTell(t *testing.T) {
	t.Parallel()
	n := Notice{ID: "ntc_1", At: time.Unix(0, 0), Cause: NoticeCause{Kind: NoticeTag, Text: "A tag moved."}}
	if !n.Empty() || !n.Bounded().Empty() {
		t.Error("Empty: got false")
	}
	if (Notice{Omitted: NoticeOmitted{Moves: 1}}).Empty() {
		t.Error("Empty of what was cut: got true")
	}
	got, err := json.Marshal(n.Bounded())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"schema":"tallyman.notice/v1","id":"ntc_1","at":"1970-01-01T00:00:00Z","cause":{"kind":"tag","text":"A tag moved."},` +
		`"releases":[],"findings":[],"moves":[],"evidence":[],"omitted":{"releases":0,"findings":0,"moves":0,"evidence":0}}`
	if string(got) != want {
		t.Errorf("JSON: got\n%s\nwant\n%s", got, want)
	}
}
