package tally

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tallyman-io/tallyman/internal/facts"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
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

// Ingest looks through the papers of an image, reads the documents that they carry and
// writes all of it down. What could not be found out is unknown there, and returned as
// an *[UnknownError], for the caller to decide when to look again.
func (t *Tally) Ingest(ctx context.Context, repository string, digest release.Digest) error {
	if !slices.Contains(t.cfg.Repositories, repository) {
		return fmt.Errorf("ingest %s@%s: %w", repository, digest, ErrNotConfigured)
	}
	told := t.follow(ctx, release.StepIngest, repository+"@"+string(digest), "find and verify papers", ingestParts)
	documents, err := t.ingest(ctx, repository, digest, told)
	if !errors.Is(ctx.Err(), context.Canceled) {
		told.end(ctx, fmt.Sprintf("documents: %d", documents), err)
	}
	return err
}

// ingestParts are what progress counts: papers are found and verified, documents read, and
// all of it is written down.
const ingestParts = 3

// ingest returns how many documents there are.
func (t *Tally) ingest(ctx context.Context, repository string, digest release.Digest, told *telling) (int, error) {
	examination, err := t.cfg.Examiner.Examine(ctx, repository, digest)
	if err != nil {
		return 0, fmt.Errorf("ingest: %w", err)
	}
	uploads, err := t.cfg.Ledger.Uploads(ctx, repository, digest)
	if err != nil {
		return 0, fmt.Errorf("ingest: %w", err)
	}
	told.at(ctx, "read documents", 1, ingestParts)
	found := ledger.Examined{
		Examination: examination, Documents: append(facts.Documents(ctx, examination), uploaded(ctx, uploads)...),
		Facts: facts.OfPapers(examination), Build: facts.BuildOf(examination),
	}
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("ingest %s@%s: %w", repository, digest, context.Cause(ctx))
	}
	told.at(ctx, "write down what they say", 2, ingestParts)
	if err := t.cfg.Ledger.RecordExamination(ctx, found); err != nil {
		return 0, fmt.Errorf("ingest: %w", err)
	}
	return len(found.Documents), unknownOf(examination)
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

// uploaded returns the SBOMs that people handed in. Nobody vouches for them but whoever
// was signed in.
func uploaded(ctx context.Context, uploads []ledger.Upload) []release.Document {
	all := make([]release.Document, 0, len(uploads))
	for i := range uploads {
		u := &uploads[i]
		all = append(all, release.Document{
			Subject: u.Subject, Kind: release.PaperSBOM, Digest: facts.DigestOf(u.Content), Content: u.Content,
			Uploaded: u.By, SBOM: facts.ReadSBOM(ctx, u.Content),
		})
	}
	return all
}
