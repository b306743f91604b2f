package worker_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/store/storetest"
)

// deaths is how often the worker is killed on each engine.
const deaths = 200

func TestAWorkerThatIsKilledAgainAndAgainLosesNothingAndTellsNothingTwice(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := newBench(t, url)
		first := b.start(t) // makes the schema, which is not what is tried here
		first.awaitWork(t)
		first.kill()
		r := b.read(t)
		random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // not for secrets
		for i := range deaths {
			p := b.start(t)
			if i%4 == 0 {
				b.ship(t)
			}
			if i%8 == 3 {
				b.publish(t)
			}
			// From amid the start to amid the work.
			p.live(t, time.Duration(20+random.IntN(480))*time.Millisecond)
			p.kill()
		}
		before, err := r.verdicts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		last := b.start(t)
		r.await(t, b.world, last)
		took := time.Since(start)
		b.settled(t, r)
		last.stop(t)
		b.check(t)
		struck, err := r.count(t.Context(), `SELECT count(*) FROM river_job WHERE attempt > 1`)
		if err != nil || struck == 0 {
			t.Errorf("jobs that a death struck: got %d, %v: the worker was not killed at work", struck, err)
		}
		messages, arrivals := b.inbox.told()
		t.Logf("killed %d times, with %d jobs under way; %d of %d releases judged by then, all of them %s later; %d messages in %d deliveries",
			deaths, struck, len(before), len(b.expected()), took.Round(time.Second), messages, arrivals)
	})
}

func TestThreeWorkersShareTheLoadAndSurviveOnesDeath(t *testing.T) {
	t.Parallel()
	b := newBench(t, storetest.Postgres(t))
	workers := []*process{b.start(t)}
	workers[0].awaitWork(t)
	r := b.read(t)
	workers = append(workers, b.start(t), b.start(t))
	for range 60 {
		b.ship(t)
	}
	for range 10 {
		b.publish(t)
	}
	// All three have had their share before one dies.
	r.awaitAtLeast(t, 3, `SELECT count(DISTINCT attempted_by[array_upper(attempted_by, 1)]) FROM river_job WHERE kind = 'ingest' AND state = 'completed'`)
	workers[0].kill()
	r.await(t, b.world, workers[1:]...)
	b.settled(t, r)
	shares, err := r.count(t.Context(), `SELECT min(n) FROM (SELECT count(*) AS n FROM river_job WHERE kind = 'ingest' AND state = 'completed' GROUP BY attempted_by[array_upper(attempted_by, 1)]) AS shares`)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range workers[1:] {
		p.stop(t)
	}
	b.check(t)
	t.Logf("60 releases by three workers; the smallest share was %d looks at papers", shares)
}

func TestAWorkerOutlivesItsPostgreSQL(t *testing.T) {
	t.Parallel()
	server := storetest.NewServer(t)
	b := newBench(t, server.URL())
	worker := b.start(t)
	worker.awaitWork(t)
	r := b.read(t)
	const restarts = 5
	for range restarts {
		for range 8 {
			b.ship(t)
		}
		b.publish(t)
		worker.live(t, 500*time.Millisecond) // amid the work
		server.Crash()
		worker.live(t, 500*time.Millisecond) // with no database
		server.Start(t)
	}
	start := time.Now()
	r.await(t, b.world, worker)
	took := time.Since(start)
	b.settled(t, r)
	worker.stop(t)
	b.check(t)
	t.Logf("PostgreSQL ended at once %d times under load; all of %d releases judged %s after the last start", restarts, len(b.expected()), took.Round(time.Second))
}
