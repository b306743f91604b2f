package api

import (
	"cmp"
	"compress/gzip"
	"context"
	_ "embed" // for the OpenAPI document
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/access"
	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/api/wire"
	"github.com/tallyman-io/tallyman/internal/registry/hook"
)

// packed is the OpenAPI document, as the tests of this package write it.
//
//go:embed openapi.json.gz
var packed string

// Config holds what an [API] works with.
type Config struct {
	Store Store
	// ConsoleURL is where web is seen from outside; empty to believe the Host of requests.
	ConsoleURL string
	// ReleasePage and AdvisoryPage are the paths of the console's pages, which feeds lead
	// to; nil for those of the API.
	ReleasePage  func(account.Ref) string
	AdvisoryPage func(id string) string
	// HooksSecret is what registries are known by that tell of pushes; without one they
	// cannot.
	HooksSecret string
	// Settings are those of web that are in force, without secrets.
	Settings []wire.Setting
	// Version is that of the program, for what it writes.
	Version string
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// API answers programs. It is safe for concurrent use.
type API struct {
	cfg        Config
	gate       *hook.Gate
	operations []*operation
	// document is the OpenAPI document, JSON.
	document []byte
}

// New declares the operations.
func New(cfg Config) (*API, error) {
	if cfg.Store == nil {
		return nil, errors.New("api: no store")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.ReleasePage == nil {
		cfg.ReleasePage = wire.ReleasePath
	}
	if cfg.AdvisoryPage == nil {
		cfg.AdvisoryPage = wire.AdvisoryPath
	}
	a := &API{cfg: cfg, gate: hook.NewGate(cfg.HooksSecret, cfg.Now)}
	unpacked, err := gzip.NewReader(strings.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("api: unpack the OpenAPI document: %w", err)
	}
	if a.document, err = io.ReadAll(unpacked); err != nil {
		return nil, fmt.Errorf("api: unpack the OpenAPI document: %w", err)
	}
	a.operations = a.declare()
	known := patterns{}
	for _, o := range a.operations {
		o.params = paramsOf(o.input, known)
	}
	return a, nil
}

// Routes are all routes of the API, for the guard to stand before.
func (a *API) Routes() []access.Route {
	routes := make([]access.Route, 0, len(a.operations))
	for _, o := range a.operations {
		routes = append(routes, o.route(a.handler(o)))
	}
	return routes
}

// caller names who makes a request, for what they ask for or hand in.
func caller(ctx context.Context) string {
	p := access.Of(ctx)
	return cmp.Or(p.Name, p.ID)
}

// Missing answers requests under [wire.Base] that no route is for, with a problem. It is
// for the pattern [wire.Base] with a slash behind it.
func (a *API) Missing() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		allowed := a.allowed(r.URL.EscapedPath())
		if len(allowed) == 0 {
			writeProblem(w, r, notFound("operation", "path", r.URL.Path))
			return
		}
		w.Header()["Allow"] = allowed
		m := mistake{"method", "one of " + fmt.Sprint(allowed), quoted(r.Method)}
		writeProblem(w, r, newProblem(http.StatusMethodNotAllowed, kindMethod, "Method not allowed", m.Where+": expected "+m.Expected+", found "+m.Found, m))
	})
}

// OpenAPI is the document, JSON.
func (a *API) OpenAPI() []byte { return a.document }

func (a *API) openAPI(context.Context, *nothing) (*answer, error) {
	return &answer{raw: a.document, media: "application/openapi+json"}, nil
}

// allowed are the methods that a path has.
func (a *API) allowed(path string) []string {
	var methods []string
	for _, o := range a.operations {
		if !fits(o.path, path) {
			continue
		}
		methods = append(methods, o.method)
		if o.method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
	}
	return methods
}

// fits reports whether an escaped path is one of a pattern.
func fits(pattern, path string) bool {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	return slices.EqualFunc(want, got, func(w, g string) bool {
		return w == g || (strings.HasPrefix(w, "{") && g != "")
	})
}
