package pipeline_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/e2e/workbench"
	"github.com/tallyman-io/tallyman/internal/release"
)

// auditor is the released command, with the advisories that the worker has.
type auditor struct {
	program, database, key string
}

// newAuditor takes the command from a GoReleaser dist folder.
func (s *suite) newAuditor(t *testing.T, dist, advisories string) auditor {
	t.Helper()
	pattern := filepath.Join(dist, "tallyman-binary_linux_"+runtime.GOARCH+"*", "tallyman")
	found, err := filepath.Glob(pattern)
	must(t, err)
	if len(found) != 1 {
		t.Fatalf("expected one %s, found %d", pattern, len(found))
	}
	a := auditor{program: found[0], database: filepath.Join(t.TempDir(), "advisories.db"), key: s.publicKey}
	out, err := exec.CommandContext(t.Context(), a.program, "db", "import", "--db", a.database, strings.TrimPrefix(advisories, "file://")).CombinedOutput()
	if err != nil {
		t.Fatalf("import the advisories: %v\n%s", err, out)
	}
	return a
}

// verdict is what the command and the worker say of an image.
type verdict struct {
	Result release.Result
	// Rules is the result of each.
	Rules                                             map[string]release.Result
	Known                                             bool
	Critical, High, Medium, Low, Unscored, Suppressed int
	Packages                                          int
}

// verify asks the command about an image.
func (a auditor) verify(t *testing.T, image string) verdict {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), a.program, "verify", "--key", a.key, "--policy", "built-in", "--db", a.database, "--format", "json", image)
	cmd.Env = os.Environ()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	failed := cmd.Run() // the exit code tells the verdict
	var report struct {
		Images []struct {
			Verdict struct {
				Result  release.Result
				Reasons []struct {
					Rule   string
					Result release.Result
				}
				Counts *verdict
			}
		}
	}
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil || len(report.Images) != 1 {
		t.Fatalf("tallyman verify %s: %v, %v\n%s%s", image, failed, err, &stdout, &stderr)
	}
	of := report.Images[0].Verdict
	v := verdict{}
	if of.Counts != nil {
		v, v.Known = *of.Counts, true
	}
	v.Result, v.Rules = of.Result, make(map[string]release.Result)
	for _, r := range of.Reasons {
		v.Rules[r.Rule] = r.Result
	}
	return v
}

// tallied is what the worker says of a release.
func talliedVerdict(j *workbench.Judged) verdict {
	n := j.Now
	v := verdict{
		Result: j.Last.Result, Rules: make(map[string]release.Result), Known: n.Known, Critical: n.Critical, High: n.High, Medium: n.Medium,
		Low: n.Low, Unscored: n.Unscored, Suppressed: n.Suppressed, Packages: n.Packages,
	}
	for _, r := range j.Last.Reasons {
		v.Rules[r.Rule] = r.Result
	}
	return v
}

// agrees lets the command judge what the worker judged, and compares with what the console
// says: verdict, each rule and the counts. Of an image that cannot be read now the worker knows from before what
// the command cannot know, so that only the verdict is the same.
func (a auditor) agrees(t *testing.T, console workbench.Console, all []workbench.Judged, readable bool) {
	t.Helper()
	for i := range all {
		j := &all[i]
		image := j.Repository + "@" + string(j.Digest)
		worker, shown, command := talliedVerdict(j), consoleVerdict(t, console, j.Digest), a.verify(t, image)
		if diff := cmp.Diff(worker, shown); diff != "" {
			t.Errorf("verdict on %s (-worker +console):\n%s", image, diff)
		}
		if !readable {
			shown, command = verdict{Result: shown.Result}, verdict{Result: command.Result}
		}
		if diff := cmp.Diff(shown, command); diff != "" {
			t.Errorf("verdict on %s (-console +tallyman verify):\n%s", image, diff)
		}
	}
}

// lists has the command print the releases of an image from their papers alone, and compares
// sizes with what was released.
func (s *suite) lists(t *testing.T, a auditor, image string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), a.program, "releases", image, "--key", a.key, "--db", a.database, "--format", "json")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tallyman releases %s: %v\n%s", image, err, out)
	}
	var report struct {
		Releases []struct {
			Version, Digest, Signature string
			Critical                   *int
			BuildSeconds               *float64
			Sizes                      map[string]int64
		}
	}
	must(t, json.Unmarshal(out, &report))
	if len(report.Releases) != 2 || report.Releases[0].Version != second || report.Releases[1].Version != first {
		t.Fatalf("releases of %s: got %s, want %s and %s", image, out, second, first)
	}
	for _, r := range report.Releases {
		released := s.released[r.Version][image].Image
		sizes := make(map[string]int64)
		for _, p := range released.Platforms {
			sizes[p.String()] = p.CompressedSize
		}
		if diff := cmp.Diff(sizes, r.Sizes); diff != "" {
			t.Errorf("sizes of %s %s (-released +told):\n%s", image, r.Version, diff)
		}
		if r.Digest != string(released.Digest) || r.Signature != string(release.StateVerified) || r.Critical == nil || *r.Critical != 0 || r.BuildSeconds == nil || *r.BuildSeconds <= 0 {
			t.Errorf("%s %s: got %+v, want it verified, with no critical finding and a build that took a while", image, r.Version, r)
		}
	}
}
