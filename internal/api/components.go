package api

import (
	"context"
	"errors"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/api/wire"
	"github.com/tallyman-io/tallyman/internal/release"
)

// listed is an answer with a part of a list.
func listed(p *wire.Part) *answer { return &answer{body: p, next: p.Next} }

func (p *page) account() account.Page { return account.Page{After: p.Cursor, Limit: p.Limit} }

func (h *hits) account() account.Page {
	return account.Page{After: h.Cursor, Limit: h.Limit, Oldest: h.Sort == "-seen"}
}

func (p *inTime) account() account.Page {
	return account.Page{After: p.Cursor, Limit: p.Limit, Oldest: p.Sort == "-at"}
}

func (c *ofComponent) repository() string { return wire.Repository(c.Repository) }

func (r *ofRelease) ref() account.Ref { return account.Ref{Repository: r.repository(), Name: r.Name} }

func (a *API) components(ctx context.Context, in *page) (*answer, error) {
	all, err := a.cfg.Store.Components(ctx)
	if err != nil {
		return nil, err
	}
	now := a.cfg.Now()
	return partOf(part(in, "components", all, componentKey, func(c *account.Component) wire.Component { return wire.ComponentOf(c, now) }))
}

// componentKey has the order of components: those that are watched are first.
func componentKey(c *account.Component) string {
	if c.Watched {
		return "0" + c.Repository
	}
	return "1" + c.Repository
}

func (a *API) component(ctx context.Context, in *ofComponent) (*answer, error) {
	c, err := a.findComponent(ctx, in)
	if err != nil {
		return nil, err
	}
	return &answer{body: wire.ComponentOf(&c, a.cfg.Now())}, nil
}

// findComponent reads a component; one that is not there is a problem that names it.
func (a *API) findComponent(ctx context.Context, in *ofComponent) (account.Component, error) {
	c, err := a.cfg.Store.Component(ctx, in.repository())
	if errors.Is(err, account.ErrNotFound) {
		return c, notFound("component", "path.repository", in.repository())
	}
	return c, err
}

type releasesOfComponent struct {
	ofComponent
	page

	Result string `query:"result" enum:"pass,fail,unknown" doc:"Only those whose verdict now is this."`
	Sort   string `query:"sort" enum:"version,-version,seen,-seen" doc:"version, the newest first, is the default; seen: those first seen last first; a minus reverses."`
}

func (a *API) componentReleases(ctx context.Context, in *releasesOfComponent) (*answer, error) {
	found, err := a.releasesOf(ctx, in)
	if err != nil {
		return nil, err
	}
	return listed(wire.ListOf(found, wire.ReleaseOf)), nil
}

func (a *API) kpis(ctx context.Context, in *releasesOfComponent) (*answer, error) {
	found, err := a.releasesOf(ctx, in)
	if err != nil {
		return nil, err
	}
	return listed(wire.ListOf(found, wire.KPIOf)), nil
}

// releasesOf reads releases of a component. Only when there are none does it find out
// whether there is such a component.
func (a *API) releasesOf(ctx context.Context, in *releasesOfComponent) (account.List[account.Standing], error) {
	found, err := a.cfg.Store.Releases(ctx, account.ReleaseQuery{
		Repository: in.repository(), Sort: in.Sort, Result: release.Result(in.Result),
	}, in.account())
	if err == nil && len(found.Items) == 0 {
		_, err = a.findComponent(ctx, &in.ofComponent)
	}
	return found, err
}

type repairsOfComponent struct {
	ofComponent
	page
}

func (a *API) repairs(ctx context.Context, in *repairsOfComponent) (*answer, error) {
	if _, err := a.findComponent(ctx, &in.ofComponent); err != nil {
		return nil, err
	}
	all, err := a.cfg.Store.Repairs(ctx, in.repository())
	if err != nil {
		return nil, err
	}
	return partOf(part(&in.page, "repairs", all, func(r *account.Repair) string { return r.ID + " " + r.From }, wire.RepairOf))
}

type allReleases struct {
	page

	Result string `query:"result" enum:"pass,fail,unknown" doc:"Only those whose verdict now is this."`
	Sort   string `query:"sort" enum:"seen,-seen" default:"seen" doc:"seen: those first seen last first; a minus reverses."`
}

func (a *API) releases(ctx context.Context, in *allReleases) (*answer, error) {
	found, err := a.cfg.Store.Releases(ctx, account.ReleaseQuery{Sort: in.Sort, Result: release.Result(in.Result)}, in.account())
	if err != nil {
		return nil, err
	}
	return listed(wire.ListOf(found, wire.ReleaseOf)), nil
}
