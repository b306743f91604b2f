package tally

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/sbom"
)

// Examiner looks through the papers of an image; *evidence.Examiner implements it.
type Examiner interface {
	Examine(ctx context.Context, repository string, digest release.Digest) (release.Examination, error)
}

// UnknownError says that part of what was looked for could not be found out. The rest
// is written down.
type UnknownError struct {
	Cause  release.Cause
	Reason string
	// RetryAfter is how long the registry asks to be left alone, 0 when it does not say.
	RetryAfter time.Duration
}

func (e *UnknownError) Error() string { return e.Reason }

// maxPackages bounds how many packages of one SBOM are taken in.
const maxPackages = 200_000

// Ingest looks through the papers of an image, reads the documents that they carry and
// writes all of it down. What could not be found out is unknown there, and returned as
// an *[UnknownError], for the caller to decide when to look again.
func (t *Tally) Ingest(ctx context.Context, repository string, digest release.Digest) error {
	if !slices.Contains(t.cfg.Repositories, repository) {
		return fmt.Errorf("ingest %s@%s: %w", repository, digest, ErrNotConfigured)
	}
	examination, err := t.cfg.Examiner.Examine(ctx, repository, digest)
	if err != nil {
		return fmt.Errorf("ingest: %w", err)
	}
	uploads, err := t.cfg.Ledger.Uploads(ctx, repository, digest)
	if err != nil {
		return fmt.Errorf("ingest: %w", err)
	}
	found := ledger.Examined{
		Examination: examination, Documents: append(documents(ctx, examination), uploaded(ctx, uploads)...),
		Facts: factsOf(examination), Build: buildOf(examination),
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("ingest %s@%s: %w", repository, digest, context.Cause(ctx))
	}
	if err := t.cfg.Ledger.RecordExamination(ctx, found); err != nil {
		return fmt.Errorf("ingest: %w", err)
	}
	return unknownOf(examination)
}

// unknownOf is the first gap of an examination that may close when it is tried again.
func unknownOf(examination release.Examination) error {
	for _, g := range examination.Gaps {
		if g.Cause != "" {
			return &UnknownError{Cause: g.Cause, Reason: g.Reason, RetryAfter: g.RetryAfter}
		}
	}
	return nil
}

// documents returns what papers carry, except those that claim a signer and do not
// hold. What is not verified is marked so.
func documents(ctx context.Context, examination release.Examination) []release.Document {
	var all []release.Document
	for _, e := range examination.Evidence {
		for i := range e.Papers {
			p := &e.Papers[i]
			if p.Document == nil || p.State == release.StateInvalid && !p.Unsigned {
				continue
			}
			d := release.Document{
				Subject: e.Subject, Kind: e.Kind, Digest: digestOf(p.Document), Content: p.Document,
				Verified: p.State == release.StateVerified, Signer: p.Signer.String(),
			}
			if e.Kind == release.PaperSBOM {
				d.SBOM = ReadSBOM(ctx, p.Document)
			}
			all = append(all, d)
		}
	}
	return all
}

// uploaded returns the SBOMs that people handed in. Nobody vouches for them but whoever
// was signed in.
func uploaded(ctx context.Context, uploads []ledger.Upload) []release.Document {
	all := make([]release.Document, 0, len(uploads))
	for i := range uploads {
		u := &uploads[i]
		all = append(all, release.Document{
			Subject: u.Subject, Kind: release.PaperSBOM, Digest: digestOf(u.Content), Content: u.Content,
			Uploaded: u.By, SBOM: ReadSBOM(ctx, u.Content),
		})
	}
	return all
}

func digestOf(content []byte) release.Digest {
	sum := sha256.Sum256(content)
	return release.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// ReadSBOM reads an SBOM. One that cannot be read to its end says so, and lists
// nothing: half a list would pass for a whole one.
func ReadSBOM(ctx context.Context, content []byte) *release.SBOM {
	s := new(release.SBOM)
	document, err := func() (sbom.Document, error) {
		in, err := sbom.Open(bytes.NewReader(content))
		if err != nil {
			return sbom.Document{}, err
		}
		defer in.Close()
		return sbom.Read(interruptible{ctx, in}, func(p release.Package) error {
			if len(s.Packages) >= maxPackages {
				return fmt.Errorf("expected at most %d packages, found more", maxPackages)
			}
			s.Packages = append(s.Packages, p)
			return nil
		})
	}()
	s.Format, s.Version, s.Unidentified = string(document.Format), document.Version, document.Unidentified
	if err != nil {
		s.Failure, s.Packages = err.Error(), nil
	}
	return s
}

// interruptible is a reader that ends with its context.
type interruptible struct {
	ctx context.Context //nolint:containedctx // it lives as long as one call
	in  io.Reader
}

func (r interruptible) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.in.Read(p) //nolint:wrapcheck // a reader
}
