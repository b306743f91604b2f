package convert_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/sbom"
	"github.com/tallyman-io/tallyman/internal/sbom/convert"
)

var update = flag.Bool("update", false, "write the golden files")

func sample(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func digestOf(document []byte) release.Digest {
	return release.Digest(fmt.Sprintf("sha256:%x", sha256.Sum256(document)))
}

func original(document []byte) convert.Original {
	return convert.Original{Document: document, Digest: digestOf(document), Tool: "tallyman", Version: "v1.2.3"}
}

// purls reads a document with the reader of everything else.
func purls(t testing.TB, document []byte) []string {
	t.Helper()
	seen := make(map[string]bool)
	if _, err := sbom.Read(bytes.NewReader(document), func(p release.Package) error {
		seen[p.PURL+" "+p.Version] = true
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(seen))
}

func TestConversions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, golden string
		to           convert.Format
	}{
		{"rich.spdx.json", "rich.spdx.as.cdx.json", convert.CycloneDX},
		{"rich.cdx.json", "rich.cdx.as.spdx.json", convert.SPDX},
		{"rich.spdx.json", "rich.spdx.as.csv", convert.CSV},
		{"rich.cdx.json", "rich.cdx.as.csv", convert.CSV},
	} {
		document := sample(t, c.from)
		got, err := convert.Convert(original(document), c.to)
		if err != nil {
			t.Fatalf("%s: %v", c.golden, err)
		}
		again, err := convert.Convert(original(document), c.to)
		if err != nil || !bytes.Equal(got.Document, again.Document) {
			t.Errorf("%s: two conversions differ, %v", c.golden, err)
		}
		text := got.Document
		if c.to != convert.CSV {
			if !bytes.Contains(text, []byte(strings.TrimPrefix(string(digestOf(document)), "sha256:"))) {
				t.Errorf("%s: the digest of the original is not in it", c.golden)
			}
			for _, lost := range got.Lost {
				if encoded, _ := json.Marshal(lost); !bytes.Contains(text, bytes.Trim(encoded, `"`)) {
					t.Errorf("%s: it does not say that %s is lost", c.golden, lost)
				}
			}
			if c.to == convert.SPDX || c.to == convert.CycloneDX {
				// CycloneDX keeps the second purl of a package of SPDX as a property.
				want := slices.DeleteFunc(purls(t, document), func(p string) bool { return strings.HasPrefix(p, "pkg:generic/") })
				if diff := cmp.Diff(want, purls(t, text)); diff != "" {
					t.Errorf("%s: packages (-original +converted):\n%s", c.golden, diff)
				}
			}
			var pretty bytes.Buffer
			if err := json.Indent(&pretty, text, "", "  "); err != nil {
				t.Fatal(err)
			}
			text = pretty.Bytes()
		}
		file := filepath.Join("testdata", c.golden)
		if *update {
			if err := os.WriteFile(file, text, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(string(sample(t, c.golden)), string(text)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.golden, diff)
		}
	}
}

// TestThereAndBack keeps what both formats can say.
func TestThereAndBack(t *testing.T) {
	t.Parallel()
	for name, way := range map[string][2]convert.Format{
		"rich.spdx.json": {convert.CycloneDX, convert.SPDX}, "rich.cdx.json": {convert.SPDX, convert.CycloneDX},
	} {
		document := sample(t, name)
		there, err := convert.Convert(original(document), way[0])
		if err != nil {
			t.Fatal(err)
		}
		back, err := convert.Convert(original(there.Document), way[1])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		table := func(document []byte) string {
			t.Helper()
			out, err := convert.Convert(original(document), convert.CSV)
			if err != nil {
				t.Fatal(err)
			}
			rows, err := csv.NewReader(bytes.NewReader(out.Document)).ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			var text []string
			for _, row := range rows[1:] {
				text = append(text, strings.Join([]string{row[0], row[1], row[3], row[5]}, " | "))
			}
			slices.Sort(text)
			return strings.Join(text, "\n")
		}
		// A file of SPDX comes back as a package of one, which a table shows where it has a name.
		if diff := cmp.Diff(table(document), table(back.Document)); diff != "" {
			t.Errorf("%s (-original +back):\n%s", name, diff)
		}
	}
}

func TestWhatIsNotConverted(t *testing.T) {
	t.Parallel()
	spdx, cdx := string(sample(t, "rich.spdx.json")), string(sample(t, "rich.cdx.json"))
	for name, c := range map[string]struct {
		document string
		to       convert.Format
		want     string
	}{
		"nothing":                 {"", convert.CSV, "expected JSON"},
		"a list":                  {"[]", convert.CSV, "expected JSON"},
		"two documents":           {"{}{}", convert.CSV, "expected one JSON object"},
		"null":                    {"null", convert.CSV, "expected one JSON object"},
		"another format":          {"{}", convert.CSV, "found neither"},
		"not UTF-8":               {strings.Replace(spdx, `"web"`, "\"\xff\"", 1), convert.CycloneDX, "expected UTF-8"},
		"SPDX as SPDX":            {spdx, convert.SPDX, "in that format"},
		"CycloneDX as CycloneDX":  {cdx, convert.CycloneDX, "in that format"},
		"to nothing known":        {spdx, "xml", "expected one of"},
		"a version to come":       {strings.Replace(cdx, `"1.5"`, `"2.0"`, 1), convert.SPDX, `specVersion: expected 1.2 to 1.6, found "2.0"`},
		"no time":                 {strings.Replace(cdx, `"timestamp"`, `"time"`, 1), convert.SPDX, "metadata.timestamp, found none"},
		"a time that is none":     {strings.Replace(cdx, "2026-05-01T14", "May", 1), convert.SPDX, "time of the document: expected"},
		"a package without name":  {strings.Replace(spdx, `"name": "libb", `, "", 1), convert.CycloneDX, "packages[2]: expected a name"},
		"an id twice":             {strings.Replace(spdx, `"SPDXID": "SPDXRef-b"`, `"SPDXID": "SPDXRef-a"`, 1), convert.CycloneDX, `packages[2]: expected "SPDXRef-a" once`},
		"a name that is a number": {strings.Replace(spdx, `"name": "libb"`, `"name": 7`, 1), convert.CycloneDX, "packages[2].name: expected a string, found 7"},
		"packages that are none":  {`{"spdxVersion":"SPDX-2.3","packages":{}}`, convert.CSV, "packages: expected a list, found an object"},
		"too deep": {
			`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[` + strings.Repeat(`{"name":"x","components":[`, 70) + strings.Repeat("]}", 70) + "]}",
			convert.CSV, "at most 64 deep",
		},
	} {
		_, err := convert.Convert(original([]byte(c.document)), c.to)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
		if c.want == "in that format" && !errors.Is(err, convert.ErrSame) {
			t.Errorf("%s: got %v, want ErrSame", name, err)
		}
	}
}

// TestDeepContainmentIsFlattened: what is put together from below is no deeper than a
// reader takes.
func TestDeepContainmentIsFlattened(t *testing.T) {
	t.Parallel()
	var packages, relations []string
	for i := range 200 {
		packages = append(packages, fmt.Sprintf(`{"SPDXID":"SPDXRef-%d","name":"p%d"}`, i, i))
		relations = append(relations, fmt.Sprintf(`{"spdxElementId":"SPDXRef-%d","relationshipType":"CONTAINS","relatedSpdxElement":"SPDXRef-%d"}`, (i+1)%200, i))
	}
	document := fmt.Sprintf(`{"spdxVersion":"SPDX-2.3","creationInfo":{"created":"2026-05-01T12:00:00Z"},"packages":[%s],"relationships":[%s]}`,
		strings.Join(packages, ","), strings.Join(relations, ","))
	there, err := convert.Convert(original([]byte(document)), convert.CycloneDX)
	if err != nil {
		t.Fatal(err)
	}
	table, err := convert.Convert(original(there.Document), convert.CSV)
	if err != nil || bytes.Count(table.Document, []byte("\r\n")) != 201 {
		t.Errorf("got %d lines, %v, want 200 packages and a header", bytes.Count(table.Document, []byte("\r\n")), err)
	}
	if !slices.ContainsFunc(there.Lost, func(s string) bool { return strings.HasPrefix(s, "relationships.CONTAINS") }) {
		t.Errorf("got %q, want that some of it is lost", there.Lost)
	}
}

func FuzzConvert(f *testing.F) {
	for _, name := range []string{"rich.spdx.json", "rich.cdx.json"} {
		f.Add(sample(f, name))
	}
	f.Add([]byte(`{"bomFormat":"CycloneDX","specVersion":"1.4","metadata":{"timestamp":"2026-05-01T12:00:00Z","tools":[{"vendor":"x","name":"y"}]},"components":[{"name":"a","licenses":[{"license":{"name":"("}}]}]}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		for _, to := range convert.Formats() {
			got, err := convert.Convert(original(document), to)
			if err != nil {
				continue
			}
			if to == convert.CSV {
				if _, err := csv.NewReader(bytes.NewReader(got.Document)).ReadAll(); err != nil {
					t.Fatalf("no table: %v", err)
				}
				continue
			}
			if _, err := sbom.Read(bytes.NewReader(got.Document), func(release.Package) error { return nil }); err != nil {
				t.Fatalf("as %s: cannot be read: %v", to, err)
			}
			back := convert.SPDX
			if to == convert.SPDX {
				back = convert.CycloneDX
			}
			if _, err := convert.Convert(original(got.Document), back); err != nil {
				t.Fatalf("as %s, and back: %v", to, err)
			}
		}
	})
}
