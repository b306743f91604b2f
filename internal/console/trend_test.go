package console_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

func TestChartsSayWhichReleasesTheyLeaveOut(t *testing.T) {
	t.Parallel()
	const rest = " Pre-releases are left out."
	for name, c := range map[string]struct {
		change func(c *account.Component)
		says   string
	}{
		"all are shown":     {func(*account.Component) {}, ""},
		"there are more":    {func(c *account.Component) { c.Releases = 40 }, "Of the newest 7 releases of 40." + rest},
		"there may be more": {func(c *account.Component) { c.LastComplete = time.Time{} }, "Of the newest 7 releases; how many there are is unknown." + rest},
		"at least":          {func(c *account.Component) { c.Releases, c.LastComplete = 40, time.Time{} }, "Of the newest 7 releases of at least 40." + rest},
		"only pre-releases": {func(c *account.Component) {
			latest := *c.Latest
			latest.Version, c.Releases, c.Latest = "v1.11.0-rc.1", 40, &latest
		}, "Of the newest 7 releases of 40."},
	} {
		m := harbour()
		c.change(&m.components[0])
		for _, n := range page(t, m, webPath).all("figure.chart figcaption") {
			got := text(n)
			if !strings.Contains(got, "by release") {
				continue
			}
			if !strings.Contains(got, c.says) || strings.Contains(got, "Of the newest") != (c.says != "") || strings.Contains(got, rest) != strings.HasSuffix(c.says, rest) {
				t.Errorf("%s: got %q, want %q", name, got, c.says)
			}
		}
	}
}

func TestTheTimeToFixSaysOfWhichReleasesItIs(t *testing.T) {
	t.Parallel()
	says := fmt.Sprintf("Of the newest %d releases at most; what only older ones had is left out.", account.RepairsOf)
	for name, c := range map[string]struct {
		change func(c *account.Component)
		says   bool
	}{
		"all are followed":      {func(c *account.Component) { c.Releases = account.RepairsOf }, false},
		"there are more":        {func(c *account.Component) { c.Releases = account.RepairsOf + 1 }, true},
		"nobody knows how many": {func(c *account.Component) { c.LastComplete = time.Time{} }, true},
	} {
		m := harbour()
		c.change(&m.components[0])
		for _, repairs := range [][]account.Repair{m.repairs, nil} {
			m.repairs = repairs
			found := false
			for _, n := range page(t, m, webPath).all("figure.chart") {
				if got := text(n); strings.Contains(got, "Time to fix") {
					found = true
					if strings.Contains(got, says) != c.says {
						t.Errorf("%s: got %q, want it to say so: %t", name, got, c.says)
					}
				}
			}
			if !found {
				t.Errorf("%s: got no chart of the time to fix", name)
			}
		}
	}
}

// An old release can be compared with the one before it as well, for which nothing is asked
// where the trend has it.
func TestAnyReleaseIsComparedWithTheOneBefore(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]struct {
		from  string
		asked []string
	}{
		"v1.10.0": {"v1.9.2", nil},
		"v1.9.1":  {"v1.9.0", []string{"v1.9.1"}}, // the oldest of the trend
		"v1.8.0":  {"v1.8.0-rc.1", []string{"v1.8.0"}},
		"v1.7.0":  {"", []string{"v1.7.0"}},
	} {
		m := harbour()
		c := &m.components[0]
		c.Trend = c.Trend[len(c.Trend)-3:]
		got := ""
		for _, n := range page(t, m, webPath+"/-/"+version).all(".actions a") {
			got = attr(n, "href")
		}
		if want.from == "" && got != "" || want.from != "" && !strings.Contains(got, "from="+want.from+"&") {
			t.Errorf("%s: got %q, want a comparison with %q", version, got, want.from)
		}
		if !slices.Equal(m.before, want.asked) {
			t.Errorf("%s: asked for the one before %q, want %q", version, m.before, want.asked)
		}
	}
}

func TestEveryStepOfTheQueueHasWords(t *testing.T) {
	t.Parallel()
	for _, step := range []release.Step{release.StepDiscover, release.StepIngest, release.StepSync, release.StepJudge, release.StepNotify, release.StepDossier} {
		m := harbour()
		m.progress = []ledger.Progress{{Step: step, Subject: "subject", StartedAt: now, UpdatedAt: now}}
		if got := page(t, m, "/activity").one("table.small tbody th"); got == string(step) {
			t.Errorf("got %q, want words for it", got)
		}
	}
}
