package rebuild_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/rebuild"
)

// hello builds testdata/hello for Linux, as a release is built, and with more flags.
func hello(t *testing.T, flags ...string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "hello")
	args := append([]string{"build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", out}, flags...)
	cmd := exec.CommandContext(t.Context(), "go", append(args, "./testdata/hello")...)
	cmd.Env = append(os.Environ(), "GOFLAGS=", "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, said)
	}
	content, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestGoBinariesTellWhatTheyWereBuiltWith(t *testing.T) {
	t.Parallel()
	binary := hello(t)
	// What cannot be built here is made of the same binary, byte for byte.
	replaced := func(was, is string) []byte {
		t.Helper()
		if len(was) != len(is) || !bytes.Contains(binary, []byte(was)) {
			t.Fatalf("%q is not in the binary", was)
		}
		return bytes.ReplaceAll(binary, []byte(was), []byte(is))
	}
	const module = "dep\tgolang.org/x/sync\tv0."
	for _, c := range []struct {
		name    string
		rebuilt []byte
		cause   string
		field   string
	}{
		{"another Go version", replaced(runtime.Version(), runtime.Version()[:len(runtime.Version())-1]+"0"), "go", "go"},
		{"another module version", replaced(module, strings.Replace(module, "v0.", "v9.", 1)), "module", "module golang.org/x/sync"},
		{"without -trimpath", hello(t, "-trimpath=false"), "flags", "build setting -trimpath"},
		{"with tags", hello(t, "-tags=other"), "flags", "build setting -tags"},
		{"a changed byte", replaced("a text of the program: y", "a text of the program: z"), "source", "content"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			published, rebuilt := plainSpec(), plainSpec()
			published.ours, rebuilt.ours = []member{file("web", string(binary))}, []member{file("web", string(c.rebuilt))}
			published.platforms, rebuilt.platforms = published.platforms[:1], rebuilt.platforms[:1]
			report := compared(t, published.build(t), rebuilt.build(t), rebuild.Limits{})
			if len(report.Causes) != 1 || report.Causes[0].Name != c.cause {
				t.Errorf("causes: got %+v, want %s", report.Causes, c.cause)
			}
			if !slices.ContainsFunc(report.Differences, func(d rebuild.Difference) bool { return d.Field == c.field }) {
				t.Errorf("differences: got %+v, want %s", report.Differences, c.field)
			}
			at := slices.IndexFunc(report.Differences, func(d rebuild.Difference) bool { return d.Field == "content" })
			if at < 0 || report.Differences[at].Bytes == nil || report.Differences[at].Bytes.In == "" {
				t.Errorf("got %+v, want where the contents part, and in which section", report.Differences)
			}
		})
	}
}

// TestChangedCodeNamesTheFunction: what a change of the source leaves is told where the
// build information is equal.
func TestChangedCodeNamesTheFunction(t *testing.T) {
	t.Parallel()
	binary := hello(t)
	at := bytes.Index(binary, []byte("\xcc\xcc\xcc\xcc")) // between two functions
	if at < 0 {
		t.Fatal("no padding in the code")
	}
	changed := bytes.Clone(binary)
	changed[at-8] ^= 1
	published, rebuilt := plainSpec(), plainSpec()
	published.ours, rebuilt.ours = []member{file("web", string(binary))}, []member{file("web", string(changed))}
	report := compared(t, published.build(t), rebuilt.build(t), rebuild.Limits{})
	if in := report.Differences[0].Bytes.In; !strings.Contains(in, "section .text, function ") {
		t.Errorf("got %q, want a function of .text", in)
	}
}
