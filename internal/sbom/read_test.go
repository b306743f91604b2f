package sbom_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/sbom"
)

const spdxDocument = `{"packages":[
 {"name":"root","SPDXID":"SPDXRef-root"},
 {"externalRefs":[{"referenceLocator":"cpe:2.3:a:b","referenceType":"cpe23Type"},
   {"referenceLocator":"pkg:golang/example.com/a@v1.0.0","referenceType":"purl"}],
  "name":"example.com/a","versionInfo":"v1.0.0","SPDXID":"SPDXRef-a","licenseConcluded":"NOASSERTION","licenseDeclared":"MIT"},
 {"name":"libc","versionInfo":"1","SPDXID":"SPDXRef-b","externalRefs":[
   {"referenceType":"purl","referenceLocator":"pkg:deb/debian/libc6@1?arch=amd64\u0026distro=debian-12"},
   {"referenceType":"purl","referenceLocator":"pkg:deb/debian/libc-bin@1"}]}
],"files":[{"fileName":"\"]}"}],"relationships":[[{}]],"spdxVersion":"SPDX-2.3"}`

const cycloneDXDocument = `{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"component":{"type":"application","purl":"pkg:golang/example.com/main@v2.0.0","name":"main"}},
"components":[
 {"type":"file","name":"/bin/sh","hashes":[{"alg":"SHA-1","content":"00"}]},
 {"type":"library","name":"a","version":"1","components":[{"type":"library","name":"inner","bom-ref":"i","purl":"pkg:npm/%40scope/inner@1"}],
  "purl":"pkg:npm/a@1","bom-ref":"a","licenses":[{"license":{"id":"MIT"}},{"expression":"Apache-2.0 OR BSD-3-Clause"}]},
 {"type":"library","name":"nameless"}
],"dependencies":[{"ref":"a","dependsOn":["i"]},{"ref":"i","dependsOn":["a"]}]}`

func TestReadFindsEveryPackage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		document string
		want     sbom.Document
		packages []release.Package
	}{
		"SPDX, keys in any order, several purls, escapes": {
			spdxDocument,
			sbom.Document{Format: sbom.FormatSPDX, Version: "2.3", Packages: 3, Unidentified: 1},
			[]release.Package{
				{PURL: "pkg:golang/example.com/a@v1.0.0", Name: "example.com/a", Version: "v1.0.0", Licences: []string{"MIT"}, Entry: "packages[1] (SPDXRef-a)"},
				{PURL: "pkg:deb/debian/libc6@1?arch=amd64&distro=debian-12", Name: "libc", Version: "1", Entry: "packages[2] (SPDXRef-b)"},
				{PURL: "pkg:deb/debian/libc-bin@1", Name: "libc", Version: "1", Entry: "packages[2] (SPDXRef-b)"},
			},
		},
		"CycloneDX, nested components, cyclic dependencies": {
			cycloneDXDocument,
			sbom.Document{Format: sbom.FormatCycloneDX, Version: "1.6", Packages: 3, Unidentified: 1},
			[]release.Package{
				{PURL: "pkg:golang/example.com/main@v2.0.0", Name: "main", Entry: "metadata.component"},
				{PURL: "pkg:npm/%40scope/inner@1", Name: "inner", Entry: "components[1].components[0] (i)"},
				{PURL: "pkg:npm/a@1", Name: "a", Version: "1", Licences: []string{"MIT", "Apache-2.0 OR BSD-3-Clause"}, Entry: "components[1] (a)"},
			},
		},
		"predicate of an in-toto statement": {
			`{"_type":"https://in-toto.io/Statement/v1","subject":[{}],"predicate":{"spdxVersion":"SPDX-2.3","packages":[]}}`,
			sbom.Document{Format: sbom.FormatSPDX, Version: "2.3"},
			nil,
		},
		"a list that occurs twice counts with both": {
			`{"spdxVersion":"SPDX-2.2","packages":[{"externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:npm/a@1"}]}],"packages":[]}`,
			sbom.Document{Format: sbom.FormatSPDX, Version: "2.2", Packages: 1},
			[]release.Package{{PURL: "pkg:npm/a@1", Entry: "packages[0]"}},
		},
		"a key that occurs twice counts with its last value": {
			`{"bomFormat":"CycloneDX","specVersion":"1.5","components":[{"purl":"pkg:npm/a@1","purl":"pkg:npm/b@2"}]}`,
			sbom.Document{Format: sbom.FormatCycloneDX, Version: "1.5", Packages: 1},
			[]release.Package{{PURL: "pkg:npm/b@2", Entry: "components[0]"}},
		},
		"values of other kinds than expected": {
			`{"spdxVersion":"SPDX-2.3","packages":[null,1,"x",[],{"name":7,"externalRefs":{"a":1}},{"externalRefs":[null,{"referenceType":null}]}],"metadata":[]}`,
			sbom.Document{Format: sbom.FormatSPDX, Version: "2.3", Unidentified: 2},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for how, r := range map[string]io.Reader{
				"at once": strings.NewReader(c.document), "byte by byte": iotest.OneByteReader(strings.NewReader(c.document)),
			} {
				got, packages, err := sbom.ReadAll(r)
				if err != nil {
					t.Fatalf("%s: %v", how, err)
				}
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("%s: document (-want +got):\n%s", how, diff)
				}
				if diff := cmp.Diff(c.packages, packages); diff != "" {
					t.Errorf("%s: packages (-want +got):\n%s", how, diff)
				}
			}
		})
	}
}

func TestReadSaysWhatIsWrongAndWhere(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ document, says string }{
		"empty":              {"", "ends early"},
		"no JSON":            {"<xml/>", "at byte 0: expected a JSON object, found '<'"},
		"an array":           {"[]", "expected a JSON object"},
		"truncated":          {spdxDocument[:len(spdxDocument)-60], "ends early"},
		"truncated string":   {`{"spdxVersion":"SPDX`, "ends early"},
		"two documents":      {cycloneDXDocument + "{}", "more follows"},
		"neither format":     {`{"artifacts":[]}`, "found neither"},
		"SPDX 3":             {`{"spdxVersion":"SPDX-3.0"}`, `expected SPDX-2.x, found "SPDX-3.0"`},
		"both formats":       {`{"spdxVersion":"SPDX-2.3","bomFormat":"CycloneDX","specVersion":"1.6"}`, "expected one format"},
		"CycloneDX 2":        {`{"bomFormat":"CycloneDX","specVersion":"2.0"}`, `expected 1.x, found "2.0"`},
		"packages elsewhere": {`{"bomFormat":"CycloneDX","specVersion":"1.6","packages":[]}`, "expected the components"},
		"too deep":           {`{"x":` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000) + `}`, "nested deeper than 512"},
		"components too deep": {
			`{"components":` + strings.Repeat(`[{"components":`, 400) + "[]" + strings.Repeat("}]", 400) + `}`,
			"nested deeper than 512",
		},
		"wrong bracket":     {`{"x":[}]}`, "expected ']', found '}'"},
		"comma missing":     {`{"a":1 "b":2}`, "expected"},
		"a name too long":   {`{"bomFormat":"CycloneDX","components":[{"purl":"` + strings.Repeat("x", 1<<17) + `"}]}`, "components[0]: at byte"},
		"a bad escape":      {`{"bomFormat":"\x"}`, "no escape"},
		"a bad hexadecimal": {`{"bomFormat":"\u00g0"}`, "hexadecimal"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, _, err := sbom.ReadAll(strings.NewReader(c.document)); err == nil || !strings.Contains(err.Error(), c.says) || len(err.Error()) > 5000 {
				t.Errorf("got %.500v, want an error that says %q", err, c.says)
			}
		})
	}
}

func TestReadStopsWithTheErrorOfItsUser(t *testing.T) {
	t.Parallel()
	stop := errors.New("enough")
	if _, err := sbom.Read(strings.NewReader(spdxDocument), func(release.Package) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("got %v, want %v", err, stop)
	}
}

func TestOpenUnpacksAndDecodes(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string][]byte{
		"UTF-8":                     []byte(spdxDocument),
		"UTF-8 with a mark":         []byte("\uFEFF" + spdxDocument),
		"UTF-16LE with a mark":      inUTF16(spdxDocument, true, false),
		"UTF-16BE with a mark":      inUTF16(spdxDocument, true, true),
		"UTF-16LE without a mark":   inUTF16(spdxDocument, false, false),
		"gzip":                      inGzip(t, []byte(spdxDocument)),
		"zstd":                      inZstd(t, []byte(spdxDocument)),
		"UTF-16 in zstd":            inZstd(t, inUTF16(spdxDocument, true, false)),
		"UTF-8 with a mark in gzip": inGzip(t, []byte("\uFEFF"+spdxDocument)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := sbom.Open(bytes.NewReader(raw))
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			got, _, err := sbom.ReadAll(r)
			if err != nil || got.Packages != 3 {
				t.Errorf("got %+v, %v; want 3 packages", got, err)
			}
		})
	}
}

func TestOpenRefusesWhatIsCut(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string][]byte{"gzip": inGzip(t, []byte(spdxDocument)), "zstd": inZstd(t, []byte(spdxDocument))} {
		r, err := sbom.Open(bytes.NewReader(raw[:len(raw)-9]))
		if err == nil {
			_, _, err = sbom.ReadAll(r)
		}
		if err == nil {
			t.Errorf("%s: a truncated document was read", name)
		}
	}
}

// A document of any size is read in the same memory. Not parallel: it counts what
// the whole process allocates.
func TestReadStreams(t *testing.T) {
	const files = 100_000
	file := `{"fileName":"` + strings.Repeat("x", 1000) + `"},`
	r := io.MultiReader(strings.NewReader(`{"spdxVersion":"SPDX-2.3","files":[`), &repeated{text: file, left: files}, strings.NewReader(`{}],"packages":[]}`))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, _, err := sbom.ReadAll(r); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 1<<20 {
		t.Errorf("reading %d MiB allocated %d bytes, want at most 1 MiB", files*len(file)>>20, allocated)
	}
}

type repeated struct {
	text string
	left int
	rest string
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.rest == "" {
		if r.left == 0 {
			return 0, io.EOF
		}
		r.left--
		r.rest = r.text
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func inUTF16(s string, mark, big bool) []byte {
	if mark {
		s = "\uFEFF" + s
	}
	var out []byte
	for _, u := range utf16.Encode([]rune(s)) {
		if big {
			out = binary.BigEndian.AppendUint16(out, u)
		} else {
			out = binary.LittleEndian.AppendUint16(out, u)
		}
	}
	return out
}

func inGzip(t *testing.T, raw []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(raw); err != nil {
		t.Fatal(err)
	}
	w.Close()
	return out.Bytes()
}

func inZstd(t *testing.T, raw []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return w.EncodeAll(raw, nil)
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(spdxDocument))
	f.Add([]byte(cycloneDXDocument))
	f.Add([]byte(`{"spdxVersion":"SPDX-2.3","packages":[{"name":"\ud83d\ude00\ud83d\n\\"}]}`))
	f.Add(inUTF16(cycloneDXDocument, true, false))
	f.Fuzz(func(t *testing.T, raw []byte) {
		read := func(r io.Reader) string {
			text, err := sbom.Open(r)
			if err != nil {
				return "error"
			}
			defer text.Close()
			document, packages, err := sbom.ReadAll(text)
			if err != nil {
				return "error"
			}
			return fmt.Sprintf("%+v %+v", document, packages)
		}
		if a, b := read(bytes.NewReader(raw)), read(iotest.OneByteReader(bytes.NewReader(raw))); a != b {
			t.Errorf("what is read depends on how it arrives:\n%s\n%s", a, b)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	var document strings.Builder
	document.WriteString(`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[`)
	for i := range 10_000 {
		fmt.Fprintf(&document, `{"bom-ref":"r%d","type":"library","name":"example.com/m%d","version":"v1.0.%d","purl":"pkg:golang/example.com/m%d@v1.0.%d","properties":[{"name":"syft:location:0:path","value":"/usr/bin/x"},{"name":"syft:package:type","value":"go-module"}]},`, i, i, i, i, i)
	}
	document.WriteString(`{"type":"file","name":"f"}]}`)
	text := document.String()
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sbom.Read(strings.NewReader(text), func(release.Package) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*10_000/b.Elapsed().Seconds(), "packages/s")
}
