package rebuild_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/rebuild"
)

// makefile stands in for the repository's: it says what it was called with.
const makefile = `
tools:
	@mkdir -p .tools/bin .tools/stamp && test -e .tools/stamp/crane || { echo built >> "$(HOME)/built"; echo crane > .tools/bin/crane; chmod +x .tools/bin/crane; echo 1 > .tools/stamp/crane; }
hooks:
	@mkdir -p .tools/bin && printf '#!/bin/sh\necho goreleaser "$$@" >> "$$HOME/said"\nenv | sort >> "$$HOME/said"\n' > .tools/bin/goreleaser && chmod +x .tools/bin/goreleaser
snapshot:
	@env | sort > "$(HOME)/said"
broken:
	@echo this went wrong >&2; exit 7
`

func builder(t *testing.T, home string, env ...string) *rebuild.Builder {
	t.Helper()
	clock := time.Unix(100, 0)
	return &rebuild.Builder{
		Environ: append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + home}, env...), Root: true, Log: &bytes.Buffer{},
		Now: func() time.Time { clock = clock.Add(time.Second); return clock },
	}
}

func checkedOut(t *testing.T, files map[string]string) (claim rebuild.Claim, dir string) {
	t.Helper()
	r := newRepository(t, files)
	dir = filepath.Join(t.TempDir(), "source")
	if _, err := rebuild.Checkout(t.Context(), r.claim(), r.dir, dir, os.Environ()); err != nil {
		t.Fatal(err)
	}
	return r.claim(), dir
}

func TestABuildIsGivenTheMachineAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		env     []string
		want    []string
		wantNot []string
	}{
		{"make snapshot", []string{
			"GITHUB_REPOSITORY=some/fork", "GITHUB_TOKEN=secret", "TALLYMAN_REGISTRY=x/y", "COSIGN_PASSWORD=secret", "GOFLAGS=-race", "SOURCE_DATE_EPOCH=1",
			"TALLYMAN_BASE=oci-layout:///base@sha256:11", "GOPROXY=https://proxy.example", "MAKEFLAGS=-n", "GORELEASER_CURRENT_TAG=v9",
		}, []string{"GITHUB_REPOSITORY=o/r\n", "TALLYMAN_BASE=oci-layout:///base@sha256:11\n", "GOPROXY=https://proxy.example\n", "/.tools/bin:"}, []string{
			"secret", "TALLYMAN_REGISTRY", "GOFLAGS=-race", "SOURCE_DATE_EPOCH", "some/fork", "GORELEASER_", "goreleaser",
		}},
		{"goreleaser with the user's builder", []string{"BUILDX_BUILDER=mine"}, []string{
			"goreleaser release --snapshot --clean\n", "BUILDX_BUILDER=mine\n", "/build/shim:",
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			claim, dir := checkedOut(t, map[string]string{"Makefile": makefile})
			home := t.TempDir()
			b := builder(t, home, c.env...)
			built, err := b.Build(t.Context(), claim, dir)
			if err != nil {
				t.Fatal(err)
			}
			if built.Finished.Sub(built.Started) != time.Second || !strings.HasPrefix(built.Layout, dir) {
				t.Errorf("got %+v, want times and places of the build", built)
			}
			said, err := os.ReadFile(filepath.Join(home, "said"))
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range c.want {
				if !strings.Contains(string(said), want) {
					t.Errorf("%q is not in\n%s", want, said)
				}
			}
			for _, not := range c.wantNot {
				if strings.Contains(string(said), not) {
					t.Errorf("%q is in\n%s", not, said)
				}
			}
		})
	}
}

func TestToolsAreKeptBetweenBuilds(t *testing.T) {
	t.Parallel()
	home, tools := t.TempDir(), filepath.Join(t.TempDir(), "tools")
	for range 2 {
		claim, dir := checkedOut(t, map[string]string{"Makefile": makefile})
		b := builder(t, home)
		b.Tools = tools
		if _, err := b.Build(t.Context(), claim, dir); err != nil {
			t.Fatal(err)
		}
	}
	built, err := os.ReadFile(filepath.Join(home, "built"))
	if err != nil || string(built) != "built\n" {
		t.Errorf("got %q, %v, want the tools built once", built, err)
	}
	if info, err := os.Stat(filepath.Join(tools, "bin", "crane")); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("got %v, %v, want a tool that can be run", info, err)
	}
}

func TestWhatIsMissingIsSaidInOneLine(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	for _, name := range []string{"git", "make", "go"} {
		if err := os.WriteFile(filepath.Join(empty, name), []byte("#!/bin/sh\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, want string
		b          rebuild.Builder
	}{
		{"no programs", "cannot rebuild: git, make, go not found on PATH", rebuild.Builder{Environ: []string{"PATH=" + t.TempDir()}, Root: true}},
		{"no builder", "set BUILDX_BUILDER to one, start Docker with buildx, or run as root on Linux", rebuild.Builder{Environ: []string{"PATH=" + empty}}},
		{"root", "", rebuild.Builder{Environ: []string{"PATH=" + empty}, Root: true}},
		{"a builder", "", rebuild.Builder{Environ: []string{"PATH=" + empty, "BUILDX_BUILDER=mine"}}},
	} {
		err := c.b.Check(t.Context())
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func TestABuildThatFailsSaysWhy(t *testing.T) {
	t.Parallel()
	claim, dir := checkedOut(t, map[string]string{"Makefile": strings.ReplaceAll(makefile, "snapshot:", "snapshot: broken")})
	_, err := builder(t, t.TempDir()).Build(t.Context(), claim, dir)
	if err == nil || !strings.Contains(err.Error(), "make snapshot") || !strings.Contains(err.Error(), "this went wrong") {
		t.Errorf("got %v, want the step and the last lines", err)
	}
}

func TestABuildEndsWithItsContext(t *testing.T) {
	t.Parallel()
	claim, dir := checkedOut(t, map[string]string{"Makefile": "tools:\n\t@echo started > started; sleep 600 & wait\n"})
	ctx, cancel := context.WithCancel(t.Context())
	b := builder(t, t.TempDir())
	ended := make(chan error, 1)
	go func() {
		_, err := b.Build(ctx, claim, dir)
		ended <- err
	}()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range tick.C {
		if _, err := os.Stat(filepath.Join(dir, "started")); err == nil {
			break
		}
		if t.Context().Err() != nil {
			t.Fatal("it did not start")
		}
	}
	cancel()
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "context canceled") {
		t.Errorf("got %v, want that it was canceled", err)
	}
}
