package access

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/rs/zerolog"

	"github.com/tallyman-io/tallyman/internal/grant"
)

// Entry is a line of the audit log about what the principal of a context does. Whoever
// stores the change itself writes it down in the same transaction; everybody else hands
// it to [Guard.Audit].
func (g *Guard) Entry(ctx context.Context, action, subject, detail string) grant.Entry {
	p, o := Of(ctx), From(ctx)
	e := grant.Entry{
		At: g.cfg.Now(), Actor: p.Name, ActorID: p.ID, Via: string(p.Via), Action: action, Subject: subject, Detail: detail,
		Remote: o.Remote, Request: o.Request,
	}
	if p.Via == "" {
		e.Actor, e.Via = "nobody", string(ViaAnonymous)
	}
	return e
}

// Audit writes an entry of the audit log. What it is about must not be done, or be said
// to be done, when that fails.
func (g *Guard) Audit(ctx context.Context, e grant.Entry) error {
	if err := g.cfg.Store.RecordAudit(ctx, e); err != nil {
		return fmt.Errorf("audit %s: %w", e.Action, err)
	}
	return nil
}

// auditFailure writes down that somebody could not sign in. Everybody can make that
// happen, so it is not written down without end, and an error is only logged.
func (g *Guard) auditFailure(ctx context.Context, bad *badTokenError) {
	log := zerolog.Ctx(ctx)
	log.Warn().Str("token", bad.id).Str("why", bad.why).Str("remote", From(ctx).Remote).Msg("token refused")
	if !g.written.AllowN(g.cfg.Now(), 1) {
		return
	}
	if err := g.Audit(ctx, g.Entry(ctx, grant.ActionLoginFailed, bad.id, bad.why)); err != nil {
		log.Error().Err(err).Msg("audit log cannot be written")
	}
}

func (g *Guard) showAudit(w http.ResponseWriter, r *http.Request) {
	part := pageOf(r, "at")
	all, err := g.cfg.Store.Audit(r.Context(), part)
	if err != nil {
		g.unavailable(w, r, err)
		return
	}
	page := AuditLog{Entries: all, Now: g.cfg.Now()}
	if len(all) > perPage {
		page.Entries = all[:perPage]
		page.Next = nextPage(auditPath, "at", part, all[perPage-1].Key)
	}
	g.cfg.Pages.Audit(w, r, http.StatusOK, page)
}

// pageOf is the page of a list that is asked for, and one item more, which tells that there
// is another. The newest come first, and before says behind which a page begins; with the
// word for the time and a minus before it as sort it is the oldest, and after. A key that is
// none is 0, for the first page, which is what a link that was cut off is for.
func pageOf(r *http.Request, word string) grant.Page {
	q := r.URL.Query()
	p, name := grant.Page{Limit: perPage + 1}, "before"
	if q.Get("sort") == "-"+word {
		p.Oldest, name = true, "after"
	}
	key, err := strconv.ParseInt(q.Get(name), 10, 64)
	if err == nil && key > 0 {
		p.After = key
	}
	return p
}

// nextPage is the path of the page behind one, whose last item has a key.
func nextPage(path, word string, p grant.Page, last int64) string {
	key := strconv.FormatInt(last, 10)
	if p.Oldest {
		return path + "?after=" + key + "&sort=-" + word
	}
	return path + "?before=" + key
}
