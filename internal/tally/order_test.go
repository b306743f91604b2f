package tally_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
	"github.com/tallyman-io/tallyman/internal/tally/tallytest"
)

// Four releases were seen by one look, and the advisories of a wave are of one moment: what
// a list is sorted by is often the same of many.
func TestListsAreReadFromEitherEndInPartsAndNothingIsLost(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := busy(t, url)
		for _, q := range []account.AdvisoryQuery{{Sort: "modified"}, {Sort: "published"}, {Sort: "id"}, {Sort: "modified", Found: true, Ecosystem: "Go"}} {
			least := 2*many + 1
			if q.Found {
				least = many
			}
			fromEitherEnd(t, "advisories by "+q.Sort, least, func(opposite bool, p account.Page) (account.List[account.Advisory], error) {
				return b.Store.Advisories(t.Context(), account.AdvisoryQuery{Sort: signed(opposite, q.Sort), Found: q.Found, Ecosystem: q.Ecosystem}, p)
			})
		}
		for _, q := range []account.ReleaseQuery{{Sort: "seen"}, {Sort: "seen", Repository: b.Repository}, {Sort: "version", Repository: b.Repository}, {Sort: "seen", Result: "fail"}} {
			fromEitherEnd(t, "releases of "+q.Repository+" by "+q.Sort, 4, func(opposite bool, p account.Page) (account.List[account.Standing], error) {
				return b.Store.Releases(t.Context(), account.ReleaseQuery{Repository: q.Repository, Sort: signed(opposite, q.Sort), Result: q.Result}, p)
			})
		}
		for _, term := range []string{"example.com/b", "example.com/b@>0.1", "GO-B-01", tallytest.Path, tallytest.Path + ":v1"} {
			fromEitherEnd(t, "search for "+term, 4, func(opposite bool, p account.Page) (account.List[account.Hit], error) {
				p.Oldest = opposite
				found, err := b.Store.Search(t.Context(), term, p)
				return found.List, err
			})
		}
		fromEitherEnd(t, "releases of an advisory", 4, func(opposite bool, p account.Page) (account.List[account.Hit], error) {
			p.Oldest = opposite
			return b.Store.AdvisoryReleases(t.Context(), "GO-B-01", p)
		})
		fromEitherEnd(t, "activity", 4, func(opposite bool, p account.Page) (account.List[account.Wave], error) {
			p.Oldest = opposite
			return b.Store.Activity(t.Context(), p)
		})
		newFindings(t, b)
	})
}

func signed(opposite bool, word string) string {
	if opposite {
		return "-" + word
	}
	return word
}

// fromEitherEnd reads a list of at least so many items in parts, from one end and from the
// other.
func fromEitherEnd[T any](t *testing.T, name string, least int, read func(opposite bool, p account.Page) (account.List[T], error)) {
	t.Helper()
	whole, err := read(false, account.Page{Limit: account.MostItems})
	if err != nil || whole.Next != "" || len(whole.Items) < least {
		t.Fatalf("%s: got %d, %v, and then %q; want %d at least", name, len(whole.Items), err, whole.Next, least)
	}
	for _, opposite := range []bool{false, true} {
		for _, limit := range []int{1, 3, max(1, len(whole.Items)), account.MostItems} {
			inParts(t, signed(opposite, name), limit, whole, func(p account.Page) (account.List[T], error) { return read(opposite, p) })
		}
		first, err := read(opposite, account.Page{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := read(!opposite, account.Page{Limit: 1, After: first.Next}); first.Next != "" && !errors.Is(err, account.ErrCursor) {
			t.Errorf("%s: a cursor of the other direction: got %v", name, err)
		}
		slices.Reverse(whole.Items)
	}
}

// newFindings reads findings with the oldest waves first; within a wave the worst stay so.
func newFindings(t *testing.T, b *tallytest.Bench) {
	t.Helper()
	newest, err := b.Store.NewFindings(t.Context(), account.Page{Limit: account.MostItems})
	if err != nil || len(newest.Items) != 2*many {
		t.Fatalf("new findings: got %d, %v; want %d", len(newest.Items), err, 2*many)
	}
	want := slices.Concat(newest.Items[many:], newest.Items[:many])
	for _, limit := range []int{1, 20, many, many + 1, account.MostItems} {
		inParts(t, "new findings from the oldest on", limit, account.List[account.NewFinding]{Items: want, Total: -1}, func(p account.Page) (account.List[account.NewFinding], error) {
			p.Oldest = true
			return b.Store.NewFindings(t.Context(), p)
		})
	}
	old := cursor(t, "new findings", "7")
	if _, err := b.Store.NewFindings(t.Context(), account.Page{After: old, Oldest: true}); !errors.Is(err, account.ErrCursor) {
		t.Errorf("a cursor of the other direction: got %v", err)
	}
	if want[0].Wave >= want[many].Wave {
		t.Error("the oldest wave is not the first")
	}
}
