package account

import (
	"cmp"
	"slices"
	"sort"
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

// Shipped is what an image ships: its packages in order, once each.
type Shipped []ShippedPackage

// ShippedPackage is a package, by its purl without a version, in all its versions, in order.
type ShippedPackage struct {
	Package  string
	Versions []string
}

// NewShipped puts purls in order.
func NewShipped(purls []string) Shipped {
	type named struct{ base, version string }
	all := make([]named, 0, len(purls))
	for _, purl := range purls {
		if base, version := SplitPURL(purl); base != "" {
			all = append(all, named{base, version})
		}
	}
	// Not slices.SortFunc: it is code anew for each type.
	sort.Slice(all, func(i, j int) bool {
		a, b := &all[i], &all[j]
		return a.base < b.base || a.base == b.base && a.version < b.version
	})
	all = slices.Compact(all)
	shipped, versions, first := make(Shipped, 0, len(all)), make([]string, len(all)), 0
	for i := range all {
		versions[i] = all[i].version
		if i+1 == len(all) || all[i+1].base != all[i].base {
			shipped = append(shipped, ShippedPackage{all[i].base, versions[first : i+1 : i+1]})
			first = i + 1
		}
	}
	return shipped
}

// ComparePackages compares what two images ship. A cursor is the name of the last package of
// the part before; without a limit a part is all that is left.
func ComparePackages(from, to Shipped, pages ComparePages) PackageChanges {
	var p PackageChanges
	for len(from) > 0 || len(to) > 0 {
		var order int
		switch {
		case len(to) == 0:
			order = -1
		case len(from) == 0:
			order = 1
		default:
			order = cmp.Compare(from[0].Package, to[0].Package)
		}
		switch {
		case order < 0:
			addTo(&p.Removed, &pages.Removed, PackageChange{Package: from[0].Package, From: from[0].Versions})
			from = from[1:]
			continue
		case order > 0:
			addTo(&p.Added, &pages.Added, PackageChange{Package: to[0].Package, To: to[0].Versions})
			to = to[1:]
			continue
		case slices.Equal(from[0].Versions, to[0].Versions):
			p.Same++
		default:
			addTo(&p.Changed, &pages.Changed, PackageChange{Package: from[0].Package, From: from[0].Versions, To: to[0].Versions})
		}
		from, to = from[1:], to[1:]
	}
	return p
}

// addTo counts a change, and puts it into the list where it is of the part.
func addTo(l *List[PackageChange], part *Page, change PackageChange) {
	l.Total++
	switch {
	case change.Package <= part.After: // of a part before
	case part.Limit > 0 && len(l.Items) == part.Limit:
		l.Next = l.Items[part.Limit-1].Package
	default:
		l.Items = append(l.Items, change)
	}
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
