package account

import (
	"errors"
	"time"

	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

// ErrNotFound says that the tally has nothing under that name. It is no failure of the
// store.
var ErrNotFound = errors.New("not found")

// ErrNotWatched says that a repository is no longer looked at: nobody would do what is
// asked for.
var ErrNotWatched = errors.New("not watched: no worker looks at this repository")

// ErrCursor says that a cursor is not one that a list of this kind gave out.
var ErrCursor = errors.New("cursor: expected one that this list gave, found another text")

// Page says which part of a list is asked for.
type Page struct {
	// After is the cursor of the list before it; empty for the first part.
	After string
	// Limit is the most items, 1 to [MostItems].
	Limit int
	// Oldest: what is oldest comes first, in lists that have no other order than that of
	// time. Those whose query says the order do not look at it.
	Oldest bool
}

// MostItems is the most that one part of a list has.
const MostItems = 500

// List is a part of a list.
type List[T any] struct {
	Items []T
	// Next is the cursor of the next part. Empty when this is the last.
	Next string
	// Total counts all items of the list, -1 when that is not counted.
	Total int
}

// Ref names a release: by its version, or by the digest of its image.
type Ref struct {
	Repository string
	// Name is a version tag or a digest.
	Name string
}

// Component is a repository in the overview.
type Component struct {
	release.Component
	// Latest is how the latest release stands, nil when none is known.
	Latest *Standing
	// Trend are the newest releases, oldest first, the latest among them; pre-releases
	// only where there is nothing else.
	Trend []Standing
}

// Standing is a release and how it stands.
type Standing struct {
	release.Release
	// Key is the store's name of what is known of the image; 0 before its papers were
	// looked at.
	Key int64
	// ReleasedAt is when the image became a release: when it says that it was made, and
	// when it was first seen where it does not say.
	ReleasedAt time.Time
	// GoneAt is when the version was no longer found. Zero while it stands.
	GoneAt time.Time
	// ExaminedAt is the latest look at its papers. Zero before the first.
	ExaminedAt time.Time
	// Build is what verified provenance says of the build, nil when none does.
	Build *release.Build
	// Evidence is the state of each kind for the image as a whole. A kind that is not in
	// it is unknown.
	Evidence map[release.PaperKind]release.State
	// Now and AtRelease are nil before the image was judged. In lists of many releases
	// they have no reasons.
	Now, AtRelease *Verdict
}

// Size is what a pull of the largest platform transfers, in bytes; 0 when no platform
// is known.
func (s *Standing) Size() int64 {
	var most int64
	for _, p := range s.Image.Platforms {
		most = max(most, p.CompressedSize)
	}
	return most
}

// Verdict is a verdict with what was counted for it.
type Verdict struct {
	release.Verdict
	// Number counts the verdicts on an image; 0 is the one at release.
	Number int
	Counts ledger.Counts
	// Wave is what led to it: 0 and "" for the verdict at release.
	Wave   int64
	Cause  release.WaveCause
	Origin string
	// Before is the verdict before it, of those of a history; nil for the first.
	Before *Verdict
}

// Release is everything that is told of one image at once. Its lists of findings and
// packages are read apart, in parts, and so is what is older of its history.
type Release struct {
	Standing
	// Versions are all version tags that name the image now, newest first, and Tags all
	// other tags that do.
	Versions []string
	Tags     []string
	// Pieces are the pieces of evidence with their papers: for each kind, for the index
	// and each platform.
	Pieces []Piece
	// Verdicts is the newest part of the history, newest first; the one at release is the last
	// of all.
	Verdicts List[Verdict]
	// Changes is the newest part of the changes of evidence, newest first, and Moves that of
	// those from one state to another.
	Changes, Moves List[EvidenceChange]
	Documents      []Document
	// Layers has the layers of each platform, none where they were not recorded.
	Layers []Layers
	// Licences are the distinct licences, as the SBOMs write them.
	Licences []string
	// Rebuilders are those of [release.Rebuilders].
	Rebuilders []string
}

// Piece is what is known of the papers of one kind about one manifest.
type Piece struct {
	Kind    release.PaperKind
	Subject release.Digest
	// On is "index" or the platform.
	On     string
	State  release.State
	Reason string
	// Since is when it came to this state.
	Since time.Time
	// Known is the latest state that was not unknown, and KnownAt when it was found; empty
	// and zero when there never was one.
	Known   release.State
	KnownAt time.Time
	Papers  []ledger.Paper
}

// EvidenceChange is a change of the state of a piece of evidence.
type EvidenceChange struct {
	At      time.Time
	Kind    release.PaperKind
	Subject release.Digest
	// Before is empty for the first state.
	Before, After release.State
	Reason        string
}

// ChangeQuery chooses changes of evidence.
type ChangeQuery struct {
	// Moved: only those from one state to another, not the first states.
	Moved bool
}

// Document is a document that counts for an image, or was attached to it.
type Document struct {
	Kind    release.PaperKind
	Subject release.Digest
	// On is "index" or the platform that it is about.
	On       string
	Digest   release.Digest
	Verified bool
	Signer   string
	// Uploaded names who handed it in, empty for one that was found in the registry.
	Uploaded string
	Size     int64
	// Of an SBOM:
	Format       string
	Version      string
	Packages     int
	Unidentified int
	Failure      string
}

// Occurrence says when a finding applies to a release.
type Occurrence string

const (
	// Then: it was known when the image became a release, and still stands.
	Then Occurrence = "then"
	// Since: it became known after the release, and stands.
	Since Occurrence = "since"
	// Gone: it was found once, and the advisory no longer says so.
	Gone Occurrence = "gone"
)

// Finding is a vulnerability of a package of a release.
type Finding struct {
	// ID is what it is called by, IDs all advisories that were merged into it, Aliases
	// further names.
	ID       string
	IDs      []string
	Aliases  []string
	Summary  string
	Severity Severity
	PURL     string
	// Package and PackageVersion are the words of the SBOM.
	Package        string
	PackageVersion string
	Ecosystem      string
	Fixed          []string
	// Why explains it: the advisory, the range and the comparison.
	Why string
	// Published is when the first of its advisories was published, Known when the tally
	// first had the finding. Zero when not known.
	Published, Known time.Time
	// GoneAt is when it was no longer found. Zero while it stands.
	GoneAt     time.Time
	Occurrence Occurrence
	// Statement is what VEX says of it, nil when nothing does.
	Statement *Statement
}

// Suppressed reports whether the finding does not count.
func (f *Finding) Suppressed() bool { return f.Statement != nil && f.Statement.Suppresses }

// Severity is how bad a finding is.
type Severity struct {
	// Level is critical, high, medium, low, none or unscored.
	Level string
	// Score is the CVSS base score, 0 also when there is none. By is the notation of the
	// score, such as CVSS_V3, or "rated" where a database gave a word; empty when nobody
	// rated it.
	Score float64
	By    string
	// Through is the alias whose severity it is. Empty when it is the finding's own.
	Through string
}

// Statement is a VEX statement that holds for a finding of an image.
type Statement struct {
	Status        string
	Justification string
	Impact        string
	Action        string
	Author        string
	// Origin is the paper or the file that it is from, for people.
	Origin     string
	At         time.Time
	Suppresses bool
}

// FindingQuery chooses findings of a release.
type FindingQuery struct {
	// Severity is a level; empty for all.
	Severity string
	// Show is "open" (those that count), "suppressed", "gone" or "" for all of them.
	Show string
	// Text is part of an id, alias or package name.
	Text string
	// Sort is severity (the default), package, id or known; a minus before it reverses.
	Sort string
}

// Package is a package of a release.
type Package struct {
	PURL     string
	Name     string
	Version  string
	Licences []string
	// Gap is why not all that advisories say of it can be told. Empty when it can.
	Gap string
	// Findings counts the findings that stand, Worst is the worst of their levels.
	Findings int
	Worst    string
}

// PackageQuery chooses packages of a release.
type PackageQuery struct {
	// Text is part of the name or purl, Licence a licence as the SBOM writes it.
	Text    string
	Licence string
	// Subject is the manifest whose SBOM is read; empty for all of them.
	Subject release.Digest
	// Sort is name (the default), version or findings, those with the most first; a minus
	// before it reverses.
	Sort string
}

// ReleaseQuery chooses releases.
type ReleaseQuery struct {
	// Repository is empty for all.
	Repository string
	// Sort is "version" (the default where a repository is named: the newest version
	// first) or "seen" (those first seen last come first; the only one without a
	// repository); a minus before it reverses.
	Sort string
	// Result is that of the verdict now; empty for all.
	Result release.Result
}

// RepairsOf is of how many of the newest releases of a component repairs are told. What was
// there only before them is not known to have been.
const RepairsOf = 50

// Repair is a critical vulnerability of a component, from when it was known in a release
// to the first release without it.
type Repair struct {
	ID string
	// From is the first release that had it, KnownAt when it was known there: when the
	// advisory was published, or the release made, whichever came later.
	From    string
	KnownAt time.Time
	// In is the first later release without it, FixedAt when that was made; empty and zero
	// while there is none.
	In      string
	FixedAt time.Time
}

// NewFinding is a finding that came up in releases that were there already.
type NewFinding struct {
	release.FindingChange
	At   time.Time
	Wave int64
}
