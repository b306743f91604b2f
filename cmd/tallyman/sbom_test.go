package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
)

// printed runs tallyman sbom.
func printed(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, notes bytes.Buffer
	code = run(t.Context(), append([]string{"sbom"}, args...), &out, &notes)
	return code, out.String(), notes.String()
}

func TestSBOMIsPrintedAsItWasAttested(t *testing.T) {
	t.Parallel()
	s := inRegistry(t, registrytest.New(t))
	s.att(s.amd64, s.signed(s.amd64, cdxPredicate, affectedCDX), s.signed(s.amd64, spdxPredicate, affectedSPDX))
	s.att(s.arm64, s.signed(s.arm64, cdxPredicate, cleanCDX))
	bare := inRegistry(t, registrytest.New(t))
	unsigned := inRegistry(t, registrytest.New(t))
	unsigned.buildKit(affectedSPDX)
	folder := inFolder(t)
	folder.list(folder.artifact("", folder.index, folder.signed(folder.index, cdxPredicate, affectedCDX)))
	tests := map[string]struct {
		args   []string
		code   int
		stdout string
		stderr string
	}{
		"the one of a platform":   {args: []string{s.image, "--key", s.key, "--platform", "linux/arm64"}, stdout: cleanCDX, stderr: "signed by key release.pub"},
		"by format":               {args: []string{s.image, "--key", s.key, "--platform", "linux/amd64", "--format", "spdx"}, stdout: affectedSPDX, stderr: "(SPDX, "},
		"of a layout":             {args: []string{folder.image, "--key", folder.key}, stdout: affectedCDX, stderr: "(CycloneDX, "},
		"unsigned, asked for":     {args: []string{unsigned.image, "--unverified"}, stdout: affectedSPDX, stderr: "not verified"},
		"unsigned":                {args: []string{unsigned.image, "--key", unsigned.key}, code: 1, stderr: "sbom is invalid"},
		"several":                 {args: []string{s.image, "--key", s.key}, code: 2, stderr: "expected one SBOM, found several"},
		"another format":          {args: []string{s.image, "--key", s.key, "--platform", "linux/arm64", "--format", "spdx"}, code: 1, stderr: "format spdx, found"},
		"another signer":          {args: []string{folder.image, "--key", s.key}, code: 1, stderr: "sbom is invalid"},
		"none":                    {args: []string{bare.image, "--key", s.key}, code: 1, stderr: "sbom is absent"},
		"no such platform":        {args: []string{s.image, "--key", s.key, "--platform", "linux/s390x"}, code: 3, stderr: "expected platform linux/s390x"},
		"nobody to trust":         {args: []string{s.image}, code: 2, stderr: "or --unverified, found none"},
		"no such format":          {args: []string{s.image, "--key", s.key, "--format", "xml"}, code: 2, stderr: "expected spdx or cyclonedx"},
		"neither file nor image":  {args: []string{"nothing", "--key", s.key}, code: 2, stderr: "no such file"},
		"a key that is not there": {args: []string{s.image, "--key", s.key + ".none"}, code: 78, stderr: "no such file"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := printed(t, tt.args...)
			if code != tt.code || stdout != tt.stdout || !strings.Contains(stderr, tt.stderr) {
				t.Errorf("got exit %d, %q, %q\nwant exit %d, %q, and %q in it", code, stdout, stderr, tt.code, tt.stdout, tt.stderr)
			}
		})
	}
}

func TestSBOMIsWrittenToAFile(t *testing.T) {
	t.Parallel()
	s := inFolder(t)
	s.list(s.artifact("", s.index, s.signed(s.index, cdxPredicate, affectedCDX)))
	file := filepath.Join(t.TempDir(), "web.cdx.json")
	if code, stdout, stderr := printed(t, s.image, "--key", s.key, "-o", file); code != exitPass || stdout != "" {
		t.Fatalf("got exit %d, %q, %q", code, stdout, stderr)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != affectedCDX {
		t.Errorf("got %q, %v", b, err)
	}
}

func TestSBOMThatCannotBeLookedForIsNotAbsent(t *testing.T) {
	t.Parallel()
	s := inRegistry(t, registrytest.New(t))
	throttle := registrytest.Status(http.StatusTooManyRequests)
	s.server.Fail(func(w http.ResponseWriter, r *http.Request) bool {
		return strings.HasSuffix(r.URL.Path, ".att") && throttle(w, r)
	})
	if code, stdout, stderr := printed(t, s.image, "--key", s.key); code != exitUnknown || stdout != "" || !strings.Contains(stderr, "throttled") {
		t.Errorf("got exit %d, %q, %q", code, stdout, stderr)
	}
}

func TestSBOMOfAnotherFormatMayLieWhereNobodyCouldLook(t *testing.T) {
	t.Parallel()
	s := inRegistry(t, registrytest.NewWithReferrers(t))
	s.artifact("", s.index, s.signed(s.index, cdxPredicate, affectedCDX))
	throttle := registrytest.Status(http.StatusTooManyRequests)
	s.server.Fail(func(w http.ResponseWriter, r *http.Request) bool {
		return strings.HasSuffix(r.URL.Path, ".att") && throttle(w, r)
	})
	if code, stdout, stderr := printed(t, s.image, "--key", s.key, "--format", "spdx"); code != exitUnknown || stdout != "" {
		t.Errorf("got exit %d, %q, %q", code, stdout, stderr)
	}
}
