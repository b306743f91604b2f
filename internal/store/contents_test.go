package store_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/store"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
	"github.com/tallyman-io/tallyman/internal/tally/tallytest"
)

func TestWhoShipsAPackageIsFoundTheSameEitherWay(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		now := time.Date(2026, time.May, 1, 0, 0, 0, 0, time.UTC)
		s, err := store.Open(t.Context(), url, store.Options{Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		f := tallytest.NewFleet(3, 90, 400, time.Date(2025, time.January, 1, 0, 0, 0, 0, time.UTC))
		if err := f.Keep(t.Context(), s, 20); err != nil {
			t.Fatal(err)
		}
		shippers := func(name string, rare bool, part int) [][]int64 {
			t.Helper()
			all, err := s.Shippers(t.Context(), name, rare, part)
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		found := 0
		for _, module := range append(slices.Clone(f.Modules[:12]), f.Modules[len(f.Modules)-1], "stdlib", "no-such-module") {
			want := shippers(module, true, 1000)
			found += len(want)
			for _, part := range []int{1, 7, 1000} { // the first from the store, others from memory
				if diff := cmp.Diff(want, shippers(module, false, part)); diff != "" {
					t.Errorf("%s, in parts of %d (-from the packages, +from the images):\n%s", module, part, diff)
				}
			}
		}
		if found < 90 {
			t.Errorf("got %d hits, want a fleet in which packages are found", found)
		}
		documents, packages := s.KeptContents()
		if documents != 90 || packages < 90*300 || packages > 90*400 {
			t.Errorf("remembered: %d documents with %d packages, want those of all images", documents, packages)
		}

		// What was repaired in the store is seen after a while.
		if err := s.Exec(t.Context(), `DELETE FROM document_package`); err != nil {
			t.Fatal(err)
		}
		if got := shippers("stdlib", false, 1000); len(got) == 0 {
			t.Error("at once: want what is remembered")
		}
		now = now.Add(5 * time.Minute)
		if got := shippers("stdlib", false, 1000); len(got) != 0 {
			t.Errorf("after five minutes: got %d, want none", len(got))
		}
	})
}
