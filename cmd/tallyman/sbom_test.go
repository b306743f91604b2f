package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/facts"
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

func TestSBOMIsConverted(t *testing.T) {
	t.Parallel()
	const timed = `{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"timestamp":"2026-05-01T12:00:00Z"},"components":[` +
		`{"name":"a","version":"v1.0.0","purl":"pkg:golang/example.com/a@v1.0.0","scope":"required"}]}`
	s := inRegistry(t, registrytest.New(t))
	s.att(s.amd64, s.signed(s.amd64, cdxPredicate, timed))
	s.att(s.arm64, s.signed(s.arm64, cdxPredicate, cleanCDX), s.signed(s.arm64, spdxPredicate, affectedSPDX))
	digest := string(facts.DigestOf([]byte(timed)))
	tests := map[string]struct {
		args   []string
		code   int
		stdout []string
		stderr []string
	}{
		"to SPDX": {
			args:   []string{"--platform", "linux/amd64", "--convert", "spdx"},
			stdout: []string{`"spdxVersion":"SPDX-2.3"`, "Converted by tallyman from CycloneDX 1.6, " + digest, "pkg:golang/example.com/a@v1.0.0", `"created":"2026-05-01T12:00:00Z"`},
			stderr: []string{"signed by key release.pub", "converted to spdx from CycloneDX 1.6, " + digest, "not carried over: components.scope (1)"},
		},
		"to a table": {
			args:   []string{"--platform", "linux/amd64", "--convert", "csv"},
			stdout: []string{"name,version,type,purl,licences,hashes\r\na,v1.0.0,,pkg:golang/example.com/a@v1.0.0,,\r\n"},
			stderr: []string{"converted to csv from CycloneDX 1.6, " + digest, "the packages alone"},
		},
		"to what it is":          {args: []string{"--platform", "linux/amd64", "--convert", "cyclonedx"}, stdout: []string{timed}, stderr: []string{"(CycloneDX, "}},
		"to what another one is": {args: []string{"--platform", "linux/arm64", "--convert", "spdx"}, stdout: []string{affectedSPDX}, stderr: []string{"(SPDX, "}},
		"of which of two":        {args: []string{"--platform", "linux/arm64", "--convert", "csv"}, code: 2, stderr: []string{"expected one SBOM, found several"}},
		"of that of a format":    {args: []string{"--platform", "linux/arm64", "--format", "spdx", "--convert", "csv"}, stdout: []string{"name,version,"}, stderr: []string{"converted to csv from SPDX-2.3"}},
		"without a time":         {args: []string{"--platform", "linux/arm64", "--format", "cyclonedx", "--convert", "spdx"}, code: 3, stderr: []string{"expected the time of the original"}},
		"to nothing known":       {args: []string{"--convert", "xml"}, code: 2, stderr: []string{"--convert: expected spdx, cyclonedx or csv"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := printed(t, append([]string{s.image, "--key", s.key}, tt.args...)...)
			if code != tt.code || (len(tt.stdout) == 0) != (stdout == "") {
				t.Errorf("got exit %d, %q, %q, want exit %d", code, stdout, stderr, tt.code)
			}
			for _, want := range tt.stdout {
				if !strings.Contains(stdout, want) {
					t.Errorf("got %q, want %q in it", stdout, want)
				}
			}
			for _, want := range tt.stderr {
				if !strings.Contains(stderr, want) {
					t.Errorf("got on standard error %q, want %q in it", stderr, want)
				}
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
