package service

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// checkTimeout bounds the checks of one /readyz. It is shorter than the time
// that healthcheck and the usual probes wait.
const checkTimeout = 2 * time.Second

// State names as /readyz gives them.
const (
	stateStarting = "starting"
	stateReady    = "ready"
	stateNotReady = "not ready"
	stateDraining = "draining"
)

// Readiness is the body of /readyz.
type Readiness struct {
	// Status is starting, ready, not ready or draining; only ready comes
	// with 200, the others with 503.
	Status string `json:"status"`
	// Failed are the names of the checks that failed. Why they did is in the
	// log only, since anybody may ask.
	Failed []string `json:"failed,omitempty"`
}

// operations adds the endpoints that every program has.
func (s *server) operations(routes *Routes) {
	routes.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, r, http.StatusOK, map[string]string{"status": "alive"})
	})
	routes.HandleFunc("GET /readyz", s.serveReadiness)
	routes.HandleFunc("GET /version", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, r, http.StatusOK, s.config.Build)
	})
	routes.Handle("GET /metrics", s.metrics)
}

// route answers as the application does, or as its being started does.
func (s *server) route(w http.ResponseWriter, r *http.Request) {
	if app := s.ready.Load(); app != nil {
		app.routes.ServeHTTP(w, r)
		return
	}
	s.starting.ServeHTTP(w, r)
}

func (s *server) serveReadiness(w http.ResponseWriter, r *http.Request) {
	app := s.ready.Load()
	switch {
	case s.draining.Load():
		writeJSON(w, r, http.StatusServiceUnavailable, Readiness{Status: stateDraining})
	case app == nil:
		writeJSON(w, r, http.StatusServiceUnavailable, Readiness{Status: stateStarting})
	default:
		if failed := failing(r.Context(), app.checks); len(failed) > 0 {
			writeJSON(w, r, http.StatusServiceUnavailable, Readiness{Status: stateNotReady, Failed: failed})
			return
		}
		writeJSON(w, r, http.StatusOK, Readiness{Status: stateReady})
	}
}

// failing runs the checks at the same time, and returns the names of those
// that fail, in the order of the checks.
func failing(ctx context.Context, checks []Check) []string {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	errs := make([]error, len(checks))
	var wg sync.WaitGroup
	for i, check := range checks {
		wg.Go(func() { errs[i] = check.Run(ctx) })
	}
	wg.Wait()
	var failed []string
	for i, err := range errs {
		if err != nil {
			zerolog.Ctx(ctx).Warn().Err(err).Str("check", checks[i].Name).Msg("not ready")
			failed = append(failed, checks[i].Name)
		}
	}
	return failed
}

func writeJSON(w http.ResponseWriter, r *http.Request, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil && !errors.Is(err, http.ErrBodyNotAllowed) {
		zerolog.Ctx(r.Context()).Debug().Err(err).Msg("answer not written")
	}
}
