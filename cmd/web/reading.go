package main

import (
	"context"
	"slices"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/store"
)

// moment is how old what everybody sees first may be: what a worker writes down is shown
// that much later.
const moment = time.Second

// reading is the store for many readers: what stands on every page, or first, is read
// once for all of them.
type reading struct {
	*store.Store

	components *account.Recent[[]account.Component]
	data       *account.Recent[account.Data]
	queue      *account.Recent[account.Queue]
	progress   *account.Recent[[]ledger.Progress]
	news       *account.Recent[account.List[account.NewFinding]]
}

// newsItems is how many new findings are asked for where nobody says how many.
const newsItems = 50

func newReading(s *store.Store, now func() time.Time) *reading {
	return &reading{
		Store:      s,
		components: account.NewRecent(moment, now, s.Components), data: account.NewRecent(moment, now, s.AdvisoryData),
		queue: account.NewRecent(moment, now, s.Queue), progress: account.NewRecent(moment, now, s.Progress),
		news: account.NewRecent(moment, now, func(ctx context.Context) (account.List[account.NewFinding], error) {
			return s.NewFindings(ctx, account.Page{Limit: newsItems})
		}),
	}
}

// Components is that of the store. The list is the caller's, what is in it is not.
func (r *reading) Components(ctx context.Context) ([]account.Component, error) {
	all, err := r.components.Get(ctx)
	return slices.Clone(all), err
}

// AdvisoryData is that of the store.
func (r *reading) AdvisoryData(ctx context.Context) (account.Data, error) { return r.data.Get(ctx) }

// Queue is that of the store.
func (r *reading) Queue(ctx context.Context) (account.Queue, error) { return r.queue.Get(ctx) }

// Progress is that of the store. The list is the caller's.
func (r *reading) Progress(ctx context.Context) ([]ledger.Progress, error) {
	all, err := r.progress.Get(ctx)
	return slices.Clone(all), err
}

// NewFindings is that of the store.
func (r *reading) NewFindings(ctx context.Context, p account.Page) (account.List[account.NewFinding], error) {
	if p != (account.Page{Limit: newsItems}) {
		return r.Store.NewFindings(ctx, p)
	}
	found, err := r.news.Get(ctx)
	found.Items = slices.Clone(found.Items)
	return found, err
}
