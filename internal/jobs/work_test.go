package jobs

import (
	"errors"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/tally"
)

func TestReactionToFailures(t *testing.T) {
	t.Parallel()
	failure := func(cause release.Cause, retryAfter time.Duration) error {
		return &registry.Error{Cause: cause, RetryAfter: retryAfter, Err: errors.New("no")}
	}
	tests := map[string]struct {
		err    error
		cancel bool
		snooze time.Duration // 0: retried, unless cancelled
	}{
		"unavailable is retried":                    {err: failure(release.CauseUnavailable, 0)},
		"our own failure is retried":                {err: errors.New("disk full")},
		"throttled waits as asked":                  {err: failure(release.CauseThrottled, 10*time.Minute), snooze: 10 * time.Minute},
		"throttled waits when nothing is asked":     {err: failure(release.CauseThrottled, 0), snooze: minThrottle},
		"throttled does not wait for ever":          {err: failure(release.CauseThrottled, 24*time.Hour), snooze: maxThrottle},
		"unauthorized is left to the interval":      {err: failure(release.CauseUnauthorized, 0), cancel: true},
		"not found is left to the interval":         {err: failure(release.CauseNotFound, 0), cancel: true},
		"an invalid answer is left to the interval": {err: failure(release.CauseInvalid, 0), cancel: true},
		"what was given up is not tried again":      {err: &tally.FinalError{Err: failure(release.CauseUnavailable, 0)}, cancel: true},
		"not configured is dropped":                 {err: tally.ErrNotConfigured, cancel: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := react(tt.err)
			var cancelled *rivertype.JobCancelError
			if is := errors.As(got, &cancelled); is != tt.cancel {
				t.Errorf("got cancelled %t, want %t", is, tt.cancel)
			}
			var snoozed *river.JobSnoozeError
			if errors.As(got, &snoozed) != (tt.snooze > 0) || snoozed != nil && snoozed.Duration != tt.snooze {
				t.Errorf("got snooze %+v, want %s", snoozed, tt.snooze)
			}
		})
	}
}

func TestRetriesAreSpacedFurtherEachTime(t *testing.T) {
	t.Parallel()
	var w worker[discoverArgs]
	for failures, want := range []time.Duration{15 * time.Second, time.Minute, 4 * time.Minute} {
		job := &river.Job[discoverArgs]{JobRow: &rivertype.JobRow{Errors: make([]rivertype.AttemptError, failures)}}
		if got := time.Until(w.NextRetry(job)); got > want || got < want-time.Second {
			t.Errorf("after %d failures: got %s, want %s", failures+1, got, want)
		}
	}
}
