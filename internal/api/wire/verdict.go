package wire

import (
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Verdict is what the policy says of a release. Before an image is judged there is one
// that is unknown.
type Verdict struct {
	Result  string     `json:"result" enum:"pass,fail,unknown" doc:"Unknown is not a pass."`
	Reasons []Reason   `json:"reasons" doc:"One for each rule: those that fail first, then those that are unknown."`
	Counts  Counts     `json:"counts"`
	Policy  string     `json:"policy" doc:"The digest of the policy; empty before it was judged."`
	At      *time.Time `json:"at" doc:"When it was reached; null before it was judged."`
	Number  *int       `json:"number" doc:"Counts the verdicts on the image; 0 is the one at release."`
	Wave    *int64     `json:"wave" doc:"The wave that led to it; null for the verdict at release."`
	Cause   string     `json:"cause"`
	Origin  string     `json:"origin" doc:"Whose cause: a repository, or the ecosystem of a feed."`
}

// Reason is the answer of one rule.
type Reason struct {
	Rule    string `json:"rule"`
	Result  string `json:"result" enum:"pass,fail,unknown"`
	Message string `json:"message"`
}

// Counts is what was counted for a verdict.
type Counts struct {
	Critical       *int   `json:"critical"`
	High           *int   `json:"high"`
	Medium         *int   `json:"medium"`
	Low            *int   `json:"low"`
	None           *int   `json:"none"`
	Unscored       *int   `json:"unscored" doc:"Those that nobody has scored: they may be anything."`
	Total          *int   `json:"total"`
	Suppressed     *int   `json:"suppressed" doc:"What VEX suppresses; the others leave it out."`
	Fixable        *int   `json:"fixable" doc:"Those with a fixed version."`
	Packages       *int   `json:"packages"`
	Gaps           *int   `json:"packages_unknown" doc:"Packages of which the advisories could not be told."`
	Raw            *Raw   `json:"raw" doc:"The same as if VEX suppressed nothing; null when that is not known."`
	UnknownBecause string `json:"unknown_because" doc:"Why the counts are null. Empty when they are known."`
}

// Raw are findings by severity, before VEX.
type Raw struct {
	Critical int `json:"critical"`
	High     int `json:"high"`
	Medium   int `json:"medium"`
	Low      int `json:"low"`
	None     int `json:"none"`
	Unscored int `json:"unscored"`
}

// notJudged is the reason of an image that nobody has judged yet.
const notJudged = "the release has not been judged yet"

// VerdictOf converts a verdict; nil is one that is unknown.
func VerdictOf(v *account.Verdict) Verdict {
	if v == nil {
		return Verdict{
			Result:  string(release.ResultUnknown),
			Reasons: []Reason{{"judged", string(release.ResultUnknown), notJudged}},
			Counts:  Counts{UnknownBecause: notJudged},
		}
	}
	converted := Verdict{
		Result: string(result(v.Result)), Reasons: each(v.Reasons, reasonOf), Counts: countsOf(v), Policy: v.Policy, At: moment(v.At),
		Number: &v.Number, Cause: string(v.Cause), Origin: v.Origin,
	}
	if v.Wave != 0 {
		converted.Wave = &v.Wave
	}
	return converted
}

func result(r release.Result) release.Result {
	if r == "" {
		return release.ResultUnknown
	}
	return r
}

func reasonOf(r *release.Reason) Reason { return Reason{r.Rule, string(result(r.Result)), r.Message} }

func countsOf(v *account.Verdict) Counts {
	c := v.Counts
	if !c.Known {
		return Counts{UnknownBecause: WhyUnknown(v)}
	}
	total := c.Total()
	counts := Counts{
		Critical: &c.Critical, High: &c.High, Medium: &c.Medium, Low: &c.Low, None: &c.None, Unscored: &c.Unscored, Total: &total,
		Suppressed: &c.Suppressed, Fixable: &c.Fixable, Packages: &c.Packages, Gaps: &c.Unknown,
	}
	if before, ok := c.BeforeVEX(); ok {
		raw := Raw(before)
		counts.Raw = &raw
	}
	return counts
}

// WhyUnknown is why the findings of a release are not known, or not all of them; empty
// when they are.
func WhyUnknown(v *account.Verdict) string {
	switch {
	case v == nil:
		return notJudged
	case v.Counts.Known:
		return ""
	}
	for _, r := range v.Reasons {
		if result(r.Result) == release.ResultUnknown {
			return r.Message
		}
	}
	return "no SBOM that can be read, or no advisory data for it"
}

// DigestVerdict answers whether an image may be used, for CI and admission.
type DigestVerdict struct {
	Digest  string   `json:"digest"`
	Result  string   `json:"result" enum:"pass,fail,unknown" doc:"The worst of all releases that the digest is known as. Unknown is not a pass."`
	Reasons []Reason `json:"reasons" doc:"Those of the release with the worst result."`
	Counts  Counts   `json:"counts" doc:"Those of the release with the worst result."`
	// AdvisoryData tells how old what was counted with is.
	AdvisoryData DataAge    `json:"advisory_data"`
	Releases     []Judgment `json:"releases" doc:"All releases that the digest is known as, the worst first."`
}

// Judgment is how one of the releases of a digest stands.
type Judgment struct {
	ID         string     `json:"id"`
	Href       string     `json:"href"`
	Repository string     `json:"repository"`
	Version    string     `json:"version"`
	Digest     string     `json:"digest" doc:"Of the image; another than the one asked for when that is a platform's."`
	GoneAt     *time.Time `json:"gone_at"`
	Now        Verdict    `json:"now"`
}

// JudgmentOf converts how a release stands.
func JudgmentOf(s *account.Standing) Judgment {
	ref := RefOf(s)
	return Judgment{
		ID: ID(ref), Href: ReleasePath(ref), Repository: ref.Repository, Version: s.Version,
		Digest: string(s.Image.Digest), GoneAt: moment(s.GoneAt), Now: VerdictOf(s.Now),
	}
}

// KPI has the key figures of a release.
type KPI struct {
	ID             string     `json:"id"`
	Href           string     `json:"href"`
	Version        string     `json:"version"`
	Digest         string     `json:"digest"`
	ReleasedAt     *time.Time `json:"released_at"`
	Result         string     `json:"result" enum:"pass,fail,unknown"`
	BuildDuration  *float64   `json:"build_duration_seconds" doc:"Null when no verified provenance says it."`
	Critical       *int       `json:"critical" doc:"Critical findings now; null when they are not known."`
	High           *int       `json:"high"`
	AtRelease      *int       `json:"critical_at_release" doc:"Critical findings by what was known at release."`
	Size           *int64     `json:"size_bytes"`
	UnknownBecause string     `json:"unknown_because" doc:"Why the counts are null. Empty when they are known."`
}

// KPIOf converts the key figures of a release.
func KPIOf(s *account.Standing) KPI {
	ref, now := RefOf(s), VerdictOf(s.Now)
	k := KPI{
		ID: ID(ref), Href: ReleasePath(ref), Version: s.Version, Digest: string(s.Image.Digest), ReleasedAt: moment(s.ReleasedAt), Result: now.Result,
		Critical: now.Counts.Critical, High: now.Counts.High, AtRelease: VerdictOf(s.AtRelease).Counts.Critical,
		UnknownBecause: now.Counts.UnknownBecause,
	}
	if size := s.Size(); size > 0 {
		k.Size = &size
	}
	if took, ok := s.Build.Duration(); ok {
		k.BuildDuration = seconds(took)
	}
	return k
}

// DataAge tells how old the advisory data are.
type DataAge struct {
	Oldest         *time.Time `json:"oldest_at" doc:"When the oldest feed was last known to be complete; null when one never was."`
	UnknownBecause string     `json:"unknown_because"`
}

// Feed is what is known of the advisories of an ecosystem.
type Feed struct {
	Ecosystem string     `json:"ecosystem"`
	Source    string     `json:"source"`
	Records   int        `json:"records"`
	Newest    *time.Time `json:"newest_at" doc:"When a record last changed, by its own word."`
	SyncedAt  *time.Time `json:"synced_at" doc:"When a fetch last ended well: the age of the data. Null when none did."`
	TriedAt   *time.Time `json:"tried_at"`
	Failure   string     `json:"failure" doc:"Why the latest fetch did not end well. Empty when it did."`
}

// AdvisoryData is what is known of the advisory data.
type AdvisoryData struct {
	DataAge

	Feeds []Feed `json:"feeds"`
}

// DataAgeOf converts the age of advisory data.
func DataAgeOf(d *account.Data) DataAge {
	age := DataAge{Oldest: moment(d.Oldest)}
	switch {
	case age.Oldest != nil:
	case len(d.Feeds) == 0:
		age.UnknownBecause = "there are no advisory data"
	default:
		age.UnknownBecause = "a feed was never complete"
	}
	return age
}

// AdvisoryDataOf converts what is known of the advisory data.
func AdvisoryDataOf(d *account.Data) AdvisoryData {
	return AdvisoryData{DataAgeOf(d), each(d.Feeds, func(f *ledger.Feed) Feed {
		return Feed{f.Ecosystem, f.Source, f.Records, moment(f.Newest), moment(f.SyncedAt), moment(f.TriedAt), f.Reason}
	})}
}
