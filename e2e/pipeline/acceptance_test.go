// Package pipeline_test releases two versions of this repository from scratch
// clones into a registry on loopback, with the real goreleaser, BuildKit,
// cosign and Syft, and asserts what a release promises, line by line.
package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/tallyman-io/tallyman/e2e/workbench"
	"github.com/tallyman-io/tallyman/internal/release"
)

const (
	first  = "v1.0.0"
	second = "v1.1.0"
	// third is of the older line: it must not take vX or latest from second.
	third = "v1.0.1"
	// withDocker is the bench that has a Docker daemon; the others have none of
	// their own.
	withDocker = "docker"
	// databaseVariable names the advisory database of the gate.
	databaseVariable = "TALLYMAN_DB"
	// planted is a secret of the release's environment. It must be in nothing
	// that is published.
	planted = "planted-0b7e5c1f9a-secret"
)

// suite is what the acceptance lines share. They run in order: later ones look
// at what earlier ones released.
type suite struct {
	repository string
	bench      *workbench.Bench
	turnstile  *workbench.Turnstile
	registry   string // host:port/namespace
	publicKey  string
	clone      *workbench.Clone
	commits    map[string]string // version → commit
	released   map[string]map[string]workbench.Facts
	figures    map[string]string
	started    time.Time
}

func TestAcceptance(t *testing.T) {
	s := newSuite(t)
	lines := []struct {
		name string
		run  func(*testing.T)
	}{
		{"1 tag gives every image, both platforms, the expected tags, on one digest; sha-<commit> alone before promotion", s.tagToImages},
		{"2 papers verify for index and platforms; not with another key, nor with one byte changed", s.papersVerify},
		{"13 deb, rpm and apk install: the released command, manual pages, completions, licence, nothing else", s.packagesInstall},
		{"14 go install of the tagged module gives a command that says its version", s.goInstall},
		{"11 worker tallies both versions of every image; harm to papers and registry changes the verdict, and back; console and tallyman verify agree", s.tallied},
		{"12 the gate stops a known critical before anything is published, an expired waiver, missing and old advisories; passes with a waiver", s.gated},
		{"3a another clone, time, umask, TZ, LANG, user and BuildKit store: same digests, archives, checksums, SBOMs", s.anotherClone},
		{"3b from source in the Dockerfile: same binary, same digest", s.fromSource},
		{"3c snapshot with a Docker daemon: same digest; each platform is loaded and runs", s.withDaemon},
		{"4 a dirty tree or an untagged commit cannot claim a version", s.claimNoVersion},
		{"5 killed after push, after sign, mid-attest, before promote: no version tag; running again completes", s.killed},
		{"8 a released version is not tagged again on another commit", s.retag},
		{"6a the registry throttles, breaks and cuts, and recovers: the release completes", s.passingFaults},
		{"6b the registry refuses or stays broken: clear message, exit code, nothing promoted", s.lastingFaults},
		{"7 the image runs read-only as 65532 without capabilities; healthcheck, exit 78, SIGTERM", s.imageRuns},
		{"9 images are small and hold no secret; figures", s.sizesAndSecrets},
		{"10 Compose, Kubernetes and Nomad decode strictly and name the settings of line 7", s.deployments},
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	// E2E_LINES=3b,7 runs those alone, after line 1, which all others look at.
	only := strings.Split(os.Getenv("E2E_LINES"), ",")
	for i, line := range lines {
		number, _, _ := strings.Cut(line.name, " ")
		if only[0] != "" && i > 0 && !slices.Contains(only, number) {
			continue
		}
		start := time.Now()
		state := "SKIP"
		if !t.Run(line.name, func(t *testing.T) {
			line.run(t)
			state = "PASS"
		}) {
			state = "FAIL"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", state, time.Since(start).Round(time.Second), line.name, s.figures[number])
	}
	fmt.Fprintf(w, "\t%s\tin all\t\n", time.Since(s.started).Round(time.Second))
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", table.String())
}

func newSuite(t *testing.T) *suite {
	t.Helper()
	ctx := t.Context()
	repository, err := filepath.Abs("../..")
	must(t, err)
	s := &suite{
		repository: repository, started: time.Now(), commits: map[string]string{},
		released: map[string]map[string]workbench.Facts{}, figures: map[string]string{},
	}
	s.bench = s.newBench(t, "a")
	address, turnstile, err := s.bench.Registry(ctx)
	must(t, err)
	s.turnstile, s.registry = turnstile, address+"/tallyman"
	s.bench.Setenv("TALLYMAN_REGISTRY", s.registry)
	s.publicKey, err = s.bench.Key(ctx)
	must(t, err)
	// The environment of a release has secrets in it; these are looked for later.
	s.bench.Setenv("REGISTRY_PASSWORD", planted)
	s.bench.Setenv("GITHUB_APP_PRIVATE_KEY", planted)
	// The gate counts with all of the small set.
	database, err := s.bench.AdvisoryDatabase(ctx, repository, time.Time{}, time.Now())
	must(t, err)
	s.bench.Setenv(databaseVariable, database)
	s.clone, err = s.bench.Clone(ctx, "clone")
	must(t, err)
	must(t, os.WriteFile(filepath.Join(s.clone.Dir, ".env"), []byte("SECRET="+planted+"\n"), 0o600))
	must(t, os.WriteFile(filepath.Join(s.clone.Dir, ".git", "info", "exclude"), []byte("/.env\n"), 0o600))
	return s
}

// newBench makes a bench with a BuildKit of its own and, where the pinned base
// cannot be reached, the stand-in for it.
func (s *suite) newBench(t *testing.T, name string) *workbench.Bench {
	t.Helper()
	dir, err := os.MkdirTemp("", "tallyman-e2e-"+name+"-") //nolint:usetesting // a failed test leaves it to look at
	must(t, err)
	bench, err := workbench.New(dir, s.repository, os.Stderr)
	must(t, err)
	t.Cleanup(func() {
		if err := bench.Close(); err != nil {
			t.Errorf("close bench %s: %v", name, err)
		}
		if t.Failed() {
			t.Logf("bench %s is kept: %s", name, dir)
			return
		}
		if err := removeAll(dir); err != nil {
			t.Errorf("remove bench %s: %v", name, err)
		}
	})
	if name == withDocker {
		err := bench.Dockerd(t.Context())
		if errors.Is(err, workbench.ErrNoDocker) && os.Getenv("CI") != "true" {
			t.Skipf("needs Docker: %v", err)
		}
		must(t, err)
	}
	must(t, bench.BuildKit(t.Context()))
	if s.bench == nil {
		said, err := bench.Base(t.Context(), s.repository)
		must(t, err)
		t.Log(said)
	}
	return bench
}

// removeAll removes a folder with read-only folders in it, as a Go module cache has.
func removeAll(dir string) error {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return os.Chmod(path, 0o700) //nolint:gosec // about to be removed
	})
	return errors.Join(err, os.RemoveAll(dir))
}

func (s *suite) images() []string {
	return []string{s.registry + "/web", s.registry + "/worker", s.registry + "/tallyman"}
}

// output collects what a command prints, for messages and for the test's log.
type output struct {
	mu  sync.Mutex
	all strings.Builder
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all.String()
}

var _ io.Writer = (*output)(nil)

// release runs `goreleaser release` for a tag in the suite's clone.
func (s *suite) release(ctx context.Context) (*output, error) {
	var out output
	err := s.bench.GoReleaser(ctx, s.clone.Dir, &out, nil, "release", "--clean").Run()
	return &out, err
}

// checkout puts the clone on a tag.
func (s *suite) checkout(t *testing.T, ref string) {
	t.Helper()
	_, err := s.clone.Git(t.Context(), "checkout", "--quiet", "--force", ref)
	must(t, err)
}

// tag commits a change, if it is given a file, and tags HEAD.
func (s *suite) tag(t *testing.T, version, file, at string) {
	t.Helper()
	if file != "" {
		must(t, os.WriteFile(filepath.Join(s.clone.Dir, file), []byte("# "+version+"\n"), 0o600))
		must(t, s.clone.Commit(t.Context(), "docs: say what "+version+" is", at))
	}
	must(t, s.clone.Tag(t.Context(), version))
	commit, err := s.clone.Head(t.Context())
	must(t, err)
	s.commits[version] = commit
}

func versionTags(puts []workbench.Put) []string {
	var tags []string
	for _, put := range puts {
		if kind := release.KindOfTag(put.Reference); kind == release.TagVersion || kind == release.TagMoving {
			tags = append(tags, put.Repository+":"+put.Reference)
		}
	}
	return tags
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
