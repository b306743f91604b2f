package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/api/wire"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

func (a *API) activity(ctx context.Context, in *inTime) (*answer, error) {
	found, err := a.cfg.Store.Activity(ctx, in.account())
	if err != nil {
		return nil, err
	}
	return listed(wire.ListOf(found, wire.WaveOf)), nil
}

type ofWave struct {
	ID       int64  `path:"id" minimum:"1" example:"17"`
	Findings string `query:"findings_cursor" maxLength:"1000" doc:"Where the findings go on: findings_next of the answer before."`
	Verdicts string `query:"verdicts_cursor" maxLength:"1000" doc:"Where the verdicts go on: verdicts_next of the answer before."`
	Evidence string `query:"evidence_cursor" maxLength:"1000" doc:"Where the evidence goes on: evidence_next of the answer before."`
	Limit    int    `query:"limit" minimum:"1" maximum:"500" default:"20" doc:"The most items of each list."`
}

func (a *API) wave(ctx context.Context, in *ofWave) (*answer, error) {
	found, err := a.cfg.Store.WaveDetail(ctx, in.ID, account.WavePages{
		Findings: account.Page{After: in.Findings, Limit: in.Limit}, Verdicts: account.Page{After: in.Verdicts, Limit: in.Limit},
		Evidence: account.Page{After: in.Evidence, Limit: in.Limit},
	})
	switch {
	case errors.Is(err, account.ErrNotFound):
		return nil, notFound("wave", "path.id", strconv.FormatInt(in.ID, 10))
	case errors.Is(err, account.ErrCursor):
		return nil, otherCursor()
	case err != nil:
		return nil, err
	}
	return &answer{body: wire.WaveDetailOf(&found)}, nil
}

// otherCursor is the problem of a cursor that none of several lists gave.
func otherCursor() *problem {
	return invalid(mistake{"query", "cursors that these lists gave", "another text"})
}

type ofJobs struct {
	page

	Release string `query:"release" maxLength:"400" example:"ghcr.io/acme/web:v1.4.0" doc:"Only jobs about this release and its repository: repository:version or repository@digest."`
}

func (a *API) progress(ctx context.Context, in *ofJobs) (*answer, error) {
	all, err := a.jobs(ctx, in)
	if err != nil {
		return nil, err
	}
	l, err := part(&in.page, "progress", all, func(p *ledger.Progress) string { return string(p.Step) + " " + p.Subject }, wire.ProgressOf)
	if err != nil {
		return nil, err
	}
	if in.Release == "" && len(all) >= account.MostProgress {
		l.Unknown("there may be more jobs than are told of")
	}
	return listed(l), nil
}

// jobs are those that run or ended a while ago, all or those about a release.
func (a *API) jobs(ctx context.Context, in *ofJobs) ([]ledger.Progress, error) {
	if in.Release == "" {
		return a.cfg.Store.Progress(ctx)
	}
	ref, ok := wire.ParseID(in.Release)
	if !ok {
		return nil, invalid(mistake{"query.release", "repository:version or repository@sha256:…", quoted(in.Release)})
	}
	r, err := a.cfg.Store.Release(ctx, ref)
	if errors.Is(err, account.ErrNotFound) {
		return nil, notFound("release", "query.release", in.Release)
	}
	if err != nil {
		return nil, err
	}
	return a.cfg.Store.ProgressOf(ctx, r.Image.Repository, r.Image.Digest)
}

func (a *API) componentRescan(ctx context.Context, in *ofComponent) (*answer, error) {
	c, err := a.findComponent(ctx, in)
	if err != nil {
		return nil, err
	}
	return a.asked(ctx, c.Repository, "")
}

func (a *API) releaseRescan(ctx context.Context, in *ofRelease) (*answer, error) {
	r, err := a.find(ctx, in)
	if err != nil {
		return nil, err
	}
	return a.asked(ctx, r.Image.Repository, r.Image.Digest)
}

func (a *API) asked(ctx context.Context, repository string, digest release.Digest) (*answer, error) {
	asked, err := a.cfg.Store.Asked(ctx, repository, digest)
	if err != nil {
		return nil, err
	}
	return &answer{body: wire.RescanOf(&asked, digest != "")}, nil
}

func (a *API) queue(ctx context.Context, _ *nothing) (*answer, error) {
	q, err := a.cfg.Store.Queue(ctx)
	if err != nil {
		return nil, err
	}
	return &answer{body: wire.Queue(q)}, nil
}

func (a *API) rescanComponent(ctx context.Context, in *ofComponent) (*answer, error) {
	c, err := a.findComponent(ctx, in)
	if err != nil {
		return nil, err
	}
	return a.ask(ctx, account.Request{Step: release.StepDiscover, Repository: c.Repository}, wire.Accepted{
		Watch: wire.ComponentPath(c.Repository), Until: "last_look.at",
	})
}

func (a *API) rescanRelease(ctx context.Context, in *ofRelease) (*answer, error) {
	r, err := a.find(ctx, in)
	if err != nil {
		return nil, err
	}
	return a.ask(ctx, account.Request{Step: release.StepIngest, Repository: r.Image.Repository, Digest: r.Image.Digest}, wire.Accepted{
		Watch: wire.ReleasePath(in.ref()), Until: "examined_at",
	})
}

// orNotWatched turns the store's refusal to queue what no worker would do into a problem.
func orNotWatched(err error, repository string) error {
	if !errors.Is(err, account.ErrNotWatched) {
		return err
	}
	m := mistake{"path.repository", "a repository that is looked at", quoted(repository) + ", which is no longer"}
	return newProblem(http.StatusConflict, kindNotWatched, "Not watched", m.Where+": expected "+m.Expected+", found "+m.Found, m)
}

// ask asks the worker, and says where to watch what comes of it.
func (a *API) ask(ctx context.Context, request account.Request, told wire.Accepted) (*answer, error) {
	told.AskedAt = a.cfg.Now().UTC()
	request.By = caller(ctx)
	if err := a.cfg.Store.Ask(ctx, request); err != nil {
		return nil, orNotWatched(err, request.Repository)
	}
	told.Step, told.Repository, told.Digest = string(request.Step), request.Repository, string(request.Digest)
	return &answer{body: told, location: told.Watch}, nil
}
