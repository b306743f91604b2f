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

func TestWhatIsAskedForAllTheTimeIsReadAhead(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, time.May, 1, 0, 0, 0, 0, time.UTC)
	var clock atomic.Int64
	reads, failed := 0, errors.New("the store is away")
	var err error
	var beside []func()
	r := account.NewRecents(time.Second, 2, func() time.Time { return start.Add(time.Duration(clock.Load())) }, func(context.Context, string) (int, error) {
		reads++
		return reads, err
	}).Ahead(5*time.Second, func(f func()) { beside = append(beside, f) })
	for _, tt := range []struct {
		name   string
		at     time.Duration
		want   int
		err    error
		beside int // reads that are run afterwards
	}{
		{"the first waits", 0, 1, nil, 0},
		{"a moment later", time.Second - 1, 1, nil, 0},
		{"what is older is given, and read", time.Second, 1, nil, 1},
		{"the next gets that", time.Second + 1, 2, nil, 0},
		{"an error is not told", 5 * time.Second, 2, failed, 1},
		{"the value stays", 5*time.Second + 1, 2, failed, 1},
		{"for a while", 6 * time.Second, 0, failed, 0},
		{"who asks after long waits", 20 * time.Second, 7, nil, 0},
	} {
		clock.Store(int64(tt.at))
		err = tt.err
		for range 2 { // the second finds somebody reading
			got, err := r.Get(t.Context(), "a")
			if tt.want == 0 && !errors.Is(err, failed) || tt.want > 0 && (got != tt.want || err != nil) {
				t.Errorf("%s: got %d, %v; want %d", tt.name, got, err, tt.want)
			}
		}
		if len(beside) != tt.beside {
			t.Errorf("%s: got %d reads beside, want %d", tt.name, len(beside), tt.beside)
		}
		for _, read := range beside {
			read()
		}
		beside = nil
	}
}
