package reach_test

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/tallyman-io/tallyman/internal/reach"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/tool"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// checkout is a Go module whose program prints nothing.
func checkout(t *testing.T, source string) string {
	t.Helper()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.com/app\n\ngo 1.26.0\n"), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(source), 0o600))
	return dir
}

func build(t *testing.T, dir, ldflags string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "app")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-buildvcs=false", "-gcflags=example.com/app=-l", "-ldflags="+ldflags, "-o", file, "example.com/app")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	content, err := os.ReadFile(file)
	must(t, err)
	return content
}

// shipped writes an image layout of one image with files in a layer.
func shipped(t *testing.T, files map[string][]byte) (dir string, digest release.Digest) {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for name, content := range files {
		must(t, w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Size: int64(len(content)), Mode: 0o755}))
		_, err := w.Write(content)
		must(t, err)
	}
	must(t, w.Close())
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(out.Bytes())), nil })
	must(t, err)
	image, err := mutate.AppendLayers(empty.Image, layer)
	must(t, err)
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{
		Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}},
	})
	dir = t.TempDir()
	path, err := layout.Write(dir, empty.Index)
	must(t, err)
	must(t, path.AppendIndex(index))
	hash, err := index.Digest()
	must(t, err)
	return dir, release.Digest(hash.String())
}

// Answers of govulncheck v1.9.0, cut down: of a stripped program every function is taken
// to be there.
const (
	head  = `{"config":{"scanner_name":"govulncheck","scanner_version":"v1.9.0","scan_mode":"binary"}}`
	osv   = `{"osv":{"id":"GO-1","aliases":["CVE-1"]}}{"osv":{"id":"GO-2"}}`
	level = `{"finding":{"osv":"GO-1","trace":[{"module":"stdlib","version":"v1.26.8"}]}}{"finding":{"osv":"GO-2","trace":[{"module":"stdlib"}]}}`
	both  = `{"finding":{"osv":"GO-1","trace":[{"module":"stdlib","package":"net/url","function":"Parse"}]}}{"finding":{"osv":"GO-2","trace":[{"module":"stdlib","package":"os","function":"Exit"}]}}`
	one   = `{"finding":{"osv":"GO-1","trace":[{"module":"stdlib","package":"net/url"}]}}{"finding":{"osv":"GO-2","trace":[{"module":"stdlib","package":"os","function":"Exit"}]}}`
)

// fake stands for govulncheck: it answers of a program that was linked again otherwise
// than of what ships.
func fake(t *testing.T, shipped, twin string) tool.Box {
	t.Helper()
	dir := t.TempDir()
	script := "#!/bin/sh\nfor last; do :; done\ncase $last in\n*.twin) cat <<'E'\n" + twin + "\nE\n;;\n*) cat <<'E'\n" + shipped + "\nE\n;;\nesac\n"
	must(t, os.WriteFile(filepath.Join(dir, "govulncheck"), []byte(script), 0o700))
	return tool.Box{Dir: dir}
}

const source = "package main\n\nfunc main() {}\n"

func TestImages(t *testing.T) {
	t.Parallel()
	dir := checkout(t, source)
	stripped, whole := build(t, dir, "-s -w"), build(t, dir, "-w")
	unreached := []reach.Vulnerability{{ID: "GO-1", Aliases: []string{"CVE-1"}, Modules: []string{"stdlib"}}}
	for name, c := range map[string]struct {
		files         map[string][]byte
		shipped, twin string
		checkout      string
		want          []reach.Vulnerability
		wrong         string
	}{
		"nothing known of what ships":         {files: map[string][]byte{"app": stripped}, shipped: head, checkout: dir},
		"a stripped program is linked again":  {files: map[string][]byte{"app": stripped}, shipped: head + osv + level + both, twin: head + osv + level + one, checkout: dir, want: unreached},
		"one that is not is taken as it is":   {files: map[string][]byte{"app": whole}, shipped: head + osv + level + one, want: unreached},
		"all that is linked counts":           {files: map[string][]byte{"app": stripped}, shipped: head + osv + level + both, twin: head + osv + level + both, checkout: dir},
		"one of several programs is enough":   {files: map[string][]byte{"a": stripped, "b": whole}, shipped: head + osv + level + both, twin: head + osv + level + one, checkout: dir},
		"no programs":                         {files: map[string][]byte{"etc/passwd": []byte("root"), "x": []byte("\x7fELF but none")}},
		"stripped, and there is no checkout":  {files: map[string][]byte{"app": stripped}, shipped: head + osv + both, wrong: "there is no checkout"},
		"stripped, and of another checkout":   {files: map[string][]byte{"app": stripped}, shipped: head + osv + both, checkout: t.TempDir(), wrong: "app of"},
		"an answer that cannot be read":       {files: map[string][]byte{"app": stripped}, shipped: "no JSON", wrong: "read govulncheck's answer"},
		"an answer without its configuration": {files: map[string][]byte{"app": stripped}, shipped: "{}", wrong: "expected its configuration"},
		"a finding of nothing":                {files: map[string][]byte{"app": stripped}, shipped: head + `{"finding":{"osv":"GO-1","trace":[]}}`, wrong: "a module in each finding"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			layoutDir, digest := shipped(t, c.files)
			look := reach.Look{Tools: fake(t, c.shipped, c.twin), Database: "file:///nowhere", Checkout: c.checkout}
			found, err := look.Images(t.Context(), layoutDir, []release.Digest{digest})
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) || strings.Contains(err.Error(), "tallyman-reach") {
					t.Errorf("got %v, want %q, and no folder of this machine", err, c.wrong)
				}
				return
			}
			must(t, err)
			if diff := cmp.Diff(c.want, found.Unreached[digest]); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
