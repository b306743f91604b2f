package registry_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
	"github.com/tallyman-io/tallyman/internal/release"
)

func TestAHostGetsASetNumberOfRequestsAtATime(t *testing.T) {
	t.Parallel()
	const most, calls = 3, 24
	var now, peak, total atomic.Int64
	full := make(chan struct{})
	var once sync.Once
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			return
		}
		n := now.Add(1)
		defer now.Add(-1)
		total.Add(1)
		for p := peak.Load(); n > p && !peak.CompareAndSwap(p, n); p = peak.Load() {
		}
		if n == most {
			once.Do(func() { close(full) })
		}
		select {
		case <-full:
		case <-r.Context().Done():
		}
		fmt.Fprint(w, `{"tags":["a"]}`)
	}))
	t.Cleanup(srv.Close)
	c := registry.New(registry.Config{Timeout: 10 * time.Second, Concurrency: most})
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() {
			if _, err := c.Tags(t.Context(), fmt.Sprintf("%s/acme/web%d", strings.TrimPrefix(srv.URL, "http://"), i%4)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := peak.Load(); got != most {
		t.Errorf("got %d requests at the same time, want %d", got, most)
	}
	if got := total.Load(); got != calls {
		t.Errorf("got %d requests, want %d", got, calls)
	}
}

// clock is a time that a test moves on.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time       { return time.Unix(c.at.Load(), 0) }
func (c *clock) pass(d time.Duration) { c.at.Add(int64(d / time.Second)) }
func newClock() *clock                { c := &clock{}; c.at.Store(1_800_000_000); return c }
func configAt(c *clock) *registry.Client {
	return registry.New(registry.Config{Timeout: 5 * time.Second, Now: c.now})
}

func TestAHostThatAsksForRestGetsItFromEveryRequest(t *testing.T) {
	t.Parallel()
	for name, status := range map[string]int{"throttled": http.StatusTooManyRequests, "down for a while": http.StatusServiceUnavailable} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv, other := registrytest.New(t), registrytest.New(t)
			for _, s := range []*registrytest.Server{srv, other} {
				s.Push(t, "acme/web", registrytest.Index(t, 1, "c0ffee", "linux/amd64"), "v1.0.0")
			}
			clock := newClock()
			c := configAt(clock)
			srv.Fail(registrytest.Status(status, "Retry-After", "90"))
			if _, err := c.Tags(t.Context(), srv.Repository("acme/web")); err == nil {
				t.Fatal("got no error")
			}
			srv.Fail(nil)
			before := srv.Requests()
			clock.pass(30 * time.Second)
			_, err := c.Resolve(t.Context(), srv.Repository("acme/other"), "v1.0.0")
			failed := failureOf(t, err)
			if failed.Cause != release.CauseThrottled || failed.Status != status || failed.RetryAfter != time.Minute {
				t.Errorf("got cause %q, status %d, retry after %s; want %q, %d, 1m0s", failed.Cause, failed.Status, failed.RetryAfter, release.CauseThrottled, status)
			}
			if n := srv.Requests() - before; n != 0 {
				t.Errorf("got %d requests to the registry, want 0", n)
			}
			if _, err := c.Tags(t.Context(), other.Repository("acme/web")); err != nil {
				t.Errorf("another registry: %v", err)
			}
			clock.pass(time.Minute)
			if _, err := c.Tags(t.Context(), srv.Repository("acme/web")); err != nil {
				t.Errorf("after the rest: %v", err)
			}
		})
	}
}

func TestWithoutATimeNoHostIsLeftAlone(t *testing.T) {
	t.Parallel()
	srv := registrytest.New(t)
	srv.Push(t, "acme/web", registrytest.Index(t, 1, "c0ffee", "linux/amd64"), "v1.0.0")
	c := configAt(newClock())
	for _, after := range []string{"", "0", "soon"} {
		srv.Fail(registrytest.Status(http.StatusTooManyRequests, "Retry-After", after))
		if _, err := c.Tags(t.Context(), srv.Repository("acme/web")); err == nil {
			t.Fatal("got no error")
		}
		srv.Fail(nil)
		if _, err := c.Tags(t.Context(), srv.Repository("acme/web")); err != nil {
			t.Errorf("Retry-After %q: %v", after, err)
		}
	}
}
