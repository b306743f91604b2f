package console

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

func TestNumbersAndTimesInWords(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"1 finding": plural(1, "finding"), "0 findings": plural(0, "finding"), "2 advisories": plural(2, "advisory"), "3 days": plural(3, "day"),
		"1\u202f234\u202f567": grouped(1234567), "999": grouped(999), "−1\u202f000": grouped(-1000),
		"3 min 02 s": took(182 * time.Second), "under 1 s": took(0), "5.2 s": took(5200 * time.Millisecond), "2 h 05 min": took(125 * time.Minute),
		"7.2 MB": size(7_240_123), "0 B": size(0), "1.50 GB": size(1_500_000_000),
		"just now": ago(5 * time.Second), "in the future": ago(-time.Hour), "47 hours ago": ago(47 * time.Hour), "2 days ago": ago(48 * time.Hour),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestAVerdictThatIsNoneIsUnknown(t *testing.T) {
	t.Parallel()
	for name, v := range map[string]*account.Verdict{"none": nil, "empty": {}} {
		if s := verdictState(v); s.Class != "unknown" {
			t.Errorf("%s: got %+v", name, s)
		}
		if c := newCounts(v); c.Known || c.Critical.Class != "unknown" || c.Critical.Text == "0" || c.Why == "" {
			t.Errorf("%s: got counts %+v", name, c)
		}
	}
}

func TestTheHistorySaysWhyAVerdictChanged(t *testing.T) {
	t.Parallel()
	reasons := func(pairs ...string) (list []release.Reason) {
		for i := 0; i+1 < len(pairs); i += 2 {
			list = append(list, release.Reason{Rule: pairs[i], Result: release.Result(pairs[i+1]), Message: pairs[i] + " is " + pairs[i+1]})
		}
		return list
	}
	before, after := &account.Verdict{}, &account.Verdict{}
	before.Reasons = reasons("signed", "pass", "no-critical", "pass", "old", "pass")
	after.Reasons = reasons("no-critical", "fail", "signed", "pass", "fresh", "unknown")
	before.Counts, after.Counts = ledger.Counts{Known: true, High: 2}, ledger.Counts{Known: true, Critical: 1, High: 2}
	want := []string{
		"no-critical: Fail, was Pass: no-critical is fail", "fresh: new rule, Unknown: fresh is unknown", "old: no longer asked", "critical: 1, was 0",
	}
	if diff := cmp.Diff(want, differences(before, after)); diff != "" {
		t.Error(diff)
	}
	after.Counts = ledger.Counts{}
	if got := differences(before, after); got[len(got)-1] != "findings can no longer be counted" {
		t.Errorf("got %q", got)
	}
}

func TestAdvisoryDataThatAreOldOrUnknownAreSaidToBe(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	feed := func(reason string) []ledger.Feed {
		return []ledger.Feed{{Ecosystem: "Go", SyncedAt: now.Add(-time.Hour), Reason: reason}}
	}
	tests := map[string]struct {
		data    account.Data
		stale   bool
		known   bool
		because string
	}{
		"none":    {account.Data{}, false, false, "no feed was fetched yet"},
		"never":   {account.Data{Feeds: []ledger.Feed{{Ecosystem: "Go"}}}, false, false, "could not be fetched: Go"},
		"fresh":   {account.Data{Feeds: feed(""), Oldest: now.Add(-time.Hour)}, false, true, ""},
		"old":     {account.Data{Feeds: feed(""), Oldest: now.Add(-48 * time.Hour)}, true, true, ""},
		"failing": {account.Data{Feeds: feed("throttled"), Oldest: now.Add(-time.Hour)}, false, true, "could not be fetched: Go"},
	}
	for name, tt := range tests {
		if got := newDataAge(tt.data, now); got.Stale != tt.stale || (got.Oldest != nil) != tt.known || got.Why != tt.because {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}
