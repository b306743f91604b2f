package store

import (
	"fmt"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
)

func TestAJobThatRunsIsNotLostAmongThoseThatEnded(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		now := time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)
		s, err := Open(t.Context(), url, Options{Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		l, err := NewLedger(s, new(tasks))
		if err != nil {
			t.Fatal(err)
		}
		record := func(p ledger.Progress) {
			t.Helper()
			now = now.Add(time.Second)
			if err := l.RecordProgress(t.Context(), p); err != nil {
				t.Fatal(err)
			}
		}
		const repository = "ghcr.io/acme/web"
		image := func(n int) release.Digest { return storetest.DigestOf(fmt.Sprint(n)) }
		record(ledger.Progress{Step: release.StepDiscover, Subject: repository})
		for n := range account.MostProgress + 1 {
			record(ledger.Progress{Step: release.StepIngest, Subject: repository + "@" + string(image(n)), Ended: true})
		}
		all, err := s.Progress(t.Context())
		if err != nil || len(all) != account.MostProgress || all[0].Step != release.StepDiscover || all[1].Subject != repository+"@"+string(image(account.MostProgress)) {
			t.Errorf("all: got %d, the first %+v (%v); want %d, first the one that runs, then the one that ended last", len(all), all[:min(2, len(all))], err, account.MostProgress)
		}
		of, err := s.ProgressOf(t.Context(), repository, image(0))
		if err != nil || len(of) != 2 || of[0].Step != release.StepDiscover || of[1].Subject != repository+"@"+string(image(0)) {
			t.Errorf("of an image: got %+v (%v), want the look at its repository and that at its papers, which is the oldest", of, err)
		}
	})
}
