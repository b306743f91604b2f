// Package scan tells which known vulnerabilities are in documents: it reads SBOMs,
// matches their packages against an advisory database, and says what it could not
// tell. It is the engine of `tallyman scan`.
package scan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/sbom"
	"github.com/tallyman-io/tallyman/internal/vex"
)

// Finding is a finding of one package of a document.
type Finding struct {
	advisory.Finding

	// PURL is the document's, byte for byte.
	PURL string
	// Name is what the document calls the package, which may differ from the
	// name that the advisory uses.
	Name string
	// Entries are the places of the document where the purl stands.
	Entries Entries
	// Also are the other purls of the document that stand for the same thing: the
	// binary packages of one source package. The finding is told once.
	Also []string
	// Repeated: another SBOM of the same manifest has the finding too, and was before
	// this one.
	Repeated bool
	// VEX is the statement that holds for the finding, nil when there is none.
	VEX *vex.Statement
	// Suppressed: the statement says that the finding does not count.
	Suppressed bool
}

// Entries are the places of a document where one purl stands: the first, and how
// many there are.
type Entries struct {
	First string
	Count int
}

func (e Entries) String() string {
	if e.Count > 1 {
		return fmt.Sprintf("%s and %d more", e.First, e.Count-1)
	}
	return e.First
}

// Unknown is a package of which the advisories could not be told, or not all.
type Unknown struct {
	PURL    string
	Name    string
	Reason  string
	Entries Entries
	// Repeated is as that of [Finding].
	Repeated bool
}

// Document is what was found in one document.
type Document struct {
	Source string
	// Err is why the document could not be read. Nothing is set then of what it says.
	Err error
	// Paper is set for an SBOM that travels with an image.
	Paper *Paper
	// Refused is why such an SBOM was not read; it says nothing about the image then.
	Refused  string
	SBOM     sbom.Document
	Findings []Finding
	Unknown  []Unknown
}

// Scanner scans documents against one database.
type Scanner struct {
	DB *advisory.Database
	// Past is the database as of a day, to look back; nil for what it says now.
	Past *advisory.Past
	// Stdin is what the source "-" reads.
	Stdin io.Reader
	// VEX is what is said of the findings; nil is nothing.
	VEX *vex.Set
	// Image is what the documents describe, for the statements about images.
	Image vex.Image
	// At is when statements have to hold.
	At time.Time
}

// Files scans the files, several at once, and returns their documents in order. A
// file that cannot be read is a document with an error; it does not hide the
// others. The error is of the database or the context.
func (s *Scanner) Files(ctx context.Context, files []string) ([]Document, error) {
	return s.each(ctx, len(files), func(ctx context.Context, matcher *advisory.Matcher, i int) (Document, error) {
		return s.file(ctx, matcher, files[i])
	})
}

// each makes n documents, several at once, and returns them in order.
func (s *Scanner) each(ctx context.Context, n int, read func(context.Context, *advisory.Matcher, int) (Document, error)) ([]Document, error) {
	documents := make([]Document, n)
	next := make(chan int)
	group, ctx := errgroup.WithContext(ctx)
	for range min(runtime.GOMAXPROCS(0), n) {
		group.Go(func() error {
			matcher := s.matcher()
			for i := range next {
				var err error
				if documents[i], err = read(ctx, matcher, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	group.Go(func() error {
		defer close(next)
		for i := range n {
			select {
			case next <- i:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("scan: %w", err)
	}
	return documents, nil
}

func (s *Scanner) matcher() *advisory.Matcher {
	if s.Past != nil {
		return s.Past.Matcher()
	}
	return advisory.NewMatcher(s.DB)
}

func (s *Scanner) file(ctx context.Context, matcher *advisory.Matcher, name string) (Document, error) {
	in := io.NopCloser(s.Stdin)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return Document{Source: name, Err: err}, nil
		}
		in = f
	}
	defer in.Close()
	document, err := Read(ctx, matcher, name, in)
	if err == nil {
		document.apply(s.VEX, s.Image, s.At)
	}
	return document, err
}

// apply looks up what is said of each finding, and holds at a time.
func (d *Document) apply(set *vex.Set, image vex.Image, at time.Time) {
	if set == nil {
		return
	}
	for i := range d.Findings {
		f := &d.Findings[i]
		statement, suppressed := set.Apply(image, vex.Finding{
			Names: slices.Concat(f.IDs, f.Aliases),
			PURLs: append([]string{f.PURL}, f.Also...),
		}, at)
		if statement.Status != "" {
			f.VEX, f.Suppressed = &statement, suppressed
		}
	}
}

// databaseError marks a failure of the database among those of a document.
type databaseError struct{ error }

func (e databaseError) Unwrap() error { return e.error }

// Read scans one document.
func Read(ctx context.Context, matcher *advisory.Matcher, source string, in io.Reader) (Document, error) {
	failed := func(err error) (Document, error) {
		var broken databaseError
		if errors.As(err, &broken) {
			return Document{}, broken.error
		}
		return Document{Source: source, Err: err}, ctx.Err()
	}
	text, err := sbom.Open(in)
	if err != nil {
		return failed(err)
	}
	defer text.Close()
	c := collector{matcher: matcher, seen: make(map[string]*hits), things: make(map[thing]*hits)}
	document, err := sbom.Read(text, func(p release.Package) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		return c.add(p)
	})
	if err != nil {
		return failed(err)
	}
	findings, unknown := c.results()
	return Document{Source: source, SBOM: document, Findings: findings, Unknown: unknown}, nil
}

// hits is what is known of one purl.
type hits struct {
	entries  Entries
	name     string
	findings []advisory.Finding
	unknown  string
	also     []string
}

// thing is what advisories speak of; several purls of a document may stand for it.
type thing struct{ ecosystem, name, version string }

func (h *hits) where() string {
	if len(h.also) == 0 {
		return h.entries.String()
	}
	return h.entries.String() + ", also as " + strings.Join(h.also, ", ")
}

type collector struct {
	matcher *advisory.Matcher
	seen    map[string]*hits
	things  map[thing]*hits
	order   []string // purls with findings or something unknown
}

func (c *collector) add(p release.Package) error {
	if h, ok := c.seen[p.PURL]; ok {
		if h != nil {
			h.entries.Count++
		}
		return nil
	}
	result, err := c.matcher.Match(p.PURL)
	if err != nil {
		return databaseError{err}
	}
	if len(result.Matches) == 0 && result.Unknown == "" {
		c.seen[p.PURL] = nil
		return nil
	}
	h := &hits{entries: Entries{First: p.Entry, Count: 1}, name: p.Name, unknown: result.Unknown}
	c.seen[p.PURL] = h
	if len(result.Matches) > 0 {
		what := thing{result.Matches[0].Ecosystem, result.Subject.Name, result.Subject.Version}
		if first := c.things[what]; first != nil {
			first.also = append(first.also, p.PURL)
		} else {
			c.things[what] = h
			h.findings = result.Findings()
		}
	}
	c.order = append(c.order, p.PURL)
	return nil
}

// results are the worst first, and then by package, so that equal documents give
// equal answers.
func (c *collector) results() ([]Finding, []Unknown) {
	var findings []Finding
	var unknown []Unknown
	for _, purl := range c.order {
		h := c.seen[purl]
		for _, f := range h.findings {
			f.Why += ". In the SBOM: " + h.where()
			findings = append(findings, Finding{Finding: f, PURL: purl, Name: h.name, Entries: h.entries, Also: h.also})
		}
		if h.unknown != "" {
			unknown = append(unknown, Unknown{PURL: purl, Name: h.name, Reason: h.unknown, Entries: h.entries})
		}
	}
	slices.SortStableFunc(findings, func(a, b Finding) int {
		if a.Severity.Level != b.Severity.Level {
			return int(b.Severity.Level) - int(a.Severity.Level)
		}
		if c := strings.Compare(a.PURL, b.PURL); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return findings, unknown
}
