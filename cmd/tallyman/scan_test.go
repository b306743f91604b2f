package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// feedFolder writes DIR/Go/all.zip with one advisory for example.com/a before 1.2.0.
func feedFolder(t *testing.T) string {
	t.Helper()
	return feedOf(t, map[string]string{
		"GO-1.json": `{"id":"GO-1","modified":"2026-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"Go","name":"example.com/a"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.2.0"}]}]}]}`,
	})
}

// feedOf writes DIR/Go/all.zip with the records by name.
func feedOf(t *testing.T, records map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for name, record := range records {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(record)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "Go"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "Go", "all.zip"), out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func sbomFile(t *testing.T, purl string) string {
	t.Helper()
	return textFile(t, `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"name":"x","purl":"`+purl+`"}]}`)
}

func textFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.json")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestScanExitCodes(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "sub", "advisories.db")
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"db", "import", "--db", db, feedFolder(t)}, &stdout, &stderr); code != exitPass {
		t.Fatalf("import: exit %d: %s", code, &stderr)
	}
	affected, clean := sbomFile(t, "pkg:golang/example.com/a@v1.1.0"), sbomFile(t, "pkg:golang/example.com/a@v1.2.0")
	unknown, broken := sbomFile(t, "pkg:npm/a@1.0.0"), textFile(t, `{"bomFormat":`)
	for name, c := range map[string]struct {
		args []string
		code int
		out  string // on either output
	}{
		"clean":                         {[]string{clean}, exitPass, "0 findings"},
		"affected":                      {[]string{affected}, exitFail, "GO-1"},
		"affected, below the threshold": {[]string{"--severity-fail", "low", affected}, exitPass, "GO-1"},
		"a package that nobody knows":   {[]string{clean, unknown}, exitUnknown, "unknown: pkg:npm/a@1.0.0: the database has no advisories of npm"},
		"a broken document hides none":  {[]string{broken, affected}, exitUnknown, "GO-1"},
		"no such file":                  {[]string{"/nonexistent.json"}, exitUnknown, "could not be read"},
		"no database":                   {[]string{"--db", "/nonexistent.db", clean}, exitUnknown, "no advisory database; make one with tallyman db import"},
		"a database that is none":       {[]string{"--db", broken, clean}, exitUnknown, "not a usable advisory database"},
		"no file":                       {nil, exitUsage, "expected at least one FILE, IMAGE or LAYOUT"},
		"no such format":                {[]string{"--format", "xml", clean}, exitUsage, "expected table, json or sarif"},
		"no such severity":              {[]string{"--severity-fail", "bad", clean}, exitUsage, "expected any, low, medium"},
		"no such flag":                  {[]string{"--nope"}, exitUsage, "unknown flag"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), append([]string{"scan", "--db", db}, c.args...), &stdout, &stderr)
			if both := stdout.String() + stderr.String(); code != c.code || !strings.Contains(both, c.out) {
				t.Errorf("got exit %d, want %d and %q in\n%s", code, c.code, c.out, both)
			}
		})
	}
}

func TestScanWithVEX(t *testing.T) {
	t.Parallel()
	db := filepath.Join(t.TempDir(), "advisories.db")
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"db", "import", "--db", db, feedFolder(t)}, &stdout, &stderr); code != exitPass {
		t.Fatalf("import: exit %d: %s", code, &stderr)
	}
	statement := func(product, status, at string) string {
		return textFile(t, `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://example.com/`+status+`","author":"Me","timestamp":"`+at+`","version":1,"statements":[
			{"vulnerability":{"name":"GO-1"},"products":[{"@id":"`+product+`"}],"status":"`+status+`"}]}`)
	}
	const digest = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	fixed, affected := statement("pkg:golang/example.com/a", "fixed", "2026-01-01T00:00:00Z"), statement("pkg:golang/example.com/a", "affected", "2026-02-01T00:00:00Z")
	image, broken := statement("pkg:oci/web?repository_url=registry.example:5000/web&tag=v1.0.0", "fixed", "2026-01-01T00:00:00Z"), textFile(t, "{}")
	for name, c := range map[string]struct {
		args []string
		code int
		out  string // on either output
	}{
		"suppressed, and shown":   {[]string{"--vex", fixed}, exitPass, "suppressed: fixed"},
		"the latest of two files": {[]string{"--vex", affected, "--vex", fixed}, exitFail, "affected"},
		"of the image":            {[]string{"--vex", image, "--vex-image", "registry.example:5000/web:v1.0.0@" + digest}, exitPass, "0 findings: 0 critical; 1 more suppressed by VEX"},
		"of another tag":          {[]string{"--vex", image, "--vex-image", "registry.example:5000/web:v1.0.1@" + digest}, exitFail, "1 findings"},
		"of an image not named":   {[]string{"--vex", image}, exitFail, "1 findings"},
		"a document that is none": {[]string{"--vex", broken}, exitUnknown, "@context: expected https://openvex.dev/ns/v0.2.0"},
		"no such document":        {[]string{"--vex", "/nonexistent.json"}, exitUnknown, "--vex: open /nonexistent.json"},
		"an image without digest": {[]string{"--vex-image", "registry.example/web"}, exitUsage, "expected REPOSITORY[:TAG]@sha256:DIGEST"},
		"a digest without image ": {[]string{"--vex-image", "@" + digest}, exitUsage, "expected REPOSITORY[:TAG]@sha256:DIGEST"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			args := append([]string{"scan", "--db", db, sbomFile(t, "pkg:golang/example.com/a@v1.1.0")}, c.args...)
			code := run(t.Context(), args, &stdout, &stderr)
			if both := stdout.String() + stderr.String(); code != c.code || !strings.Contains(both, c.out) {
				t.Errorf("got exit %d, want %d and %q in\n%s", code, c.code, c.out, both)
			}
		})
	}
}

func TestScanWithABadEnvironment(t *testing.T) {
	t.Setenv(databaseVariable, t.TempDir())
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"scan", "x.json"}, &stdout, &stderr); code != exitConfig || !strings.Contains(stderr.String(), databaseVariable+": expected a file, found the folder") {
		t.Errorf("got exit %d and %q, want %d", code, &stderr, exitConfig)
	}
}

func TestDatabaseStatusAndExport(t *testing.T) {
	t.Setenv(databaseVariable, filepath.Join(t.TempDir(), "advisories.db"))
	out := t.TempDir()
	source := feedFolder(t)
	var stdout, stderr bytes.Buffer
	for _, args := range [][]string{{"db", "import", source}, {"db", "status", "--verify"}, {"db", "export", out}} {
		if code := run(t.Context(), args, &stdout, &stderr); code != exitPass {
			t.Fatalf("%q: exit %d: %s", args, code, &stderr)
		}
	}
	for _, part := range []string{"1 records of 1 ecosystems", "the newest of 2026-01-01", "ECOSYSTEM"} {
		if !strings.Contains(stdout.String(), part) {
			t.Errorf("%q is not in\n%s", part, &stdout)
		}
	}
	if _, err := zip.OpenReader(filepath.Join(out, "Go", "all.zip")); err != nil {
		t.Error(err)
	}
	stdout.Reset()
	if code := run(t.Context(), []string{"db", "status", "--json"}, &stdout, &stderr); code != exitPass {
		t.Fatalf("exit %d: %s", code, &stderr)
	}
	var status struct {
		Schema  string `json:"schema"`
		Records int    `json:"records"`
	}
	if err := json.Unmarshal(stdout.Bytes(), &status); err != nil || status.Records != 1 || status.Schema == "" {
		t.Errorf("got %+v, %v from %s", status, err, &stdout)
	}
}
