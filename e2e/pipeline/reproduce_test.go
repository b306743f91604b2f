package pipeline_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/e2e/workbench"
)

func (s *suite) anotherClone(t *testing.T) {
	s.checkout(t, second)
	out, err := s.release(t.Context()) // again, so that dist/ and rehearsal/ are those of second; nothing changes
	if err != nil {
		t.Fatalf("release %s a second time: %v\n%s", second, err, out)
	}
	want := outputs(t, s.clone.Dir)

	bench := s.newBench(t, "b")
	s.lendBase(bench)
	clone, err := bench.Clone(t.Context(), "elsewhere/and/deeper")
	must(t, err)
	must(t, clone.Adopt(t.Context(), s.clone, second))
	home := filepath.Join(bench.Dir, "home")
	must(t, os.MkdirAll(home, 0o700))
	writeFile(t, home, ".gitconfig", "[core]\n\tabbrev = 40\n\tautocrlf = input\n[user]\n\tname = Somebody Else\n")
	writeFile(t, home, ".syft.yaml", "file:\n  metadata:\n    selection: all\n")
	cache, err := s.bench.Tools.Run(t.Context(), "go", "env", "GOCACHE")
	must(t, err)
	modules, err := s.bench.Tools.Run(t.Context(), "go", "env", "GOMODCACHE")
	must(t, err)

	var log output
	start := time.Now()
	cmd := bench.GoReleaser(t.Context(), clone.Dir, &log, []string{
		"HOME=" + home, "XDG_CONFIG_HOME=" + home, "TZ=Pacific/Auckland", "LANG=tr_TR.UTF-8", "LC_ALL=C",
		"GOCACHE=" + strings.TrimSpace(string(cache)), "GOMODCACHE=" + strings.TrimSpace(string(modules)),
	}, "release", "--snapshot", "--clean")
	withUmask(cmd, "077")
	if err := cmd.Run(); err != nil {
		t.Fatalf("snapshot of %s in another clone: %v\n%s", second, err, &log)
	}
	if diff := cmp.Diff(want, outputs(t, clone.Dir)); diff != "" {
		t.Errorf("what another clone built (-released +rebuilt):\n%s", diff)
	}
	s.wantReleasedDigests(t, clone.Dir, second)
	s.figures["3a"] = fmt.Sprintf("%d files equal; snapshot took %s", len(want), time.Since(start).Round(time.Second))
}

// lendBase gives another bench the stand-ins that the first one assembled: the
// base is an input of the build, not something that it makes.
func (s *suite) lendBase(bench *workbench.Bench) {
	for _, kv := range s.bench.Env() {
		if key, value, _ := strings.Cut(kv, "="); key == "TALLYMAN_BASE" {
			bench.Setenv(key, value)
		}
	}
}

// withUmask makes cmd run under a umask.
func withUmask(cmd *exec.Cmd, mask string) {
	cmd.Args = append([]string{"sh", "-c", "umask " + mask + `; exec "$0" "$@"`, cmd.Path}, cmd.Args[1:]...)
	cmd.Path = "/bin/sh"
}

// wantReleasedDigests asserts that a rehearsal gave the digests that are in the
// registry.
func (s *suite) wantReleasedDigests(t *testing.T, clone, version string) {
	t.Helper()
	digests, err := os.ReadFile(filepath.Join(clone, "rehearsal", "digests.txt"))
	must(t, err)
	for image, facts := range s.released[version] {
		want := string(facts.Image.Digest) + "  " + filepath.Base(image)
		if !strings.Contains(string(digests), want) {
			t.Errorf("rehearsed digests of %s: %q is not in\n%s", version, want, digests)
		}
	}
}

// outputs is the SHA-256 of each file that a release gives: archives, their
// SBOMs, packages, checksums, digests and the images' SBOMs. Signatures differ each time.
func outputs(t *testing.T, clone string) map[string]string {
	t.Helper()
	sums := map[string]string{}
	add := func(path string) {
		content, err := os.ReadFile(path)
		must(t, err)
		sum := sha256.Sum256(content)
		relative, err := filepath.Rel(clone, path)
		must(t, err)
		sums[relative] = hex.EncodeToString(sum[:])
	}
	for _, pattern := range []string{"dist/*.tar.gz", "dist/*.deb", "dist/*.rpm", "dist/*.apk", "dist/*.json", "dist/checksums.txt", "rehearsal/digests.txt"} {
		matches, err := filepath.Glob(filepath.Join(clone, filepath.FromSlash(pattern)))
		must(t, err)
		for _, match := range matches {
			switch filepath.Base(match) {
			case "metadata.json", "artifacts.json", "checksums.txt.sigstore.json": // say when and where
			default:
				add(match)
			}
		}
	}
	must(t, filepath.WalkDir(filepath.Join(clone, "rehearsal", "sbom"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			add(path)
		}
		return err
	}))
	if len(sums) < 20 {
		t.Fatalf("outputs of %s: got %d files, want at least 20: %v", clone, len(sums), sums)
	}
	return sums
}

func (s *suite) fromSource(t *testing.T) {
	bench := s.newBench(t, "c")
	s.lendBase(bench)
	err := bench.Golang(t.Context(), s.repository)
	if errors.Is(err, workbench.ErrNoSeccomp) && os.Getenv("CI") != "true" {
		t.Skipf("needs seccomp: %v", err)
	}
	must(t, err)
	cache := filepath.Join(bench.Dir, "cache")
	cold := s.snapshotFromSource(t, bench, "TALLYMAN_CACHE_TO=type=local,mode=max,dest="+cache+"/IMAGE")

	// A builder with an empty store and that cache need not compile again.
	other := s.newBench(t, "d")
	for _, kv := range bench.Env() {
		if key, value, _ := strings.Cut(kv, "="); strings.HasPrefix(key, "TALLYMAN_") {
			other.Setenv(key, value)
		}
	}
	cached := s.snapshotFromSource(t, other, "TALLYMAN_CACHE_FROM=type=local,src="+cache+"/IMAGE")
	if cached > cold {
		t.Errorf("with BuildKit's cache: got %s, want less than the %s without", cached, cold)
	}
	s.figures["3b"] = fmt.Sprintf("every image, both platforms: %s with compilers and all from an empty cache, %s with BuildKit's cache imported",
		cold.Round(time.Second), cached.Round(time.Second))
}

// snapshotFromSource rehearses second from the Dockerfile's source stage,
// asserts its digests and returns how long it took.
func (s *suite) snapshotFromSource(t *testing.T, bench *workbench.Bench, env string) time.Duration {
	t.Helper()
	clone, err := bench.Clone(t.Context(), "source")
	must(t, err)
	must(t, clone.Adopt(t.Context(), s.clone, second))
	var log output
	start := time.Now()
	cmd := bench.GoReleaser(t.Context(), clone.Dir, &log, []string{"TALLYMAN_BINARY_FROM=source", env}, "release", "--snapshot", "--clean", "--skip=archive,nfpm,sbom,sign")
	if err := cmd.Run(); err != nil {
		t.Fatalf("snapshot of %s from source: %v\n%s", second, err, &log)
	}
	s.wantReleasedDigests(t, clone.Dir, second)
	return time.Since(start)
}

// clean removes what a subtest left in the clone's working tree.
func (s *suite) clean(t *testing.T) {
	t.Helper()
	_, err := s.clone.Git(context.WithoutCancel(t.Context()), "clean", "-fdq")
	must(t, err)
}

// snapshotVersion is the version that a snapshot of the working tree claims.
func (s *suite) snapshotVersion(t *testing.T) string {
	t.Helper()
	var log output
	cmd := s.bench.GoReleaser(t.Context(), s.clone.Dir, &log, nil, "build", "--snapshot", "--clean", "--skip=before", "--single-target", "--id", "tallyman-binary")
	if err := cmd.Run(); err != nil {
		t.Fatalf("snapshot build: %v\n%s", err, &log)
	}
	content, err := os.ReadFile(filepath.Join(s.clone.Dir, "dist", "metadata.json"))
	must(t, err)
	var metadata struct {
		Version string `json:"version"`
	}
	must(t, json.NewDecoder(bytes.NewReader(content)).Decode(&metadata))
	return metadata.Version
}

func writeFile(t *testing.T, dir, name, content string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
}
