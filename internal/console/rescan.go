package console

import (
	"context"
	"fmt"
	"net/http"

	"github.com/tallyman-io/tallyman/internal/access"
	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/release"
)

// longestForm bounds the body of a form, in bytes.
const longestForm = 16 << 10

// asks hands a step to the worker that somebody asks for: of a release, or, where that is
// a look, of a whole repository. It leads back to the page.
func (c *Console) asks(step release.Step) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.ask(w, r, step) })
}

func (c *Console) ask(w http.ResponseWriter, r *http.Request, step release.Step) {
	r.Body = http.MaxBytesReader(w, r.Body, longestForm)
	if err := r.ParseForm(); err != nil {
		p := c.bare(r)
		p.Title = "Not understood"
		c.render(w, r, http.StatusBadRequest, badForm(p))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	repository, name := r.PostForm.Get("repository"), r.PostForm.Get("name")
	request := account.Request{Step: release.StepDiscover, Repository: repository, By: access.Of(ctx).Name}
	back := componentURL(repository)
	if name != "" || step == release.StepDossier {
		found, err := c.cfg.Store.Release(ctx, account.Ref{Repository: repository, Name: name})
		if err != nil {
			c.fail(w, r, fmt.Errorf("ask for %s: %w", step, err))
			return
		}
		request.Step, request.Digest = step, found.Image.Digest
		back = standingURL(&found.Standing)
	} else if _, err := c.cfg.Store.Component(ctx, repository); err != nil {
		c.fail(w, r, fmt.Errorf("ask for %s: %w", step, err))
		return
	}
	if err := c.cfg.Ask(ctx, request); err != nil {
		c.fail(w, r, fmt.Errorf("ask for %s: %w", step, err))
		return
	}
	if step == release.StepDossier {
		http.Redirect(w, r, back+"#documents", http.StatusSeeOther) //nolint:gosec // G710: as below
		return
	}
	//nolint:gosec // G710: it begins with /components/, and what is behind that is escaped
	http.Redirect(w, r, withQuery(back, "asked", "1"), http.StatusSeeOther)
}
