package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/api"
	"github.com/tallyman-io/tallyman/internal/buildinfo"
)

// Config holds what a [Console] works with. Store and Log are needed.
type Config struct {
	Store Store
	Log   zerolog.Logger
	// Now is the clock; nil is time.Now.
	Now   func() time.Time
	Build buildinfo.Info
	// Ask hands what somebody asks for to the worker, and writes down that they did; nil
	// asks the store and writes nothing down.
	Ask func(context.Context, account.Request) error
	// Reference is what the API can do, for the page that says so; nil where there is no
	// API, and then no such page.
	Reference *api.Reference
	// Settings are those of the process, for the page that shows them: without secrets.
	Settings []Setting
	// LiveEvery is how often progress is read for who follows it, and LiveMost how many
	// may follow at once. 0 is one second, and 64.
	LiveEvery time.Duration
	LiveMost  int
}

// Setting is a setting of the process, as it may be shown.
type Setting struct {
	Key, Value, Origin string
}

// readTimeout bounds how long a page waits for the store.
const readTimeout = 5 * time.Second

// Console serves the pages. It is safe for concurrent use.
type Console struct {
	cfg    Config
	assets *assets
	live   *live
	closed chan struct{}
	close  sync.Once
}

// New reads the assets, so that a mistake in them stops the start.
func New(cfg Config) (*Console, error) {
	if cfg.Store == nil {
		return nil, errors.New("console: no store")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Ask == nil {
		cfg.Ask = cfg.Store.Ask
	}
	if cfg.LiveEvery <= 0 {
		cfg.LiveEvery = time.Second
	}
	if cfg.LiveMost <= 0 {
		cfg.LiveMost = 64
	}
	a, err := loadAssets()
	if err != nil {
		return nil, fmt.Errorf("console: %w", err)
	}
	c := &Console{cfg: cfg, assets: a, closed: make(chan struct{})}
	c.live = newLive(cfg.LiveEvery, cfg.LiveMost, c.readLive)
	return c, nil
}

// Close ends the answers that would go on for ever. A server that shuts down has to call
// it first (http.Server.RegisterOnShutdown), or it waits for them. It may be called more
// than once.
func (c *Console) Close() { c.close.Do(func() { close(c.closed) }) }

// page is what the frame of every page shows.
type page struct {
	Title string
	Now   moment
	Build buildinfo.Info
	// Assets tells where each file is served.
	Assets map[string]string
	// Docs is where it says what the API can do, empty where there is none.
	Docs string
	// Apart: without what needs somebody to be signed in, the menu and the search.
	Apart bool
	// Section is the address of the entry of the menu that the page belongs to.
	Section string
	// Term is what stands in the search box.
	Term string
	Data dataAge
	// Fragment: only the content, for a page that has the frame already.
	Fragment bool

	at time.Time
	q  query
	// status is that of the answer; 0 is 200.
	status int
}

// bare is the frame of a page about which the store says nothing.
func (c *Console) bare(r *http.Request) *page {
	now := c.cfg.Now()
	return &page{
		Now: newMoment(now, now), Build: c.cfg.Build, Assets: c.assets.urls,
		Docs: c.docs(), at: now, q: newQuery(r.URL),
	}
}

// titled is the frame of a page about which the store says nothing, with its title.
func (c *Console) titled(r *http.Request, title string) *page {
	p := c.bare(r)
	p.Title = title
	return p
}

// apart is the frame of a page for who is not signed in.
func (c *Console) apart(r *http.Request, title string) *page {
	p := c.titled(r, title)
	p.Apart = true
	return p
}

// page is the frame of a page, with the age of the advisory data.
func (c *Console) page(ctx context.Context, r *http.Request) (*page, error) {
	p := c.bare(r)
	data, err := c.cfg.Store.AdvisoryData(ctx)
	if err != nil {
		return nil, fmt.Errorf("read age of advisory data: %w", err)
	}
	p.Data = newDataAge(data, p.at)
	return p, nil
}
