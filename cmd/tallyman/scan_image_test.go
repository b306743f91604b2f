package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
	"github.com/tallyman-io/tallyman/internal/release"
)

func advisories(t *testing.T) string {
	t.Helper()
	return imported(t, feedFolder(t))
}

// databaseOf makes a database of records by name.
func databaseOf(t *testing.T, records map[string]string) string {
	t.Helper()
	return imported(t, feedOf(t, records))
}

func imported(t *testing.T, folder string) string {
	t.Helper()
	db := filepath.Join(t.TempDir(), "advisories.db")
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"db", "import", "--db", db, folder}, &stdout, &stderr); code != exitPass {
		t.Fatalf("import: exit %d: %s", code, &stderr)
	}
	return db
}

// scanned runs the command and returns its exit code and both outputs.
func scanned(t *testing.T, args ...string) (code int, out string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), append([]string{"scan"}, args...), &stdout, &stderr)
	return code, stdout.String() + stderr.String()
}

func otherKeyFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "other.pub")
	if err := os.WriteFile(file, []byte(otherKey), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestSBOMsAreFoundWhereverTheyLie puts one SBOM into each place that is in use.
func TestSBOMsAreFoundWhereverTheyLie(t *testing.T) {
	t.Parallel()
	db, other := advisories(t), otherKeyFile(t)
	signed := func(s *shelf) v1.Descriptor { return s.signed(s.index, cdxPredicate, affectedCDX) }
	tests := map[string]struct {
		put      func(t *testing.T) *shelf
		found    release.Layout
		unsigned bool
	}{
		"referrers API": {found: release.LayoutReferrers, put: func(t *testing.T) *shelf {
			s := inRegistry(t, registrytest.NewWithReferrers(t))
			s.artifact("", s.index, signed(s))
			return s
		}},
		"fallback tag": {found: release.LayoutFallback, put: func(t *testing.T) *shelf {
			s := inRegistry(t, registrytest.New(t))
			s.put(registry.FallbackTag(s.index, ""), types.OCIImageIndex, v1.IndexManifest{
				SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{s.artifact("", s.index, signed(s))},
			})
			return s
		}},
		".att tag": {found: release.LayoutAtt, put: func(t *testing.T) *shelf {
			s := inRegistry(t, registrytest.New(t))
			s.att(s.index, signed(s))
			return s
		}},
		".sbom tag": {found: release.LayoutSBOM, unsigned: true, put: func(t *testing.T) *shelf {
			s := inRegistry(t, registrytest.New(t))
			s.artifact(registry.FallbackTag(s.index, ".sbom"), "", s.blob("application/vnd.cyclonedx+json", []byte(affectedCDX)))
			return s
		}},
		"in the index": {found: release.LayoutIndex, unsigned: true, put: func(t *testing.T) *shelf {
			s := inRegistry(t, registrytest.New(t))
			s.buildKit(affectedSPDX)
			return s
		}},
		"a layout that lists the referrer": {found: release.LayoutDisk, put: func(t *testing.T) *shelf {
			s := inFolder(t)
			s.list(s.artifact("", s.index, signed(s)))
			return s
		}},
		"a layout with the referrer among the blobs": {found: release.LayoutDisk, put: func(t *testing.T) *shelf {
			s := inFolder(t)
			s.artifact("", s.index, signed(s))
			s.list()
			return s
		}},
		"a layout of cosign save": {found: release.LayoutAtt, put: func(t *testing.T) *shelf {
			s := inFolder(t)
			s.entries[0].Annotations = map[string]string{"kind": "dev.cosignproject.cosign/imageIndex"}
			att := s.artifact("", "", signed(s))
			att.Annotations = map[string]string{"kind": "dev.cosignproject.cosign/atts"}
			s.list(att)
			return s
		}},
		"a layout with the tag of cosign": {found: release.LayoutAtt, put: func(t *testing.T) *shelf {
			s := inFolder(t)
			att := s.artifact("", "", signed(s))
			att.Annotations = map[string]string{"org.opencontainers.image.ref.name": registry.FallbackTag(s.index, ".att")}
			s.list(att)
			return s
		}},
		"a layout of BuildKit": {found: release.LayoutIndex, unsigned: true, put: func(t *testing.T) *shelf {
			s := inFolder(t)
			s.buildKit(affectedSPDX)
			s.list()
			return s
		}},
		"a tar of a layout": {found: release.LayoutDisk, put: func(t *testing.T) *shelf {
			s := inFolder(t)
			s.list(s.artifact("", s.index, signed(s)))
			s.pack()
			return s
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := tt.put(t)
			code, out := scanned(t, "--db", db, s.image)
			if code != exitFail || !strings.Contains(out, "GO-1") || !strings.Contains(out, "not verified") {
				t.Errorf("nobody trusted: got exit %d\n%s", code, out)
			}
			if _, out = scanned(t, "--db", db, "--format", "json", s.image); !strings.Contains(out, `"found":["`+string(tt.found)+`"]`) ||
				!strings.Contains(out, `"verified":false`) {
				t.Errorf("want found in %s in\n%s", tt.found, out)
			}
			code, out = scanned(t, "--db", db, "--key", s.key, s.image)
			if want := map[bool]int{true: exitUnknown, false: exitFail}[tt.unsigned]; code != want ||
				strings.Contains(out, "GO-1") == tt.unsigned || strings.Contains(out, "signed by key release.pub)") == tt.unsigned {
				t.Errorf("signed by the key: got exit %d, want %d\n%s", code, want, out)
			}
			code, out = scanned(t, "--db", db, "--key", other, s.image)
			if code != exitUnknown || strings.Contains(out, "GO-1") || !strings.Contains(out, "not scanned: ") || !strings.Contains(out, "no SBOM to scan: ") {
				t.Errorf("another key: got exit %d\n%s", code, out)
			}
		})
	}
}

type report struct {
	Documents []struct {
		Source, Error, Refused string
		Packages               *int
		Image                  *struct {
			Image    string
			Digest   release.Digest
			Verified bool
			Reason   string
			Key      string
			Places   []struct{ On string }
		}
		Findings []struct {
			ID       string
			Repeated bool
		}
	}
}

func reported(t *testing.T, args ...string) (int, report) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), append([]string{"scan", "--format", "json"}, args...), &stdout, &stderr)
	var r report
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatalf("exit %d: %v: %s%s", code, err, &stdout, &stderr)
	}
	return code, r
}

// sources are short: what of the image each document is about, and its worth.
func (r report) sources() []string {
	var all []string
	for _, d := range r.Documents {
		_, rest, _ := strings.Cut(d.Source, "@")
		_, rest, _ = strings.Cut(rest, " ")
		if d.Error != "" {
			rest += ": error"
		}
		if d.Refused != "" {
			rest += ": refused"
		}
		all = append(all, rest)
	}
	return all
}

func TestOneSBOMInTwoPlacesIsScannedOnce(t *testing.T) {
	t.Parallel()
	db, s := advisories(t), inRegistry(t, registrytest.NewWithReferrers(t))
	s.att(s.index, s.signed(s.index, cdxPredicate, affectedCDX))
	s.att(s.amd64, s.signed(s.amd64, cdxPredicate, affectedCDX))
	s.artifact("", s.amd64, s.signed(s.amd64, cdxPredicate, affectedCDX))
	code, r := reported(t, "--db", db, "--key", s.key, s.image)
	if code != exitFail || len(r.Documents) != 1 {
		t.Fatalf("got exit %d and %q", code, r.sources())
	}
	want := s.repository + "@" + string(s.index) + " linux/amd64 (CycloneDX, signed by key release.pub)"
	d := r.Documents[0]
	if d.Source != want || len(d.Image.Places) < 3 || d.Image.Digest != digestOf([]byte(affectedCDX)) || !d.Image.Verified || d.Image.Key != "release.pub" {
		t.Errorf("got %+v %+v, want source %s", d, d.Image, want)
	}
}

func TestFindingsOfTwoFormatsAreToldOnce(t *testing.T) {
	t.Parallel()
	db, s := advisories(t), inRegistry(t, registrytest.New(t))
	s.att(s.index, s.signed(s.index, spdxPredicate, affectedSPDX), s.signed(s.index, cdxPredicate, affectedCDX))
	code, r := reported(t, "--db", db, "--key", s.key, s.image)
	if code != exitFail || len(r.Documents) != 2 || len(r.Documents[0].Findings) != 1 || len(r.Documents[1].Findings) != 1 ||
		r.Documents[0].Findings[0].Repeated || !r.Documents[1].Findings[0].Repeated {
		t.Errorf("got exit %d and %+v", code, r)
	}
	if _, out := scanned(t, "--db", db, "--key", s.key, s.image); strings.Count(out, "GO-1") != 1 ||
		!strings.Contains(out, "0 findings: 0 critical; 1 more that another SBOM of the manifest has too") {
		t.Errorf("got\n%s", out)
	}
	if _, out := scanned(t, "--db", db, "--key", s.key, "--format", "sarif", s.image); strings.Count(out, `"ruleId":"GO-1"`) != 1 ||
		!strings.Contains(out, `"verified":true`) {
		t.Errorf("got\n%s", out)
	}
}

func TestAnImageIsNeverCleanForWantOfAnSBOM(t *testing.T) {
	t.Parallel()
	db := advisories(t)
	throttle := registrytest.Status(http.StatusTooManyRequests)
	at := func(part string, fault registrytest.Fault) registrytest.Fault {
		return func(w http.ResponseWriter, r *http.Request) bool {
			return strings.Contains(r.URL.Path, part) && fault(w, r)
		}
	}
	tests := map[string]struct {
		put  func(s *shelf) []string // more arguments
		code int
		out  []string
		not  string
	}{
		"none at all": {
			put: func(*shelf) []string { return nil }, code: exitUnknown, not: "findings",
			out: []string{"could not tell: no SBOM to scan: none in the referrers"},
		},
		"a throttling registry": {
			put:  func(s *shelf) []string { s.server.Fail(throttle); return nil },
			code: exitUnknown, out: []string{"throttled (HTTP 429"}, not: "findings",
		},
		"a registry that refuses": {
			put:  func(s *shelf) []string { s.server.Fail(registrytest.Status(http.StatusForbidden)); return nil },
			code: exitUnknown, out: []string{"unauthorized (HTTP 403"}, not: "findings",
		},
		"a place that could not be read beside a clean SBOM": {
			put: func(s *shelf) []string {
				s.att(s.index, s.signed(s.index, cdxPredicate, cleanCDX))
				s.server.Fail(at(registry.FallbackTag(s.index, ".sbom"), registrytest.Status(http.StatusForbidden)))
				return nil
			},
			code: exitUnknown, out: []string{"0 findings", "could not tell: there may be more SBOMs: .sbom tag: unauthorized"},
		},
		"one platform has one": {
			put: func(s *shelf) []string {
				s.att(s.amd64, s.signed(s.amd64, cdxPredicate, cleanCDX))
				return nil
			},
			code: exitUnknown, out: []string{"0 findings", " linux/arm64: could not tell: no SBOM to scan"},
		},
		"the platform that is asked for": {
			put: func(s *shelf) []string {
				s.att(s.amd64, s.signed(s.amd64, cdxPredicate, cleanCDX))
				return []string{"--platform", "linux/amd64"}
			},
			code: exitPass, out: []string{" linux/amd64 (CycloneDX, not verified)", "0 findings"},
		},
		"the platform that is asked for has none": {
			put: func(s *shelf) []string {
				s.att(s.amd64, s.signed(s.amd64, cdxPredicate, cleanCDX))
				return []string{"--platform", "linux/arm64"}
			},
			code: exitUnknown, out: []string{"no SBOM to scan"}, not: "findings",
		},
		"no such platform": {
			put:  func(*shelf) []string { return []string{"--platform", "linux/s390x"} },
			code: exitUnknown, out: []string{"expected platform linux/s390x, found linux/amd64, linux/arm64"},
		},
		"on the index for a platform": {
			put: func(s *shelf) []string {
				s.att(s.index, s.signed(s.index, cdxPredicate, cleanCDX), s.signed(s.index, cdxPredicate, affectedCDX))
				s.att(s.arm64, s.signed(s.arm64, cdxPredicate, affectedCDX))
				return []string{"--platform", "linux/amd64"}
			},
			code: exitPass, out: []string{" index (CycloneDX, not verified)"}, not: "GO-1",
		},
		"forged": {
			put: func(s *shelf) []string {
				s.att(s.index, s.signed(s.amd64, cdxPredicate, affectedCDX))
				return []string{"--key", s.key}
			},
			code: exitUnknown, out: []string{"not scanned: subject: expected ", "no SBOM to scan"}, not: "GO-1",
		},
		"forged, and nobody trusted": {
			put: func(s *shelf) []string {
				s.att(s.index, s.signed(s.amd64, cdxPredicate, affectedCDX))
				return nil
			},
			code: exitUnknown, out: []string{"not scanned: subject: expected "}, not: "GO-1",
		},
		"forged beside a genuine one": {
			put: func(s *shelf) []string {
				s.att(s.index, s.signed(s.index, cdxPredicate, cleanCDX), s.signed(s.amd64, cdxPredicate, affectedCDX))
				return []string{"--key", s.key}
			},
			code: exitPass, out: []string{"0 findings", "not scanned: subject: expected "}, not: "GO-1",
		},
		"of another image and unsigned": {
			put: func(s *shelf) []string {
				s.artifact(registry.FallbackTag(s.index, ".att"), "", s.unsigned(s.amd64, affectedSPDX))
				return nil
			},
			code: exitUnknown, out: []string{"not scanned: unsigned"}, not: "GO-1",
		},
		"no document": {
			put: func(s *shelf) []string {
				s.att(s.index, s.signed(s.index, cdxPredicate, `"luck"`))
				return nil
			},
			code: exitUnknown, out: []string{"could not be read"}, not: "findings",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := inRegistry(t, registrytest.New(t))
			code, out := scanned(t, append(tt.put(s), "--db", db, s.image)...)
			if code != tt.code {
				t.Errorf("got exit %d, want %d\n%s", code, tt.code, out)
			}
			for _, part := range tt.out {
				if !strings.Contains(out, part) {
					t.Errorf("%q is not in\n%s", part, out)
				}
			}
			if tt.not != "" && strings.Contains(out, tt.not) {
				t.Errorf("%q is in\n%s", tt.not, out)
			}
		})
	}
}
