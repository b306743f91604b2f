package jobs_test

import (
	"context"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/jobs"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/store"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
	"github.com/tallyman-io/tallyman/internal/tally/tallytest"
)

// A request is followed from the moment that somebody asks to the verdict.
func TestWhatBecomesOfARequestIsTold(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := tallytest.New(t, url, tallytest.Options{Connections: 4, Queue: func(s *store.Store) (store.Queue, error) { return jobs.NewQueue(s) }})
		index, platforms := b.Release(t, 1, "v1.0.0")
		b.Seal(t, index, platforms, "pkg:golang/example.com/a@v1.0.0")
		if err := b.Tally.Discover(t.Context(), b.Repository); err != nil {
			t.Fatal(err)
		}
		asked := func(digest release.Digest) account.Asked {
			t.Helper()
			a, err := b.Store.Asked(t.Context(), b.Repository, digest)
			if err != nil {
				t.Fatal(err)
			}
			return a
		}
		if a := asked(index); a != (account.Asked{}) {
			t.Errorf("before anybody asked: got %+v", a)
		}
		finish(t, b, "") // the look that found the image
		b.Advance(time.Minute)
		for _, r := range []account.Request{{Step: release.StepIngest, Digest: index}, {Step: release.StepDiscover}} {
			r.Repository, r.By = b.Repository, "ada"
			if err := b.Store.Ask(t.Context(), r); err != nil {
				t.Fatal(err)
			}
		}
		for _, digest := range []release.Digest{index, ""} {
			if a := asked(digest); a.By != "ada" || !a.At.Equal(b.Now()) || !a.TakenAt.IsZero() || a.Job != account.JobNone {
				t.Errorf("asked for: got %+v", a)
			}
		}
		b.Advance(time.Second)
		if err := b.Tally.TakeRequests(t.Context()); err != nil {
			t.Fatal(err)
		}
		for state, want := range map[string]account.JobState{"available": account.JobWaiting, "running": account.JobRunning, "retryable": account.JobRetrying} {
			finish(t, b, state)
			for _, digest := range []release.Digest{index, ""} {
				if a := asked(digest); a.Job != want || !a.TakenAt.Equal(b.Now()) || a.LookedAt.After(a.At) {
					t.Errorf("job %s: got %+v, want it %s and nothing looked at", state, a, want)
				}
			}
		}
		if a := asked(platforms[0]); a != (account.Asked{}) {
			t.Errorf("of another image: got %+v", a)
		}
		finish(t, b, "")
		b.Advance(time.Second)
		if err := b.Tally.Ingest(t.Context(), b.Repository, index); err != nil {
			t.Fatal(err)
		}
		if a := asked(index); a.Job != account.JobNone || !a.LookedAt.After(a.At) || !a.Judging || !a.JudgedAt.IsZero() {
			t.Errorf("looked at: got %+v, want it to wait for its verdict", a)
		}
		if err := b.Tally.Judge(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if a := asked(index); a.Judging || !a.JudgedAt.Equal(b.Now()) {
			t.Errorf("judged: got %+v", a)
		}
		if err := b.Tally.Discover(t.Context(), b.Repository); err != nil {
			t.Fatal(err)
		}
		if a := asked(""); !a.LookedAt.After(a.At) {
			t.Errorf("repository looked at: got %+v", a)
		}
	})
}

// finish puts every job into a state, or takes all of them away.
func finish(t *testing.T, b *tallytest.Bench, state string) {
	t.Helper()
	statement, attempted := `DELETE FROM river_job`, time.Now().UTC().Format("2006-01-02 15:04:05")
	if state != "" {
		statement = `UPDATE river_job SET state = '` + state + `', attempted_at = '` + attempted + `'`
	}
	var err error
	if db, ok := b.Store.SQLite(); ok {
		_, err = db.ExecContext(t.Context(), statement)
	} else if pool, ok := b.Store.Postgres(); ok {
		_, err = pool.Exec(context.WithoutCancel(t.Context()), statement)
	}
	if err != nil {
		t.Fatal(err)
	}
}
