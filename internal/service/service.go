package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/tallyman-io/tallyman/internal/buildinfo"
)

// Config says how a service runs. Every duration must be positive.
type Config struct {
	// Name is the program's name, for the logs and metrics.
	Name string
	// Listen is the host:port of the HTTP server.
	Listen string
	// TLS are the files of its certificate; the zero value serves without TLS.
	TLS TLS

	// Limits of the HTTP server, as net/http names them.
	ReadHeaderTimeout time.Duration
	ReadTimeout       time.Duration
	WriteTimeout      time.Duration
	IdleTimeout       time.Duration
	// ShutdownDelay is how long everything is still answered after the first signal, until
	// whoever hands out requests has noticed.
	ShutdownDelay time.Duration
	// ShutdownTimeout bounds the time from the first signal to the return of Run.
	ShutdownTimeout time.Duration

	Log   zerolog.Logger
	Build buildinfo.Info
	// Now is the clock.
	Now func() time.Time
	// Uptime is how long the process has been running.
	Uptime func() time.Duration
	// Signals end the service: the first gracefully, the second at once. nil
	// leaves it to the context.
	Signals <-chan os.Signal
}

// App is what a program adds to the server. The zero value adds nothing.
type App struct {
	// Routes are what the service answers beside its own endpoints, which are added to them;
	// nil adds none.
	Routes *Routes
	// Metrics adds to what /metrics shows, which anybody may read; nil adds nothing. When it
	// fails, nothing that it wrote is shown.
	Metrics func(context.Context, *Exposition) error
	// Checks decide whether the service is ready.
	Checks []Check
	// Draining is called when the service begins to stop, before it waits for the requests
	// under way: it ends the answers that would go on for ever. nil does nothing.
	Draining func()
	// Stops are taken in order, after the last request has been answered.
	Stops []Stop
}

// Check is one thing that has to work for the service to be ready. Run must
// return when its context ends.
type Check struct {
	Name string
	Run  func(context.Context) error
}

// Stop ends one part of the application. Run must return when its context
// ends; it runs even when the context has ended already, and then has to stop
// without waiting.
type Stop struct {
	Name string
	Run  func(context.Context) error
}

// Start puts the application together. Its context ends when the service is
// told to stop while Start is still running, or when everything is stopped. On
// an error it leaves nothing behind.
type Start func(context.Context) (App, error)

var (
	errSecondSignal = errors.New("stopped at once by a second signal")
	errDeadline     = errors.New("shutdown took longer than shutdown.timeout")
)

// maxHeaderBytes bounds a request's header. Nothing we serve needs more.
const maxHeaderBytes = 32 << 10

// Run serves until ctx ends or a signal comes, and returns when everything is
// stopped. It returns nil after a graceful stop.
func Run(ctx context.Context, c Config, start Start) error {
	s := newServer(c)
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", c.Listen, err)
	}
	secure, err := tlsConfig(c)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	// The application outlives the signal: it ends when its parts are stopped.
	running, end := context.WithCancel(c.Log.WithContext(context.WithoutCancel(ctx)))
	defer end()
	web := s.httpServer(running)
	served := make(chan error, 1)
	web.TLSConfig = secure
	go func() {
		if secure != nil {
			served <- web.ServeTLS(listener, "", "")
			return
		}
		served <- web.Serve(listener)
	}()

	err = s.boot(ctx, running, end, start)
	if err == nil {
		c.Log.Info().Str("listen", listener.Addr().String()).Str("version", c.Build.Version).
			Str("commit", c.Build.Commit).Int64("milliseconds", c.Uptime().Milliseconds()).Msg("ready")
		select {
		case cause := <-served:
			err = fmt.Errorf("serve on %s: %w", c.Listen, cause)
			served <- cause // for shutdown, which waits for it
		case sig := <-c.Signals:
			c.Log.Info().Stringer("signal", sig).Msg("stopping")
		case <-ctx.Done():
			c.Log.Info().Msg("stopping")
		}
	} else if errors.Is(err, errStopped) {
		err = nil
	}
	return errors.Join(err, s.shutdown(ctx, web, served, end))
}

// server is the state of one Run.
type server struct {
	config  Config
	metrics *metrics
	// starting answers until there is an application.
	starting *Routes
	// ready is what serves while the service is ready or draining; nil before.
	ready    atomic.Pointer[application]
	draining atomic.Bool
	endless  func()
	stops    []Stop
}

type application struct {
	routes  *Routes
	metrics func(context.Context, *Exposition) error
	checks  []Check
}

func newServer(c Config) *server {
	s := &server{config: c, metrics: newMetrics(c), starting: new(Routes)}
	s.metrics.more = func() func(context.Context, *Exposition) error {
		if app := s.ready.Load(); app != nil {
			return app.metrics
		}
		return nil
	}
	s.operations(s.starting)
	s.starting.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1")
		http.Error(w, stateStarting, http.StatusServiceUnavailable)
	})
	return s
}

// open has the application answer. Its routes are then all that is answered: the
// endpoints that every program has are among them.
func (s *server) open(app *App) {
	routes := app.Routes
	if routes == nil {
		routes = new(Routes)
	}
	s.operations(routes)
	s.ready.Store(&application{routes: routes, metrics: app.Metrics, checks: app.Checks})
}

// Handler is what [Run] serves once app is put together, for tests that ask for everything
// which is in app.Routes then.
func Handler(c Config, app *App) http.Handler {
	s := newServer(c)
	s.open(app)
	return s.handler()
}

func (s *server) httpServer(base context.Context) *http.Server {
	return &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: s.config.ReadHeaderTimeout,
		ReadTimeout:       s.config.ReadTimeout,
		WriteTimeout:      s.config.WriteTimeout,
		IdleTimeout:       s.config.IdleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		BaseContext:       func(net.Listener) context.Context { return base },
		ErrorLog:          errorLog(s.config.Log),
	}
}

// errStopped says that the signal came before the application was there.
var errStopped = errors.New("told to stop while starting")

// boot puts the application together, unless the service is told to stop first.
func (s *server) boot(stop, running context.Context, end context.CancelFunc, start Start) error {
	type outcome struct {
		app App
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		app, err := start(running)
		done <- outcome{app, err}
	}()
	var got outcome
	stopped := false
	select {
	case got = <-done:
	case <-s.config.Signals:
		stopped = true
	case <-stop.Done():
		stopped = true
	}
	if stopped {
		end()
		select {
		case got = <-done:
		case <-s.config.Signals:
			return errSecondSignal
		case <-time.After(s.config.ShutdownTimeout):
			return errDeadline
		}
	}
	if got.err != nil {
		if stopped {
			return errStopped
		}
		return got.err
	}
	s.stops, s.endless = got.app.Stops, got.app.Draining
	if stopped {
		return errStopped
	}
	s.open(&got.app)
	return nil
}
