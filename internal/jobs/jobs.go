// Package jobs runs the steps of the tally in the background, on River, in the
// database of the store: SQLite for one worker, PostgreSQL for any number.
//
// Jobs survive the process. A worker that dies leaves its job to be rescued; one
// that is stopped in time hands it back at once.
package jobs

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/rs/zerolog"

	"github.com/tallyman-io/tallyman/internal/tally"
)

const (
	// rescueAfter is how long a job may seem to run before it is taken to belong
	// to a process that died. Longer than any job may run.
	rescueAfter = discoverTimeout + time.Minute
	// cancelGrace is how long Stop waits for jobs that it has cancelled.
	cancelGrace = 5 * time.Second
	// listenConnections is how many connections to PostgreSQL there must be to
	// spare one that listens for new jobs; with fewer, River polls.
	listenConnections = 3
)

// Store is the database that jobs are queued in; *store.Store implements it.
// Exactly one of SQLite and Postgres returns true.
type Store interface {
	SQLite() (*sql.DB, bool)
	Postgres() (*pgxpool.Pool, bool)
	Ping(ctx context.Context) error
}

// Config holds what a [Runner] works with. All fields are needed; Repositories
// may be empty.
type Config struct {
	Store        Store
	Tally        *tally.Tally
	Repositories []string
	// Interval is how often each repository is looked at.
	Interval time.Duration
	// Concurrency is how many jobs run at a time in this process.
	Concurrency int
	Log         zerolog.Logger
}

// Runner runs jobs from [Runner.Start] to [Runner.Stop].
type Runner struct {
	cfg     Config
	client  client
	started atomic.Bool
}

// client is what a Runner needs of a [river.Client], whose type has the kind of
// its transactions in it.
type client interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	StopAndCancel(ctx context.Context) error
	Stopped() <-chan struct{}
}

// New sets up a runner. It starts nothing.
func New(ctx context.Context, cfg Config) (*Runner, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("set up jobs: %w", context.Cause(ctx))
	}
	rc, err := riverConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("set up jobs: %w", err)
	}
	r := &Runner{cfg: cfg}
	if db, ok := cfg.Store.SQLite(); ok {
		r.client, err = newClient(riversqlite.New(db), rc)
	} else if pool, ok := cfg.Store.Postgres(); ok {
		rc.PollOnly = pool.Config().MaxConns < listenConnections
		r.client, err = newClient(riverpgxv5.New(pool), rc)
	} else {
		err = errors.New("the store is neither SQLite nor PostgreSQL")
	}
	if err != nil {
		return nil, fmt.Errorf("set up jobs: %w", err)
	}
	return r, nil
}

func newClient[TTx any](driver riverdriver.Driver[TTx], rc *river.Config) (client, error) {
	return river.NewClient(driver, rc)
}

func riverConfig(cfg Config) (*river.Config, error) {
	workers := river.NewWorkers()
	if err := river.AddWorkerSafely(workers, &discoverWorker{tally: cfg.Tally, log: cfg.Log}); err != nil {
		return nil, fmt.Errorf("add worker: %w", err)
	}
	return &river.Config{
		Logger:               slog.New(zerolog.NewSlogHandler(riverLog(cfg.Log))),
		MaxAttempts:          discoverAttempts,
		PeriodicJobs:         periodic(cfg.Repositories, cfg.Interval),
		Queues:               map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: cfg.Concurrency}},
		RescueStuckJobsAfter: rescueAfter,
		Workers:              workers,
	}, nil
}

// riverLog keeps River to warnings unless debugging: it logs every failed attempt,
// which the workers here have logged with what it means.
func riverLog(log zerolog.Logger) zerolog.Logger {
	log = log.With().Str("component", "river").Logger()
	if log.GetLevel() > zerolog.DebugLevel {
		return log.Level(max(log.GetLevel(), zerolog.WarnLevel))
	}
	return log
}

// Start registers the repositories and begins to run jobs, until [Runner.Stop].
// The end of ctx ends the starting, not the running.
func (r *Runner) Start(ctx context.Context) error {
	if err := r.cfg.Tally.Register(ctx, r.cfg.Interval); err != nil {
		return fmt.Errorf("start jobs: %w", err)
	}
	if err := r.client.Start(context.WithoutCancel(ctx)); err != nil {
		return fmt.Errorf("start jobs: %w", err)
	}
	r.started.Store(true)
	return nil
}

// Stop takes no more jobs and waits for those that run. When ctx ends first, it
// cancels them, which hands them back to the queue, and returns an error.
func (r *Runner) Stop(ctx context.Context) error {
	err := r.client.Stop(ctx)
	if err == nil {
		return nil
	}
	graceCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelGrace)
	defer cancel()
	if cerr := r.client.StopAndCancel(graceCtx); cerr != nil {
		return fmt.Errorf("stop jobs: jobs go on although cancelled: %w", errors.Join(err, cerr))
	}
	return fmt.Errorf("stop jobs: cancelled those that still ran: %w", err)
}

// Ping reports whether jobs are running and their database answers.
func (r *Runner) Ping(ctx context.Context) error {
	if !r.started.Load() {
		return errors.New("jobs have not started")
	}
	select {
	case <-r.client.Stopped():
		return errors.New("jobs have stopped")
	default:
	}
	return r.cfg.Store.Ping(ctx)
}
