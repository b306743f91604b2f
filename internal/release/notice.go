package release

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// NoticeSchema names the form of a [Notice] in JSON. It gets another number when
// a reader of this one would misread it; new fields do not change it.
const NoticeSchema = "tallyman.notice/v1"

// Notice is one message about one wave of changes: all that follows from one
// cause, however many releases it touches.
type Notice struct {
	Schema string `json:"schema"`
	// ID is the same for the same wave whenever it is told; see [NoticeID].
	ID    string      `json:"id"`
	At    time.Time   `json:"at"`
	Cause NoticeCause `json:"cause"`
	// Releases are those whose verdict changed, and those that are new.
	Releases []VerdictChange  `json:"releases"`
	Findings []FindingChange  `json:"findings"`
	Moves    []Move           `json:"moves"`
	Evidence []EvidenceChange `json:"evidence"`
	// Omitted counts what was cut from the lists.
	Omitted NoticeOmitted `json:"omitted"`
}

// NoticeKind is what set off a wave.
type NoticeKind string

const (
	// NoticeAdvisories: advisories came, changed or were withdrawn.
	NoticeAdvisories NoticeKind = "advisories"
	// NoticeRelease: a release was found.
	NoticeRelease NoticeKind = "release"
	// NoticeEvidence: the papers of a release are not what they were.
	NoticeEvidence NoticeKind = "evidence"
	// NoticeTag: a tag names another digest than before.
	NoticeTag NoticeKind = "tag"
	// NoticePolicy: releases are judged by another policy, or by other VEX files.
	NoticePolicy NoticeKind = "policy"
	// NoticeAge: time passed, and advisory data or a finding grew too old.
	NoticeAge NoticeKind = "age"
)

// NoticeCause is what set off a wave, for machines and for people.
type NoticeCause struct {
	Kind NoticeKind `json:"kind"`
	// Text is one sentence.
	Text string `json:"text"`
}

// VerdictChange is a release whose verdict changed.
type VerdictChange struct {
	Repository string `json:"repository"`
	Version    string `json:"version"`
	Digest     Digest `json:"digest"`
	// Before and After are pass, fail or unknown; Before is "" for a release that
	// was not judged before.
	Before string `json:"before"`
	After  string `json:"after"`
	// Reasons are those of After that are not a pass, a sentence each.
	Reasons []string `json:"reasons"`
}

// Change says what became of a finding.
type Change string

const (
	// ChangeNew: it was not found before.
	ChangeNew Change = "new"
	// ChangeGone: it is no longer found.
	ChangeGone Change = "gone"
	// ChangeChanged: it is found as before, and says something else, such as another
	// severity or a version that fixes it.
	ChangeChanged Change = "changed"
)

// FindingChange is a vulnerability that was found, changed or is gone.
type FindingChange struct {
	// ID is the advisory that the finding is called by; Aliases are its other names.
	ID      string   `json:"id"`
	Aliases []string `json:"aliases"`
	// Severity is critical, high, medium, low, none or unscored.
	Severity string `json:"severity"`
	// PURLs are the packages that have it.
	PURLs  []string `json:"purls"`
	Change Change   `json:"change"`
	// Fixed are the versions that no longer have it, empty when none is known.
	Fixed []string `json:"fixed"`
	// Releases counts the releases that ship one of the packages.
	Releases int `json:"releases"`
}

// EvidenceChange is a piece of evidence whose state changed.
type EvidenceChange struct {
	Repository string    `json:"repository"`
	Version    string    `json:"version"`
	Kind       PaperKind `json:"kind"`
	Before     State     `json:"before"`
	After      State     `json:"after"`
	// Reason is the sentence of the state after.
	Reason string `json:"reason"`
}

// NoticeOmitted counts what a notice leaves out of its lists.
type NoticeOmitted struct {
	Releases int `json:"releases"`
	Findings int `json:"findings"`
	Moves    int `json:"moves"`
	Evidence int `json:"evidence"`
}

// Bounds of a notice.
const (
	// NoticeMost is the most entries of each of a notice's lists.
	NoticeMost = 50
	// noticeItems is the most items of a list within an entry.
	noticeItems = 10
	// noticeText is the most bytes of a text.
	noticeText = 300
)

// NoticeID makes the ID of a notice from what makes its wave the one it is, such
// as the kind of its cause and the digest of the advisory data. Equal parts give
// equal IDs. It holds only letters, digits and underscores.
func NoticeID(parts ...string) string {
	h := sha256.New()
	for _, part := range parts {
		// A hash takes what it is given; the length keeps parts apart.
		_, _ = io.WriteString(h, hex.EncodeToString([]byte(part))+".")
	}
	return "ntc_" + hex.EncodeToString(h.Sum(nil)[:16])
}

// Empty reports whether there is nothing to tell.
func (n Notice) Empty() bool {
	return len(n.Releases)+len(n.Findings)+len(n.Moves)+len(n.Evidence) == 0 && n.Omitted == NoticeOmitted{}
}

// Bounded returns the notice as it is sent: with its schema, what matters most
// first, no list nil or longer than [NoticeMost], no text without end. What is
// cut from the lists is counted in Omitted. n is left as it is.
func (n Notice) Bounded() Notice {
	n.Schema = NoticeSchema
	n.At = n.At.UTC()
	n.Cause.Text = bounded(n.Cause.Text)
	n.Releases = cut(n.Releases, compareReleases, &n.Omitted.Releases)
	for i := range n.Releases {
		r := &n.Releases[i]
		r.Repository, r.Version = bounded(r.Repository), bounded(r.Version)
		r.Reasons = boundedList(r.Reasons)
	}
	n.Findings = cut(n.Findings, compareFindings, &n.Omitted.Findings)
	for i := range n.Findings {
		f := &n.Findings[i]
		f.ID, f.Severity = bounded(f.ID), bounded(f.Severity)
		f.Aliases, f.PURLs, f.Fixed = boundedList(f.Aliases), boundedList(f.PURLs), boundedList(f.Fixed)
	}
	n.Moves = cut(n.Moves, compareMoves, &n.Omitted.Moves)
	for i := range n.Moves {
		m := &n.Moves[i]
		m.Repository, m.Tag = bounded(m.Repository), bounded(m.Tag)
	}
	n.Evidence = cut(n.Evidence, compareEvidence, &n.Omitted.Evidence)
	for i := range n.Evidence {
		e := &n.Evidence[i]
		e.Repository, e.Version, e.Reason = bounded(e.Repository), bounded(e.Version), bounded(e.Reason)
	}
	return n
}

// cut returns a sorted copy of at most [NoticeMost] entries, never nil.
func cut[T any](list []T, compare func(a, b T) int, omitted *int) []T {
	sorted := append(make([]T, 0, len(list)), list...)
	slices.SortStableFunc(sorted, compare)
	most := min(len(sorted), NoticeMost)
	*omitted += len(sorted) - most
	return sorted[:most:most]
}

func boundedList(list []string) []string {
	short := make([]string, 0, min(len(list), noticeItems+1))
	for _, text := range list[:min(len(list), noticeItems)] {
		short = append(short, bounded(text))
	}
	if len(list) > noticeItems {
		short = append(short, "…")
	}
	return short
}

// bounded is a text of at most [noticeText] bytes, an ellipsis included.
func bounded(text string) string {
	const ellipsis = "…"
	if len(text) <= noticeText {
		return text
	}
	end := noticeText - len(ellipsis)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + ellipsis
}

// compareReleases puts what fails before what is unknown and that before what
// passes, and of one repository newer versions before older ones.
func compareReleases(a, b VerdictChange) int {
	return cmp.Or(
		cmp.Compare(resultRank(a.After), resultRank(b.After)),
		strings.Compare(a.Repository, b.Repository),
		CompareVersions(b.Version, a.Version),
		strings.Compare(string(a.Digest), string(b.Digest)),
	)
}

func resultRank(result string) int {
	return slices.Index([]string{"fail", "unknown", "pass"}, result)
}

// compareFindings puts new ones first, and of these the most severe.
func compareFindings(a, b FindingChange) int {
	return cmp.Or(
		cmp.Compare(changeRank(a.Change), changeRank(b.Change)),
		cmp.Compare(severityRank(a.Severity), severityRank(b.Severity)),
		cmp.Compare(b.Releases, a.Releases),
		strings.Compare(a.ID, b.ID),
	)
}

func changeRank(change Change) int {
	return slices.Index([]Change{ChangeNew, ChangeChanged, ChangeGone}, change)
}

// severityRank puts what nobody rated behind high: it may be anything.
func severityRank(severity string) int {
	ranks := []string{"critical", "high", "unscored", "medium", "low", "none"}
	if i := slices.Index(ranks, severity); i >= 0 {
		return i
	}
	return slices.Index(ranks, "unscored")
}

func compareMoves(a, b Move) int {
	rank := func(m Move) int {
		if m.Alarming() {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a.Repository, b.Repository), strings.Compare(a.Tag, b.Tag))
}

// compareEvidence puts what is known to be wrong first.
func compareEvidence(a, b EvidenceChange) int {
	rank := func(s State) int {
		return slices.Index([]State{StateInvalid, StateAbsent, StateUnknown, StateVerified}, s)
	}
	return cmp.Or(
		cmp.Compare(rank(a.After), rank(b.After)),
		strings.Compare(a.Repository, b.Repository),
		CompareVersions(b.Version, a.Version),
		strings.Compare(string(a.Kind), string(b.Kind)),
	)
}
