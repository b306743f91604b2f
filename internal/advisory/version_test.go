package advisory

import (
	_ "embed"
	"strings"
	"testing"

	"github.com/google/osv-scalibr/semantic"
)

//go:embed testdata/versions.txt
var publishedVersions string

func TestPublishedVersionOrders(t *testing.T) {
	t.Parallel()
	for line := range strings.Lines(publishedVersions) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.Split(line, "|")
		want := map[string]int{"<": -1, "=": 0, ">": +1}[f[2]]
		if got, err := CompareVersions(f[0], f[1], f[3]); err != nil || got != want {
			t.Errorf("%s: got %d, %v; want %d", line, got, err, want)
		}
		if got, err := CompareVersions(f[0], f[3], f[1]); err != nil || got != -want {
			t.Errorf("%s, swapped: got %d, %v; want %d", line, got, err, -want)
		}
	}
}

// oddVersions look alike, are almost semantic versions, or try to break the parser.
var oddVersions = []string{
	"", "0", "1", "v1", "vv1", "1.", ".1", "1..2", "1.0", "1.0.0", "1.0.0.0", "1.0.0.1", "1.2.3.4.5", "01.02.03",
	"1.0.0-", "1.0.0-0", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-rc.1", "1.0.0-rc.11", "1.0.0-rc.2", "1.0.0+build", "1.0.0-rc.1+build",
	"1.0.0+incompatible", "20.10.17+incompatible", "1.22rc1", "1.22.0-rc.1", "1.22.0-0", "(devel)", "UNKNOWN", "1.x", "x.1", "1-2-3", "1.2-3",
	"0.0.0-20210224082022-3d97a244fca7", "0.0.0-20240717014424-cbb86e0d7f4a", "1.2.4-0.20200101000000-abcdefabcdef", "0.0.0-20250422202024-9eeb4a7a08b6+dirty",
	"18446744073709551615", "18446744073709551616.1", "99999999999999999999999.2.3", "1.18446744073709551616.0", "1844674407370955160", "1844674407370955161.0.1",
	"1.0.0-\u00e9", "\u0661.0.0", "1.0.0 ", " 1.0.0", "1.0.0\n", "1e5", "-1", "+1", "1.0.0~1",
}

func TestFastComparisonAgreesWithTheLibrary(t *testing.T) {
	t.Parallel()
	for _, a := range oddVersions {
		for _, b := range oddVersions {
			checkAgainstLibrary(t, "Go", a, b)
		}
	}
}

func checkAgainstLibrary(t *testing.T, ecosystem, a, b string) {
	t.Helper()
	x, err := semantic.Parse(a, ecosystem)
	if err != nil {
		return
	}
	want, err := x.CompareStr(b)
	if err != nil {
		return
	}
	if got, err := CompareVersions(ecosystem, a, b); err != nil || got != want {
		t.Errorf("%s: %q and %q: got %d, %v; the library says %d", ecosystem, a, b, got, err, want)
	}
}

func FuzzCompareVersions(f *testing.F) {
	for i, v := range oddVersions {
		f.Add(v, oddVersions[len(oddVersions)-1-i])
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a) > 100 || len(b) > 100 {
			return
		}
		for _, ecosystem := range []string{"Go", "Debian", "Alpine", "PyPI", "Maven", "Red Hat", "RubyGems", "Packagist", "NuGet", "CRAN", "Hackage", "Pub"} {
			checkAgainstLibrary(t, ecosystem, a, b)
		}
	})
}

func TestVersionsThatCannotBeCompared(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ ecosystem, a, b string }{
		{"Nowhere", "1", "2"},
		{"Debian:12", "x:1", "2"},
		{"Go", strings.Repeat("1", 1000), "1.0.0"},
	} {
		if _, err := CompareVersions(c.ecosystem, c.a, c.b); err == nil || len(err.Error()) > 300 {
			t.Errorf("%s: got %v, want a short error", c.ecosystem, err)
		}
	}
}
