package scan_test

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/scan"
	"github.com/tallyman-io/tallyman/internal/vex"
)

var update = flag.Bool("update", false, "write the golden files")

var (
	imported = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	scanned  = imported.Add(30 * time.Hour)
)

// database imports records, by ecosystem and id.
func database(t testing.TB, records map[string]map[string]string) *advisory.Database {
	t.Helper()
	dir := t.TempDir()
	for ecosystem, texts := range records {
		if err := os.MkdirAll(filepath.Join(dir, ecosystem), 0o755); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		z := zip.NewWriter(&out)
		for id, text := range texts {
			w, err := z.Create(id + ".json")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(w, text); err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, ecosystem, "all.zip"), out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(t.TempDir(), "advisories.db")
	if _, err := advisory.Import(t.Context(), dir, file, advisory.ImportOptions{Now: func() time.Time { return imported }}); err != nil {
		t.Fatal(err)
	}
	db, err := advisory.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func small(t testing.TB) *advisory.Database {
	t.Helper()
	return database(t, map[string]map[string]string{
		"Go": {
			"GO-1": `{"id":"GO-1","modified":"2026-11-20T00:00:00Z","aliases":["CVE-1"],"summary":"A bad thing","affected":[{"package":{"ecosystem":"Go","name":"example.com/a"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.2.0"}]}]}],"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]}`,
			"GO-2": `{"id":"GO-2","modified":"2026-11-20T00:00:00Z","affected":[{"package":{"ecosystem":"Go","name":"example.com/main"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.0.0"}]}]}]}`,
		},
		"Debian": {
			"DSA-1": `{"id":"DSA-1","modified":"2026-11-20T00:00:00Z","affected":[{"package":{"ecosystem":"Debian:12","name":"openssl"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"3.0.9-1"}]}]}]}`,
		},
	})
}

const document = `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[
 {"type":"library","name":"example.com/a","version":"v1.1.0","bom-ref":"a1","purl":"pkg:golang/example.com/a@v1.1.0"},
 {"type":"library","name":"example.com/a","version":"v1.1.0","bom-ref":"a2","purl":"pkg:golang/example.com/a@v1.1.0"},
 {"type":"library","name":"example.com/main","version":"(devel)","purl":"pkg:golang/example.com/main@(devel)"},
 {"type":"library","name":"libcrypto3","version":"3.0.8-1","purl":"pkg:deb/debian/libcrypto3@3.0.8-1?upstream=openssl&distro=debian-12"},
 {"type":"library","name":"libssl3","version":"3.0.8-1","purl":"pkg:deb/debian/libssl3@3.0.8-1?upstream=openssl&distro=debian-12"},
 {"type":"library","name":"left-pad","version":"1.0.0","purl":"pkg:npm/left-pad@1.0.0"},
 {"type":"library","name":"nameless"}]}`

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// statements suppress one finding of the sample in its image, and say of another that
// it is under investigation.
const statements = `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://example.com/vex/1","author":"The Makers","timestamp":"2026-11-20T08:00:00Z","version":1,"statements":[
 {"vulnerability":{"name":"CVE-1"},"status":"not_affected","justification":"vulnerable_code_not_in_execute_path","impact_statement":"Only tests call it.",
  "products":[{"@id":"pkg:oci/web@sha256:1111111111111111111111111111111111111111111111111111111111111111","subcomponents":[{"@id":"pkg:golang/example.com/a"}]}]},
 {"vulnerability":{"name":"GO-2"},"status":"under_investigation","products":[{"@id":"pkg:golang/example.com/main"}]},
 {"vulnerability":{"name":"DSA-1"},"status":"fixed","products":[{"@id":"pkg:deb/debian/libssl3"}]}]}`

// withStatements is a scanner that believes them, of the image that they are about.
func withStatements(t *testing.T, db *advisory.Database) scan.Scanner {
	t.Helper()
	d, err := vex.Read("vex.json", strings.NewReader(statements))
	if err != nil {
		t.Fatal(err)
	}
	image := vex.Image{Repository: "registry.example/web", Digest: "sha256:1111111111111111111111111111111111111111111111111111111111111111"}
	return scan.Scanner{DB: db, VEX: vex.NewSet(d), Image: image}
}

// scanSample scans a document, one that is broken, and one that is not there; their
// sources are replaced by fixed names.
func scanSample(t *testing.T, scanner scan.Scanner) []scan.Document {
	t.Helper()
	scanner.Stdin = strings.NewReader(document)
	documents, err := scanner.Files(t.Context(), []string{write(t, "broken.json", `{"spdxVersion":`), "-", filepath.Join(t.TempDir(), "missing.json")})
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"broken.json", "good.json", "missing.json"} {
		documents[i].Source = name
		if path := new(os.PathError); errors.As(documents[i].Err, &path) {
			documents[i].Err = path.Err
		}
	}
	return documents
}

func TestReports(t *testing.T) {
	t.Parallel()
	db := small(t)
	documents, judged := scanSample(t, scan.Scanner{DB: db}), scanSample(t, withStatements(t, db))
	for name, render := range map[string]func(io.Writer) error{
		"report.json": func(w io.Writer) error { return scan.WriteJSON(w, scan.Data{DB: db, Now: scanned}, documents) },
		"report.txt":  func(w io.Writer) error { return scan.WriteTable(w, scan.Data{DB: db, Now: scanned}, documents) },
		"report.sarif": func(w io.Writer) error {
			return scan.WriteSARIF(w, scan.Data{DB: db, Now: scanned}, documents, "v1.2.3")
		},
		"vex.json":  func(w io.Writer) error { return scan.WriteJSON(w, scan.Data{DB: db, Now: scanned}, judged) },
		"vex.txt":   func(w io.Writer) error { return scan.WriteTable(w, scan.Data{DB: db, Now: scanned}, judged) },
		"vex.sarif": func(w io.Writer) error { return scan.WriteSARIF(w, scan.Data{DB: db, Now: scanned}, judged, "v1.2.3") },
	} {
		var out bytes.Buffer
		if err := render(&out); err != nil {
			t.Fatal(err)
		}
		// The digest covers the zip's bytes, which a new Go may compress differently.
		got := strings.ReplaceAll(out.String(), db.Digest(), "DIGEST")
		if filepath.Ext(name) != ".txt" {
			var pretty bytes.Buffer
			if err := json.Indent(&pretty, []byte(got), "", "  "); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got = pretty.String()
		}
		golden := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	severe := func(levels ...advisory.Level) scan.Document {
		var d scan.Document
		for _, l := range levels {
			d.Findings = append(d.Findings, scan.Finding{Finding: advisory.Finding{Severity: advisory.Severity{Level: l}}})
		}
		return d
	}
	suppressed := severe(advisory.Critical)
	suppressed.Findings[0].Suppressed = true
	unknown := scan.Document{Unknown: []scan.Unknown{{}}}
	unreadable := scan.Document{Err: errors.New("broken")}
	for name, c := range map[string]struct {
		threshold string
		documents []scan.Document
		want      scan.Outcome
	}{
		"nothing found":                       {"any", []scan.Document{{}}, scan.Pass},
		"below the threshold":                 {"high", []scan.Document{severe(advisory.Medium, advisory.Unscored)}, scan.Pass},
		"at the threshold":                    {"high", []scan.Document{severe(advisory.Medium), severe(advisory.High)}, scan.Fail},
		"unscored fails where any does":       {"any", []scan.Document{severe(advisory.Unscored)}, scan.Fail},
		"what VEX suppresses does not count":  {"any", []scan.Document{suppressed}, scan.Pass},
		"but hides nothing else":              {"any", []scan.Document{suppressed, severe(advisory.Low)}, scan.Fail},
		"unscored is not low":                 {"low", []scan.Document{severe(advisory.Unscored)}, scan.Pass},
		"never":                               {"never", []scan.Document{severe(advisory.Critical)}, scan.Pass},
		"unknown does not pass":               {"critical", []scan.Document{unknown}, scan.CouldNotTell},
		"unknown does not hide what fails":    {"critical", []scan.Document{unknown, severe(advisory.Critical)}, scan.Fail},
		"a document that could not be read":   {"never", []scan.Document{severe(advisory.Critical), unreadable}, scan.CouldNotTell},
		"upper case, and every document good": {"CRITICAL", []scan.Document{severe(advisory.High), {}}, scan.Pass},
	} {
		threshold, err := scan.ParseThreshold(c.threshold)
		if err != nil {
			t.Fatal(err)
		}
		if got := threshold.Judge(c.documents); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
	if _, err := scan.ParseThreshold("bad"); err == nil {
		t.Error("a threshold that is none was accepted")
	}
}

func TestTableIsSafeForATerminal(t *testing.T) {
	t.Parallel()
	db := small(t)
	scanner := scan.Scanner{DB: db, Stdin: strings.NewReader(`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"name":"x","purl":"pkg:npm/\u001b[2Jx@1\u0007"}]}`)}
	documents, err := scanner.Files(t.Context(), []string{"-"})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := scan.WriteTable(&out, scan.Data{DB: db, Now: scanned}, documents); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), "\x1b\x07") {
		t.Errorf("control characters reach the terminal: %q", out.String())
	}
}

// generated is an SBOM of n packages, a tenth of them affected, and a database of
// advisories for them and for as many others.
func generated(tb testing.TB, n int) (*advisory.Database, string) {
	tb.Helper()
	records := make(map[string]string, n)
	for i := range n {
		id := fmt.Sprintf("GO-%d", i)
		records[id] = fmt.Sprintf(`{"id":%q,"modified":"2026-11-20T00:00:00Z","affected":[{"package":{"ecosystem":"Go","name":"example.com/m%d"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.%d.0"}]}]}]}`, id, i/2*10, i%7)
	}
	var b strings.Builder
	b.WriteString(`{"bomFormat":"CycloneDX","specVersion":"1.6","components":[`)
	for i := range n {
		fmt.Fprintf(&b, `{"bom-ref":"r%d","type":"library","name":"example.com/m%d","version":"v1.3.%d","cpe":"cpe:2.3:a:x:m:v1:*:*:*:*:*:*:*","purl":"pkg:golang/example.com/m%d@v1.3.%d","properties":[{"name":"syft:package:type","value":"go-module"}]},`, i, i, i%10, i, i%10)
	}
	b.WriteString(`{"type":"file","name":"f"}]}`)
	return database(tb, map[string]map[string]string{"Go": records}), b.String()
}

func BenchmarkScan(b *testing.B) {
	for _, n := range []int{100, 1_000, 15_000} {
		b.Run(fmt.Sprintf("packages=%d", n), func(b *testing.B) {
			db, text := generated(b, n)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			findings := 0
			for b.Loop() {
				document, err := scan.Read(b.Context(), advisory.NewMatcher(db), "x", strings.NewReader(text))
				if err != nil || document.Err != nil {
					b.Fatal(err, document.Err)
				}
				findings = len(document.Findings)
			}
			b.ReportMetric(float64(b.N)*float64(n)/b.Elapsed().Seconds(), "packages/s")
			b.ReportMetric(float64(findings), "findings")
		})
	}
}

func TestAStatementThatExpiredSuppressesNothing(t *testing.T) {
	t.Parallel()
	db := small(t)
	for name, c := range map[string]struct {
		at         time.Time
		suppressed bool
		says       string
	}{
		"on its last day": {time.Date(2026, 11, 25, 23, 59, 59, 0, time.UTC), true, "suppressed: not_affected"},
		"the day after":   {time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC), false, "waiver expired on 2026-11-25"},
	} {
		d, err := vex.Read("vex.json", strings.NewReader(strings.Replace(statements, `"status":"not_affected",`, `"status":"not_affected","status_notes":"expires: 2026-11-25",`, 1)))
		if err != nil {
			t.Fatal(err)
		}
		scanner := withStatements(t, db)
		scanner.VEX, scanner.At = vex.NewSet(d), c.at
		documents := scanSample(t, scanner)
		var table, report bytes.Buffer
		if err := errors.Join(scan.WriteTable(&table, scan.Data{DB: db, Now: scanned}, documents), scan.WriteJSON(&report, scan.Data{DB: db, Now: scanned}, documents)); err != nil {
			t.Fatal(err)
		}
		f := documents[1].Findings[0]
		if f.ID != "GO-1" || f.Suppressed != c.suppressed || !strings.Contains(table.String(), c.says) ||
			!strings.Contains(report.String(), fmt.Sprintf(`"expires":"2026-11-25T23:59:59Z","expired":%t`, !c.suppressed)) {
			t.Errorf("%s: got %s, suppressed %t, want %t and %q in\n%s%s", name, f.ID, f.Suppressed, c.suppressed, c.says, &table, &report)
		}
	}
}
