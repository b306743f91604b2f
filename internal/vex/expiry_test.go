package vex_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/vex"
)

// now is when statements are asked in these tests.
var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func waiver(status, notes, at string) string {
	more := ""
	if status == "not_affected" {
		more = `,"justification":"component_not_present"`
	}
	return `{"vulnerability":{"name":"CVE-1"},"products":[{"@id":"pkg:npm/a"}],"status":"` + status + `","timestamp":"` + at + `","status_notes":"` + notes + `"` + more + `}`
}

func TestAStatementEnds(t *testing.T) {
	t.Parallel()
	const first, second = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"
	other := func(statements ...string) vex.Document {
		d := parse(t, first, 1, statements...)
		d.ID = "https://openvex.dev/docs/example/other"
		return d
	}
	for name, c := range map[string]struct {
		documents []vex.Document
		want      bool
		ended     string
	}{
		"not yet, on its last day": {[]vex.Document{document(t, waiver("not_affected", "expires: 2026-06-01", first))}, true, ""},
		"the day after":            {[]vex.Document{document(t, waiver("not_affected", "expires: 2026-05-31", first))}, false, "waiver expired on 2026-05-31"},
		"at a time to come":        {[]vex.Document{document(t, waiver("not_affected", "Expires: 2026-06-01T12:00:01Z; by: Jane", first))}, true, ""},
		"at a time that went by":   {[]vex.Document{document(t, waiver("not_affected", "by: Jane; expires: 2026-06-01T11:59:59Z", first))}, false, "waiver expired on 2026-06-01T11:59:59Z"},
		"of what is fixed":         {[]vex.Document{document(t, waiver("fixed", "expires: 2026-05-31", first))}, false, "waiver expired on 2026-05-31"},
		"what does not suppress":   {[]vex.Document{document(t, waiver("affected", "expires: 2026-05-31", first))}, false, ""},
		"no end in the notes":      {[]vex.Document{document(t, waiver("not_affected", "it expires: never", first))}, true, ""},
		"renewed later": {[]vex.Document{
			document(t, waiver("not_affected", "expires: 2026-05-31", first)), other(waiver("not_affected", "expires: 2026-12-31", second)),
		}, true, ""},
		"it took the place of one without end": {[]vex.Document{
			document(t, waiver("not_affected", "", first)), other(waiver("not_affected", "expires: 2026-05-31", second)),
		}, false, "waiver expired on 2026-05-31"},
		"of one time, another that holds": {[]vex.Document{
			document(t, waiver("not_affected", "expires: 2026-05-31", first)), other(waiver("not_affected", "expires: 2026-12-31", first)),
		}, true, ""},
		"of one time, another without end": {[]vex.Document{
			document(t, waiver("not_affected", "", first)), other(waiver("not_affected", "expires: 2026-05-31", first)),
		}, true, ""},
		"of one time, another that does not suppress": {[]vex.Document{
			document(t, waiver("not_affected", "", first)), other(waiver("affected", "", first)),
		}, false, ""},
	} {
		got, suppressed := vex.NewSet(c.documents...).Apply(vex.Image{}, vex.Finding{Names: []string{"CVE-1"}, PURLs: []string{"pkg:npm/a@1"}}, now)
		if suppressed != c.want || got.Ended() != c.ended {
			t.Errorf("%s: got %t, %q, want %t, %q", name, suppressed, got.Ended(), c.want, c.ended)
		}
		if c.ended != "" && !strings.HasPrefix(got.String(), c.ended+": ") {
			t.Errorf("%s: got %s", name, got.String())
		}
	}
}

func TestAnEndThatCannotBeReadIsNoEnd(t *testing.T) {
	t.Parallel()
	_, err := vex.Parse([]byte(text("2026-01-01T00:00:00Z", 1, waiver("not_affected", "expires: soon", "2026-01-01T00:00:00Z"))), vex.Origin{File: "x.json"}, "")
	const want = `OpenVEX of file x.json: statements[0]: status_notes: expires: expected a day such as 2027-01-31, or a time such as 2027-01-31T12:00:00Z; found "soon"`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
