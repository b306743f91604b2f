package auditor_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/sbom"
	"github.com/tallyman-io/tallyman/internal/sbom/convert"
)

// schema compiles a JSON schema that lies in a module which the pinned tools are made of,
// with those that it names.
func schema(t *testing.T, module, file string, named map[string]string) *jsonschema.Schema {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "download", "-json", module)
	cmd.Dir = filepath.Join("..", "..", "tools")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	var found struct{ Dir string }
	if err := json.Unmarshal(out, &found); err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	add := func(url, file string) {
		text, err := os.Open(filepath.Join(found.Dir, filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		defer text.Close()
		parsed, err := jsonschema.UnmarshalJSON(text)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if err := compiler.AddResource(url, parsed); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	for url, file := range named {
		add(url, file)
	}
	const url = "http://cyclonedx.org/schema/converted.schema.json" // what it names is beside it
	add(url, file)
	compiled, err := compiler.Compile(url)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// system makes a folder that Syft takes for a Debian system.
func system(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"etc/os-release": "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"13\"\nID=debian\n",
		"var/lib/dpkg/status": "Package: libssl3t64\nStatus: install ok installed\nSection: libs\nMaintainer: Debian OpenSSL Team <openssl@example.org>\n" +
			"Architecture: amd64\nSource: openssl\nVersion: 3.5.1-1\nDepends: libc6 (>= 2.34)\nDescription: TLS\n\n" +
			"Package: libc6\nStatus: install ok installed\nMaintainer: GNU Libc Maintainers <glibc@example.org>\nArchitecture: amd64\nSource: glibc\nVersion: 2.41-12\n\n",
		"usr/share/doc/libssl3t64/copyright": "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nFiles: *\nLicense: Apache-2.0\n\nFiles: x\nLicense: own-words\n Do what is right.\n",
		"var/lib/dpkg/info/libc6.md5sums":    "d41d8cd98f00b204e9800998ecf8427e  lib/libc.so.6\n",
	} {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestConvertedSBOMsAreWhatTheirFormatAsksFor converts what the pinned Syft makes, and has
// the schemas of both formats and Syft itself read it.
func TestConvertedSBOMsAreWhatTheirFormatAsksFor(t *testing.T) {
	t.Parallel()
	syft := filepath.Join(toolsDir(t), "syft")
	if _, err := os.Stat(syft); err != nil {
		t.Fatalf("%v; `make tools` builds it", err)
	}
	schemas := map[convert.Format]*jsonschema.Schema{
		convert.SPDX: schema(t, "github.com/anchore/syft", "schema/spdx-json/spdx-schema-2.3.json", nil),
		convert.CycloneDX: schema(t, "github.com/CycloneDX/cyclonedx-go", "schema/bom-1.6.schema.json", map[string]string{
			"http://cyclonedx.org/schema/spdx.schema.json":     "schema/spdx.schema.json",
			"http://cyclonedx.org/schema/jsf-0.82.schema.json": "schema/jsf-0.82.schemax.json",
		}),
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, source := range map[string]string{"a Go program": "file:" + program, "a Debian system": "dir:" + system(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			made := map[convert.Format][]byte{}
			for format, of := range map[convert.Format]string{convert.SPDX: "spdx-json", convert.CycloneDX: "cyclonedx-json@1.6"} {
				made[format] = runSyft(t, syft, "scan", source, "-o", of)
			}
			for from, to := range map[convert.Format]convert.Format{convert.SPDX: convert.CycloneDX, convert.CycloneDX: convert.SPDX} {
				there := converted(t, made[from], to)
				valid(t, schemas[to], there)
				if err := validate(t, schemas[to], bytes.Replace(there, []byte(`"name":`), []byte(`"title":`), 1)); err == nil {
					t.Errorf("%s as %s: the schema says nothing of a field that is not its own", from, to)
				}
				back := converted(t, there, from)
				valid(t, schemas[from], back)
				want := packagesOf(t, made[from])
				if len(want) < 2 {
					t.Fatalf("got %d packages in the original, want some", len(want))
				}
				if diff := cmp.Diff(want, packagesOf(t, there)); diff != "" {
					t.Errorf("%s as %s (-original +converted):\n%s", from, to, diff)
				}
				if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(packagesOf(t, back)))); diff != "" {
					t.Errorf("%s as %s, and back (-original +converted):\n%s", from, to, diff)
				}
				if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), readBySyft(t, syft, there)); diff != "" {
					t.Errorf("%s as %s, as Syft reads it (-original +converted):\n%s", from, to, diff)
				}
				if again := converted(t, made[from], to); !bytes.Equal(there, again) {
					t.Errorf("%s as %s: two conversions differ", from, to)
				}
			}
		})
	}
}

func converted(t *testing.T, document []byte, to convert.Format) []byte {
	t.Helper()
	out, err := convert.Convert(convert.Original{
		Document: document, Digest: release.Digest("sha256:" + strings.Repeat("ab", 32)), Tool: "tallyman", Version: "v1.2.3",
	}, to)
	if err != nil {
		t.Fatal(err)
	}
	return out.Document
}

func valid(t *testing.T, schema *jsonschema.Schema, document []byte) {
	t.Helper()
	if err := validate(t, schema, document); err != nil {
		t.Error(err)
	}
}

func validate(t *testing.T, schema *jsonschema.Schema, document []byte) error {
	t.Helper()
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(parsed)
}

// packagesOf reads the packages as everything else here does.
func packagesOf(t *testing.T, document []byte) map[string][]string {
	t.Helper()
	all := make(map[string][]string)
	if _, err := sbom.Read(bytes.NewReader(document), func(p release.Package) error {
		// SPDX has one expression where CycloneDX may have a list, and its own names for licences.
		words := strings.FieldsFunc(strings.Join(p.Licences, " AND "), func(r rune) bool { return strings.ContainsRune(" ()", r) })
		licences := make(map[string]bool)
		for _, word := range words {
			if word != "AND" {
				licences[strings.TrimPrefix(word, "LicenseRef-")] = true
			}
		}
		all[p.PURL] = append([]string{p.Name, p.Version}, slices.Sorted(maps.Keys(licences))...)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func runSyft(t *testing.T, syft string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), syft, append(args, "--quiet")...)
	cmd.Env = append(os.Environ(), "SYFT_CHECK_FOR_APP_UPDATE=false", "HOME="+t.TempDir())
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	return out
}

// readBySyft returns the purls that Syft finds in a document.
func readBySyft(t *testing.T, syft string, document []byte) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "converted.json")
	if err := os.WriteFile(file, document, 0o600); err != nil {
		t.Fatal(err)
	}
	var found struct {
		Artifacts []struct {
			PURL string `json:"purl"`
		} `json:"artifacts"`
	}
	if err := json.Unmarshal(runSyft(t, syft, "convert", file, "-o", "json"), &found); err != nil {
		t.Fatal(err)
	}
	var purls []string
	for _, a := range found.Artifacts {
		if a.PURL != "" {
			purls = append(purls, a.PURL)
		}
	}
	slices.Sort(purls)
	return slices.Compact(purls)
}
