package rebuild_test

import (
	"bytes"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/rebuild"
)

// marked is a text that only this test has, in the binary of the test.
func marked() string { return strings.ToLower("Q7K2-TEXT-OF-A-BINARY") + runtime.GOOS }

// TestGoBinariesTellWhatTheyWereBuiltWith changes the binary of the test itself, byte for
// byte, as another build would.
func TestGoBinariesTellWhatTheyWereBuiltWith(t *testing.T) {
	t.Parallel()
	if marked() == "" {
		t.Fatal("the text is used, so that it is in the binary")
	}
	name, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binary, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || len(info.Deps) == 0 {
		t.Skip("needs the build information of the test binary")
	}
	module := info.Deps[0].Path + "\t" + info.Deps[0].Version
	for _, c := range []struct {
		name, was, is string
		cause, field  string
	}{
		{"another Go version", runtime.Version(), strings.Repeat("9", len(runtime.Version())), "go", "go"},
		{"another module version", module, module[:len(module)-1] + "x", "module", "module " + info.Deps[0].Path},
		{"another flag", "build\tGOARCH=" + runtime.GOARCH, "build\tGOARCH=" + strings.Repeat("x", len(runtime.GOARCH)), "flags", "build setting GOARCH"},
		{"a changed text", "Q7K2-TEXT-OF-A-BINARY", "Q7K2-TEXT-OF-A-BINARx", "source", "content"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			changed := bytes.ReplaceAll(binary, []byte(c.was), []byte(c.is))
			if bytes.Equal(changed, binary) {
				t.Fatalf("%q is not in the binary", c.was)
			}
			published, rebuilt := plainSpec(), plainSpec()
			published.ours, rebuilt.ours = []member{file("web", string(binary))}, []member{file("web", string(changed))}
			published.level, rebuilt.level = 1, 1
			published.platforms, rebuilt.platforms = published.platforms[:1], rebuilt.platforms[:1]
			report := compared(t, published.build(t), rebuilt.build(t), rebuild.Limits{})
			if len(report.Causes) != 1 || report.Causes[0].Name != c.cause {
				t.Errorf("causes: got %+v, want %s", report.Causes, c.cause)
			}
			if !slices.ContainsFunc(report.Differences, func(d rebuild.Difference) bool { return d.Field == c.field }) {
				t.Errorf("differences: got %+v, want %s", report.Differences, c.field)
			}
			content := report.Differences[0]
			if content.Bytes == nil || content.Field != "content" || runtime.GOOS == "linux" && content.Bytes.In == "" {
				t.Errorf("got %+v, want where the contents part, and in which section", content)
			}
		})
	}
}
