package wire

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Finding is a vulnerability of a package of a release.
type Finding struct {
	ID          string     `json:"id" example:"GO-2024-2687"`
	IDs         []string   `json:"ids" doc:"All advisories that were merged into it."`
	Aliases     []string   `json:"aliases"`
	Summary     string     `json:"summary"`
	Severity    Severity   `json:"severity"`
	PURL        string     `json:"purl"`
	Package     string     `json:"package"`
	Version     string     `json:"package_version"`
	Ecosystem   string     `json:"ecosystem"`
	Fixed       []string   `json:"fixed" doc:"The versions that fix it; empty when none is known."`
	Why         string     `json:"why" doc:"The advisory, the range and the comparison."`
	PublishedAt *time.Time `json:"published_at"`
	KnownAt     *time.Time `json:"known_at" doc:"When the tally first had it."`
	GoneAt      *time.Time `json:"gone_at" doc:"When it was no longer found; null while it stands."`
	Occurrence  string     `json:"occurrence" enum:"then,since,gone" doc:"then: known at release; since: known later; gone: the advisory no longer says so."`
	Suppressed  bool       `json:"suppressed" doc:"VEX says that it does not count."`
	Statement   *Statement `json:"statement" doc:"The VEX statement that holds for it; null when there is none."`
}

// Severity is how bad a finding is.
type Severity struct {
	Level   string   `json:"level" enum:"critical,high,medium,low,none,unscored"`
	Score   *float64 `json:"score" doc:"The CVSS base score; null when there is none."`
	By      string   `json:"by" doc:"The notation of the score, as CVSS_V3, or rated where a database gave a word. Empty when nobody rated it."`
	Through string   `json:"through" doc:"The alias whose severity it is. Empty when it is its own."`
}

// Statement is a VEX statement.
type Statement struct {
	Status        string     `json:"status"`
	Justification string     `json:"justification"`
	Impact        string     `json:"impact_statement"`
	Action        string     `json:"action_statement"`
	Author        string     `json:"author"`
	Origin        string     `json:"origin" doc:"The paper or file that it is from."`
	At            *time.Time `json:"at"`
	Suppresses    bool       `json:"suppresses"`
}

// FindingOf converts a finding.
func FindingOf(f *account.Finding) Finding {
	converted := Finding{
		ID: f.ID, IDs: texts(f.IDs), Aliases: texts(f.Aliases), Summary: f.Summary, Severity: SeverityOf(&f.Severity),
		PURL: f.PURL, Package: f.Package, Version: f.PackageVersion, Ecosystem: f.Ecosystem, Fixed: texts(f.Fixed), Why: f.Why,
		PublishedAt: moment(f.Published), KnownAt: moment(f.Known), GoneAt: moment(f.GoneAt), Occurrence: string(f.Occurrence),
		Suppressed: f.Suppressed(),
	}
	if converted.Occurrence == "" {
		converted.Occurrence = string(account.Since)
	}
	if s := f.Statement; s != nil {
		converted.Statement = &Statement{s.Status, s.Justification, s.Impact, s.Action, s.Author, s.Origin, moment(s.At), s.Suppresses}
	}
	return converted
}

// SeverityOf converts a severity.
func SeverityOf(s *account.Severity) Severity {
	converted := Severity{Level: s.Level, By: s.By, Through: s.Through}
	if converted.Level == "" {
		converted.Level = "unscored"
	}
	// 0 is a score of its own where a notation says so.
	if s.Score > 0 || strings.HasPrefix(s.By, "CVSS") {
		converted.Score = &s.Score
	}
	return converted
}

// Package is a package of a release.
type Package struct {
	PURL     string   `json:"purl"`
	Name     string   `json:"name"`
	Version  string   `json:"version"`
	Licences []string `json:"licences" doc:"As the SBOM writes them."`
	Findings *int     `json:"findings" doc:"How many findings stand; null when that is not known."`
	Worst    string   `json:"worst" doc:"The worst of their levels. Empty when there are none."`
	// Gap says why Findings is null.
	Gap string `json:"unknown_because" doc:"Why not all that advisories say of it can be told. Empty when it can."`
}

// PackageOf converts a package.
func PackageOf(p *account.Package) Package {
	converted := Package{PURL: p.PURL, Name: p.Name, Version: p.Version, Licences: texts(p.Licences), Worst: p.Worst, Gap: p.Gap}
	if p.Gap == "" {
		converted.Findings = &p.Findings
	}
	return converted
}

// Advisory is an advisory in lists.
type Advisory struct {
	ID          string     `json:"id" example:"GO-2024-2687"`
	Href        string     `json:"href"`
	Ecosystem   string     `json:"ecosystem"`
	Aliases     []string   `json:"aliases"`
	Summary     string     `json:"summary"`
	Severity    Severity   `json:"severity"`
	PublishedAt *time.Time `json:"published_at"`
	ModifiedAt  *time.Time `json:"modified_at"`
	WithdrawnAt *time.Time `json:"withdrawn_at"`
	FirstSeen   *time.Time `json:"first_seen_at"`
	GoneAt      *time.Time `json:"gone_at" doc:"When its feed no longer had it."`
	Packages    *int       `json:"packages" doc:"How many packages it is found in; null when they were not counted."`
	Images      *int       `json:"images" doc:"How many images ship them; null when they were not counted."`
}

// AdvisoryOf converts an advisory.
func AdvisoryOf(a *account.Advisory) Advisory {
	counted := func(n *int) *int {
		if *n < 0 {
			return nil
		}
		return n
	}
	return Advisory{
		ID: a.ID, Href: AdvisoryPath(a.ID), Ecosystem: a.Ecosystem, Aliases: texts(a.Aliases), Summary: a.Summary,
		Severity: SeverityOf(&a.Severity), PublishedAt: moment(a.Published), ModifiedAt: moment(a.Modified), WithdrawnAt: moment(a.Withdrawn),
		FirstSeen: moment(a.FirstSeen), GoneAt: moment(a.GoneAt), Packages: counted(&a.Packages), Images: counted(&a.Images),
	}
}

// AdvisoryDetail is an advisory with all that is kept of it.
type AdvisoryDetail struct {
	Advisory

	Record   json.RawMessage   `json:"record" doc:"The OSV record as the feed has it; null when it is no JSON."`
	Versions []AdvisoryVersion `json:"versions" doc:"The versions of the record that were seen, newest first."`
}

// AdvisoryVersion is a version of a record.
type AdvisoryVersion struct {
	FirstSeen   *time.Time `json:"first_seen_at"`
	ModifiedAt  *time.Time `json:"modified_at"`
	WithdrawnAt *time.Time `json:"withdrawn_at"`
	Until       *time.Time `json:"until" doc:"When another took its place; null for the one that counts."`
}

// AdvisoryDetailOf converts an advisory with all that is kept of it.
func AdvisoryDetailOf(a *account.AdvisoryDetail) AdvisoryDetail {
	detail := AdvisoryDetail{Advisory: AdvisoryOf(&a.Advisory), Versions: each(a.Versions, func(v *account.AdvisoryVersion) AdvisoryVersion {
		return AdvisoryVersion{moment(v.FirstSeen), moment(v.Modified), moment(v.Withdrawn), moment(v.Until)}
	})}
	if json.Valid(a.Raw) {
		detail.Record = a.Raw
	}
	return detail
}

// FindingChange is a vulnerability that was found, changed or is gone.
type FindingChange struct {
	ID       string   `json:"id"`
	Aliases  []string `json:"aliases"`
	Severity string   `json:"severity"`
	PURLs    []string `json:"purls"`
	Change   string   `json:"change" enum:"new,gone,changed"`
	Fixed    []string `json:"fixed"`
	Releases int      `json:"releases" doc:"How many releases ship one of the packages."`
}

// FindingChangeOf converts a change of a finding.
func FindingChangeOf(c *release.FindingChange) FindingChange {
	return FindingChange{c.ID, texts(c.Aliases), c.Severity, texts(c.PURLs), string(c.Change), texts(c.Fixed), c.Releases}
}

// NewFinding is a finding that came up in releases that were there already.
type NewFinding struct {
	FindingChange

	At   *time.Time `json:"at"`
	Wave int64      `json:"wave"`
}

// NewFindingOf converts a new finding.
func NewFindingOf(n *account.NewFinding) NewFinding {
	return NewFinding{FindingChangeOf(&n.FindingChange), moment(n.At), n.Wave}
}

// Progress is how far a job is.
type Progress struct {
	Step      string     `json:"step" enum:"discover,ingest,sync,judge,notify,dossier"`
	Subject   string     `json:"subject"`
	Done      int64      `json:"done"`
	Total     *int64     `json:"total" doc:"Null while nobody knows."`
	Note      string     `json:"note"`
	Ended     bool       `json:"ended"`
	Failure   string     `json:"failure" doc:"Why it did not end well. Empty when it did, or runs."`
	StartedAt *time.Time `json:"started_at"`
	UpdatedAt *time.Time `json:"updated_at"`
}

// ProgressOf converts how far a job is.
func ProgressOf(p *ledger.Progress) Progress {
	converted := Progress{
		Step: string(p.Step), Subject: p.Subject, Done: p.Done, Note: p.Note, Ended: p.Ended, Failure: p.Failure,
		StartedAt: moment(p.StartedAt), UpdatedAt: moment(p.UpdatedAt),
	}
	if p.Total > 0 {
		converted.Total = &p.Total
	}
	return converted
}

// Queue counts the jobs by state.
type Queue struct {
	Waiting  int `json:"waiting"`
	Running  int `json:"running"`
	Retrying int `json:"retrying"`
	Failed   int `json:"failed"`
	Workers  int `json:"workers" doc:"How many processes are alive that do jobs."`
}

func wavePath(id int64) string { return Base + "/waves/" + strconv.FormatInt(id, 10) }
