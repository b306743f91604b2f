package wire

import (
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Component is a repository.
type Component struct {
	ID             string     `json:"id" doc:"The repository. Stable." example:"ghcr.io/acme/web"`
	Href           string     `json:"href"`
	Repository     string     `json:"repository"`
	Watched        bool       `json:"watched" doc:"False once the repository is no longer configured; what was found stays, and ages."`
	LookEvery      *float64   `json:"look_every_seconds"`
	LastLook       *Look      `json:"last_look" doc:"Null before the first."`
	LastComplete   *time.Time `json:"last_complete_at" doc:"When a look last read the repository to its end; null when none did."`
	Releases       *int       `json:"releases" doc:"How many version tags stand; null when the repository was never read to its end."`
	UnknownBecause string     `json:"unknown_because" doc:"Why the state of the component is not known. Empty when it is."`
	Latest         *Release   `json:"latest" doc:"The latest release; null when none is known."`
	Trend          []KPI      `json:"trend" doc:"The newest releases, oldest first."`
}

// Look is one visit to a repository.
type Look struct {
	At      *time.Time `json:"at"`
	Outcome string     `json:"outcome" enum:"complete,unknown"`
	Cause   string     `json:"cause"`
	Reason  string     `json:"reason"`
}

// ComponentOf converts a component, as it is known at the time.
func ComponentOf(c *account.Component, now time.Time) Component {
	count := c.Releases
	converted := Component{
		ID: c.Repository, Href: ComponentPath(c.Repository), Repository: c.Repository, Watched: c.Watched,
		LastComplete: moment(c.LastComplete), UnknownBecause: c.Unknown(now), Trend: each(c.Trend, KPIOf),
	}
	if c.LookEvery > 0 {
		converted.LookEvery = seconds(c.LookEvery)
	}
	if l := c.LastLook; l != nil {
		converted.LastLook = &Look{moment(l.At), string(l.Outcome), string(l.Cause), l.Reason}
	}
	if !c.LastComplete.IsZero() {
		converted.Releases = &count
	}
	if c.Latest != nil {
		latest := ReleaseOf(c.Latest)
		converted.Latest = &latest
	}
	return converted
}

// Repair is a critical vulnerability of a component, and when it was fixed.
type Repair struct {
	Advisory string     `json:"advisory"`
	From     string     `json:"from" doc:"The first release that had it."`
	KnownAt  *time.Time `json:"known_at" doc:"When it was known there."`
	In       string     `json:"fixed_in" doc:"The first later release without it; empty while there is none."`
	FixedAt  *time.Time `json:"fixed_at"`
	Took     *float64   `json:"took_seconds" doc:"From known_at to fixed_at; null while it is open."`
}

// RepairOf converts a repair.
func RepairOf(r *account.Repair) Repair {
	converted := Repair{Advisory: r.ID, From: r.From, KnownAt: moment(r.KnownAt), In: r.In, FixedAt: moment(r.FixedAt)}
	if !r.KnownAt.IsZero() && !r.FixedAt.IsZero() {
		converted.Took = seconds(r.FixedAt.Sub(r.KnownAt))
	}
	return converted
}

// Comparison is what differs between two releases.
type Comparison struct {
	From         Release        `json:"from"`
	To           Release        `json:"to"`
	Packages     PackageChanges `json:"packages"`
	Fixed        []Finding      `json:"fixed" doc:"Findings that only from has."`
	Introduced   []Finding      `json:"introduced" doc:"Findings that only to has."`
	Common       *int           `json:"common" doc:"How many findings both have; null when the packages of one are not known."`
	LicencesGone []string       `json:"licences_gone"`
	LicencesNew  []string       `json:"licences_new"`
	Sizes        []SizeChange   `json:"sizes"`
	FromSigners  []string       `json:"from_signers"`
	ToSigners    []string       `json:"to_signers"`
}

// PackageChanges are the packages that differ, in parts of lists by name; the numbers count
// all.
type PackageChanges struct {
	Added          []PackageChange `json:"added"`
	AddedCount     *int            `json:"added_count"`
	AddedNext      string          `json:"added_next" doc:"The added_cursor of the next part. Empty when this is the last."`
	Removed        []PackageChange `json:"removed"`
	RemovedCount   *int            `json:"removed_count"`
	RemovedNext    string          `json:"removed_next" doc:"The removed_cursor of the next part. Empty when this is the last."`
	Changed        []PackageChange `json:"changed"`
	ChangedCount   *int            `json:"changed_count"`
	ChangedNext    string          `json:"changed_next" doc:"The changed_cursor of the next part. Empty when this is the last."`
	Same           *int            `json:"same_count"`
	UnknownBecause string          `json:"unknown_because" doc:"Why the packages of one of them are not known. Empty when they are."`
}

// PackageChange is a package whose versions differ.
type PackageChange struct {
	Package string   `json:"package" doc:"The purl without a version."`
	From    []string `json:"from" doc:"The versions; empty where it is not there."`
	To      []string `json:"to"`
}

// SizeChange is the size of a platform in both releases.
type SizeChange struct {
	Platform string `json:"platform"`
	From     *int64 `json:"from_bytes" doc:"Null where the platform is not there."`
	To       *int64 `json:"to_bytes"`
}

// ComparisonOf converts a comparison.
func ComparisonOf(c *account.Comparison) Comparison {
	p := &c.Packages
	converted := Comparison{
		From: ReleaseOf(&c.From), To: ReleaseOf(&c.To),
		Packages: PackageChanges{
			Added: each(p.Added.Items, packageChangeOf), AddedNext: p.Added.Next,
			Removed: each(p.Removed.Items, packageChangeOf), RemovedNext: p.Removed.Next,
			Changed: each(p.Changed.Items, packageChangeOf), ChangedNext: p.Changed.Next,
			UnknownBecause: p.Unknown,
		},
		Fixed: each(c.Fixed, FindingOf), Introduced: each(c.Introduced, FindingOf),
		LicencesGone: texts(c.LicencesGone), LicencesNew: texts(c.LicencesNew),
		Sizes: each(c.Sizes, sizeChangeOf), FromSigners: texts(c.FromSigners), ToSigners: texts(c.ToSigners),
	}
	if p.Unknown == "" {
		converted.Packages.AddedCount, converted.Packages.RemovedCount = &p.Added.Total, &p.Removed.Total
		converted.Packages.ChangedCount, converted.Packages.Same = &p.Changed.Total, &p.Same
		converted.Common = &c.Common
	}
	return converted
}

func packageChangeOf(p *account.PackageChange) PackageChange {
	return PackageChange{p.Package, texts(p.From), texts(p.To)}
}

func sizeChangeOf(s *account.SizeChange) SizeChange {
	known := func(n *int64) *int64 {
		if *n < 0 {
			return nil
		}
		return n
	}
	return SizeChange{s.Platform, known(&s.From), known(&s.To)}
}

// Hit is a release that a search found.
type Hit struct {
	Release

	Matches []string `json:"matches" doc:"The packages or advisories by which it was found, at most a few."`
}

// HitOf converts a release that was found.
func HitOf(h *account.Hit) Hit { return Hit{ReleaseOf(&h.Standing), texts(h.Matches)} }

// Found is what a search found.
type Found struct {
	List[Hit]

	Kind     string    `json:"kind" enum:"digest,advisory,package,release" doc:"What the term was taken for."`
	Advisory *Advisory `json:"advisory" doc:"What an id names; null when no feed has it."`
}

// FoundOf converts what a search found.
func FoundOf(f *account.Found) Found {
	part := ListOf(account.List[account.Hit]{Next: f.Next, Total: f.Total}, HitOf)
	found := Found{List: List[Hit]{each(f.Items, HitOf), part.Next, part.Total, f.Unknown}, Kind: string(f.Kind)}
	if f.Advisory != nil {
		advisory := AdvisoryOf(f.Advisory)
		found.Advisory = &advisory
	}
	return found
}

// Wave is something that came in, and what it did.
type Wave struct {
	ID       int64      `json:"id"`
	Href     string     `json:"href"`
	Cause    string     `json:"cause" enum:"release,evidence,advisories,policy,tag"`
	Origin   string     `json:"origin" doc:"A repository, or the ecosystem of a feed."`
	At       *time.Time `json:"at"`
	SealedAt *time.Time `json:"sealed_at" doc:"When it was complete."`
	JudgedAt *time.Time `json:"judged_at" doc:"When all that it touched had been judged."`
	Images   int        `json:"images" doc:"How many images it touched."`
	New      int        `json:"findings_new"`
	Gone     int        `json:"findings_gone"`
	Changed  int        `json:"findings_changed"`
	Verdicts int        `json:"verdicts_changed"`
}

// WaveDetail is a wave with parts of the lists of what it did.
type WaveDetail struct {
	Wave

	Findings      []FindingChange   `json:"findings" doc:"One for each advisory and change: those that are new first, and of them the worst."`
	FindingsTotal int               `json:"findings_total" doc:"How many the whole list has."`
	FindingsNext  string            `json:"findings_next" doc:"The findings_cursor of the next part. Empty when this is the last."`
	Changes       []VerdictChange   `json:"verdicts" doc:"Of results that changed, fails first."`
	ChangesTotal  int               `json:"verdicts_total" doc:"How many the whole list has."`
	ChangesNext   string            `json:"verdicts_next" doc:"The verdicts_cursor of the next part. Empty when this is the last."`
	Evidence      []EvidenceOutcome `json:"evidence" doc:"What set off a wave of evidence, in the order in which it was found."`
	EvidenceTotal int               `json:"evidence_total" doc:"How many the whole list has."`
	EvidenceNext  string            `json:"evidence_next" doc:"The evidence_cursor of the next part. Empty when this is the last."`
}

// VerdictChange is a release whose verdict changed.
type VerdictChange struct {
	ID      string   `json:"id"`
	Href    string   `json:"href"`
	Digest  string   `json:"digest"`
	Before  string   `json:"before" doc:"Empty for a release that was not judged before."`
	After   string   `json:"after"`
	Reasons []string `json:"reasons" doc:"Those of the verdict after that are not a pass."`
}

// EvidenceOutcome is a piece of evidence whose state changed in a wave.
type EvidenceOutcome struct {
	ID     string `json:"id"`
	Href   string `json:"href"`
	Kind   string `json:"kind"`
	Before string `json:"before"`
	After  string `json:"after"`
	Reason string `json:"reason"`
}

// WaveOf converts a wave.
func WaveOf(w *account.Wave) Wave {
	return Wave{
		ID: w.ID, Href: wavePath(w.ID), Cause: string(w.Cause), Origin: w.Origin, At: moment(w.At),
		SealedAt: moment(w.SealedAt), JudgedAt: moment(w.JudgedAt), Images: w.Images, New: w.New, Gone: w.Gone,
		Changed: w.Changed, Verdicts: w.Verdicts,
	}
}

// WaveDetailOf converts a wave with parts of the lists of what it did.
func WaveDetailOf(w *account.WaveDetail) WaveDetail {
	return WaveDetail{
		WaveOf(&w.Wave), each(w.Findings.Items, FindingChangeOf), w.Findings.Total, w.Findings.Next,
		each(w.Changes.Items, func(v *release.VerdictChange) VerdictChange {
			ref := refOf(v.Repository, v.Version, v.Digest)
			return VerdictChange{ID(ref), ReleasePath(ref), string(v.Digest), v.Before, v.After, texts(v.Reasons)}
		}), w.Changes.Total, w.Changes.Next,
		each(w.Evidence.Items, func(e *release.EvidenceChange) EvidenceOutcome {
			ref := account.Ref{Repository: e.Repository, Name: e.Version}
			return EvidenceOutcome{ID(ref), ReleasePath(ref), string(e.Kind), string(e.Before), string(e.After), e.Reason}
		}), w.Evidence.Total, w.Evidence.Next,
	}
}

func refOf(repository, version string, digest release.Digest) account.Ref {
	if version == "" {
		version = string(digest)
	}
	return account.Ref{Repository: repository, Name: version}
}
