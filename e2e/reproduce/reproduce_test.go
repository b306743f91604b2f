package reproduce

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/e2e/workbench"
	"github.com/tallyman-io/tallyman/internal/rebuild"
	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/release"
)

const (
	version = "v1.0.0"
	// rebuildMax bounds one rebuild on two cores with warm modules and built tools.
	rebuildMax = 3 * time.Minute
)

// suite is what the lines share; they run in order.
type suite struct {
	repository string
	bench      *workbench.Bench
	registry   string // host:port/namespace
	publicKey  string
	clone      *workbench.Clone
	commit     string
	somebody   *somebody
	figures    []string
}

// line is one thing that is asserted.
type line struct {
	name string
	run  func(*testing.T)
}

func TestReproduce(t *testing.T) {
	s := newSuite(t)
	lines := []line{
		{"a release is reproduced by somebody else, and attested", s.identical},
		{"a release is reproduced by its tag, from a clone", s.byTag},
		{"what nobody vouches for is not rebuilt", s.refused},
		{"one byte of a source file is named", s.changedSource},
		{"another base image is named", s.anotherBase},
		{"another Go version is named", s.anotherGo},
		{"the release after it is reproduced by somebody else", s.next},
	}
	if os.Getenv("REPRODUCE_ALL") != "" {
		// Minutes more: the tools of BuildKit are built as well.
		lines = append(lines, line{"a release is reproduced by its tag, with make snapshot", s.makeSnapshot})
	}
	for _, line := range lines {
		start := time.Now()
		ok := t.Run(line.name, line.run)
		s.figures = append(s.figures, fmt.Sprintf("%s\t%v\t%s", time.Since(start).Round(time.Second), ok, line.name))
	}
	t.Logf("\n%s", strings.Join(s.figures, "\n"))
}

func newSuite(t *testing.T) *suite {
	t.Helper()
	repository, err := filepath.Abs("../..")
	must(t, err)
	s := &suite{repository: repository}
	s.bench = newBench(t, repository, "release")
	must(t, s.bench.BuildKit(t.Context()))
	said, err := s.bench.Base(t.Context(), repository)
	must(t, err)
	t.Log(said)
	address, _, err := s.bench.Registry(t.Context())
	must(t, err)
	s.registry = address + "/tallyman"
	s.bench.Setenv("TALLYMAN_REGISTRY", s.registry)
	// The gate counts with the small set.
	database, err := s.bench.AdvisoryDatabase(t.Context(), repository, time.Time{}, time.Now())
	must(t, err)
	s.bench.Setenv("TALLYMAN_DB", database)
	s.publicKey, err = s.bench.Key(t.Context())
	must(t, err)
	s.clone, err = s.bench.Clone(t.Context(), "clone")
	must(t, err)
	must(t, s.clone.Tag(t.Context(), version))
	s.commit, err = s.clone.Head(t.Context())
	must(t, err)
	start := time.Now()
	s.goreleaser(t, nil, "release", "--clean")
	s.figures = append(s.figures, fmt.Sprintf("%s\t\trelease of %s", time.Since(start).Round(time.Second), version))
	s.somebody = newSomebody(t, s)
	return s
}

// goreleaser runs GoReleaser in the clone of the release.
func (s *suite) goreleaser(t *testing.T, env []string, args ...string) {
	t.Helper()
	var log output
	if err := s.bench.GoReleaser(t.Context(), s.clone.Dir, &log, env, args...).Run(); err != nil {
		t.Fatalf("goreleaser %s: %v\n%s", strings.Join(args, " "), err, &log)
	}
}

func newBench(t *testing.T, repository, name string) *workbench.Bench {
	t.Helper()
	dir, err := os.MkdirTemp("", "tallyman-e2e-reproduce-"+name+"-") //nolint:usetesting // a failed test leaves it to look at
	must(t, err)
	// Others are to come in.
	must(t, os.Chmod(dir, 0o755))
	bench, err := workbench.New(dir, repository, os.Stderr)
	must(t, err)
	t.Cleanup(func() {
		if err := bench.Close(); err != nil {
			t.Errorf("close bench %s: %v", name, err)
		}
		if t.Failed() {
			t.Logf("bench %s is kept: %s", name, dir)
		} else if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove bench %s: %v", name, err)
		}
	})
	return bench
}

func (s *suite) images() []string {
	return []string{s.registry + "/web", s.registry + "/worker", s.registry + "/tallyman"}
}

// tagged are the references of a version of every image.
func (s *suite) tagged(version string) []string {
	all := s.images()
	for i := range all {
		all[i] += ":" + version
	}
	return all
}

func (s *suite) digest(t *testing.T, image string) release.Digest {
	t.Helper()
	digest, err := registry.New(registry.Config{}).Resolve(t.Context(), image, version)
	must(t, err)
	return digest
}

// identical has somebody else rebuild and attest, and asserts that a policy counts two
// who built the digest.
func (s *suite) identical(t *testing.T) {
	private, public := s.somebody.key(t)
	args := slices.Concat([]string{"reproduce"}, s.tagged(version), []string{
		"--key", s.publicKey, "--source", s.clone.Dir,
		"--archives", s.archives(t), "--format", "json", "--attest", "--signing-key", private, "--tools", s.somebody.tools,
	})
	// The tools are built once; what is measured is a rebuild with them.
	start := time.Now()
	must(t, s.somebody.buildTools(t.Context(), s.clone.Dir))
	tools := time.Since(start)
	start = time.Now()
	code, stdout, stderr := s.somebody.tallyman(t.Context(), args...)
	took := time.Since(start)
	if code != 0 {
		t.Fatalf("reproduce: got exit %d, want 0\n%s\n%s", code, stdout, stderr)
	}
	s.figures = append(s.figures, fmt.Sprintf("%s\t\tto build the tools; then %s to reproduce as %s", tools.Round(time.Second), took.Round(time.Second), s.somebody.who))
	inTime(t, took)
	report := parse(t, stdout)
	if report.Result != rebuild.Identical || len(report.Images) != len(s.images()) || len(report.Files) < 13 || len(report.Differences) != 0 {
		t.Errorf("report: got %s, want identical, every image, archives, packages, SBOMs and checksums, no difference", stdout)
	}
	for _, image := range s.images() {
		s.wantTwoRebuilders(t, image, public)
	}
}

// inTime asserts how long a rebuild may take.
func inTime(t *testing.T, took time.Duration) {
	t.Helper()
	if took > rebuildMax && os.Getenv("TALLYMAN_BUSY") == "" {
		t.Errorf("reproduce took %s, want at most %s (TALLYMAN_BUSY=1 on a machine that has other work)", took, rebuildMax)
	}
}

// wantTwoRebuilders asserts that a policy counts who built the digest: two for those who
// trust the rebuilder as well.
func (s *suite) wantTwoRebuilders(t *testing.T, image, rebuilder string) {
	t.Helper()
	two := filepath.Join(s.bench.Dir, "two.yaml")
	writeFile(t, two, "version: 1\nrules:\n  - name: reproduced\n    pass: rebuilders >= 2\n    message: '\"expected two who built it, found \" + string(rebuilders)'\n")
	verify := []string{"verify", image + ":" + version, "--policy", two, "--key", s.publicKey}
	if code, stdout, stderr := s.root(t.Context(), s.bench.Dir, nil, verify...); code != 1 || !strings.Contains(stdout+stderr, "expected two who built it, found 1") {
		t.Errorf("without trust in the rebuilder: got exit %d, want 1\n%s\n%s", code, stdout, stderr)
	}
	if code, stdout, stderr := s.root(t.Context(), s.bench.Dir, nil, append(verify, "--key", rebuilder)...); code != 0 {
		t.Errorf("with trust in the rebuilder: got exit %d, want 0\n%s\n%s", code, stdout, stderr)
	}
}

// archives is what the release page has.
func (s *suite) archives(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(s.bench.Dir, "page")
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	must(t, os.Mkdir(dir, 0o755))
	files, err := filepath.Glob(filepath.Join(s.clone.Dir, "dist", "tallyman_*"))
	must(t, err)
	for _, file := range append(files, filepath.Join(s.clone.Dir, "dist", "checksums.txt")) {
		info, err := os.Stat(file)
		must(t, err)
		if !info.Mode().IsRegular() {
			continue
		}
		content, err := os.ReadFile(file)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, filepath.Base(file)), content, 0o644))
	}
	return dir
}

// byTag compares what the identical line left, by the tag of a clone.
func (s *suite) byTag(t *testing.T) {
	code, stdout, stderr := s.root(t.Context(), s.clone.Dir, []string{"TALLYMAN_REGISTRY=" + s.registry},
		"reproduce", version, "--key", s.publicKey, "--rebuilt", s.clone.Dir)
	if code != 0 || !strings.HasSuffix(stdout, "identical\n") {
		t.Errorf("by tag: got exit %d, want 0 and every image identical\n%s\n%s", code, stdout, stderr)
	}
	for _, image := range s.images() {
		if !strings.Contains(stdout, "\n"+filepath.Base(image)+" ") {
			t.Errorf("by tag: %s is not in\n%s", image, stdout)
		}
	}
}

func (s *suite) refused(t *testing.T) {
	web := s.images()[0] + ":" + version
	empty := filepath.Join(s.bench.Dir, "empty")
	must(t, os.MkdirAll(empty, 0o755))
	if _, err := s.clone.Git(t.Context(), "init", "--quiet", empty); err != nil {
		t.Fatal(err)
	}
	unattested := s.images()[1] + "@" + string(s.digest(t, s.images()[0]))
	for name, c := range map[string]struct {
		args []string
		want string
	}{
		"a source without the commit": {[]string{web, "--key", s.publicKey, "--source", empty}, "expected tag " + version + " or commit " + s.commit},
		"an image that is not there":  {[]string{unattested, "--key", s.publicKey}, "provenance"},
	} {
		code, stdout, stderr := s.root(t.Context(), s.bench.Dir, nil, append([]string{"reproduce"}, c.args...)...)
		if code != 3 || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: got exit %d, want 3 and %q\n%s\n%s", name, code, c.want, stdout, stderr)
		}
	}
}

// variant builds web alone from the clone, as goreleaser does for the rehearsal, after a
// change of its files that git is told not to see. It returns the report of comparing it.
func (s *suite) variant(t *testing.T, name string, env []string, change map[string]func(string) string) rebuild.Report {
	t.Helper()
	for file, edit := range change {
		path := filepath.Join(s.clone.Dir, filepath.FromSlash(file))
		before, err := os.ReadFile(path)
		must(t, err)
		after := edit(string(before))
		if after == string(before) {
			t.Fatalf("%s: the change changes nothing", file)
		}
		_, err = s.clone.Git(t.Context(), "update-index", "--assume-unchanged", file)
		must(t, err)
		must(t, os.WriteFile(path, []byte(after), 0o600))
		t.Cleanup(func() {
			ctx := context.WithoutCancel(t.Context())
			must(t, os.WriteFile(path, before, 0o600))
			_, err := s.clone.Git(ctx, "update-index", "--no-assume-unchanged", file)
			must(t, err)
		})
	}
	config, err := os.ReadFile(filepath.Join(s.clone.Dir, ".goreleaser.yaml"))
	must(t, err)
	file := filepath.Join(s.bench.Dir, name+".yaml")
	must(t, os.WriteFile(file, []byte(webAlone(t, string(config), filepath.Join(s.bench.Dir, name+"-dist"))), 0o600))
	layout := filepath.Join(s.bench.Dir, name)
	s.goreleaser(t, slices.Concat([]string{"TALLYMAN_REHEARSAL=" + layout, "PATH=" + s.shimmed()}, env),
		"release", "--snapshot", "--clean", "--skip=before,archive,nfpm,sbom,sign", "--config", file)
	code, stdout, stderr := s.root(t.Context(), s.bench.Dir, nil,
		"reproduce", s.images()[0]+":"+version, "--key", s.publicKey, "--rebuilt", layout, "--format", "json")
	if code != 1 {
		t.Fatalf("reproduce: got exit %d, want 1\n%s\n%s", code, stdout, stderr)
	}
	_, table, _ := s.root(t.Context(), s.bench.Dir, nil, "reproduce", s.images()[0]+":"+version, "--key", s.publicKey, "--rebuilt", layout)
	t.Log("\n" + table)
	return parse(t, stdout)
}

// webAlone leaves the other programs out of the configuration, which a difference of web
// does not need.
func webAlone(t *testing.T, config, dist string) string {
	t.Helper()
	for _, section := range [][2]string{
		{"  - <<: *build\n    id: worker-binary", "archives:\n"},
		{"  - <<: *image\n    id: worker", "# The last step of all"},
	} {
		head, rest, found := strings.Cut(config, section[0])
		_, tail, ends := strings.Cut(rest, section[1])
		if !found || !ends {
			t.Fatalf(".goreleaser.yaml: expected %q and then %q", section[0], section[1])
		}
		config = head + "\n" + section[1] + tail
	}
	return strings.Replace(config, "\ndist: dist\n", "\ndist: "+dist+"\n", 1)
}

func wantCauses(t *testing.T, report rebuild.Report, want ...string) {
	t.Helper()
	var got []string
	for _, cause := range report.Causes {
		got = append(got, cause.Name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("causes (-want +got):\n%s", diff)
	}
}

func (s *suite) changedSource(t *testing.T) {
	const was, is = "Serve the console of the tally", "Serve the console of the tallz"
	report := s.variant(t, "source", nil, map[string]func(string) string{
		"cmd/web/web.go": func(text string) string { return strings.Replace(text, was, is, 1) },
	})
	wantCauses(t, report, "source")
	for _, d := range report.Differences {
		if d.File != "web" || d.LayerBy == "" || d.Field != "content" || d.Bytes == nil || !strings.HasPrefix(d.Bytes.Published, "79 ") || !strings.HasPrefix(d.Bytes.Rebuilt, "7a ") {
			t.Errorf("difference: got %+v, want the content of web, y against z", d)
		}
	}
	if len(report.Differences) != 2 {
		t.Errorf("got %d differences, want one for each platform", len(report.Differences))
	}
}

func (s *suite) anotherBase(t *testing.T) {
	base := s.otherBase(t)
	report := s.variant(t, "base", []string{"TALLYMAN_BASE=" + base}, nil)
	wantCauses(t, report, "base")
	if !slices.ContainsFunc(report.Differences, func(d rebuild.Difference) bool { return d.File == otherFile && d.Bytes != nil }) {
		t.Errorf("differences: got %+v, want the bytes of %s", report.Differences, otherFile)
	}
}

func (s *suite) anotherGo(t *testing.T) {
	const was, is = "go1.26.8", "go1.26.7"
	if out, err := s.goVersion(t.Context(), is); err != nil {
		missing := t.Skipf
		if os.Getenv("CI") == "true" {
			missing = t.Fatalf
		}
		missing("needs a Go module proxy (GOPROXY) that has golang.org/toolchain of %s: %v: %s", is, err, out)
	}
	report := s.variant(t, "go", nil, map[string]func(string) string{
		".goreleaser.yaml": func(text string) string { return strings.Replace(text, "GOTOOLCHAIN="+was, "GOTOOLCHAIN="+is, 1) },
	})
	wantCauses(t, report, "go")
	if !slices.ContainsFunc(report.Differences, func(d rebuild.Difference) bool {
		return d.Field == "go" && d.Published == was && d.Rebuilt == is && d.File == "web"
	}) {
		t.Errorf("differences: got %+v, want go %s against %s", report.Differences, was, is)
	}
}

func parse(t *testing.T, stdout string) rebuild.Report {
	t.Helper()
	var report rebuild.Report
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || report.Schema != rebuild.Schema {
		t.Fatalf("expected a report, found %v in %s", err, stdout)
	}
	return report
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var errNoMount = errors.New("no overlay mount")
