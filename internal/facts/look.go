package facts

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Looked is one look at an image, by somebody who keeps no ledger.
type Looked struct {
	Examination release.Examination
	// Tag is what the image was asked for by, empty when it was not by a tag. A version
	// tag is taken for the release's version.
	Tag string
	// Platforms are those of the image; nil stands for those that the evidence names.
	Platforms []release.Platform
	// Documents are those that count, as [Chosen] returns them.
	Documents []release.Document
}

// Chosen returns the documents that count: for each manifest and kind the verified ones,
// or else the others. It is what the ledger of the worker keeps of a first look.
func Chosen(documents []release.Document) []release.Document {
	type place struct {
		subject release.Digest
		kind    release.PaperKind
	}
	verified := make(map[place]bool)
	for i := range documents {
		d := &documents[i]
		verified[place{d.Subject, d.Kind}] = verified[place{d.Subject, d.Kind}] || d.Verified
	}
	var chosen []release.Document
	for i := range documents {
		if d := &documents[i]; d.Verified == verified[place{d.Subject, d.Kind}] {
			chosen = append(chosen, *d)
		}
	}
	return chosen
}

// Case returns what is known of the image, without packages, as the worker's ledger
// would have it.
func (l *Looked) Case() *ledger.Case {
	e := &l.Examination
	c := &ledger.Case{
		Repository: e.Repository, Digest: e.Digest, Platforms: l.Platforms, Evidence: e.Evidence, Facts: OfPapers(*e),
	}
	if release.KindOfTag(l.Tag) == release.TagVersion {
		c.Versions = []string{l.Tag}
	}
	if c.Platforms == nil {
		c.Platforms = platformsOf(*e)
	}
	for i := range l.Documents {
		c.Documents = append(c.Documents, document(&l.Documents[i]))
	}
	return c
}

// platformsOf are the platforms of an index.
func platformsOf(e release.Examination) []release.Platform {
	var all []release.Platform
	for _, piece := range e.Evidence {
		p := release.PlatformNamed(piece.On)
		if piece.Subject == e.Digest || p.OS == "" || slices.ContainsFunc(all, func(p release.Platform) bool { return p.Digest == piece.Subject }) {
			continue
		}
		p.Digest = piece.Subject
		all = append(all, p)
	}
	return all
}

func document(d *release.Document) ledger.Document {
	out := ledger.Document{Subject: d.Subject, Kind: d.Kind, Digest: d.Digest, Verified: d.Verified, Signer: d.Signer}
	if d.SBOM == nil {
		return out
	}
	var s ledger.Summary
	seen := make(map[string]bool, len(d.SBOM.Packages))
	for i := range d.SBOM.Packages {
		p := &d.SBOM.Packages[i]
		if seen[p.PURL] {
			continue
		}
		seen[p.PURL] = true
		subject, carrier, gap := advisory.IdentifyPURL(p.PURL)
		s.Add(p.PURL, subject, carrier, gap, p.Licences)
	}
	out.Failure, out.Packages, out.Unidentified = d.SBOM.Failure, len(d.SBOM.Packages), d.SBOM.Unidentified
	out.Ecosystems, out.Unmatchable, out.WhyNot, out.Licences = s.Ecosystems, s.Unmatchable, s.WhyNot, s.Licences()
	return out
}

// Contents returns the bytes of the look's documents.
func (l *Looked) Contents(_ context.Context, digest release.Digest) ([]byte, error) {
	for i := range l.Documents {
		if l.Documents[i].Digest == digest {
			return l.Documents[i].Content, nil
		}
	}
	return nil, fmt.Errorf("document %s: not among those that were looked at", digest)
}

// Matcher looks packages up; *advisory.Matcher implements it.
type Matcher interface {
	MatchSubject(s advisory.Subject) (advisory.Result, error)
}

// Match returns the packages of documents that advisories say something of, by purl.
// What the coverage lacks is no gap of a package: the case counts it by ecosystem.
// Findings count as known since their advisory was published, and at the latest since
// now. The error is of the database.
func Match(documents []release.Document, matcher Matcher, coverage advisory.Coverage, now time.Time) ([]ledger.Package, error) {
	seen := make(map[string]bool)
	var all []ledger.Package
	for i := range documents {
		if documents[i].SBOM == nil {
			continue
		}
		for j := range documents[i].SBOM.Packages {
			p := &documents[i].SBOM.Packages[j]
			if seen[p.PURL] {
				continue
			}
			seen[p.PURL] = true
			subject, carrier, gap := advisory.IdentifyPURL(p.PURL)
			if carrier || gap != "" || coverage.Gap(subject) != "" {
				continue
			}
			result, err := matcher.MatchSubject(subject)
			if err != nil {
				return nil, fmt.Errorf("match %s: %w", p.PURL, err)
			}
			if len(result.Matches) > 0 || result.Unknown != "" {
				all = append(all, ledger.Package{PURL: p.PURL, Name: p.Name, Gap: result.Unknown, Findings: findings(result, now)})
			}
		}
	}
	slices.SortFunc(all, func(a, b ledger.Package) int { return strings.Compare(a.PURL, b.PURL) })
	return all, nil
}

// findings merges matches, and takes the earliest of what was merged.
func findings(result advisory.Result, now time.Time) []ledger.Finding {
	since := make(map[string]time.Time, len(result.Matches))
	for i := range result.Matches {
		a := &result.Matches[i].Advisory
		since[a.ID] = now
		if !a.Published.IsZero() && a.Published.Before(now) {
			since[a.ID] = a.Published
		}
	}
	var all []ledger.Finding
	for _, f := range result.Findings() {
		earliest := now
		for _, id := range f.IDs {
			if at := since[id]; at.Before(earliest) {
				earliest = at
			}
		}
		all = append(all, ledger.Finding{Finding: f, Since: earliest})
	}
	return all
}
