package api

import (
	"context"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/grant"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Store is what the API reads and asks for; *store.Store implements it. What is not there
// is [account.ErrNotFound], a cursor that no list gave out [account.ErrCursor]; any other
// error is a failure of the store.
type Store interface {
	Components(ctx context.Context) ([]account.Component, error)
	Component(ctx context.Context, repository string) (account.Component, error)
	Releases(ctx context.Context, q account.ReleaseQuery, p account.Page) (account.List[account.Standing], error)
	Release(ctx context.Context, ref account.Ref) (account.Release, error)
	Findings(ctx context.Context, key int64, q account.FindingQuery, p account.Page) (account.List[account.Finding], error)
	Packages(ctx context.Context, key int64, q account.PackageQuery, p account.Page) (account.List[account.Package], error)
	// Verdicts and EvidenceChanges return the history of an image, newest first.
	Verdicts(ctx context.Context, key int64, p account.Page) (account.List[account.Verdict], error)
	EvidenceChanges(ctx context.Context, key int64, q account.ChangeQuery, p account.Page) (account.List[account.EvidenceChange], error)
	Compare(ctx context.Context, from, to account.Ref, pages account.ComparePages) (account.Comparison, error)
	Search(ctx context.Context, term string, p account.Page) (account.Found, error)
	AdvisoryData(ctx context.Context) (account.Data, error)
	Advisories(ctx context.Context, q account.AdvisoryQuery, p account.Page) (account.List[account.Advisory], error)
	Advisory(ctx context.Context, id string) (account.AdvisoryDetail, error)
	AdvisoryReleases(ctx context.Context, id string, p account.Page) (account.List[account.Hit], error)
	Activity(ctx context.Context, p account.Page) (account.List[account.Wave], error)
	WaveDetail(ctx context.Context, id int64, p account.WavePages) (account.WaveDetail, error)
	// Progress is that of the jobs that run, and of those that ended last:
	// [account.MostProgress] at most. ProgressOf is that of the jobs about an image and
	// about its repository.
	Progress(ctx context.Context) ([]ledger.Progress, error)
	ProgressOf(ctx context.Context, repository string, digest release.Digest) ([]ledger.Progress, error)
	Queue(ctx context.Context) (account.Queue, error)
	// Document returns a document with its bytes.
	Document(ctx context.Context, digest release.Digest) (account.Document, []byte, error)
	// Judged returns the releases of the image that a digest names, by its own digest or
	// that of one of its platforms.
	Judged(ctx context.Context, digest release.Digest) ([]account.Standing, error)
	Repairs(ctx context.Context, repository string) ([]account.Repair, error)
	NewFindings(ctx context.Context, p account.Page) (account.List[account.NewFinding], error)
	// Dossier returns how the dossier of the papers of an image stands.
	Dossier(ctx context.Context, repository string, digest release.Digest) (account.Dossier, error)
	// DossierPart returns a part of the file of a dossier, counted from 0.
	DossierPart(ctx context.Context, id int64, number int) ([]byte, error)
	// Ask asks the worker for a look, or for a dossier.
	Ask(ctx context.Context, r account.Request) error
	// Asked is the latest request for a look at an image, or at the repository where no
	// digest is given.
	Asked(ctx context.Context, repository string, digest release.Digest) (account.Asked, error)
	// Watched returns the repositories that are looked at.
	Watched(ctx context.Context) ([]string, error)
	// Announce asks for a look at repositories that a registry tells of.
	Announce(ctx context.Context, a account.Announcement) error
	// HandIn keeps an SBOM that somebody hands in.
	HandIn(ctx context.Context, u account.Upload) error
	// Audit and Tokens return parts of them by key; 501 items at most.
	Audit(ctx context.Context, p grant.Page) ([]grant.Entry, error)
	Tokens(ctx context.Context, p grant.Page) ([]grant.Token, error)
}
