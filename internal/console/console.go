package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/a-h/templ"
	"github.com/rs/zerolog"

	"github.com/tallyman-io/tallyman/internal/access"
	"github.com/tallyman-io/tallyman/internal/buildinfo"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Store is what the console reads; *store.Store implements it.
type Store interface {
	// Overview returns all components in the order in which they are shown.
	Overview(ctx context.Context) ([]release.Component, error)
}

// Config holds what a [Console] works with. All fields are needed, except that a
// nil Now is time.Now.
type Config struct {
	Store Store
	Log   zerolog.Logger
	Now   func() time.Time
	Build buildinfo.Info
}

// readTimeout bounds how long a page waits for the store.
const readTimeout = 5 * time.Second

// contentPolicy lets a page use nothing but this server's own style sheet and
// icon, and send forms to it alone: no scripts, no frames.
const contentPolicy = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// Console serves the pages. It is safe for concurrent use.
type Console struct {
	cfg    Config
	assets *assets
}

// New reads the assets, so that a mistake in them stops the start.
func New(cfg Config) (*Console, error) {
	if cfg.Store == nil {
		return nil, errors.New("console: no store")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	a, err := loadAssets()
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	return &Console{cfg: cfg, assets: a}, nil
}

// Routes are the pages and their assets, and who may see them.
func (c *Console) Routes() []access.Route {
	return []access.Route{
		{Method: http.MethodGet, Pattern: "/{$}", Kind: access.Page, Role: access.Viewer, Handler: http.HandlerFunc(c.overview)},
		{Method: http.MethodGet, Pattern: assetPrefix + "{name}", Kind: access.Public, Handler: http.HandlerFunc(c.assets.serve)},
	}
}

func (c *Console) overview(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	components, err := c.cfg.Store.Overview(ctx)
	if err != nil {
		if r.Context().Err() != nil {
			return // nobody is waiting for the answer
		}
		c.cfg.Log.Error().Err(err).Str("page", "overview").Msg("store cannot be read")
		w.Header().Set("Retry-After", "10")
		c.render(w, r, http.StatusServiceUnavailable, unavailable(c.page("Store cannot be read")))
		return
	}
	c.render(w, r, http.StatusOK, overviewPage(c.page("Overview"), newOverview(components, c.cfg.Now())))
}

// page is what the frame of every page shows.
type page struct {
	Title string
	Now   moment
	Build buildinfo.Info
	// Assets tells where each file is served.
	Assets map[string]string
}

func (c *Console) page(title string) page {
	now := c.cfg.Now()
	return page{Title: title, Now: newMoment(now, now), Build: c.cfg.Build, Assets: c.assets.urls}
}

// render makes the whole page before it sends any of it, so that a failure shows
// as one.
func (c *Console) render(w http.ResponseWriter, r *http.Request, status int, content templ.Component) {
	body, ok := c.make(w, r, content)
	if !ok {
		return
	}
	h := w.Header()
	if status != http.StatusOK {
		h.Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		writeBody(w, r, body)
		return
	}
	// Kept, but asked about each time; equal pages are not sent again.
	h.Set("Cache-Control", "private, no-cache")
	sum := sha256.Sum256(body)
	h.Set("ETag", `"`+base64.RawURLEncoding.EncodeToString(sum[:16])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// form is a page that nobody keeps: it has forms or secrets in it, or says that
// something was refused.
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
		_, _ = w.Write(body)
	}
}
