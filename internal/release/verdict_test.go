package release_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/release"
)

func TestWorst(t *testing.T) {
	t.Parallel()
	const pass, fail, unknown = release.ResultPass, release.ResultFail, release.ResultUnknown
	for name, c := range map[string]struct {
		results []release.Result
		want    release.Result
	}{
		"all pass":                           {[]release.Result{pass, pass}, pass},
		"unknown never passes":               {[]release.Result{pass, unknown, pass}, unknown},
		"a fail is a fail whatever else":     {[]release.Result{unknown, fail, unknown, pass}, fail},
		"the order does not matter":          {[]release.Result{fail, unknown}, fail},
		"nothing asked is nothing known":     {nil, unknown},
		"what is no result counts as little": {[]release.Result{pass, ""}, unknown},
		"neither does a word of another":     {[]release.Result{"PASS"}, unknown},
		"a fail beats what is no result":     {[]release.Result{"", fail}, fail},
	} {
		if got := release.Worst(c.results...); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestCompareResultsPutsTheWorstFirst(t *testing.T) {
	t.Parallel()
	results := []release.Result{release.ResultPass, release.ResultUnknown, release.ResultFail}
	slices.SortStableFunc(results, release.CompareResults)
	if diff := cmp.Diff([]release.Result{release.ResultFail, release.ResultUnknown, release.ResultPass}, results); diff != "" {
		t.Error(diff)
	}
}
