package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
)

func TestVerifiedVEXOfTheImageIsApplied(t *testing.T) {
	t.Parallel()
	db := advisories(t)
	const document = `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://example.com/vex","author":"us","timestamp":"2026-01-01T00:00:00Z","version":1,` +
		`"statements":[{"vulnerability":{"name":"GO-1"},"products":[{"@id":"pkg:oci/web@%s","subcomponents":[{"@id":"pkg:golang/example.com/a@v1.1.0"}]}],` +
		`"status":"not_affected","justification":"vulnerable_code_not_in_execute_path"}]}`
	attach := func(s *shelf) {
		s.att(s.index, s.signed(s.index, cdxPredicate, affectedCDX), s.signed(s.index, spdxPredicate, affectedSPDX),
			s.signed(s.index, "https://openvex.dev/ns/v0.2.0", fmt.Sprintf(document, strings.Replace(string(s.index), ":", "%3A", 1))))
	}
	s := inRegistry(t, registrytest.New(t))
	attach(s)
	code, out := scanned(t, "--db", db, "--key", s.key, s.image)
	if code != exitPass || strings.Count(out, "suppressed: not_affected") != 1 || !strings.Contains(out, "1 more suppressed by VEX") {
		t.Errorf("verified: got exit %d\n%s", code, out)
	}
	if code, out := scanned(t, "--db", db, s.image); code != exitFail || strings.Contains(out, "suppressed") {
		t.Errorf("nobody trusted: got exit %d\n%s", code, out)
	}
	s.server.Fail(func(w http.ResponseWriter, r *http.Request) bool {
		return strings.Contains(r.URL.Path, registry.FallbackTag(s.arm64, ".att")) && registrytest.Status(http.StatusForbidden)(w, r)
	})
	if code, out := scanned(t, "--db", db, "--key", s.key, s.image); code != exitUnknown || !strings.Contains(out, "there may be more") {
		t.Errorf("a place that could not be read: got exit %d\n%s", code, out)
	}
}

func TestASingleManifestHasThePlatformOfItsConfiguration(t *testing.T) {
	t.Parallel()
	db, s := advisories(t), inRegistry(t, registrytest.New(t))
	s.att(s.amd64, s.signed(s.amd64, cdxPredicate, affectedCDX))
	image := s.repository + "@" + string(s.amd64)
	for platform, want := range map[string]int{"": exitFail, "linux/amd64": exitFail, "linux/arm64": exitUnknown} {
		args := []string{"--db", db, "--key", s.key, image}
		if platform != "" {
			args = append(args, "--platform", platform)
		}
		if code, out := scanned(t, args...); code != want {
			t.Errorf("%q: got exit %d, want %d\n%s", platform, code, want, out)
		}
	}
}

func TestFilesLayoutsAndImagesAreToldApart(t *testing.T) {
	t.Parallel()
	db, s := advisories(t), inFolder(t)
	s.entries[0].Annotations = map[string]string{"org.opencontainers.image.ref.name": "acme/web:v1"}
	s.list(s.artifact("", s.index, s.signed(s.index, cdxPredicate, affectedCDX)))
	clean, plain := sbomFile(t, "pkg:golang/example.com/a@v1.2.0"), t.TempDir()
	for name, tt := range map[string]struct {
		args []string
		code int
		out  string
	}{
		"a layout":                       {[]string{s.dir}, exitFail, "GO-1"},
		"a layout by its prefix":         {[]string{"oci:" + s.dir}, exitFail, "GO-1"},
		"a layout and a name":            {[]string{"oci:" + s.dir + ":acme/web:v1"}, exitFail, "GO-1"},
		"a layout and a digest":          {[]string{"oci:" + s.dir + "@" + string(s.index)}, exitFail, "GO-1"},
		"a layout and another name":      {[]string{"oci:" + s.dir + ":v2"}, exitUnknown, `expected one image named "v2", found 0; there are ["acme/web:v1"]`},
		"a layout that is not there":     {[]string{"oci:/nonexistent"}, exitUnknown, "no such file"},
		"a folder":                       {[]string{plain}, exitUnknown, "found a folder without oci-layout"},
		"a file":                         {[]string{clean}, exitPass, "0 findings"},
		"a file and a layout":            {[]string{clean, s.dir, clean}, exitFail, "GO-1"},
		"a missing file":                 {[]string{"foo.json"}, exitUnknown, "no such file, and not an image reference: expected host/path:tag"},
		"a missing file in a folder":     {[]string{"./no.such/foo.json"}, exitUnknown, "no such file, and not an image reference: expected host/path:tag"},
		"a missing file in a dotted one": {[]string{"no.such/foo.json"}, exitUnknown, "expected a tag or a digest"},
		"no host":                        {[]string{"acme/web:v1"}, exitUnknown, "with a dot or a port in the host"},
		"a key for a file":               {[]string{"--key", s.key, clean}, exitUsage, "a file has no signature"},
		"a key that is not there":        {[]string{"--key", s.key + ".none", s.dir}, exitConfig, "no such file"},
		"an issuer alone":                {[]string{"--issuer", "https://issuer.example.com", s.dir}, exitConfig, "expected a key or an identity"},
		"no platform":                    {[]string{"--platform", "amd64", s.dir}, exitUsage, "expected os/architecture"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if code, out := scanned(t, append([]string{"--db", db}, tt.args...)...); code != tt.code || !strings.Contains(out, tt.out) {
				t.Errorf("got exit %d, want %d and %q in\n%s", code, tt.code, tt.out, out)
			}
		})
	}
}

func TestVerifyReadsALayout(t *testing.T) {
	t.Parallel()
	s := inFolder(t)
	s.list(s.artifact("", s.index, s.signed(s.index, cdxPredicate, affectedCDX)))
	for key, want := range map[string]int{s.key: exitPass, otherKeyFile(t): exitFail} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), []string{"verify", s.dir, "--key", key, "--require", "sbom"}, &stdout, &stderr)
		if code != want || want == exitPass && !strings.Contains(stdout.String(), "signed by key release.pub (in the image layout)") {
			t.Errorf("got exit %d, want %d\n%s%s", code, want, &stdout, &stderr)
		}
	}
	if err := os.Remove(filepath.Join(s.dir, "index.json")); err != nil {
		t.Fatal(err)
	}
	if code := run(t.Context(), []string{"verify", s.dir, "--key", s.key}, io.Discard, io.Discard); code != exitUnknown {
		t.Errorf("without index.json: got exit %d, want %d", code, exitUnknown)
	}
}

func TestAHostIsToldFromAFolder(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"ghcr.io": true, "localhost": true, "localhost:5000": true, "registry:5000": true, "127.0.0.1:5000": true, "a-b.example.com:443": true,
		"acme": false, "": false, ".": false, "..": false, ".cache": false, "registry:": false, "registry:x": false, ":5000": false, "a_b.c": false,
	} {
		if got := isHost(host); got != want {
			t.Errorf("%q: got %t, want %t", host, got, want)
		}
	}
}
