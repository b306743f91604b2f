package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/api/wire"
	"github.com/tallyman-io/tallyman/internal/release"
)

// dossierType is the media type of the file (RFC 8878, section 7.1).
const dossierType = "application/zstd"

// dossierState reads how the dossier of a release stands.
func (a *API) dossierState(ctx context.Context, in *ofRelease) (*answer, error) {
	told, _, err := a.readDossier(ctx, in)
	if err != nil {
		return nil, err
	}
	return &answer{body: told}, nil
}

func (a *API) readDossier(ctx context.Context, in *ofRelease) (wire.Dossier, account.Dossier, error) {
	r, err := a.find(ctx, in)
	if err != nil {
		return wire.Dossier{}, account.Dossier{}, err
	}
	d, err := a.cfg.Store.Dossier(ctx, r.Image.Repository, r.Image.Digest)
	if err != nil {
		return wire.Dossier{}, account.Dossier{}, err
	}
	return wire.DossierOf(&d, in.ref(), string(r.Image.Digest)), d, nil
}

// askDossier has the worker make a dossier. One that is made, or kept, is not made again.
func (a *API) askDossier(ctx context.Context, in *ofRelease) (*answer, error) {
	r, err := a.find(ctx, in)
	if err != nil {
		return nil, err
	}
	request := account.Request{Step: release.StepDossier, Repository: r.Image.Repository, Digest: r.Image.Digest, By: caller(ctx)}
	if err := a.cfg.Store.Ask(ctx, request); err != nil {
		return nil, orNotWatched(err, request.Repository)
	}
	told, _, err := a.readDossier(ctx, in)
	if err != nil {
		return nil, err
	}
	return &answer{body: told, location: told.Watch}, nil
}

// makingSeconds is how long a client is asked to wait for a dossier.
const makingSeconds = 2

// dossier serves the file, part by part. Where there is none, the problem says how to ask
// for it.
func (a *API) dossier(ctx context.Context, in *ofRelease) (*answer, error) {
	told, d, err := a.readDossier(ctx, in)
	if err != nil {
		return nil, err
	}
	id := wire.ID(in.ref())
	ask := fmt.Sprintf("ask for it with POST %s, which needs the role auditor", wire.DossierPath(in.ref()))
	switch d.State {
	case account.DossierReady:
	case account.DossierMaking:
		p := newProblem(http.StatusConflict, kindMaking, "Being made", fmt.Sprintf("%s: expected a dossier that is made, found one in the making; %s tells how far it is", id, told.Watch))
		p.retryAfter = makingSeconds
		return nil, p
	case account.DossierFailed:
		p := notFound("dossier", "path.name", id)
		p.Detail = fmt.Sprintf("%s: the dossier could not be made: %s; %s again", id, d.Failure, ask)
		return nil, p
	default:
		p := notFound("dossier", "path.name", id)
		p.Detail = fmt.Sprintf("%s: no dossier of it is kept; %s", id, ask)
		return nil, p
	}
	// The first part now, so that a store that cannot be read is told as such.
	first, err := a.cfg.Store.DossierPart(ctx, d.ID, 0)
	if err != nil {
		return nil, err
	}
	return &answer{
		stream: &parts{size: d.Size, first: first, read: func(ctx context.Context, number int) ([]byte, error) {
			return a.cfg.Store.DossierPart(ctx, d.ID, number)
		}},
		media: dossierType, etag: string(d.File), filename: filename(id, &account.Document{}) + ".dossier",
	}, nil
}
