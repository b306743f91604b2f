package retry_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/retry"
)

var (
	errBusy  = errors.New("busy")
	errWrong = errors.New("wrong")
)

func TestDoAsksAgainOnlyWhileItMayPass(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		answers []error // the last one is given for ever
		after   time.Duration
		want    error
		waits   []time.Duration
	}{
		{"no fault", []error{nil}, 0, nil, nil},
		{"a fault that passes", []error{errBusy, errBusy, nil}, 0, nil, []time.Duration{time.Second, 2 * time.Second}},
		{"the wait that was asked for", []error{errBusy, errBusy, nil}, 7 * time.Second, nil, []time.Duration{7 * time.Second, 7 * time.Second}},
		{
			"a fault that stays",
			[]error{errBusy},
			0, errBusy,
			[]time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second},
		},
		{"a fault for good", []error{errWrong}, 0, errWrong, nil},
		{"a fault for good after one that passes", []error{errBusy, errWrong}, 0, errWrong, []time.Duration{time.Second}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			var waits []time.Duration
			err := retry.Do(t.Context(), func(_ context.Context, d time.Duration) error {
				waits = append(waits, d)
				return nil
			}, func() error {
				calls++
				return c.answers[min(calls, len(c.answers))-1]
			}, func(err error) (time.Duration, bool) { return c.after, errors.Is(err, errBusy) })
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if diff := cmp.Diff(c.waits, waits); diff != "" {
				t.Errorf("waits (-want +got):\n%s", diff)
			}
			if calls != len(c.waits)+1 {
				t.Errorf("calls: got %d, want %d", calls, len(c.waits)+1)
			}
		})
	}
}

func TestDoStopsWaitingWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		errStopped := errors.New("stopped")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 1500*time.Millisecond, errStopped)
		defer cancel()
		start := time.Now()
		err := retry.Do(ctx, retry.Sleep, func() error { return errBusy }, func(error) (time.Duration, bool) { return 0, true })
		if !errors.Is(err, errBusy) || !errors.Is(err, errStopped) {
			t.Errorf("got %v, want what failed and why the wait ended", err)
		}
		if took := time.Since(start); took != 1500*time.Millisecond {
			t.Errorf("returned after %s, want when the context ended", took)
		}
	})
}
