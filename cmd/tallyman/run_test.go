package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// inCheckout makes the working directory one with a pipeline's file, and an
// environment that has nothing to sign with.
func inCheckout(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".goreleaser.yaml"), []byte("dist: dist\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	deep := filepath.Join(dir, "dist")
	if err := os.Mkdir(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(deep)
	for _, key := range []string{"COSIGN_KEY", "COSIGN_PUBLIC_KEY", "ACTIONS_ID_TOKEN_REQUEST_URL", "SIGSTORE_ID_TOKEN", "GITHUB_WORKFLOW_REF", "TALLYMAN_SIGN_IDENTITY"} {
		t.Setenv(key, "")
	}
}

func TestExitCodes(t *testing.T) {
	inCheckout(t)
	const digest = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"help", nil, exitPass, "Ships container images"},
		{"an unknown command", []string{"relase"}, exitUsage, "relase"},
		{"an unknown flag", []string{"version", "--jsn"}, exitUsage, "--jsn"},
		{"a missing flag", []string{"release", "check", "r/p/web"}, exitUsage, "version"},
		{"no image", []string{"release", "clock"}, exitUsage, "expected 1 arguments IMAGE, found 0"},
		{"an image that is none", []string{"release", "clock", "web"}, exitUsage, "expected registry/path"},
		{"seal without a digest", []string{"release", "seal", "--version", "1.0.0", "--commit", "c", "--source", "s", "r/p/web"}, exitUsage, "IMAGE@sha256"},
		{"nothing to sign with", []string{"release", "check", "--version", "1.0.0", "--commit", "c", "r/p/web"}, exitConfig, "COSIGN_KEY is not set"},
		{"a version that is none", []string{"release", "check", "--version", "1", "--commit", "c", "r/p/web"}, exitUsage, "MAJOR.MINOR.PATCH"},
		{"an image that was not rehearsed", []string{"release", "seal", "--version", "1.0.0", "--commit", "c", "--source", "s", "r/p/web" + digest}, exitUnknown, "not rehearsed"},
		{"a time that is none", []string{"release", "sbom", "--created", "today", "x"}, exitUsage, "RFC 3339"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), c.args, &stdout, &stderr); code != c.code {
				t.Errorf("exit code: got %d, want %d", code, c.code)
			}
			if said := stdout.String() + stderr.String(); !strings.Contains(said, c.says) {
				t.Errorf("%q is not in %q", c.says, said)
			}
		})
	}
}

func TestOutsideACheckout(t *testing.T) {
	t.Chdir(t.TempDir())
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), []string{"release", "clock", "r/p/web"}, &stdout, &stderr)
	if code != exitUnknown || !strings.Contains(stderr.String(), "no .goreleaser.yaml") {
		t.Errorf("got %d, %q", code, &stderr)
	}
}

func TestVersionAsJSON(t *testing.T) {
	t.Parallel()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"version", "--json"}, &stdout, &stderr); code != exitPass {
		t.Fatalf("exit code: got %d, want 0: %s", code, &stderr)
	}
	var info map[string]string
	if err := json.Unmarshal(stdout.Bytes(), &info); err != nil || info["version"] == "" || info["platform"] == "" {
		t.Errorf("got %s, %v; want version and platform", &stdout, err)
	}
}
