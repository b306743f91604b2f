package advisory_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/advisory"
)

// feeds are zip files by ecosystem, each with its records by name.
type feeds map[string]map[string]string

func (f feeds) write(t testing.TB, dir string) string {
	t.Helper()
	for ecosystem, records := range f {
		var out bytes.Buffer
		z := zip.NewWriter(&out)
		for name, text := range records {
			w, err := z.Create(name)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, ecosystem, "all.zip"), out.Bytes())
	}
	return dir
}

func writeFile(t testing.TB, name string, content []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func options(force bool) advisory.ImportOptions {
	return advisory.ImportOptions{Force: force, Now: func() time.Time { return now }}
}

// record is an OSV record of one package with one range.
func record(id, ecosystem, name, events, more string) string {
	return fmt.Sprintf(`{"id":%q,"modified":"2026-01-02T03:04:05Z","affected":[{"package":{"ecosystem":%q,"name":%q},"ranges":[{"type":"ECOSYSTEM","events":[%s]}]}]%s}`,
		id, ecosystem, name, events, more)
}

func importFeeds(t testing.TB, f feeds) *advisory.Database {
	t.Helper()
	file := filepath.Join(t.TempDir(), "advisories.db")
	if _, err := advisory.Import(t.Context(), f.write(t, t.TempDir()), file, options(false)); err != nil {
		t.Fatal(err)
	}
	db, err := advisory.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func sample() feeds {
	return feeds{
		"Go": {
			"GO-1.json": record("GO-1", "Go", "example.com/a", `{"introduced":"0"},{"fixed":"1.2.0"}`, `,"aliases":["CVE-1","GHSA-1"]`),
			"GO-2.json": record("GO-2", "Go", "example.com/a", `{"introduced":"2.0.0"},{"introduced":"0"},{"fixed":"2.1.0"},{"fixed":"1.1.0"}`, ""),
			"GO-3.json": record("GO-3", "Go", "example.com/a", `{"introduced":"0"}`, `,"withdrawn":"2026-01-01T00:00:00Z"`),
			"GO-4.json": `{"id":"GO-4","modified":"0001-01-01T00:00:00Z","published":"2025-05-05T00:00:00Z","new_field":{"a":[1]},"affected":[{"package":{"ecosystem":"Go","name":"stdlib"},"ranges":[{"type":"SEMVER","events":[{"introduced":"1.0.0"},{"last_affected":"1.22.5"}]}]}]}`,
			"GHSA-1.json": record("GHSA-1", "Go", "example.com/a", `{"introduced":"0"},{"fixed":"1.2.1"}`,
				`,"aliases":["CVE-1"],"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]`),
		},
		"Debian": {
			"DSA-1.json": record("DSA-1", "Debian:12", "openssl", `{"introduced":"0"},{"fixed":"3.0.9-1"}`, ""),
			"DSA-2.json": record("DSA-2", "Debian:11", "openssl", `{"introduced":"0"},{"fixed":"9:1-1"}`, ""),
		},
		"PyPI": {
			"PYSEC-1.json": `{"id":"PYSEC-1","modified":"2026-01-02T03:04:05Z","affected":[{"package":{"ecosystem":"PyPI","name":"Foo_Bar"},"versions":["1.0","1.1"]},` +
				`{"package":{"ecosystem":"Go","name":"example.com/b"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]},` +
				`{"package":{"ecosystem":"PyPI","name":"gitonly"},"ranges":[{"type":"GIT","events":[{"introduced":"0"}]}]}]}`,
			"PYSEC-2.json": record("PYSEC-2", "PyPI", "limited", `{"introduced":"0"},{"limit":"2.0"}`, ""),
		},
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	matcher := advisory.NewMatcher(importFeeds(t, sample()))
	for name, c := range map[string]struct {
		purl    string
		want    string // ids of findings, each with what it is fixed in
		unknown string
		why     string
	}{
		"aliases are one finding, severity comes through them": {
			"pkg:golang/example.com/a@v1.1.5", "GO-1+GHSA-1 critical fixed 1.2.0,1.2.1", "",
			"GHSA-1: example.com/a 1.1.5 is in the ECOSYSTEM range of Go [introduced 0, fixed 1.2.1]: 0 (introduced) <= 1.1.5 < 1.2.1 (fixed)",
		},
		"two findings":                         {"pkg:golang/example.com/a@v1.0.0", "GO-1+GHSA-1 critical fixed 1.2.0,1.2.1; GO-2 unscored fixed 1.1.0", "", ""},
		"the second interval of a range":       {"pkg:golang/example.com/a@v2.0.5", "GO-2 unscored fixed 2.1.0", "", "[introduced 0, fixed 1.1.0, introduced 2.0.0, fixed 2.1.0]: 2.0.0 (introduced) <= 2.0.5 < 2.1.0 (fixed)"},
		"between the intervals":                {"pkg:golang/example.com/a@v1.2.1", "", "", ""},
		"the fixed version itself":             {"pkg:golang/example.com/a@v2.1.0", "", "", ""},
		"a pre-release of the fix":             {"pkg:golang/example.com/a@v2.1.0-rc.1", "GO-2 unscored fixed 2.1.0", "", ""},
		"a main module without version":        {"pkg:golang/example.com/a@(devel)", "GO-1+GHSA-1 critical fixed 1.2.0,1.2.1; GO-2 unscored fixed 1.1.0", "", "Doubtful: (devel)"},
		"the last affected version":            {"pkg:golang/stdlib@go1.22.5", "GO-4 unscored fixed ", "", "1.22.5 <= 1.22.5 (last affected)"},
		"after the last affected":              {"pkg:golang/stdlib@1.22.6", "", "", ""},
		"before it was introduced":             {"pkg:golang/stdlib@1.0.0-rc.1", "", "", ""},
		"no version":                           {"pkg:golang/example.com/a", "", "no version is given, and 3 advisories name the package", ""},
		"no version, but nothing to find":      {"pkg:golang/example.com/z", "", "", ""},
		"another feed's word does not count":   {"pkg:golang/example.com/b@v1.0.0", "", "", ""},
		"the release decides":                  {"pkg:deb/debian/libssl3@3.0.9-2?upstream=openssl&distro=debian-12", "", "", ""},
		"the source package decides":           {"pkg:deb/debian/libssl3@3.0.8-1?upstream=openssl&distro=debian-12", "DSA-1 unscored fixed 3.0.9-1", "", "openssl 3.0.8-1 is in the ECOSYSTEM range of Debian:12"},
		"a release without data":               {"pkg:deb/debian/curl@1?distro=debian-13", "", "the database has no advisories of Debian:13", ""},
		"no release":                           {"pkg:deb/debian/curl@1", "", "distribution release is not given", ""},
		"an ecosystem without data":            {"pkg:npm/a@1.0.0", "", "the database has no advisories of npm", ""},
		"a listed version, under another name": {"pkg:pypi/foo.bar@1.1", "PYSEC-1 unscored fixed ", "", "foo-bar 1.1 is one of the versions that it lists for PyPI"},
		"a version that is not listed":         {"pkg:pypi/foo-bar@1.2", "", "", ""},
		"below the limit":                      {"pkg:pypi/limited@1.9", "PYSEC-2 unscored fixed ", "", ""},
		"at the limit":                         {"pkg:pypi/limited@2.0", "", "", ""},
		"a version that cannot be compared":    {"pkg:deb/debian/openssl@x:1?distro=debian-12", "", "DSA-1: Debian version \"x:1\"", ""},
		"no purl":                              {"example.com/a", "", "expected pkg:TYPE/NAME", ""},
		"a type that nobody covers":            {"pkg:generic/a@1", "", "no advisory ecosystem covers it", ""},
	} {
		result, err := matcher.Match(c.purl)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got []string
		var why strings.Builder
		for _, f := range result.Findings() {
			got = append(got, fmt.Sprintf("%s %s fixed %s", strings.Join(append([]string{f.ID}, without(f.IDs, f.ID)...), "+"), f.Severity.Level, strings.Join(f.Fixed, ",")))
			why.WriteString(f.Why)
		}
		if diff := cmp.Diff(c.want, strings.Join(got, "; ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if !strings.Contains(result.Unknown, c.unknown) || (c.unknown == "") != (result.Unknown == "") {
			t.Errorf("%s: unknown: got %q, want %q", name, result.Unknown, c.unknown)
		}
		if !strings.Contains(why.String(), c.why) {
			t.Errorf("%s: why:\n got %s\nwant %s", name, why.String(), c.why)
		}
	}
}

func without(ids []string, id string) []string {
	var rest []string
	for _, other := range ids {
		if other != id {
			rest = append(rest, other)
		}
	}
	return rest
}

func TestDatabaseDescribesItself(t *testing.T) {
	t.Parallel()
	db := importFeeds(t, sample())
	if err := db.Verify(); err != nil {
		t.Error(err)
	}
	if got, want := db.Newest(), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC); !got.Equal(want) {
		t.Errorf("newest: got %s, want %s", got, want)
	}
	if db.Records() != 9 || !db.Built().Equal(now) {
		t.Errorf("got %d records, built %s", db.Records(), db.Built())
	}
	// A second import of the same data, at another time, has the same digest.
	if other := importFeeds(t, sample()); len(other.Digest()) != 71 {
		t.Errorf("digest %q", other.Digest())
	}
}

func TestExportGivesBackWhatWasImported(t *testing.T) {
	t.Parallel()
	want := sample()
	db := importFeeds(t, want)
	dir := t.TempDir()
	if err := db.Export(dir); err != nil {
		t.Fatal(err)
	}
	got := feeds{}
	for ecosystem := range want {
		r, err := zip.OpenReader(filepath.Join(dir, ecosystem, "all.zip"))
		if err != nil {
			t.Fatal(err)
		}
		got[ecosystem] = map[string]string{}
		for _, f := range r.File {
			in, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			var text bytes.Buffer
			if _, err := text.ReadFrom(in); err != nil {
				t.Fatal(err)
			}
			got[ecosystem][f.Name] = text.String()
		}
		r.Close()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := db.Export(dir); !errors.Is(err, os.ErrExist) {
		t.Errorf("exporting over files: got %v, want %v", err, os.ErrExist)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "db")
	if _, err := advisory.Import(t.Context(), sample().write(t, t.TempDir()), file, options(false)); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(offset int, b byte) []byte {
		bad := bytes.Clone(good)
		bad[offset] = b
		return bad
	}
	for name, c := range map[string]struct {
		content []byte
		is      error
		says    string
	}{
		"no file":          {nil, advisory.ErrNoDatabase, ""},
		"empty":            {[]byte{}, advisory.ErrBadDatabase, "begins with TALLYOSV"},
		"something else":   {[]byte("SQLite format 3"), advisory.ErrBadDatabase, "begins with TALLYOSV"},
		"newer":            {changed(8, 9), advisory.ErrBadDatabase, "expected format 1, found 9: it was made by a newer tallyman"},
		"truncated":        {good[:len(good)-1], advisory.ErrBadDatabase, "the file is truncated"},
		"truncated header": {good[:40], advisory.ErrBadDatabase, "the file is truncated"},
		"damaged header":   {changed(20, good[20]+1), advisory.ErrBadDatabase, "header is damaged"},
	} {
		path := filepath.Join(t.TempDir(), "db")
		if c.content != nil {
			writeFile(t, path, c.content)
		}
		if _, err := advisory.Open(path); !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %v that says %q", name, err, c.is, c.says)
		}
	}
	if _, err := advisory.Open(t.TempDir()); !errors.Is(err, advisory.ErrBadDatabase) {
		t.Errorf("a folder: got %v", err)
	}
	damaged := filepath.Join(t.TempDir(), "db")
	writeFile(t, damaged, changed(len(good)-1, good[len(good)-1]+1))
	db, err := advisory.Open(damaged)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Verify(); !errors.Is(err, advisory.ErrBadDatabase) || !strings.Contains(err.Error(), "expected digest") {
		t.Errorf("a damaged record: Verify says %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, records := range sample() {
		for _, text := range records {
			f.Add([]byte(text))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		if record, err := advisory.Parse(raw); err == nil && record.ID == "" {
			t.Error("a record without an id")
		}
	})
}

// FuzzDatabase looks up in files that are damaged anywhere: there must be errors, not panics.
func FuzzDatabase(f *testing.F) {
	file := filepath.Join(f.TempDir(), "db")
	if _, err := advisory.Import(f.Context(), sample().write(f, f.TempDir()), file, options(false)); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(file)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint32(200), []byte{0xff})
	f.Add(uint32(1000), []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, offset uint32, patch []byte) {
		bad := bytes.Clone(good)
		copy(bad[int(offset)%len(bad):], patch)
		path := filepath.Join(t.TempDir(), "db")
		writeFile(t, path, bad)
		db, err := advisory.Open(path)
		if err != nil {
			return
		}
		defer db.Close()
		m := advisory.NewMatcher(db)
		for _, purl := range []string{"pkg:golang/example.com/a@v1.0.0", "pkg:deb/debian/openssl@1?distro=debian-12", "pkg:pypi/foo-bar@1.0", "pkg:golang/stdlib@1.22.5"} {
			if result, err := m.Match(purl); err == nil {
				result.Findings()
			}
		}
		db.Export(t.TempDir()) //nolint:errcheck // an error is an answer
	})
}
