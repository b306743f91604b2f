// Package retry asks again when what failed may pass: a registry that throttles
// or restarts, a connection that was cut.
package retry

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// attempts is how often a release asks before it gives up.
const attempts = 5

// Wait returns when d is over, or with the cause of ctx when that ends first.
type Wait func(ctx context.Context, d time.Duration) error

// Sleep is the [Wait] of the clock.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// Do calls try, at most five times, until it succeeds or fails for good: passing
// tells whether a failure may pass and for how long the other side asked to be
// left alone. With 0, Do waits for 1, 2, 4 and then 8 seconds. The error is that
// of the last try.
func Do(ctx context.Context, wait Wait, try func() error, passing func(error) (after time.Duration, ok bool)) error {
	for attempt := 1; ; attempt++ {
		err := try()
		if err == nil {
			return nil
		}
		after, ok := passing(err)
		if !ok {
			return err
		}
		if attempt == attempts {
			return fmt.Errorf("%w (%d attempts)", err, attempts)
		}
		if after <= 0 {
			after = time.Second << (attempt - 1)
		}
		if stopped := wait(ctx, after); stopped != nil {
			return errors.Join(err, stopped)
		}
	}
}
