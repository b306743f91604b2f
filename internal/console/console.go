package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"time"

	"github.com/rs/zerolog"

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
// icon: no scripts, no forms, no frames.
const contentPolicy = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Console serves the pages. It is safe for concurrent use.
type Console struct {
	cfg    Config
	assets *assets
	pages  *template.Template
}

// New reads templates and assets, so that a mistake in them stops the start.
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
	pages, err := parsePages(a)
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	return &Console{cfg: cfg, assets: a, pages: pages}, nil
}

// Install registers the pages and their assets.
func (c *Console) Install(mux *http.ServeMux) {
	mux.HandleFunc("GET /{$}", c.overview)
	mux.HandleFunc("GET "+assetPrefix+"{name}", c.assets.serve)
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
		c.render(w, r, http.StatusServiceUnavailable, "unavailable.html", c.page("Store cannot be read"))
		return
	}
	now := c.cfg.Now()
	p := c.page("Overview")
	p.Overview = newOverview(components, now)
	c.render(w, r, http.StatusOK, "overview.html", p)
}

// page is what every template is given. Only the part of its own page is set.
type page struct {
	Title    string
	Now      moment
	Build    buildinfo.Info
	Overview *overview
}

func (c *Console) page(title string) page {
	now := c.cfg.Now()
	return page{Title: title, Now: newMoment(now, now), Build: c.cfg.Build}
}

// render makes the whole page before it sends any of it, so that a failure shows
// as one.
func (c *Console) render(w http.ResponseWriter, r *http.Request, status int, name string, p page) {
	var body bytes.Buffer
	if err := c.pages.ExecuteTemplate(&body, name, p); err != nil {
		c.cfg.Log.Error().Err(err).Str("page", name).Msg("page cannot be made")
		http.Error(w, "The page cannot be made. The log says why.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	if status != http.StatusOK {
		h.Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		writeBody(w, r, body.Bytes())
		return
	}
	// Kept, but asked about each time; equal pages are not sent again.
	h.Set("Cache-Control", "private, no-cache")
	sum := sha256.Sum256(body.Bytes())
	h.Set("ETag", `"`+base64.RawURLEncoding.EncodeToString(sum[:16])+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body.Bytes()))
}

// writeBody drops the error: it is that of a client that went away.
func writeBody(w http.ResponseWriter, r *http.Request, body []byte) {
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}
