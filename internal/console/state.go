package console

import (
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

// state is shown as a word, a shape and a colour.
type state struct {
	// Class is good, bad, absent, unknown or known.
	Class string
	Word  string
	// Reason says why, where there is something to say.
	Reason string
}

// evidenceState is the state of a piece of evidence. What is no state is unknown.
func evidenceState(s release.State) state {
	switch s {
	case release.StateVerified:
		return state{Class: "good", Word: "Verified"}
	case release.StateInvalid:
		return state{Class: "bad", Word: "Invalid"}
	case release.StateAbsent:
		return state{Class: "absent", Word: "Absent"}
	default:
		return state{Class: "unknown", Word: "Unknown"}
	}
}

// resultState is a result in words. What is no result is unknown.
func resultState(r release.Result) state {
	switch r {
	case release.ResultPass:
		return state{Class: "good", Word: "Pass"}
	case release.ResultFail:
		return state{Class: "bad", Word: "Fail"}
	default:
		return state{Class: "unknown", Word: "Unknown"}
	}
}

// verdictState is a verdict in words, with the reason that weighs most where it is no
// pass.
func verdictState(v *account.Verdict) state {
	if v == nil {
		return state{Class: "unknown", Word: "Unknown", Reason: "not judged yet"}
	}
	s := resultState(v.Result)
	if s.Class == "good" {
		return s
	}
	for _, r := range v.Reasons {
		if r.Result == v.Result || v.Result != release.ResultFail && r.Result != release.ResultPass {
			s.Reason = r.Message
			break
		}
	}
	return s
}

// levels are the severities, the worst first. What nobody scored may be anything.
func levels() []string { return []string{"critical", "high", "unscored", "medium", "low", "none"} }

// severityClass is the class of a level; a word that is none is shown as unscored.
func severityClass(level string) string {
	for _, known := range levels() {
		if level == known {
			return "sev-" + level
		}
	}
	return "sev-unscored"
}

// figure is a number that may not be known, or what stands in its place.
type figure struct {
	Text string
	// Class is unknown, bad or empty.
	Class string
	// Why is the reason of what is unknown.
	Why string
	// Sort is its value for sorting: what is unknown comes before everything.
	Sort int64
}

func unknownFigure(why string) figure {
	return figure{Text: "unknown", Class: "unknown", Why: why, Sort: -1}
}

func count(n int) figure { return figure{Text: grouped(int64(n)), Sort: int64(n)} }

// alarming makes a number above zero a bad one.
func (f figure) alarming() figure {
	if f.Sort > 0 {
		f.Class = "bad"
	}
	return f
}

// counts are the findings that were counted for a verdict.
type counts struct {
	Known bool
	// Why is the reason when they are not.
	Why                                       string
	Critical, High, Medium, Low, Unscored     figure
	Suppressed, Fixable, Packages, Unlookable int

	raw counter
}

// counter has what was counted before VEX, and why that is not known.
type counter struct {
	levels ledger.Levels
	why    string
}

// Raw are the counts before VEX.
func (c counts) Raw() counts {
	if c.raw.why != "" {
		return unknownCounts(c.raw.why)
	}
	return levelCounts(c.raw.levels)
}

func levelCounts(l ledger.Levels) counts {
	return counts{
		Known:    true,
		Critical: count(l.Critical).alarming(), High: count(l.High), Medium: count(l.Medium),
		Low: count(l.Low + l.None), Unscored: count(l.Unscored),
	}
}

func unknownCounts(why string) counts {
	u := unknownFigure(why)
	return counts{Why: why, Critical: u, High: u, Medium: u, Low: u, Unscored: u, raw: counter{why: why}}
}

func newCounts(v *account.Verdict) counts {
	why := ""
	switch {
	case v == nil:
		why = "not judged yet"
	case !v.Counts.Known:
		why = notCounted(v)
	default:
		c := v.Counts
		all := levelCounts(ledger.Levels{Critical: c.Critical, High: c.High, Medium: c.Medium, Low: c.Low, None: c.None, Unscored: c.Unscored})
		all.Suppressed, all.Fixable, all.Packages, all.Unlookable = c.Suppressed, c.Fixable, c.Packages, c.Unknown
		var known bool
		if all.raw.levels, known = c.BeforeVEX(); !known {
			all.raw.why = "counted before this was kept; the next change of the verdict tells"
		}
		return all
	}
	return unknownCounts(why)
}

// notCounted is the reason why findings could not be counted, as the verdict has it.
func notCounted(v *account.Verdict) string {
	for _, r := range v.Reasons {
		if r.Result != release.ResultPass && r.Result != release.ResultFail {
			return r.Message
		}
	}
	return "the findings could not be counted"
}

// staleData is from when on the age of advisory data is pointed out.
const staleData = 48 * time.Hour

// dataAge says how old the advisory data are, on which every count rests.
type dataAge struct {
	// Oldest is when the oldest feed was last complete, nil when that is not known.
	Oldest *moment
	Stale  bool
	// Why says why it is not known, or which feeds fail.
	Why string
}

func newDataAge(d account.Data, now time.Time) dataAge {
	a := dataAge{Oldest: optional(d.Oldest, now)}
	a.Stale = a.Oldest != nil && now.Sub(d.Oldest) >= staleData
	var failing []string
	for _, f := range d.Feeds {
		if f.Reason != "" || f.SyncedAt.IsZero() {
			failing = append(failing, f.Ecosystem)
		}
	}
	switch {
	case len(d.Feeds) == 0:
		a.Why = "no feed was fetched yet"
	case len(failing) > 0:
		a.Why = "could not be fetched: " + strings.Join(failing, ", ")
	case a.Oldest == nil:
		a.Why = "no feed was complete yet"
	}
	return a
}
