package account_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
)

func TestRecentReadsOnceForAllWhoAskWithinAMoment(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.May, 1, 0, 0, 0, 0, time.UTC)
	var clock atomic.Int64
	var reads atomic.Int64
	release := make(chan struct{})
	r := account.NewRecent(time.Second, func() time.Time { return now.Add(time.Duration(clock.Load())) }, func(context.Context) (int64, error) {
		<-release
		return reads.Add(1), nil
	})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if got, err := r.Get(t.Context()); got != 1 || err != nil {
				t.Errorf("at the same time: got %d, %v; want the first read", got, err)
			}
		})
	}
	close(release)
	wg.Wait()
	for _, tt := range []struct {
		after time.Duration
		want  int64
	}{{999 * time.Millisecond, 1}, {time.Second, 2}, {1900 * time.Millisecond, 2}, {-time.Hour, 3}} {
		clock.Store(int64(tt.after))
		if got, err := r.Get(t.Context()); got != tt.want || err != nil {
			t.Errorf("%s after the first: got %d, %v; want read %d", tt.after, got, err, tt.want)
		}
	}
}

func TestRecentKeepsNoError(t *testing.T) {
	t.Parallel()
	failed := errors.New("the store is away")
	fail := true
	r := account.NewRecent(time.Hour, time.Now, func(context.Context) (string, error) {
		if fail {
			return "", failed
		}
		return "value", nil
	})
	if _, err := r.Get(t.Context()); !errors.Is(err, failed) {
		t.Errorf("got %v, want the error of the read", err)
	}
	fail = false
	if got, err := r.Get(t.Context()); got != "value" || err != nil {
		t.Errorf("afterwards: got %q, %v", got, err)
	}
}

func TestWhoStopsWaitingDoesNotEndTheReadOfOthers(t *testing.T) {
	t.Parallel()
	began, release := make(chan struct{}), make(chan struct{})
	r := account.NewRecent(time.Hour, time.Now, func(ctx context.Context) (string, error) {
		close(began)
		<-release
		return "value", ctx.Err()
	})
	gone, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if got, err := r.Get(gone); got != "value" || err != nil {
			t.Errorf("who reads for all: got %q, %v; want the value, though told to stop", got, err)
		}
	})
	<-began
	cancel()
	if _, err := r.Get(gone); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want to be told that it was waited no longer", err)
	}
	close(release)
	if got, err := r.Get(t.Context()); got != "value" || err != nil {
		t.Errorf("others: got %q, %v", got, err)
	}
	wg.Wait()
}

func TestAReadThatPanicsKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	panics := true
	r := account.NewRecent(time.Hour, time.Now, func(context.Context) (string, error) {
		if panics {
			panic("the store is broken")
		}
		return "value", nil
	})
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_, _ = r.Get(t.Context())
	}()
	panics = false
	if got, err := r.Get(t.Context()); got != "value" || err != nil {
		t.Errorf("afterwards: got %q, %v", got, err)
	}
}

func TestRecentsReadOnceForEachKey(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	start := time.Date(2026, time.May, 1, 0, 0, 0, 0, time.UTC)
	reads := make(map[string]int)
	r := account.NewRecents(time.Second, 2, func() time.Time { return start.Add(time.Duration(clock.Load())) },
		func(_ context.Context, key string) (string, error) {
			reads[key]++
			return fmt.Sprint(key, reads[key]), nil
		})
	for _, tt := range []struct {
		name  string
		after time.Duration
		key   string
		want  string
	}{
		{"the first", 0, "a", "a1"},
		{"another key", 0, "b", "b1"},
		{"the same within the moment", time.Second - 1, "a", "a1"},
		{"one more than is kept is read", time.Second - 1, "c", "c1"},
		{"and each time", time.Second - 1, "c", "c2"},
		{"after the moment", time.Second, "a", "a2"},
		{"in the place of what is old", time.Second, "c", "c3"},
		{"and kept there", time.Second, "c", "c3"},
		{"beside what is not old", time.Second, "a", "a2"},
	} {
		clock.Store(int64(tt.after))
		if got, err := r.Get(t.Context(), tt.key); got != tt.want || err != nil {
			t.Errorf("%s: got %q, %v; want %q", tt.name, got, err, tt.want)
		}
	}
	r.Forget()
	if got, _ := r.Get(t.Context(), "a"); got != "a3" {
		t.Errorf("after all was forgotten: got %q, want it read anew", got)
	}
}
