package jobs_test

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/store/storetest"
)

// query returns one value of the database.
func (b *bench) query(t *testing.T, query string) (value string) {
	t.Helper()
	var err error
	if db, ok := b.store.SQLite(); ok {
		err = db.QueryRowContext(t.Context(), query).Scan(&value)
	} else if pool, ok := b.store.Postgres(); ok {
		err = pool.QueryRow(t.Context(), query).Scan(&value)
	}
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return value
}

// exec changes the database behind the runner's back.
func (b *bench) exec(t *testing.T, statement string) {
	t.Helper()
	var err error
	if db, ok := b.store.SQLite(); ok {
		_, err = db.ExecContext(t.Context(), statement)
	} else if pool, ok := b.store.Postgres(); ok {
		_, err = pool.Exec(t.Context(), statement)
	}
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// awaitQuery polls until the query gives what is wanted.
func (b *bench) awaitQuery(t *testing.T, query, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		got := b.query(t, query)
		if got == want {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: got %s after %s, want %s", query, got, patience, want)
		case <-tick.C:
		}
	}
}

const (
	discoverID    = `SELECT CAST(min(id) AS text) FROM river_job WHERE kind = 'discover'`
	discoverState = `SELECT CAST(state AS text) FROM river_job WHERE kind = 'discover' ORDER BY id LIMIT 1`
)

func TestAJobThatRunsCanBeCancelled(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := setup(t, url, 4)
		g := newGate(b)
		r := b.runner(t, time.Hour)
		start(t, r)
		g.await(t)
		id, err := strconv.ParseInt(b.query(t, discoverID), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Cancel(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		b.awaitQuery(t, discoverState, "cancelled")
		// The next look is another job.
		b.srv.Fail(nil)
		if err := r.Discover(t.Context(), b.Repository); err != nil {
			t.Fatal(err)
		}
		b.await(t, "the next look", looked)
		stop(t, r)
		if got := b.query(t, discoverState); got != "cancelled" {
			t.Errorf("the job that was cancelled: got %s", got)
		}
	})
}

func TestJobsOfAProcessThatDiedComeBackUnlessTheyWereToBeCancelled(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ metadata, want string }{
		"queued again":                 {metadata: `{}`, want: "completed"},
		"cancelled, as somebody asked": {metadata: `{"cancel_attempted_at":"2026-11-24T12:00:00Z"}`, want: "cancelled"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, url string) {
				b := setup(t, url, 4)
				r := b.runner(t, time.Hour)
				start(t, r)
				b.await(t, "the first look", looked)
				b.awaitQuery(t, discoverState, "completed")
				// As a process leaves it that held the job and is no more.
				by := `'["gone"]'`
				if _, ok := b.store.Postgres(); ok {
					by = `ARRAY['gone']`
				}
				b.exec(t, `UPDATE river_job SET state = 'running', finalized_at = NULL, attempted_by = `+by+`, metadata = '`+tt.metadata+`' WHERE kind = 'discover'`)
				b.awaitQuery(t, discoverState, tt.want)
				stop(t, r)
			})
		})
	}
}

func TestALivingProcessKeepsItsJobsWhenAnotherComes(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := setup(t, url, 8)
		g := newGate(b)
		first, second := b.runner(t, time.Hour), b.runner(t, time.Hour)
		start(t, first)
		g.await(t)
		start(t, second)
		// Longer than a lease: the first has to have kept its own.
		select {
		case <-g.arrived:
			t.Error("the job was taken from a process that lives")
		case <-time.After(3 * time.Second):
		}
		close(g.open)
		b.await(t, "the look", looked)
		stop(t, first)
		stop(t, second)
	})
}
