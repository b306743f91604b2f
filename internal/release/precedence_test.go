package release_test

import (
	"bytes"
	"testing"

	"github.com/tallyman-io/tallyman/internal/release"
)

func TestPrecedenceOrdersAsVersionsDo(t *testing.T) {
	t.Parallel()
	// In order; the pre-releases of 1.0.0 are those of Semantic Versioning 2.0.0, 11.4.
	versions := []string{
		"v0.0.1", "v0.9.9", "v0.10.0",
		"v1.0.0-0", "v1.0.0-2", "v1.0.0-10", "v1.0.0-alpha", "v1.0.0-alpha.1", "v1.0.0-alpha.beta", "v1.0.0-alpha-",
		"v1.0.0-beta", "v1.0.0-beta.2", "v1.0.0-beta.11", "v1.0.0-rc.1", "v1.0.0-rc.1.1",
		"v1.0.0", "v1.0.1", "v1.2.0-rc.1", "v1.2.0", "v1.10.0", "v2.0.0", "v10.0.0", "v18446744073709551616.0.0",
	}
	for i, a := range versions {
		for j, b := range versions {
			got := bytes.Compare(release.Precedence(a), release.Precedence(b))
			if want := release.CompareVersions(a, b); got != want {
				t.Errorf("%s and %s: got %d, want %d", a, b, got, want)
			}
			if (i < j) != (got < 0) {
				t.Errorf("%s and %s: got %d, want the order of the list", a, b, got)
			}
		}
	}
}

func FuzzPrecedence(f *testing.F) {
	f.Add("v1.0.0-alpha.1", "v1.0.0-alpha.beta")
	f.Add("v1.2.3", "latest")
	f.Fuzz(func(t *testing.T, a, b string) {
		if len(a) > 128 || len(b) > 128 {
			t.Skip("no tag is as long")
		}
		got := bytes.Compare(release.Precedence(a), release.Precedence(b))
		if want := release.CompareVersions(a, b); got != want {
			t.Errorf("%q and %q: got %d, want %d", a, b, got, want)
		}
	})
}
