package jobs_test

import (
	"context"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/jobs"
	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/store"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
	"github.com/tallyman-io/tallyman/internal/tally/tallytest"
)

// patience bounds how long a test waits for something that should happen soon.
const patience = 30 * time.Second

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

type bench struct {
	*tallytest.Bench
	srv   *registrytest.Server
	store *store.Store
	log   *tallytest.Log
}

func setup(t *testing.T, databaseURL string, connections int) *bench {
	t.Helper()
	full := tallytest.New(t, databaseURL, tallytest.Options{
		Connections: connections, RealTime: true, EvidenceEvery: time.Second,
		Queue: func(s *store.Store) (store.Queue, error) { return jobs.NewQueue(s) },
	})
	full.Server.Push(t, tallytest.Path, registrytest.Index(t, 1, "c0ffee", "linux/amd64"), "v1.0.0")
	return &bench{Bench: full, srv: full.Server, store: full.Store, log: full.Log}
}

func (b *bench) runner(t *testing.T, interval time.Duration) *jobs.Runner {
	t.Helper()
	r, err := jobs.New(t.Context(), jobs.Config{
		Store:        b.store,
		Tally:        b.Tally,
		Repositories: []string{b.Repository},
		Interval:     interval,
		DutyInterval: time.Second,
		Lease:        2 * time.Second,
		Concurrency:  4,
		Log:          zerolog.New(b.log),
	})
	if err != nil {
		t.Fatalf("new runner: %v", err)
	}
	return r
}

func start(t *testing.T, r *jobs.Runner) {
	t.Helper()
	if err := r.Start(t.Context()); err != nil {
		t.Fatalf("start: %v", err)
	}
}

func stop(t *testing.T, r *jobs.Runner) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := r.Stop(ctx); err != nil {
		t.Errorf("stop: %v", err)
	}
}

// await polls until the component satisfies the condition.
func (b *bench) await(t *testing.T, what string, ok func(release.Component) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		all, err := b.store.Components(ctx)
		if err != nil {
			t.Fatalf("waiting for %s: %v", what, err)
		}
		if len(all) == 1 && ok(all[0].Component) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waited %s for %s; components: %+v\nlog: %s", patience, what, all, b.log)
		case <-tick.C:
		}
	}
}

func looked(c release.Component) bool { return c.LastLook != nil }

func TestRepositoriesAreReadAtStartAndAgain(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := setup(t, url, 4)
		r := b.runner(t, time.Second)
		if err := r.Ping(t.Context()); err == nil {
			t.Error("ping before start: got no error")
		}
		start(t, r)
		b.await(t, "the first look", func(c release.Component) bool { return c.Latest != nil && c.Latest.Version == "v1.0.0" })
		if err := r.Ping(t.Context()); err != nil {
			t.Errorf("ping: %v", err)
		}
		b.srv.Push(t, "acme/web", registrytest.Index(t, 2, "c0ffee", "linux/amd64"), "v1.1.0")
		b.await(t, "a later look", func(c release.Component) bool { return c.Releases == 2 })
		stop(t, r)
		if err := r.Ping(t.Context()); err == nil {
			t.Error("ping after stop: got no error")
		}
	})
}

func TestOneConnectionToPostgresIsEnough(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.Postgres(t), 1)
	r := b.runner(t, time.Hour)
	start(t, r)
	b.await(t, "the first look", looked)
	stop(t, r)
}

// gate is a fault that holds every listing of tags back until it is opened.
type gate struct {
	arrived chan struct{}
	open    chan struct{}
}

func newGate(b *bench) *gate {
	g := &gate{arrived: make(chan struct{}, 100), open: make(chan struct{})}
	b.srv.Fail(func(_ http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/tags/list") {
			return false
		}
		g.arrived <- struct{}{}
		select {
		case <-g.open:
		case <-r.Context().Done():
		}
		return false
	})
	return g
}

func (g *gate) await(t *testing.T) {
	t.Helper()
	select {
	case <-g.arrived:
	case <-time.After(patience):
		t.Fatalf("no look within %s", patience)
	}
}

func TestStopWaitsForTheLookThatRuns(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := setup(t, url, 4)
		g := newGate(b)
		r := b.runner(t, time.Hour)
		start(t, r)
		g.await(t)
		done := make(chan struct{})
		go func() {
			defer close(done)
			stop(t, r)
		}()
		select {
		case <-done:
			t.Error("stop returned while a look was running")
		case <-time.After(100 * time.Millisecond):
		}
		close(g.open)
		<-done
		b.await(t, "the look that was running", looked)
	})
}

func TestStopCancelsAtItsDeadlineAndTheNextWorkerGoesOn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := setup(t, url, 4)
		g := newGate(b)
		first := b.runner(t, time.Hour)
		start(t, first)
		g.await(t)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := first.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got error %v, want one that says the deadline passed", err)
		}
		b.srv.Fail(nil)
		second := b.runner(t, time.Hour)
		start(t, second)
		b.await(t, "the look of the next worker", looked)
		stop(t, second)
	})
}

func TestOneLookAtATimeForEachRepository(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := setup(t, url, 8)
		g := newGate(b)
		// Two workers on one database; each would look at start and every second.
		first, second := b.runner(t, time.Second), b.runner(t, time.Second)
		start(t, first)
		g.await(t)
		start(t, second)
		select {
		case <-g.arrived:
			t.Error("a second look began while the first was running")
		case <-time.After(2500 * time.Millisecond):
		}
		close(g.open)
		b.await(t, "the first look", looked)
		stop(t, first)
		stop(t, second)
	})
}

func TestAFailureIsLoggedOnceWithWhatItMeans(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t), 1)
	b.srv.Fail(registrytest.Status(429, "Retry-After", "120"))
	r := b.runner(t, time.Hour)
	start(t, r)
	b.await(t, "a failed look", looked)
	stop(t, r)
	if got := strings.Count(b.log.String(), "come back in 2m0s"); got != 1 {
		t.Errorf("got the failure %d times in the log, want once:\n%s", got, b.log)
	}
}

func TestADossierIsMadeSoonAfterItIsAskedFor(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := setup(t, url, 4)
		r := b.runner(t, time.Hour)
		start(t, r)
		b.await(t, "the first look", func(c release.Component) bool { return c.Latest != nil })
		defer stop(t, r)
		all, err := b.store.Components(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		digest := all[0].Latest.Image.Digest
		if err := b.store.Ask(t.Context(), account.Request{Step: release.StepDossier, Repository: b.Repository, Digest: digest, By: "ann"}); err != nil {
			t.Fatal(err)
		}
		b.await(t, "the dossier", func(release.Component) bool {
			d, err := b.store.Dossier(t.Context(), b.Repository, digest)
			if err != nil || d.State == account.DossierFailed {
				t.Fatalf("got %+v, %v, want a dossier", d, err)
			}
			return d.State == account.DossierReady
		})
	})
}
