package console

import (
	"context"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Store is what the console reads, and the one thing that it asks for; *store.Store
// implements it. What is not there is [account.ErrNotFound], a cursor of another list
// [account.ErrCursor]; every other error is a failure of the store.
type Store interface {
	releaseStore
	advisoryStore
	activityStore

	// Components returns all components, those that are watched first, each group by
	// name.
	Components(ctx context.Context) ([]account.Component, error)
	Component(ctx context.Context, repository string) (account.Component, error)
	Search(ctx context.Context, term string, p account.Page) (account.Found, error)
}

// releaseStore is what is known of releases.
type releaseStore interface {
	Releases(ctx context.Context, q account.ReleaseQuery, p account.Page) (account.List[account.Standing], error)
	Release(ctx context.Context, ref account.Ref) (account.Release, error)
	// Before is the version before another that still stands, empty where there is none.
	Before(ctx context.Context, repository, version string) (string, error)
	Findings(ctx context.Context, key int64, q account.FindingQuery, p account.Page) (account.List[account.Finding], error)
	Packages(ctx context.Context, key int64, q account.PackageQuery, p account.Page) (account.List[account.Package], error)
	// Verdicts and EvidenceChanges return the history of an image, newest first.
	Verdicts(ctx context.Context, key int64, p account.Page) (account.List[account.Verdict], error)
	EvidenceChanges(ctx context.Context, key int64, q account.ChangeQuery, p account.Page) (account.List[account.EvidenceChange], error)
	Compare(ctx context.Context, from, to account.Ref, pages account.ComparePages) (account.Comparison, error)
	// Document returns a document as it was found, byte for byte.
	Document(ctx context.Context, d release.Digest) (account.Document, []byte, error)
	// Repairs are those of the critical vulnerabilities of a component.
	Repairs(ctx context.Context, repository string) ([]account.Repair, error)
	// Dossier is how the dossier of the papers of an image stands.
	Dossier(ctx context.Context, repository string, digest release.Digest) (account.Dossier, error)
	// Ask hands a request to the worker.
	Ask(ctx context.Context, r account.Request) error
}

// advisoryStore is what is known of advisories.
type advisoryStore interface {
	AdvisoryData(ctx context.Context) (account.Data, error)
	Advisories(ctx context.Context, q account.AdvisoryQuery, p account.Page) (account.List[account.Advisory], error)
	Advisory(ctx context.Context, id string) (account.AdvisoryDetail, error)
	AdvisoryReleases(ctx context.Context, id string, p account.Page) (account.List[account.Hit], error)
}

// activityStore is what came in, and what is being done.
type activityStore interface {
	Activity(ctx context.Context, p account.Page) (account.List[account.Wave], error)
	WaveDetail(ctx context.Context, id int64, p account.WavePages) (account.WaveDetail, error)
	Progress(ctx context.Context) ([]ledger.Progress, error)
	Queue(ctx context.Context) (account.Queue, error)
	// Asked is the latest request for a look at an image, or at the repository where no
	// digest is given.
	Asked(ctx context.Context, repository string, digest release.Digest) (account.Asked, error)
}
