package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/api/wire"
	"github.com/tallyman-io/tallyman/internal/release"
)

func (a *API) activity(ctx context.Context, in *page) (answer, error) {
	found, err := a.cfg.Store.Activity(ctx, in.account())
	if err != nil {
		return answer{}, err
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

func (a *API) wave(ctx context.Context, in *ofWave) (answer, error) {
	found, err := a.cfg.Store.WaveDetail(ctx, in.ID, account.WavePages{
		Findings: account.Page{After: in.Findings, Limit: in.Limit}, Verdicts: account.Page{After: in.Verdicts, Limit: in.Limit},
		Evidence: account.Page{After: in.Evidence, Limit: in.Limit},
	})
	switch {
	case errors.Is(err, account.ErrNotFound):
		return answer{}, notFound("wave", "path.id", strconv.FormatInt(in.ID, 10))
	case errors.Is(err, account.ErrCursor):
		return answer{}, invalid(mistake{"query", "cursors that these lists gave", "another text"})
	case err != nil:
		return answer{}, err
	}
	return answer{body: wire.WaveDetailOf(&found)}, nil
}

type ofJobs struct {
	Release string `query:"release" maxLength:"400" example:"ghcr.io/acme/web:v1.4.0" doc:"Only jobs about this release and its repository: repository:version or repository@digest."`
}

func (a *API) progress(ctx context.Context, in *ofJobs) (answer, error) {
	all, err := a.cfg.Store.Progress(ctx)
	if err != nil {
		return answer{}, err
	}
	if in.Release != "" {
		ref, ok := wire.ParseID(in.Release)
		if !ok {
			return answer{}, invalid(mistake{"query.release", "repository:version or repository@sha256:…", quoted(in.Release)})
		}
		r, err := a.cfg.Store.Release(ctx, ref)
		if errors.Is(err, account.ErrNotFound) {
			return answer{}, notFound("release", "query.release", in.Release)
		}
		if err != nil {
			return answer{}, err
		}
		all = account.ProgressOf(all, r.Image.Repository, r.Image.Digest)
	}
	return whole(all, wire.ProgressOf), nil
}

func (a *API) queue(ctx context.Context, _ *nothing) (answer, error) {
	q, err := a.cfg.Store.Queue(ctx)
	if err != nil {
		return answer{}, err
	}
	return answer{body: wire.Queue(q)}, nil
}

func (a *API) rescanComponent(ctx context.Context, in *ofComponent) (answer, error) {
	c, err := a.findComponent(ctx, in)
	if err != nil {
		return answer{}, err
	}
	return a.ask(ctx, account.Request{Step: release.StepDiscover, Repository: c.Repository}, wire.Accepted{
		Watch: wire.ComponentPath(c.Repository), Until: "last_look.at",
	})
}

func (a *API) rescanRelease(ctx context.Context, in *ofRelease) (answer, error) {
	r, err := a.find(ctx, in)
	if err != nil {
		return answer{}, err
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
func (a *API) ask(ctx context.Context, request account.Request, told wire.Accepted) (answer, error) {
	told.AskedAt = a.cfg.Now().UTC()
	request.By = caller(ctx)
	if err := a.cfg.Store.Ask(ctx, request); err != nil {
		return answer{}, orNotWatched(err, request.Repository)
	}
	told.Step, told.Repository, told.Digest = string(request.Step), request.Repository, string(request.Digest)
	return answer{body: told, location: told.Watch}, nil
}
