package tally_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
	"github.com/tallyman-io/tallyman/internal/tally/tallytest"
)

// shipping are the purls of packages of a name, from one number to before another.
func shipping(name, version string, from, to int) []string {
	var all []string
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprintf("pkg:golang/example.com/%s%02d@%s", name, i, version))
	}
	return all
}

func TestWhatDiffersBetweenReleasesIsReadInPartsAndNothingIsLost(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := tallytest.New(t, url, tallytest.Options{Connections: 4})
		b.Publish(t, "Go", storetest.Advisory("GO-NONE", "example.com/none", "2.0.0", b.Now(), ""))
		for i, purls := range [][]string{
			append(append(shipping("gone", "v1.0.0", 0, many), shipping("moved", "v1.0.0", 0, many)...), shipping("same", "v1.0.0", 0, 3)...),
			append(append(shipping("new", "v1.0.0", 0, many), shipping("moved", "v1.1.0", 0, many)...), shipping("same", "v1.0.0", 0, 3)...),
			append(shipping("new", "v1.0.0", 11, many), shipping("gone", "v1.0.0", 0, 11)...),
		} {
			index, platforms := b.Release(t, int64(i)+1, fmt.Sprintf("v1.%d.0", i))
			b.Seal(t, index, platforms, purls...)
		}
		b.Look(t)
		again(t, b)
		compare := func(to string, pages account.ComparePages) (account.PackageChanges, error) {
			c, err := b.Store.Compare(t.Context(), account.Ref{Repository: b.Repository, Name: "v1.0.0"}, account.Ref{Repository: b.Repository, Name: to}, pages)
			return c.Packages, err
		}
		page := account.Page{Limit: account.MostItems}
		whole, err := compare("v1.1.0", account.ComparePages{Added: page, Removed: page, Changed: page})
		if err != nil || whole.Unknown != "" || whole.Added.Total != many || whole.Removed.Total != many || whole.Changed.Total != many || whole.Same != 3 {
			t.Fatalf("got %+v, %v; want %d of each", whole, err, many)
		}
		for _, limit := range []int{1, 10, many, many + 1} {
			inParts(t, "added", limit, whole.Added, func(p account.Page) (account.List[account.PackageChange], error) {
				part, err := compare("v1.1.0", account.ComparePages{Added: p})
				return part.Added, err
			})
			inParts(t, "removed", limit, whole.Removed, func(p account.Page) (account.List[account.PackageChange], error) {
				part, err := compare("v1.1.0", account.ComparePages{Removed: p})
				return part.Removed, err
			})
			inParts(t, "changed", limit, whole.Changed, func(p account.Page) (account.List[account.PackageChange], error) {
				part, err := compare("v1.1.0", account.ComparePages{Changed: p})
				return part.Changed, err
			})
		}
		// What the part before ended with need not differ any more.
		first, err := compare("v1.1.0", account.ComparePages{Added: account.Page{Limit: 6}, Removed: account.Page{Limit: 6}})
		if err != nil {
			t.Fatal(err)
		}
		rest, err := compare("v1.2.0", account.ComparePages{Added: account.Page{After: first.Added.Next}, Removed: account.Page{After: first.Removed.Next, Limit: many}})
		if err != nil || len(rest.Added.Items) != many-11 || !strings.HasSuffix(rest.Added.Items[0].Package, "new11") || len(rest.Removed.Items) != many || rest.Removed.Total != 2*many+3-11 {
			t.Errorf("after some that are the same now: got %+v and %d of %d, %v", rest.Added, len(rest.Removed.Items), rest.Removed.Total, err)
		}
		for name, pages := range map[string]account.ComparePages{
			"of another list":     {Changed: account.Page{After: first.Added.Next}},
			"of nobody":           {Added: account.Page{After: "new05"}},
			"with too many words": {Removed: account.Page{After: cursor(t, "packages removed", "a", "b")}},
		} {
			if _, err := compare("v1.1.0", pages); !errors.Is(err, account.ErrCursor) {
				t.Errorf("a cursor %s: got %v", name, err)
			}
		}
	})
}
