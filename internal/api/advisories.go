package api

import (
	"context"
	"errors"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/api/wire"
)

func (a *API) feeds(ctx context.Context, _ *nothing) (*answer, error) {
	data, err := a.cfg.Store.AdvisoryData(ctx)
	if err != nil {
		return nil, err
	}
	return &answer{body: wire.AdvisoryDataOf(&data)}, nil
}

type advisoryFilter struct {
	page

	Ecosystem string `query:"ecosystem" maxLength:"100" example:"Go" doc:"Only this ecosystem."`
	Severity  string `query:"severity" enum:"critical,high,medium,low,none,unscored" doc:"Only this level."`
	Found     bool   `query:"found" doc:"Only those that are found in a package."`
	Sort      string `query:"sort" enum:"modified,-modified,published,-published,id,-id" doc:"modified is the default, which puts the newest first, as published does; a minus reverses."`
}

func (a *API) advisories(ctx context.Context, in *advisoryFilter) (*answer, error) {
	found, err := a.cfg.Store.Advisories(ctx, account.AdvisoryQuery{
		Ecosystem: in.Ecosystem, Severity: in.Severity, Found: in.Found, Sort: in.Sort,
	}, in.account())
	if err != nil {
		return nil, err
	}
	return listed(wire.ListOf(found, wire.AdvisoryOf)), nil
}

type ofAdvisory struct {
	ID string `path:"id" maxLength:"200" example:"GO-2024-2687" doc:"What OSV calls it, or an alias of that."`
}

func (a *API) advisory(ctx context.Context, in *ofAdvisory) (*answer, error) {
	found, err := a.cfg.Store.Advisory(ctx, in.ID)
	if err != nil {
		return nil, in.orMissing(err)
	}
	return &answer{body: wire.AdvisoryDetailOf(&found)}, nil
}

func (in *ofAdvisory) orMissing(err error) error {
	if errors.Is(err, account.ErrNotFound) {
		return notFound("advisory", "path.id", in.ID)
	}
	return err
}

type releasesOfAdvisory struct {
	ofAdvisory
	hits
}

func (a *API) advisoryReleases(ctx context.Context, in *releasesOfAdvisory) (*answer, error) {
	found, err := a.cfg.Store.AdvisoryReleases(ctx, in.ID, in.account())
	if err != nil {
		return nil, in.orMissing(err)
	}
	return listed(wire.ListOf(found, wire.HitOf)), nil
}

func (a *API) newFindings(ctx context.Context, in *inTime) (*answer, error) {
	found, err := a.cfg.Store.NewFindings(ctx, in.account())
	if err != nil {
		return nil, err
	}
	return listed(wire.ListOf(found, wire.NewFindingOf)), nil
}
