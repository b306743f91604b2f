package console

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"time"

	"github.com/a-h/templ"

	"github.com/tallyman-io/tallyman/internal/account"
)

// contentPolicy lets a page use nothing but this server's own style sheet, script and
// icon, and send nothing to anybody else.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// view makes the content of a page. It may change the frame.
type view func(ctx context.Context, r *http.Request, p *page) (templ.Component, error)

// errNoPage says that there is nothing at the address.
var errNoPage = errors.New("no such page")

// show answers with what a view makes.
func (c *Console) show(v view) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
		defer cancel()
		p, err := c.page(ctx, r)
		if err != nil {
			c.fail(w, r, err)
			return
		}
		content, err := v(ctx, r, p)
		if err != nil {
			c.fail(w, r, err)
			return
		}
		c.render(w, r, cmp.Or(p.status, http.StatusOK), content)
	})
}

// fail answers with the page for an error: what is not there, what cannot be asked like
// that, and what cannot be said because the store does not answer.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := c.bare(r)
	switch {
	case r.Context().Err() != nil: // nobody is waiting for the answer
	case errors.Is(err, account.ErrNotFound), errors.Is(err, errNoPage):
		p.Title = "Not found"
		c.render(w, r, http.StatusNotFound, notFound(p))
	case errors.Is(err, account.ErrNotWatched):
		p.Title = "Not looked at again"
		c.render(w, r, http.StatusConflict, notWatched(p))
	case errors.Is(err, account.ErrCursor):
		p.Title = "No such part of the list"
		c.render(w, r, http.StatusBadRequest, badCursor(p, p.q.with("after", "")))
	default:
		c.cfg.Log.Error().Err(err).Str("path", r.URL.Path).Msg("store cannot be read")
		w.Header().Set("Retry-After", "10")
		p.Title = "Store cannot be read"
		c.render(w, r, http.StatusServiceUnavailable, unavailable(p))
	}
}

// render makes the whole page before it sends any of it, so that a failure shows
// as one.
func (c *Console) render(w http.ResponseWriter, r *http.Request, status int, content templ.Component) {
	if status != http.StatusOK {
		c.form(w, r, status, content)
		return
	}
	body, ok := c.make(w, r, content)
	if !ok {
		return
	}
	h := w.Header()
	// Kept, but asked about each time; equal pages are not sent again.
	h.Set("Cache-Control", "private, no-cache")
	sum := sha256.Sum256(body)
	h.Set("ETag", `"`+base64.RawURLEncoding.EncodeToString(sum[:16])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// form is a page that nobody keeps: it has forms or secrets in it, or says that
// something was refused or is not known.
func (c *Console) form(w http.ResponseWriter, r *http.Request, status int, content templ.Component) {
	body, ok := c.make(w, r, content)
	if !ok {
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	writeBody(w, r, body)
}

// make renders a page and sets the headers that every page has. It returns false when it
// has answered that there is none.
func (c *Console) make(w http.ResponseWriter, r *http.Request, content templ.Component) ([]byte, bool) {
	var body bytes.Buffer
	if err := content.Render(r.Context(), &body); err != nil {
		c.cfg.Log.Error().Err(err).Str("path", r.URL.Path).Msg("page cannot be made")
		http.Error(w, "The page cannot be made. The log says why.", http.StatusInternalServerError)
		return nil, false
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	// Not no-referrer: a form would then say that it comes from nowhere, and be refused
	// where the browser does not say Sec-Fetch-Site.
	h.Set("Referrer-Policy", "same-origin")
	return body.Bytes(), true
}

// writeBody drops the error: it is that of a client that went away.
func writeBody(w http.ResponseWriter, r *http.Request, body []byte) {
	if r.Method != http.MethodHead {
		_, _ = bytes.NewReader(body).WriteTo(w)
	}
}
