package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	ggcrlayout "github.com/google/go-containerregistry/pkg/v1/layout"

	"github.com/tallyman-io/tallyman/internal/evidence/evidencetest"
	"github.com/tallyman-io/tallyman/internal/provenance"
	"github.com/tallyman-io/tallyman/internal/rebuild"
	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
	"github.com/tallyman-io/tallyman/internal/release"
)

// releaseFixture is a git repository whose build leaves a given layout, and a registry
// with what it is said to have published.
type releaseFixture struct {
	source, commit string
	srv            *registrytest.Server
	signer         evidencetest.Key
	key            string // file
	layouts        string // folder of what a build leaves: same, other
}

func newReleaseFixture(t *testing.T) *releaseFixture {
	t.Helper()
	f := &releaseFixture{source: t.TempDir(), srv: registrytest.New(t), signer: evidencetest.NewKey(t), layouts: t.TempDir()}
	f.key = filepath.Join(t.TempDir(), "release.pub")
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(f.key, string(f.signer.PEM(t)))
	write(filepath.Join(f.source, ".goreleaser.yaml"), "dist: dist\ndockers_v2:\n  - id: web\n    images: ['{{ .Env.REGISTRY }}/web']\n")
	write(filepath.Join(f.source, "Makefile"), "tools:\n\nhooks:\n\t@mkdir -p .tools/bin && printf '#!/bin/sh\\nmkdir -p rehearsal dist && cp -R \"$$TEST_LAYOUT\" rehearsal/layout\\n' > .tools/bin/goreleaser && chmod +x .tools/bin/goreleaser\n")
	f.git(t, "init", "--quiet")
	f.git(t, "add", "-A")
	f.git(t, "commit", "--quiet", "-m", "one")
	f.git(t, "tag", "v1.0.0")
	f.commit = f.git(t, "rev-parse", "HEAD")
	for name, seed := range map[string]int64{"same": 1, "other": 2} {
		path, err := ggcrlayout.Write(filepath.Join(f.layouts, name), empty.Index)
		if err != nil {
			t.Fatal(err)
		}
		index := registrytest.Index(t, seed, f.commit, "linux/amd64", "linux/arm64")
		if err := path.AppendIndex(index, ggcrlayout.WithAnnotations(map[string]string{"io.containerd.image.name": "ghcr.io/o/r/web:sha-1"})); err != nil {
			t.Fatal(err)
		}
		if seed == 1 {
			f.publish(t, "acme/web", index)
		}
	}
	return f
}

func (f *releaseFixture) git(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", f.source}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.invalid", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.invalid")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// publish pushes an index as v1.0.0, with provenance that names the commit.
func (f *releaseFixture) publish(t *testing.T, path string, index v1.ImageIndex) {
	t.Helper()
	digest := release.Digest(f.srv.Push(t, path, index, "v1.0.0", "v1.1.0"))
	predicate, err := provenance.Build{
		Source: "https://github.com/o/r", Tag: "v1.0.0", Commit: f.commit, Image: "web", BaseName: "b", BaseDigest: "sha256:" + strings.Repeat("0", 64),
		BuilderID: "x", Started: time.Unix(1, 0), Finished: time.Unix(2, 0),
	}.Predicate()
	if err != nil {
		t.Fatal(err)
	}
	document, err := json.Marshal(predicate)
	if err != nil {
		t.Fatal(err)
	}
	f.signer.Attest(t, f.srv.Repository(path), digest, evidencetest.Attestation{Type: evidencetest.Provenance, Predicate: document})
}

func TestReproduceExitCodes(t *testing.T) {
	f := newReleaseFixture(t)
	f.srv.Push(t, "acme/bare", registrytest.Index(t, 9, "0", "linux/amd64"), "v1.0.0")
	other := otherKeyFile(t)
	web := f.srv.Repository("acme/web") + ":v1.0.0"
	t.Setenv("BUILDX_BUILDER", "mine")
	t.Setenv("TALLYMAN_REGISTRY", f.srv.Repository("acme"))
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	for _, key := range []string{"COSIGN_KEY", "SIGSTORE_ID_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_URL"} {
		t.Setenv(key, "")
	}
	t.Chdir(f.source)
	same, changed := filepath.Join(f.layouts, "same"), filepath.Join(f.layouts, "other")
	for _, c := range []struct {
		name   string
		layout string
		args   []string
		code   int
		says   string
	}{
		{"an image, from a folder", same, []string{web, "--key", f.key, "--source", f.source}, exitPass, "identical"},
		{"a tag, in its clone", same, []string{"v1.0.0", "--key", f.key}, exitPass, "cloned from "},
		{"another build", changed, []string{"v1.0.0", "--key", f.key, "--format", "json"}, exitFail, `"result": "different"`},
		{"what was built already", "", []string{web, "--key", f.key, "--rebuilt", changed}, exitFail, "web linux/amd64 layer 1"},
		{"another key", "", []string{web, "--key", other, "--source", f.source}, exitUnknown, "expected it verified, found it invalid"},
		{"no provenance", "", []string{f.srv.Repository("acme/bare") + ":v1.0.0", "--key", f.key}, exitUnknown, "found it absent"},
		{"an image that is not there", "", []string{f.srv.Repository("acme/none") + ":v1.0.0", "--key", f.key}, exitUnknown, "not found"},
		{"a tag of another version", "", []string{f.srv.Repository("acme/web") + ":v1.1.0", "--key", f.key}, exitFail, "expected provenance of the tag v1.1.0, found that of v1.0.0"},
		{"a source without the commit", "", []string{web, "--key", f.key, "--source", t.TempDir()}, exitUnknown, "clone "},
		{"a build that fails", filepath.Join(same, "none"), []string{web, "--key", f.key, "--source", f.source}, exitUnknown, "goreleaser release"},
		{"a build that leaves nothing", "", []string{web, "--key", f.key, "--rebuilt", f.source}, exitUnknown, "make snapshot"},
		{"a tag that the clone has not", "", []string{"v7.0.0", "--key", f.key}, exitUnknown, "expected the tag v7.0.0"},
		{"a folder that has files", "", []string{web, "--key", f.key, "--work", f.source}, exitUnknown, "expected an empty folder"},
		{"what cannot be attested", same, []string{web, "--key", f.key, "--source", f.source, "--attest", "--signing-key", f.key}, exitUnknown, "does not name its base image"},
		{"nobody to trust", "", []string{web}, exitUsage, "expected --key"},
		{"no argument", "", nil, exitUsage, "TAG or IMAGE"},
		{"neither tag nor image", "", []string{"web", "--key", f.key}, exitUsage, "expected a TAG such as v1.2.3"},
		{"a tag and an image", "", []string{"v1.0.0", web, "--key", f.key}, exitUsage, "expected one TAG"},
		{"another format", "", []string{web, "--key", f.key, "--format", "xml"}, exitUsage, "table or json"},
		{"attest what was not built", "", []string{web, "--key", f.key, "--rebuilt", same, "--attest"}, exitUsage, "cannot vouch"},
		{"a signing key for nothing", "", []string{web, "--key", f.key, "--signing-key", "x"}, exitUsage, "--attest"},
		{"nothing to sign with", "", []string{web, "--key", f.key, "--attest"}, exitConfig, "nothing to sign with"},
		{"a key that is not there", "", []string{web, "--key", "none.pub"}, exitConfig, "none.pub"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("TEST_LAYOUT", c.layout)
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), append([]string{"reproduce"}, c.args...), &stdout, &stderr); code != c.code {
				t.Errorf("exit code: got %d, want %d\n%s\n%s", code, c.code, &stdout, &stderr)
			}
			if said := stdout.String() + stderr.String(); !strings.Contains(said, c.says) {
				t.Errorf("%q is not in\n%s", c.says, said)
			}
		})
	}
	t.Run("a tag that names another commit", func(t *testing.T) {
		f.git(t, "commit", "--quiet", "--allow-empty", "-m", "two")
		f.git(t, "tag", "--force", "v1.0.0")
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), []string{"reproduce", "v1.0.0", "--key", f.key}, &stdout, &stderr)
		if code != exitFail || !strings.Contains(stderr.String(), "as the tag v1.0.0 of this clone names, found "+f.commit) {
			t.Errorf("got exit %d, %s; want 1 and both commits", code, &stderr)
		}
	})
}

func TestReproduceLeavesWhatItIsAskedTo(t *testing.T) {
	f := newReleaseFixture(t)
	t.Setenv("BUILDX_BUILDER", "mine")
	t.Setenv("TEST_LAYOUT", filepath.Join(f.layouts, "same"))
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	work := filepath.Join(t.TempDir(), "work")
	web := f.srv.Repository("acme/web") + ":v1.0.0"
	for _, args := range [][]string{{"--work", work}, nil} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), append([]string{"reproduce", web, "--key", f.key, "--source", f.source, "--tools", "none", "--format", "json"}, args...), &stdout, &stderr)
		var report rebuild.Report
		if err := json.Unmarshal(stdout.Bytes(), &report); code != exitPass || err != nil || report.Schema != rebuild.Schema || len(report.Images) != 1 {
			t.Fatalf("got exit %d, %v, %s%s", code, err, &stdout, &stderr)
		}
		if !strings.Contains(stderr.String(), "reproduce: cloning ") || strings.Contains(stdout.String(), "cloning ") {
			t.Errorf("progress is for standard error: got %s", &stderr)
		}
	}
	if _, err := os.Stat(filepath.Join(work, "source", "rehearsal", "layout", "index.json")); err != nil {
		t.Error(err)
	}
	left, err := os.ReadDir(temporary)
	if err != nil || len(left) > 0 {
		t.Errorf("temporary folders: got %v, %v, want none left", left, err)
	}
}
