// Package jobs runs the steps of the tally in the background, on River, in the
// database of the store: SQLite for one worker, PostgreSQL for any number.
//
// Jobs survive the process. A worker that dies leaves its job to be rescued; one
// that is stopped in time hands it back at once.
package jobs

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivertype"
	"github.com/rs/zerolog"

	"github.com/tallyman-io/tallyman/internal/tally"
)

const (
	// rescueAfter is how long a job may seem to run before it is taken to belong
	// to a process that died. Longer than any job may run.
	rescueAfter = syncTimeout + time.Minute
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
	// KeepLease notes that the process of this name is alive, and hands the jobs of
	// those that were not for the time given back to the queue. It returns how many.
	KeepLease(ctx context.Context, name string, dead time.Duration) (int, error)
	// EndLease forgets the process.
	EndLease(ctx context.Context, name string) error
}

// Config holds what a [Runner] works with. All fields are needed; Repositories
// may be empty.
type Config struct {
	Store        Store
	Tally        *tally.Tally
	Repositories []string
	// Interval is how often each repository is looked at.
	Interval time.Duration
	// DutyInterval is how often it is looked for what is due; ten seconds when zero.
	DutyInterval time.Duration
	// Lease is how long a process may be silent before its jobs are taken to be nobody's;
	// half a minute when zero.
	Lease time.Duration
	// Concurrency is how many jobs run at a time in this process.
	Concurrency int
	Log         zerolog.Logger
}

// Runner runs jobs from [Runner.Start] to [Runner.Stop].
type Runner struct {
	cfg     Config
	name    string
	client  client
	leases  *leases
	desk    *desk
	started atomic.Bool
}

// client is what a Runner needs of a [river.Client], whose type has the kind of
// its transactions in it.
type client interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	StopAndCancel(ctx context.Context) error
	Stopped() <-chan struct{}
	JobCancel(ctx context.Context, jobID int64) (*rivertype.JobRow, error)
	Insert(ctx context.Context, args river.JobArgs, opts *river.InsertOpts) (*rivertype.JobInsertResult, error)
	InsertMany(ctx context.Context, params []river.InsertManyParams) ([]*rivertype.JobInsertResult, error)
}

// New sets up a runner. It starts nothing.
func New(ctx context.Context, cfg Config) (*Runner, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("set up jobs: %w", context.Cause(ctx))
	}
	cfg.DutyInterval, cfg.Lease = cmp.Or(cfg.DutyInterval, 10*time.Second), cmp.Or(cfg.Lease, 30*time.Second)
	r := &Runner{cfg: cfg, name: processName()}
	rc, err := riverConfig(cfg, r.name)
	if err != nil {
		return nil, fmt.Errorf("set up jobs: %w", err)
	}
	if db, ok := cfg.Store.SQLite(); ok {
		r.client, err = newClient(riversqlite.New(db), rc)
	} else if pool, ok := cfg.Store.Postgres(); ok {
		rc.PollOnly = pool.Config().MaxConns < listenConnections
		r.client, err = newClient(riverpgxv5.New(pool), rc)
	} else {
		err = errNoEngine
	}
	if err != nil {
		return nil, fmt.Errorf("set up jobs: %w", err)
	}
	r.leases, r.desk = newLeases(cfg, r.name), newDesk(cfg)
	return r, nil
}

// processName is unlike that of any other process, also on another machine.
func processName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "worker"
	}
	return fmt.Sprintf("%s-%d-%s", host, os.Getpid(), rand.Text()[:8])
}

func newClient[TTx any](driver riverdriver.Driver[TTx], rc *river.Config) (client, error) {
	return river.NewClient(driver, rc)
}

func riverConfig(cfg Config, name string) (*river.Config, error) {
	workers := river.NewWorkers()
	if err := addWorkers(workers, cfg.Tally, cfg.Log); err != nil {
		return nil, fmt.Errorf("add workers: %w", err)
	}
	return &river.Config{
		ID:           name,
		Logger:       slog.New(zerolog.NewSlogHandler(riverLog(cfg.Log))),
		MaxAttempts:  maxAttempts,
		PeriodicJobs: periodic(cfg),
		Queues: map[string]river.QueueConfig{
			queueRegistry:   {MaxWorkers: cfg.Concurrency},
			queueAdvisories: {MaxWorkers: 1},
			queueVerdicts:   {MaxWorkers: 2},
			queueMessages:   {MaxWorkers: 2},
			queueDossiers:   {MaxWorkers: 1},
		},
		RescueStuckJobsAfter: rescueAfter,
		Workers:              workers,
	}, nil
}

// periodic looks at every repository, and for what is due, after each interval. One of
// all processes sees to that; the others wait for it to be silent for a while.
func periodic(cfg Config) []*river.PeriodicJob {
	all := []*river.PeriodicJob{river.NewPeriodicJob(river.PeriodicInterval(cfg.DutyInterval),
		func() (river.JobArgs, *river.InsertOpts) { return dutyArgs{}, nil }, nil)}
	for _, repository := range cfg.Repositories {
		all = append(all, river.NewPeriodicJob(river.PeriodicInterval(cfg.Interval),
			func() (river.JobArgs, *river.InsertOpts) { return discoverArgs{Repository: repository}, nil }, nil))
	}
	return all
}

// begin queues a look at every repository, and for what is due. A process that follows
// one that died would otherwise do nothing of its own before the dead one is missed.
func (r *Runner) begin(ctx context.Context) error {
	params := []river.InsertManyParams{{Args: dutyArgs{}}}
	for _, repository := range r.cfg.Repositories {
		params = append(params, river.InsertManyParams{Args: discoverArgs{Repository: repository}})
	}
	if _, err := r.client.InsertMany(ctx, params); err != nil {
		return fmt.Errorf("queue the first jobs: %w", err)
	}
	return nil
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
	if err := r.leases.start(ctx); err != nil {
		return fmt.Errorf("start jobs: %w", err)
	}
	err := r.begin(ctx)
	if err == nil {
		err = r.client.Start(context.WithoutCancel(ctx))
	}
	if err != nil {
		return fmt.Errorf("start jobs: %w", errors.Join(err, r.leases.stop(ctx)))
	}
	r.desk.open(ctx)
	r.started.Store(true)
	return nil
}

// Stop takes no more jobs and waits for those that run. When ctx ends first, it
// cancels them, which hands them back to the queue, and returns an error.
func (r *Runner) Stop(ctx context.Context) error {
	r.desk.shut()
	err := r.stopJobs(ctx)
	return errors.Join(err, r.leases.stop(ctx))
}

func (r *Runner) stopJobs(ctx context.Context) error {
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

// Discover has a repository looked at before its time. Where a look at it waits or
// runs already, that is the one.
func (r *Runner) Discover(ctx context.Context, repository string) error {
	if _, err := r.client.Insert(ctx, discoverArgs{Repository: repository}, nil); err != nil {
		return fmt.Errorf("queue a look at %s: %w", repository, err)
	}
	return nil
}

// Cancel ends a job, also one that runs: its context is cancelled. What the job has
// written stays whole.
func (r *Runner) Cancel(ctx context.Context, job int64) error {
	if _, err := r.client.JobCancel(ctx, job); err != nil {
		return fmt.Errorf("cancel job %d: %w", job, err)
	}
	return nil
}
