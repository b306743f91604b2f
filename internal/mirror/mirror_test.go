package mirror_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/feed"
	"github.com/tallyman-io/tallyman/internal/mirror"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// zipOf has n records of an ecosystem.
func zipOf(t *testing.T, ecosystem string, n int) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for i := range n {
		w, err := z.Create(fmt.Sprintf("%s-%d.json", ecosystem, i))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(w, `{"id":"%s-%d","modified":"2026-01-01T00:00:%02dZ","affected":[{"package":{"ecosystem":%q,"name":"a"},"versions":["1"]}]}`, ecosystem, i, i%60, ecosystem)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// place is a source and a database that is made of it.
type place struct {
	zips     map[string][]byte // by ecosystem; an absent one is not found
	sent     []string          // ecosystems whose zip went out
	url      string
	database string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	p := &place{zips: make(map[string][]byte), database: filepath.Join(t.TempDir(), "advisories.db")}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ecosystem := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/"), "/all.zip")
		content, ok := p.zips[ecosystem]
		tag := fmt.Sprintf(`"%d"`, len(content))
		switch {
		case !ok:
			http.NotFound(w, r)
		case r.Header.Get("If-None-Match") == tag:
			w.WriteHeader(http.StatusNotModified)
		default:
			p.sent = append(p.sent, ecosystem)
			w.Header().Set("ETag", tag)
			fmt.Fprintf(w, "%s", content)
		}
	}))
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

func (p *place) update(t *testing.T, force bool, ecosystems ...string) (mirror.Report, error) {
	t.Helper()
	clock := func() time.Time { return now }
	client, err := feed.New(feed.Config{Base: p.url, Dir: mirror.Dir(p.database), Now: clock})
	if err != nil {
		t.Fatal(err)
	}
	p.sent = nil
	return mirror.Update(t.Context(), mirror.Options{Database: p.database, Source: client, Ecosystems: ecosystems, Force: force, Now: clock})
}

// holds tells how many records of each ecosystem the database has.
func (p *place) holds(t *testing.T) map[string]int {
	t.Helper()
	db, err := advisory.Open(p.database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Verify(); err != nil {
		t.Error(err)
	}
	records := make(map[string]int)
	for _, f := range db.Meta().Feeds {
		records[f.Ecosystem] = f.Records
	}
	return records
}

// files are those beside the database and in its folder of zips.
func (p *place) files(t *testing.T) []string {
	t.Helper()
	dir := filepath.Dir(p.database)
	var files []string
	if err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return files
}

func summary(r mirror.Report) []string {
	var lines []string
	for _, c := range r.Changes {
		before := "none"
		if c.Before != nil {
			before = fmt.Sprint(c.Before.Records)
		}
		lines = append(lines, fmt.Sprintf("%s %s %d %t", c.Ecosystem, before, c.After.Records, c.Modified))
	}
	return lines
}

// check compares what an update did.
func (p *place) check(t *testing.T, what string, r mirror.Report, err error, changes, sent []string, imported bool) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if diff := cmp.Diff(changes, summary(r)); diff != "" {
		t.Errorf("%s: changes (-want +got):\n%s", what, diff)
	}
	if diff := cmp.Diff(sent, p.sent); diff != "" {
		t.Errorf("%s: sent (-want +got):\n%s", what, diff)
	}
	if (r.Import != nil) != imported || r.Digest == "" || r.Built.IsZero() {
		t.Errorf("%s: imported: got %t, want %t; digest %q, built %s", what, r.Import != nil, imported, r.Digest, r.Built)
	}
}

func TestUpdateFetchesOnlyWhatChanged(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.zips["Go"], p.zips["npm"], p.zips["Red Hat"] = zipOf(t, "Go", 10), zipOf(t, "npm", 20), zipOf(t, "Red-Hat", 5)

	if _, err := p.update(t, false); !errors.Is(err, mirror.ErrNoEcosystems) {
		t.Errorf("no database, no ecosystem: got %v", err)
	}
	r, err := p.update(t, false, "npm", "Go", "Go")
	p.check(t, "the first time", r, err, []string{"Go none 10 true", "npm none 20 true"}, []string{"Go", "npm"}, true)

	r, err = p.update(t, false)
	p.check(t, "nothing new", r, err, []string{"Go 10 10 false", "npm 20 20 false"}, nil, false)

	p.zips["npm"] = zipOf(t, "npm", 25)
	r, err = p.update(t, false)
	p.check(t, "one changed", r, err, []string{"Go 10 10 false", "npm 20 25 true"}, []string{"npm"}, true)

	r, err = p.update(t, false, "Red Hat")
	p.check(t, "one more", r, err, []string{"Red Hat none 5 true"}, []string{"Red Hat"}, true)
	if diff := cmp.Diff(map[string]int{"Go": 10, "npm": 25, "Red Hat": 5}, p.holds(t)); diff != "" {
		t.Errorf("the database (-want +got):\n%s", diff)
	}
	want := []string{
		"advisories.db", "advisories.db.feeds/Go/all.zip", "advisories.db.feeds/Red Hat/all.zip",
		"advisories.db.feeds/npm/all.zip", "advisories.db.feeds/state.json",
	}
	if diff := cmp.Diff(want, p.files(t)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestUpdateThatFailsChangesNothing(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.zips["Go"], p.zips["npm"] = zipOf(t, "Go", 100), zipOf(t, "npm", 20)
	if _, err := p.update(t, false, "Go", "npm"); err != nil {
		t.Fatal(err)
	}
	before, files := contents(t, p), p.files(t)

	p.zips["npm"] = zipOf(t, "npm", 30)
	p.zips["Go"] = zipOf(t, "Go", 50)
	_, err := p.update(t, false)
	if !errors.Is(err, feed.ErrShrunken) || !strings.Contains(err.Error(), "of the 100 records before, found 50") {
		t.Errorf("shrunken: got %v", err)
	}
	delete(p.zips, "npm")
	p.zips["Go"] = []byte("<html>")
	_, err = p.update(t, false)
	if !errors.Is(err, feed.ErrRefused) || !errors.Is(err, feed.ErrNoFeed) {
		t.Errorf("two faults: got %v, want both told", err)
	}
	if diff := cmp.Diff(before, contents(t, p)); diff != "" {
		t.Errorf("files changed (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(files, p.files(t)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}

	p.zips["Go"], p.zips["npm"] = zipOf(t, "Go", 50), zipOf(t, "npm", 30)
	r, err := p.update(t, true)
	p.check(t, "forced", r, err, []string{"Go 100 50 true", "npm 20 30 true"}, []string{"Go", "npm"}, true)
}

func contents(t *testing.T, p *place) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, name := range p.files(t) {
		raw, err := os.ReadFile(filepath.Join(filepath.Dir(p.database), name))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(raw)
	}
	return all
}

// A database that was imported from elsewhere keeps what is not updated, and is not
// taken for one that was made of the zips.
func TestUpdateOfAnImportedDatabase(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.zips["Go"], p.zips["npm"] = zipOf(t, "Go", 11), zipOf(t, "npm", 20)
	other := t.TempDir()
	for ecosystem, n := range map[string]int{"Go": 10, "Debian": 7} {
		if err := os.MkdirAll(filepath.Join(other, ecosystem), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(other, ecosystem, "all.zip"), zipOf(t, ecosystem, n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	reimport := func() {
		t.Helper()
		if _, err := advisory.Import(t.Context(), other, p.database, advisory.ImportOptions{Force: true, Now: time.Now}); err != nil {
			t.Fatal(err)
		}
	}
	reimport()
	r, err := p.update(t, false, "Go", "npm")
	p.check(t, "partly", r, err, []string{"Go 10 11 true", "npm none 20 true"}, []string{"Go", "npm"}, true)
	want := map[string]int{"Debian": 7, "Go": 11, "npm": 20}
	if diff := cmp.Diff(want, p.holds(t)); diff != "" {
		t.Errorf("the database (-want +got):\n%s", diff)
	}
	reimport()
	r, err = p.update(t, false, "Go", "npm")
	p.check(t, "after another import", r, err, []string{"Go 10 11 false", "npm none 20 false"}, nil, true)
	if diff := cmp.Diff(want, p.holds(t)); diff != "" {
		t.Errorf("the database (-want +got):\n%s", diff)
	}
}

func TestUpdateTrustsNoStateOfAnotherZip(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*testing.T, *place){
		"the zip is gone":       func(t *testing.T, p *place) { remove(t, mirror.Dir(p.database)+"/Go/all.zip") },
		"the state is gone":     func(t *testing.T, p *place) { remove(t, mirror.Dir(p.database)+"/state.json") },
		"the zip is another":    func(t *testing.T, p *place) { write(t, mirror.Dir(p.database)+"/Go/all.zip", "x") },
		"the state is no state": func(t *testing.T, p *place) { write(t, mirror.Dir(p.database)+"/state.json", `{"source":`) },
		"another source": func(t *testing.T, p *place) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				p.sent = append(p.sent, "Go")
				fmt.Fprintf(w, "%s", p.zips["Go"])
			}))
			t.Cleanup(server.Close)
			p.url = server.URL
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlace(t)
			p.zips["Go"] = zipOf(t, "Go", 10)
			if _, err := p.update(t, false, "Go"); err != nil {
				t.Fatal(err)
			}
			spoil(t, p)
			r, err := p.update(t, false)
			p.check(t, name, r, err, []string{"Go 10 10 true"}, []string{"Go"}, true)
		})
	}
	t.Run("a database that is none", func(t *testing.T) {
		t.Parallel()
		p := newPlace(t)
		write(t, p.database, "hello")
		if _, err := p.update(t, false, "Go"); !errors.Is(err, advisory.ErrBadDatabase) {
			t.Errorf("got %v, want %v", err, advisory.ErrBadDatabase)
		}
	})
}

func remove(t *testing.T, name string) {
	t.Helper()
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestASourceWithNothingNewIsAsFreshAsWhenItWasAsked(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.zips["Go"] = zipOf(t, "Go", 3)
	for range 2 {
		report, err := p.update(t, false, "Go")
		if err != nil {
			t.Fatal(err)
		}
		if got := mirror.Synced(p.database, report.Digest); !got["Go"].Equal(now) || len(got) != 1 {
			t.Errorf("got %v, want Go at %s", got, now)
		}
	}
	if got := mirror.Synced(p.database, "sha256:of other data"); len(got) != 0 {
		t.Errorf("of data that no update made: got %v, want nothing", got)
	}
}
