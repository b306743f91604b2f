package jobs

import (
	"context"
	"errors"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
	"github.com/rs/zerolog"

	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/tally"
)

const (
	// discoverTimeout bounds one look. What a look found by then is kept.
	discoverTimeout = 5 * time.Minute
	// discoverAttempts bounds how often a look is tried before it is left to the
	// next interval.
	discoverAttempts = 3
	// firstRetry is the pause after the first failure; each further one is four
	// times as long.
	firstRetry = 15 * time.Second
	// Pauses that a registry asks for are held within these bounds.
	minThrottle = time.Minute
	maxThrottle = time.Hour
)

// discoverArgs is one look at one repository.
type discoverArgs struct {
	Repository string `json:"repository" river:"unique"`
}

// Kind names the job in the database.
func (discoverArgs) Kind() string { return "discover" }

// InsertOpts allows one look at a repository at a time: while one waits, runs or
// is to be retried, another is not queued.
func (discoverArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{UniqueOpts: river.UniqueOpts{
		ByArgs: true,
		ByState: []rivertype.JobState{
			rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable,
			rivertype.JobStateRunning, rivertype.JobStateScheduled,
		},
	}}
}

// periodic looks at every repository when a worker starts, and after each interval.
func periodic(repositories []string, every time.Duration) []*river.PeriodicJob {
	all := make([]*river.PeriodicJob, 0, len(repositories))
	for _, repository := range repositories {
		all = append(all, river.NewPeriodicJob(
			river.PeriodicInterval(every),
			func() (river.JobArgs, *river.InsertOpts) { return discoverArgs{Repository: repository}, nil },
			&river.PeriodicJobOpts{RunOnStart: true},
		))
	}
	return all
}

type discoverWorker struct {
	river.WorkerDefaults[discoverArgs]
	tally *tally.Tally
	log   zerolog.Logger
}

// Timeout bounds the job.
func (w *discoverWorker) Timeout(*river.Job[discoverArgs]) time.Duration { return discoverTimeout }

// NextRetry spaces the attempts.
func (w *discoverWorker) NextRetry(job *river.Job[discoverArgs]) time.Time {
	pause := firstRetry
	for range len(job.Errors) {
		pause *= 4
	}
	return time.Now().Add(pause)
}

// Work looks at the repository, logs a failure, and tells River what to do about it.
func (w *discoverWorker) Work(ctx context.Context, job *river.Job[discoverArgs]) error {
	err := w.tally.Discover(ctx, job.Args.Repository)
	if err == nil {
		return nil
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return river.JobSnooze(0) // stopped: for the next worker, at once
	}
	verdict := react(err)
	w.log.Warn().Err(err).Str("repository", job.Args.Repository).Int("attempt", job.Attempt).Msg("repository not read")
	return verdict
}

// react chooses between three answers to a failure: wait as long as a throttling
// registry asks, retry what may pass soon, or leave it to the next interval.
func react(err error) error {
	var failed *registry.Error
	switch {
	case errors.Is(err, tally.ErrNotConfigured):
		return river.JobCancel(err)
	case !errors.As(err, &failed), failed.Cause == release.CauseUnavailable:
		return err
	case failed.Cause == release.CauseThrottled:
		return river.JobSnooze(min(max(failed.RetryAfter, minThrottle), maxThrottle))
	default:
		return river.JobCancel(err)
	}
}
