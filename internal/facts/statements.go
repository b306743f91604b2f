package facts

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/vex"
)

// Statements are what VEX documents say of the findings of the cases of a wave: those
// of files, and the verified ones that lie beside an image.
type Statements struct {
	files []vex.Document
	// read are documents of images by digest and subject, nil for one that cannot be
	// read, which suppresses nothing.
	read map[statementKey]*vex.Document
	// of are the statements for an image, by its digest.
	of map[release.Digest]*vex.Set
}

type statementKey struct {
	document, subject release.Digest
	signer            string
}

// NewStatements returns the statements of files, which hold for every image that they
// name.
func NewStatements(files []vex.Document) *Statements {
	return &Statements{files: files, read: make(map[statementKey]*vex.Document), of: make(map[release.Digest]*vex.Set)}
}

// Contents is where the bytes of documents are, by digest.
type Contents func(ctx context.Context, digest release.Digest) ([]byte, error)

// Prepare reads the verified VEX documents of a case.
func (s *Statements) Prepare(ctx context.Context, contents Contents, c *ledger.Case) error {
	documents := slices.Clone(s.files)
	for i := range c.Documents {
		d := &c.Documents[i]
		if d.Kind != release.PaperVEX || !d.Verified {
			continue
		}
		key := statementKey{d.Digest, d.Subject, d.Signer}
		document, known := s.read[key]
		if !known {
			content, err := contents(ctx, d.Digest)
			if err != nil {
				return err
			}
			origin := vex.Origin{Paper: d.Digest, Signer: release.Signer{Key: d.Signer}}
			if parsed, err := vex.Parse(content, origin, d.Subject); err == nil {
				document = &parsed
			}
			s.read[key] = document
		}
		if document != nil {
			documents = append(documents, *document)
		}
	}
	s.of[c.Digest] = vex.NewSet(documents...)
	return nil
}

// Statement returns the statement that holds at a time for a finding of an image, and
// whether it suppresses the finding.
func (s *Statements) Statement(c *ledger.Case, purl string, found *advisory.Finding, at time.Time) (vex.Statement, bool) {
	set := s.of[c.Digest]
	if len(set.Documents()) == 0 {
		return vex.Statement{}, false
	}
	image := vex.Image{Repository: c.Repository, Digest: c.Digest}
	if len(c.Versions) > 0 {
		image.Tag = c.Versions[0]
	}
	for _, p := range c.Platforms {
		image.Platforms = append(image.Platforms, vex.Platform{Digest: p.Digest, Architecture: p.Architecture})
	}
	return set.Apply(image, vex.Finding{Names: slices.Concat(found.IDs, found.Aliases), PURLs: []string{purl}}, at)
}

// Applied returns the statements that hold at a time for the findings of a case, for people
// to see. What is to be done about one that expired is to renew it, or to do without.
func (s *Statements) Applied(c *ledger.Case, at time.Time) []ledger.Statement {
	if len(s.of[c.Digest].Documents()) == 0 {
		return nil
	}
	var all []ledger.Statement
	for i := range c.Packages {
		p := &c.Packages[i]
		for j := range p.Findings {
			found := &p.Findings[j].Finding
			holds, suppresses := s.Statement(c, p.PURL, found, at)
			if holds.Status == "" {
				continue
			}
			all = append(all, ledger.Statement{
				Package: p.Key, Finding: found.ID, Status: string(holds.Status), Justification: string(holds.Justification),
				Impact: holds.Impact, Action: cmp.Or(holds.Ended(), holds.Action), Author: holds.Author, Origin: holds.Origin.String(), At: holds.Timestamp,
				Suppresses: suppresses,
			})
		}
	}
	return all
}
