package account_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/release"
)

func TestSplitPURL(t *testing.T) {
	t.Parallel()
	for purl, want := range map[string][2]string{
		"pkg:golang/example.com/a@v1.0.0":                {"pkg:golang/example.com/a", "v1.0.0"},
		"pkg:npm/%40scope/a@1.0.0?x=y#sub":               {"pkg:npm/%40scope/a", "1.0.0"},
		"pkg:npm/@scope/a":                               {"pkg:npm/@scope/a", ""},
		"pkg:deb/debian/tzdata@2026a-1?distro=debian-12": {"pkg:deb/debian/tzdata", "2026a-1"},
		"": {"", ""},
	} {
		if base, version := account.SplitPURL(purl); base != want[0] || version != want[1] {
			t.Errorf("%s: got %q and %q, want %q", purl, base, version, want)
		}
	}
}

// list is a list that has one part.
func list(all ...account.PackageChange) account.List[account.PackageChange] {
	return account.List[account.PackageChange]{Items: all, Total: len(all)}
}

func TestComparePackages(t *testing.T) {
	t.Parallel()
	from := account.NewShipped([]string{"gone@1", "moved@1", "same@2", "same@1", "also gone@3", "same@2?arch=amd64", ""})
	to := account.NewShipped([]string{"new@1", "moved@2", "same@1", "same@2"})
	want := account.PackageChanges{
		Added:   list(account.PackageChange{Package: "new", To: []string{"1"}}),
		Removed: list(account.PackageChange{Package: "also gone", From: []string{"3"}}, account.PackageChange{Package: "gone", From: []string{"1"}}),
		Changed: list(account.PackageChange{Package: "moved", From: []string{"1"}, To: []string{"2"}}),
		Same:    1,
	}
	if diff := cmp.Diff(want, account.ComparePackages(from, to, account.ComparePages{})); diff != "" {
		t.Error(diff)
	}
	first, last := want, want
	first.Removed.Items, first.Removed.Next = want.Removed.Items[:1], "also gone"
	one := account.Page{Limit: 1}
	if diff := cmp.Diff(first, account.ComparePackages(from, to, account.ComparePages{Added: one, Removed: one, Changed: one})); diff != "" {
		t.Errorf("one of a kind: %s", diff)
	}
	last.Removed.Items = want.Removed.Items[1:]
	last.Added.Items, last.Changed.Items = nil, nil
	for name, removed := range map[string]string{"where the part before ended": "also gone", "after one that is there no more": "fellow"} {
		pages := account.ComparePages{Added: account.Page{After: "new"}, Removed: account.Page{After: removed, Limit: 1}, Changed: account.Page{After: "z"}}
		if diff := cmp.Diff(last, account.ComparePackages(from, to, pages)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	if got := account.ComparePackages(nil, nil, account.ComparePages{}); got.Same != 0 {
		t.Errorf("of nothing: got %+v", got)
	}
	if got := account.ComparePackages(nil, to, account.ComparePages{}); got.Added.Total != 3 || len(got.Added.Items) != 3 {
		t.Errorf("with nothing: got %+v, want all three added", got)
	}
	more := account.NewShipped([]string{"same@1", "same@2", "same@3"})
	if got := account.ComparePackages(to, more, account.ComparePages{}); got.Changed.Total != 1 || !slices.Equal(got.Changed.Items[0].To, []string{"1", "2", "3"}) {
		t.Errorf("one version more: got %+v, want a change", got)
	}
}

func TestCompareSizes(t *testing.T) {
	t.Parallel()
	platform := func(arch string, size int64) release.Platform {
		return release.Platform{OS: "linux", Architecture: arch, CompressedSize: size}
	}
	got := account.CompareSizes([]release.Platform{platform("amd64", 1), platform("s390x", 2)}, []release.Platform{platform("arm64", 3), platform("amd64", 4)})
	want := []account.SizeChange{{Platform: "linux/amd64", From: 1, To: 4}, {Platform: "linux/s390x", From: 2, To: -1}, {Platform: "linux/arm64", From: -1, To: 3}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
