package main

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/store"
)

const (
	// moment is how old what is shown of one thing may be: what a worker writes down is shown
	// that much later.
	moment = time.Second
	// within is how old what is shown of all releases may be: who finds it older than a
	// moment gets it, and has it read for those after him.
	within = 5 * time.Second
	// keptReads is of how many things of a kind what was read is kept for that long.
	keptReads = 32
)

// reading is the store for many readers: who asks for the same within a moment gets what
// was read once, and what is of all releases is read ahead. What somebody hands in here he
// sees at once.
type reading struct {
	*store.Store

	components *account.Recent[[]account.Component]
	data       *account.Recent[account.Data]
	queue      *account.Recent[account.Queue]
	progress   *account.Recent[[]ledger.Progress]

	component *account.Recents[string, account.Component]
	repairs   *account.Recents[string, []account.Repair]
	releases  *account.Recents[about[struct{}, account.ReleaseQuery], account.List[account.Standing]]
	release   *account.Recents[account.Ref, account.Release]
	judged    *account.Recents[release.Digest, []account.Standing]
	findings  *account.Recents[about[int64, account.FindingQuery], account.List[account.Finding]]
	packages  *account.Recents[about[int64, account.PackageQuery], account.List[account.Package]]
	compare   *account.Recents[comparing, account.Comparison]
	search    *account.Recents[about[string, struct{}], account.Found]

	advisories *account.Recents[about[struct{}, account.AdvisoryQuery], account.List[account.Advisory]]
	affected   *account.Recents[about[string, struct{}], account.List[account.Hit]]
	activity   *account.Recents[account.Page, account.List[account.Wave]]
	news       *account.Recents[account.Page, account.List[account.NewFinding]]

	// ahead are the reads that nobody waits for.
	ahead sync.WaitGroup
	log   zerolog.Logger
}

// about is what is asked for: a page of what a query chooses of a subject.
type about[S, Q comparable] struct {
	subject S
	query   Q
	page    account.Page
}

// comparing is which two releases are compared, and which parts of what differs are asked for.
type comparing struct {
	from, to account.Ref
	pages    account.ComparePages
}

func newReading(s *store.Store, log zerolog.Logger, now func() time.Time) *reading {
	r := &reading{
		Store: s, log: log,
		queue: account.NewRecent(moment, now, s.Queue), progress: account.NewRecent(moment, now, s.Progress),
		component: shared(now, s.Component), repairs: shared(now, s.Repairs), release: shared(now, s.Release), judged: shared(now, s.Judged),
		releases: shared(now, func(ctx context.Context, a about[struct{}, account.ReleaseQuery]) (account.List[account.Standing], error) {
			return s.Releases(ctx, a.query, a.page)
		}),
		findings: shared(now, func(ctx context.Context, a about[int64, account.FindingQuery]) (account.List[account.Finding], error) {
			return s.Findings(ctx, a.subject, a.query, a.page)
		}),
		packages: shared(now, func(ctx context.Context, a about[int64, account.PackageQuery]) (account.List[account.Package], error) {
			return s.Packages(ctx, a.subject, a.query, a.page)
		}),
		compare: shared(now, func(ctx context.Context, of comparing) (account.Comparison, error) {
			return s.Compare(ctx, of.from, of.to, of.pages)
		}),
		search: shared(now, func(ctx context.Context, a about[string, struct{}]) (account.Found, error) {
			return s.Search(ctx, a.subject, a.page)
		}),
		affected: shared(now, func(ctx context.Context, a about[string, struct{}]) (account.List[account.Hit], error) {
			return s.AdvisoryReleases(ctx, a.subject, a.page)
		}),
	}
	// What is of all releases.
	r.components = account.NewRecent(moment, now, s.Components).Ahead(within, r.beside)
	r.data = account.NewRecent(moment, now, s.AdvisoryData).Ahead(within, r.beside)
	r.activity, r.news = shared(now, s.Activity).Ahead(within, r.beside), shared(now, s.NewFindings).Ahead(within, r.beside)
	r.advisories = shared(now, func(ctx context.Context, a about[struct{}, account.AdvisoryQuery]) (account.List[account.Advisory], error) {
		return s.Advisories(ctx, a.query, a.page)
	}).Ahead(within, r.beside)
	return r
}

// beside runs a read that nobody waits for. A panic is logged, as it is in a request.
func (r *reading) beside(read func()) {
	r.ahead.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				r.log.Error().Interface("panic", p).Bytes("stack", debug.Stack()).Msg("a read ahead panicked")
			}
		}()
		read()
	})
}

// close waits for the reads that nobody waits for.
func (r *reading) close(ctx context.Context) error {
	ended := make(chan struct{})
	go func() { // ends when they do, which each bounds
		defer close(ended)
		r.ahead.Wait()
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for reads: %w", context.Cause(ctx))
	}
}

func shared[K comparable, T any](now func() time.Time, read func(context.Context, K) (T, error)) *account.Recents[K, T] {
	return account.NewRecents(moment, keptReads, now, read)
}

// HandIn is that of the store. What was read of releases before is forgotten.
func (r *reading) HandIn(ctx context.Context, u account.Upload) error {
	err := r.Store.HandIn(ctx, u)
	r.release.Forget()
	return err
}

// Components is that of the store. The list is the caller's, what is in it is not. So it
// is with what the others return.
func (r *reading) Components(ctx context.Context) ([]account.Component, error) {
	all, err := r.components.Get(ctx)
	return slices.Clone(all), err
}

// AdvisoryData is that of the store.
func (r *reading) AdvisoryData(ctx context.Context) (account.Data, error) { return r.data.Get(ctx) }

// Queue is that of the store.
func (r *reading) Queue(ctx context.Context) (account.Queue, error) { return r.queue.Get(ctx) }

// Progress is that of the store.
func (r *reading) Progress(ctx context.Context) ([]ledger.Progress, error) {
	all, err := r.progress.Get(ctx)
	return slices.Clone(all), err
}

// Component is that of the store.
func (r *reading) Component(ctx context.Context, repository string) (account.Component, error) {
	return r.component.Get(ctx, repository)
}

// Repairs is that of the store.
func (r *reading) Repairs(ctx context.Context, repository string) ([]account.Repair, error) {
	all, err := r.repairs.Get(ctx, repository)
	return slices.Clone(all), err
}

// Releases is that of the store.
func (r *reading) Releases(ctx context.Context, q account.ReleaseQuery, p account.Page) (account.List[account.Standing], error) {
	return listed(r.releases.Get(ctx, about[struct{}, account.ReleaseQuery]{query: q, page: p}))
}

// Release is that of the store.
func (r *reading) Release(ctx context.Context, ref account.Ref) (account.Release, error) {
	return r.release.Get(ctx, ref)
}

// Judged is that of the store.
func (r *reading) Judged(ctx context.Context, digest release.Digest) ([]account.Standing, error) {
	all, err := r.judged.Get(ctx, digest)
	return slices.Clone(all), err
}

// Findings is that of the store.
func (r *reading) Findings(ctx context.Context, key int64, q account.FindingQuery, p account.Page) (account.List[account.Finding], error) {
	return listed(r.findings.Get(ctx, about[int64, account.FindingQuery]{key, q, p}))
}

// Packages is that of the store.
func (r *reading) Packages(ctx context.Context, key int64, q account.PackageQuery, p account.Page) (account.List[account.Package], error) {
	return listed(r.packages.Get(ctx, about[int64, account.PackageQuery]{key, q, p}))
}

// Compare is that of the store.
func (r *reading) Compare(ctx context.Context, from, to account.Ref, pages account.ComparePages) (account.Comparison, error) {
	return r.compare.Get(ctx, comparing{from, to, pages})
}

// Search is that of the store.
func (r *reading) Search(ctx context.Context, term string, p account.Page) (account.Found, error) {
	found, err := r.search.Get(ctx, about[string, struct{}]{subject: term, page: p})
	found.Items = slices.Clone(found.Items)
	return found, err
}

// Advisories is that of the store.
func (r *reading) Advisories(ctx context.Context, q account.AdvisoryQuery, p account.Page) (account.List[account.Advisory], error) {
	return listed(r.advisories.Get(ctx, about[struct{}, account.AdvisoryQuery]{query: q, page: p}))
}

// AdvisoryReleases is that of the store.
func (r *reading) AdvisoryReleases(ctx context.Context, id string, p account.Page) (account.List[account.Hit], error) {
	return listed(r.affected.Get(ctx, about[string, struct{}]{subject: id, page: p}))
}

// Activity is that of the store.
func (r *reading) Activity(ctx context.Context, p account.Page) (account.List[account.Wave], error) {
	return listed(r.activity.Get(ctx, p))
}

// NewFindings is that of the store.
func (r *reading) NewFindings(ctx context.Context, p account.Page) (account.List[account.NewFinding], error) {
	return listed(r.news.Get(ctx, p))
}

func listed[T any](l account.List[T], err error) (account.List[T], error) {
	l.Items = slices.Clone(l.Items)
	return l, err
}
