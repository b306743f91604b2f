package provenance

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

func build() Build {
	return Build{
		Source: "https://github.com/tallyman-io/tallyman", Tag: "v1.2.3", Commit: strings.Repeat("a", 40), Image: "web",
		Platforms: []string{"linux/amd64", "linux/arm64"},
		BaseName:  "gcr.io/distroless/static-debian13:nonroot", BaseDigest: "sha256:" + strings.Repeat("b", 64),
		BuilderID: "https://github.com/o/r/.github/workflows/release.yml@refs/tags/v1.2.3", Invocation: "https://github.com/o/r/actions/runs/1/attempts/1",
		Versions: map[string]string{"go": "go1.26.8", "buildkit": "v0.34.2"},
		Started:  time.Date(2026, 1, 2, 3, 4, 5, 678_900_000, time.FixedZone("somewhere", 7200)),
		Finished: time.Date(2026, 1, 2, 3, 5, 5, 0, time.FixedZone("somewhere", 7200)),
	}
}

// The golden file was checked by eye against the fields and examples of
// https://slsa.dev/spec/v1.0/provenance.
func TestPredicateIsSLSA(t *testing.T) {
	t.Parallel()
	predicate, err := build().Predicate()
	if err != nil {
		t.Fatal(err)
	}
	got, err := json.MarshalIndent(predicate, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "predicate.json")
	if *update {
		if err := os.WriteFile(golden, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("predicate (-golden +got):\n%s", diff)
	}
}

func TestPredicateNamesEverythingThatIsMissing(t *testing.T) {
	t.Parallel()
	b := build()
	b.Commit, b.BaseDigest, b.Finished = "", "sha256:short", b.Started.Add(-time.Second)
	_, err := b.Predicate()
	if err == nil {
		t.Fatal("got a predicate, want an error")
	}
	for _, part := range []string{"provenance of web", "commit is empty", `base digest "sha256:short"`, "expected a start"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in %q", part, err)
		}
	}
}
