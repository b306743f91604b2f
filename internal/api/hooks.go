package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/api/wire"
	"github.com/tallyman-io/tallyman/internal/registry/hook"
)

// hooking is a message of a registry.
type hooking struct {
	Kind string `path:"kind" enum:"distribution,ghcr,harbor,quay,docker-hub" doc:"Whose message it is."`

	message hook.Message
}

// hookForms are the forms of messages of each kind of registry.
func hookForms() map[string][]string {
	return map[string][]string{
		"distribution": {"distribution"}, "ghcr": {"github"}, "harbor": {"harbor", "harbor-cloudevents"}, "quay": {"quay"}, "docker-hub": {"docker-hub"},
	}
}

// receiveHook reads a message into its input. Who does not know the shared secret is told
// so before anything is read.
func (a *API) receiveHook(w http.ResponseWriter, r *http.Request, input any) *problem {
	in, ok := input.(*hooking)
	if !ok {
		panic("api: parameters of another operation")
	}
	message, err := a.gate.Receive(w, r)
	var large *http.MaxBytesError
	switch {
	case err == nil:
		in.message = message
		return nil
	case errors.Is(err, hook.ErrClosed):
		p := notFound("hook", "path.kind", in.Kind)
		p.Detail = "no secret is shared with registries: hooks.secret is not set"
		return p
	case errors.Is(err, hook.ErrUnknown):
		w.Header().Set("WWW-Authenticate", hook.Challenge)
		m := mistake{"header", "the shared secret in Authorization, or a signature with it in X-Hub-Signature-256", "neither"}
		return newProblem(http.StatusUnauthorized, kindUnknownSender, "Not known", m.Where+": expected "+m.Expected+", found "+m.Found, m)
	case errors.Is(err, hook.ErrTooMany):
		p := newProblem(http.StatusTooManyRequests, kindTooMany, "Too many requests", err.Error())
		p.retryAfter = 1
		return p
	case errors.As(err, &large):
		return tooLarge(hook.MaxBody)
	default:
		return invalid(mistake{"body", "a message of a registry", short(err.Error())})
	}
}

// announced has the repositories that a registry speaks of looked at.
func (a *API) announced(ctx context.Context, in *hooking) (*answer, error) {
	if form := in.message.Form; form != "other" && !contains(hookForms()[in.Kind], form) {
		return nil, invalid(mistake{"body", "a message of the kind " + in.Kind, "one of " + form})
	}
	watched, err := a.cfg.Store.Watched(ctx)
	if err != nil {
		return nil, err
	}
	known, ignored := in.message.Among(watched)
	if len(known) > 0 {
		if err := a.cfg.Store.Announce(ctx, account.Announcement{Repositories: known, By: "registry (" + in.Kind + ")"}); err != nil {
			return nil, err
		}
	}
	return &answer{body: wire.Announced{Repositories: append([]string{}, known...), Ignored: ignored}}, nil
}
