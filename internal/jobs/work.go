package jobs

import (
	"context"
	"errors"
	"time"

	"github.com/riverqueue/river"
	"github.com/rs/zerolog"

	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/tally"
)

const (
	// maxAttempts bounds how often a job is tried before it is left to the next
	// interval.
	maxAttempts = 3
	// firstRetry is the pause after the first failure; each further one is four
	// times as long.
	firstRetry = 15 * time.Second
	// Pauses that a registry asks for are held within these bounds.
	minThrottle = time.Minute
	maxThrottle = time.Hour
)

// How long a job may run. What it found out by then is kept.
const (
	discoverTimeout = 5 * time.Minute
	ingestTimeout   = 5 * time.Minute
	syncTimeout     = 30 * time.Minute
	judgeTimeout    = 10 * time.Minute
	notifyTimeout   = time.Minute
	dutyTimeout     = time.Minute
	dossierTimeout  = 10 * time.Minute
)

// worker runs the jobs of one kind.
type worker[A river.JobArgs] struct {
	river.WorkerDefaults[A]
	timeout time.Duration
	work    func(ctx context.Context, args A) error
	// about names in the log what a job is about.
	about func(args A, event *zerolog.Event) *zerolog.Event
	log   zerolog.Logger
}

// Timeout bounds the job.
func (w *worker[A]) Timeout(*river.Job[A]) time.Duration { return w.timeout }

// NextRetry spaces the attempts.
func (w *worker[A]) NextRetry(job *river.Job[A]) time.Time {
	pause := firstRetry
	for range len(job.Errors) {
		pause *= 4
	}
	return time.Now().Add(pause)
}

// Work does the job, logs a failure, and tells River what to do about it.
func (w *worker[A]) Work(ctx context.Context, job *river.Job[A]) error {
	err := w.work(ctx, job.Args)
	if err == nil {
		return nil
	}
	if errors.Is(ctx.Err(), context.Canceled) && !errors.Is(context.Cause(ctx), river.ErrJobCancelledRemotely) {
		return river.JobSnooze(0) // stopped: for the next worker, at once
	}
	verdict := react(err)
	w.about(job.Args, w.log.Warn().Err(err)).Str("job", job.Kind).Int("attempt", job.Attempt).Msg("job not done")
	return verdict
}

// react chooses between three answers to a failure: wait as long as was asked for,
// retry what may pass soon, or leave it to the next interval.
func react(err error) error {
	var failed *registry.Error
	var unknown *tally.UnknownError
	var later *tally.LaterError
	var final *tally.FinalError
	switch {
	case errors.Is(err, tally.ErrNotConfigured), errors.As(err, &final):
		return river.JobCancel(err)
	case errors.As(err, &later):
		return river.JobSnooze(max(later.After, 0))
	case errors.As(err, &unknown):
		return reactTo(err, unknown.Cause, unknown.RetryAfter)
	case errors.As(err, &failed):
		return reactTo(err, failed.Cause, failed.RetryAfter)
	default:
		return err
	}
}

func reactTo(err error, cause release.Cause, after time.Duration) error {
	switch cause {
	case release.CauseUnavailable:
		return err
	case release.CauseThrottled:
		return river.JobSnooze(min(max(after, minThrottle), maxThrottle))
	default:
		return river.JobCancel(err)
	}
}

// addWorkers registers the workers of all kinds.
func addWorkers(workers *river.Workers, t *tally.Tally, log zerolog.Logger) error {
	return errors.Join(
		river.AddWorkerSafely(workers, &worker[discoverArgs]{
			timeout: discoverTimeout, log: log,
			work:  func(ctx context.Context, a discoverArgs) error { return t.Discover(ctx, a.Repository) },
			about: func(a discoverArgs, e *zerolog.Event) *zerolog.Event { return e.Str("repository", a.Repository) },
		}),
		river.AddWorkerSafely(workers, &worker[ingestArgs]{
			timeout: ingestTimeout, log: log,
			work: func(ctx context.Context, a ingestArgs) error { return t.Ingest(ctx, a.Repository, a.Digest) },
			about: func(a ingestArgs, e *zerolog.Event) *zerolog.Event {
				return e.Str("repository", a.Repository).Str("digest", string(a.Digest))
			},
		}),
		river.AddWorkerSafely(workers, &worker[syncArgs]{
			timeout: syncTimeout, log: log,
			work:  func(ctx context.Context, a syncArgs) error { return t.Sync(ctx, a.Ecosystem) },
			about: func(a syncArgs, e *zerolog.Event) *zerolog.Event { return e.Str("ecosystem", a.Ecosystem) },
		}),
		river.AddWorkerSafely(workers, &worker[judgeArgs]{
			timeout: judgeTimeout, log: log,
			work:  func(ctx context.Context, a judgeArgs) error { return t.Judge(ctx, a.Wave) },
			about: func(a judgeArgs, e *zerolog.Event) *zerolog.Event { return e.Int64("wave", a.Wave) },
		}),
		river.AddWorkerSafely(workers, &worker[notifyArgs]{
			timeout: notifyTimeout, log: log,
			work:  func(ctx context.Context, a notifyArgs) error { return t.Notify(ctx, a.Delivery) },
			about: func(a notifyArgs, e *zerolog.Event) *zerolog.Event { return e.Str("delivery", a.Delivery) },
		}),
		river.AddWorkerSafely(workers, &worker[dossierArgs]{
			timeout: dossierTimeout, log: log,
			work: func(ctx context.Context, a dossierArgs) error { return t.Dossier(ctx, a.Repository, a.Digest) },
			about: func(a dossierArgs, e *zerolog.Event) *zerolog.Event {
				return e.Str("repository", a.Repository).Str("digest", string(a.Digest))
			},
		}),
		river.AddWorkerSafely(workers, &worker[dutyArgs]{
			timeout: dutyTimeout, log: log,
			work:  func(ctx context.Context, _ dutyArgs) error { return t.Duty(ctx) },
			about: func(_ dutyArgs, e *zerolog.Event) *zerolog.Event { return e },
		}),
	)
}
