package tally_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
	"github.com/tallyman-io/tallyman/internal/tally/tallytest"
)

func progressOf(t *testing.T, b *tallytest.Bench, step release.Step) (ledger.Progress, bool) {
	t.Helper()
	all, err := b.Store.Progress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.Step == step {
			return p, true
		}
	}
	return ledger.Progress{}, false
}

func TestALookThatFailsIsToldWithItsReason(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := tallytest.New(t, url, tallytest.Options{Connections: 4})
		index, _ := b.Release(t, 1, "v1.0.0")
		if err := b.Tally.Register(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
		b.Look(t)
		b.Server.Fail(registrytest.Status(500))
		for step, err := range map[release.Step]error{
			release.StepDiscover: b.Tally.Discover(t.Context(), b.Repository), release.StepIngest: b.Tally.Ingest(t.Context(), b.Repository, index),
		} {
			if p, found := progressOf(t, b, step); err == nil || !found || !p.Ended || !strings.Contains(p.Failure, "500") {
				t.Errorf("%s: got %+v and %v, want it ended with the reason", step, p, err)
			}
		}
	})
}

func TestTheProgressOfLooksIsForgottenAndThatOfFeedsIsKept(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := tallytest.New(t, url, tallytest.Options{Connections: 4, EvidenceEvery: 24 * time.Hour})
		b.Publish(t, "Go", storetest.Advisory("GO-1", "example.com/b", "2.0.0", b.Now(), criticalVector))
		index, platforms := b.Release(t, 1, "v1.0.0")
		b.Seal(t, index, platforms, "pkg:golang/example.com/a@v1.5.0")
		b.Look(t)
		for _, err := range again(t, b) {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			after                   time.Duration
			discover, ingest, feeds bool
		}{{30 * time.Minute, true, true, true}, {time.Hour, false, false, true}} {
			b.Advance(tt.after)
			for _, err := range again(t, b) {
				t.Fatal(err)
			}
			for step, want := range map[release.Step]bool{release.StepDiscover: tt.discover, release.StepIngest: tt.ingest, release.StepSync: tt.feeds} {
				if p, found := progressOf(t, b, step); found != want {
					t.Errorf("%s later, %s: got %t %+v, want %t", tt.after, step, found, p, want)
				}
			}
		}
	})
}
