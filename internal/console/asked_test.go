package console_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/release"
)

func TestARescanIsFollowedStepByStep(t *testing.T) {
	t.Parallel()
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	taken := account.Asked{At: ago(5 * time.Minute), By: "ada", TakenAt: ago(4 * time.Minute), LookedAt: ago(time.Hour), Workers: 1}
	with := func(change func(*account.Asked)) account.Asked {
		a := taken
		change(&a)
		return a
	}
	looked := with(func(a *account.Asked) { a.LookedAt = ago(3 * time.Minute) })
	tests := map[string]struct {
		asked account.Asked
		steps []string
		says  string
		ended bool
	}{
		"nobody asked": {account.Asked{}, nil, "Nobody asked for another look.", true},
		"waits":        {account.Asked{At: now, By: "ada", Workers: 1}, []string{"Done Asked for by ada just now", "Waits Taken by a worker", "Waits Papers looked at", "Waits Judged"}, "Waiting for a worker to take it", false},
		"nobody works": {account.Asked{At: now, By: "ada"}, []string{"Done Asked for by ada just now", "Unknown Taken by a worker no worker is alive, so nobody takes it", "Waits Papers looked at", "Waits Judged"}, "No worker is alive, so nobody takes it", false},
		"waits for its turn": {
			with(func(a *account.Asked) { a.Job = account.JobWaiting }),
			[]string{"Done Asked for by ada 5 minutes ago", "Done Taken by a worker 4 minutes ago", "Waits Papers looked at", "Waits Judged"},
			"Waiting for its turn", false,
		},
		"runs": {
			with(func(a *account.Asked) { a.Job = account.JobRunning }),
			[]string{"Done Asked for by ada 5 minutes ago", "Done Taken by a worker 4 minutes ago", "Running Papers looked at", "Waits Judged"},
			"Being looked at", false,
		},
		"is tried again": {
			with(func(a *account.Asked) { a.Job = account.JobRetrying }),
			[]string{"Done Asked for by ada 5 minutes ago", "Done Taken by a worker 4 minutes ago", "Unknown Papers looked at it could not be found out, and is tried again", "Waits Judged"},
			"To be tried again", false,
		},
		"came to nothing": {
			taken, []string{
				"Done Asked for by ada 5 minutes ago", "Done Taken by a worker 4 minutes ago",
				"Unknown Papers looked at no job waits or runs, and the latest look is from before; the worker's log says why", "Waits Judged",
			}, "Ended without another look", true,
		},
		"is judged": {
			with(func(a *account.Asked) { a.LookedAt, a.Judging = ago(3*time.Minute), true }),
			[]string{"Done Asked for by ada 5 minutes ago", "Done Taken by a worker 4 minutes ago", "Done Papers looked at 3 minutes ago", "Running Judged"},
			"Being judged", false,
		},
		"nothing changed": {
			looked,
			[]string{"Done Asked for by ada 5 minutes ago", "Done Taken by a worker 4 minutes ago", "Done Papers looked at 3 minutes ago", "Nothing changed Judged"},
			"Looked at: nothing changed, so the verdict stands", true,
		},
		"the verdict changed": {
			with(func(a *account.Asked) { a.LookedAt, a.JudgedAt = ago(3*time.Minute), ago(2*time.Minute) }),
			[]string{"Done Asked for by ada 5 minutes ago", "Done Taken by a worker 4 minutes ago", "Done Papers looked at 3 minutes ago", "Done Judged 2 minutes ago"},
			"Judged: the verdict or its counts changed", true,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := harbour()
			m.request = tt.asked
			doc := page(t, m, releasePath+"?asked=1")
			if diff := cmp.Diff(tt.steps, doc.texts(".steps li")); diff != "" {
				t.Error(diff)
			}
			if got := attr(doc.all("ol.steps")[0], "data-says"); got != tt.says {
				t.Errorf("got %q, want %q", got, tt.says)
			}
			want := "/activity/events?digest=" + strings.Replace(string(digest("web v1.10.0")), ":", "%3A", 1) + "&repository=" + strings.ReplaceAll(webRepository, "/", "%2F")
			if tt.ended {
				want = ""
			}
			if got := attr(doc.all("section.is-asked div")[0], "data-live"); got != want {
				t.Errorf("followed at %q, want %q", got, want)
			}
			for _, cell := range doc.texts(".is-asked") {
				if strings.Contains(cell, "Debian:13") {
					t.Errorf("jobs of others are shown: %q", cell)
				}
			}
		})
	}
}

func TestALookAtARepositoryIsNotJudged(t *testing.T) {
	t.Parallel()
	m := harbour()
	m.request = account.Asked{At: now.Add(-time.Minute), By: "ada", TakenAt: now.Add(-time.Minute), LookedAt: now, Workers: 1}
	doc := page(t, m, webPath+"?asked=1")
	if diff := cmp.Diff([]string{"Done Asked for by ada 1 minute ago", "Done Taken by a worker 1 minute ago", "Done Repository looked at just now"}, doc.texts(".steps li")); diff != "" {
		t.Error(diff)
	}
	if got := attr(doc.all("section.is-asked a")[0], "href"); got != webPath {
		t.Errorf("what is known now is at %q, want %q", got, webPath)
	}
}

// turning is a store in which a request is looked at and then judged.
type turning struct {
	*memory
	reads atomic.Int64
}

func (m *turning) Asked(_ context.Context, repository string, d release.Digest) (account.Asked, error) {
	if repository != webRepository || d != digest("web v1.10.0") {
		return account.Asked{}, m.err
	}
	a := account.Asked{At: now.Add(-time.Minute), By: "ada", TakenAt: now.Add(-time.Minute), Job: account.JobRunning, Workers: 1}
	if m.reads.Add(1) > 3 {
		a.LookedAt, a.JudgedAt = now, now
	}
	return a, m.err
}

func TestWhoFollowsARescanIsToldOfItAlone(t *testing.T) {
	t.Parallel()
	m := &turning{memory: harbour()}
	server := serve(t, newConsole(t, m, &bytes.Buffer{}, quick), time.Second)
	address := "?repository=" + webRepository + "&digest=" + string(digest("web v1.10.0"))
	next, status := followAt(t, server, address)
	if status != http.StatusOK {
		t.Fatalf("got status %d", status)
	}
	if got := next("jobs"); !strings.Contains(got, "Being looked at") || strings.Contains(got, "Debian:13") {
		t.Errorf("got event %q, want this request alone", got)
	}
	if got := next("ended"); !strings.Contains(got, "Judged: the verdict or its counts changed") {
		t.Errorf("got event %q, want the end", got)
	}
	if got := next("jobs"); got != "" {
		t.Errorf("after the end: got %q", got)
	}
	if _, status := followAt(t, server, "?repository=x&digest=nothing"); status != http.StatusBadRequest {
		t.Errorf("of no digest: got status %d, want 400", status)
	}
}
