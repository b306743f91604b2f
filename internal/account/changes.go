package account

import (
	"maps"
	"slices"
	"strings"

	"github.com/tallyman-io/tallyman/internal/release"
)

// SplitPURL splits a purl into the package and its version. Qualifiers and subpath
// belong to neither: they say which build of the version it is.
func SplitPURL(purl string) (base, version string) {
	purl, _, _ = strings.Cut(purl, "#")
	purl, _, _ = strings.Cut(purl, "?")
	if at := strings.LastIndexByte(purl, '@'); at > strings.LastIndexByte(purl, '/') {
		return purl[:at], purl[at+1:]
	}
	return purl, ""
}

// ComparePackages compares what two images ship: the versions of each package, by its
// purl without one. Each list of the result has at most so many items; 0 is all.
func ComparePackages(from, to map[string][]string, most int) PackageChanges {
	var p PackageChanges
	bases := maps.Clone(from)
	if bases == nil {
		bases = make(map[string][]string)
	}
	maps.Copy(bases, to)
	for _, base := range slices.Sorted(maps.Keys(bases)) {
		change := PackageChange{Package: base, From: from[base], To: to[base]}
		switch {
		case slices.Equal(change.From, change.To):
			p.Same++
		case change.From == nil:
			p.Added, p.AddedCount = atMost(p.Added, change, most), p.AddedCount+1
		case change.To == nil:
			p.Removed, p.RemovedCount = atMost(p.Removed, change, most), p.RemovedCount+1
		default:
			p.Changed, p.ChangedCount = atMost(p.Changed, change, most), p.ChangedCount+1
		}
	}
	return p
}

func atMost(all []PackageChange, change PackageChange, most int) []PackageChange {
	if most > 0 && len(all) == most {
		return all
	}
	return append(all, change)
}

// CompareSizes compares the sizes of platforms, in the order of the first and then of
// those that only the second has.
func CompareSizes(from, to []release.Platform) []SizeChange {
	var all []SizeChange
	at := make(map[string]int)
	for _, p := range from {
		at[p.String()] = len(all)
		all = append(all, SizeChange{Platform: p.String(), From: p.CompressedSize, To: -1})
	}
	for _, p := range to {
		if i, ok := at[p.String()]; ok {
			all[i].To = p.CompressedSize
			continue
		}
		all = append(all, SizeChange{Platform: p.String(), From: -1, To: p.CompressedSize})
	}
	return all
}

// OnlyIn returns the names that a has and b has not, in order.
func OnlyIn(a, b map[string]bool) []string {
	var only []string
	for name := range a {
		if !b[name] {
			only = append(only, name)
		}
	}
	slices.Sort(only)
	return only
}
