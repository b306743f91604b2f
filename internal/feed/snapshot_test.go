package feed_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/feed"
)

// take returns the records of a snapshot, and its state.
func take(t testing.TB, s *source, ecosystem string, known feed.State) (map[string]string, feed.State) {
	t.Helper()
	snapshot, err := s.Snapshot(t.Context(), ecosystem, known)
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]string)
	if err := snapshot.Each(t.Context(), func(r feed.Record) error {
		if r.Digest != sha256.Sum256(r.Raw) {
			t.Errorf("%s: digest %x", r.ID, r.Digest)
		}
		got[r.ID] = string(r.Raw)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(got) != snapshot.Records() {
		t.Errorf("handed out %d of %d records", len(got), snapshot.Records())
	}
	if err := snapshot.Close(); err != nil {
		t.Fatal(err)
	}
	return got, snapshot.Next()
}

func TestSnapshotOverHTTP(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	b.put("/mirror/Red Hat/all.zip", zipOf(t, []entry{
		{"RHSA-2026:1.json", record("RHSA-2026:1", "2026-01-02T03:04:05.123456Z")},
		{"RHSA-2026:2.json", record("RHSA-2026:2", "0001-01-01T00:00:00Z")},
		{"RHSA-2026:3.json", record("RHSA-2026:3", "2099-01-01T00:00:00Z")},
	}))
	s := newSource(t, b.URL+"/mirror/", nil)
	got, next := take(t, s, "Red Hat", feed.State{})
	if len(got) != 3 || got["RHSA-2026:2"] != record("RHSA-2026:2", "0001-01-01T00:00:00Z") {
		t.Errorf("got %v", got)
	}
	want := feed.State{
		Zip: next.Zip, Records: 3, FullAt: now, SyncedAt: now,
		Cursor: time.Date(2026, 1, 2, 3, 4, 5, 123456000, time.UTC), // what is dated ahead does not count
	}
	if diff := cmp.Diff(want, next); diff != "" || next.Zip.ETag == "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
	if _, err := s.Snapshot(t.Context(), "Red Hat", next); !errors.Is(err, feed.ErrNotModified) {
		t.Errorf("again: got %v, want %v", err, feed.ErrNotModified)
	}
	if diff := cmp.Diff([]string{"/mirror/Red%20Hat/all.zip", "/mirror/Red%20Hat/all.zip If-None-Match"}, b.requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	s.clean(t)
}

func TestSnapshotSurvivesFaultsThatPass(t *testing.T) {
	t.Parallel()
	content := zipOf(t, many(50))
	all := "/Go/all.zip"
	for name, c := range map[string]struct {
		faults []http.HandlerFunc
		waits  []time.Duration
		asked  []string
	}{
		"throttled":            {[]http.HandlerFunc{status(429, "7")}, []time.Duration{7 * time.Second}, []string{all, all}},
		"unavailable, twice":   {[]http.HandlerFunc{status(503, ""), status(502, "")}, []time.Duration{time.Second, 2 * time.Second}, []string{all, all, all}},
		"cut, then resumed":    {[]http.HandlerFunc{cut(content, etag(content))}, []time.Duration{time.Second}, []string{all, all + " Range"}},
		"cut, without an ETag": {[]http.HandlerFunc{cut(content, "")}, []time.Duration{time.Second}, []string{all, all}},
		"cut, weak ETag":       {[]http.HandlerFunc{cut(content, `W/"1"`)}, []time.Duration{time.Second}, []string{all, all}},
		"cut, then replaced":   {[]http.HandlerFunc{cut([]byte(strings.Repeat("x", 999)), `"other"`)}, []time.Duration{time.Second}, []string{all, all + " Range"}},
		"cut, and another part": {
			[]http.HandlerFunc{cut(content, etag(content)), func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Range", "bytes 1-2/3")
				w.WriteHeader(http.StatusPartialContent)
			}},
			[]time.Duration{time.Second, 2 * time.Second},
			[]string{all, all + " Range", all},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBucket(t)
			b.put(all, content)
			b.fail(c.faults...)
			s := newSource(t, b.URL, nil)
			if got, _ := take(t, s, "Go", feed.State{}); len(got) != 50 {
				t.Errorf("got %d records", len(got))
			}
			if diff := cmp.Diff(c.waits, s.waits); diff != "" {
				t.Errorf("waits (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(c.asked, b.requests()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
			s.clean(t)
		})
	}
}

func TestSnapshotRefuses(t *testing.T) {
	t.Parallel()
	good := many(100)
	with := func(more ...entry) []byte { return zipOf(t, append(append([]entry{}, good...), more...)) }
	missing := append(with()[:60], with()[70:]...)
	flipped := bytes.Clone(with())
	flipped[40] ^= 0xff
	broken := many(100)
	for i := range 12 {
		broken[i].text = `{"id":`
	}
	for name, c := range map[string]struct {
		content []byte
		faults  []http.HandlerFunc
		is      error
		says    string
	}{
		"nothing there":        {nil, nil, feed.ErrNoFeed, "/Go/all.zip: not found"},
		"always cut":           {with(), times(5, cut(with(), "")), feed.ErrPartial, fmt.Sprintf("refused: partial: expected %d bytes, found %d", len(with()), len(with())/2)},
		"always throttled":     {with(), times(5, status(429, "1")), nil, "found 429 Too Many Requests, retry after 1s (5 attempts)"},
		"throttled for hours":  {with(), times(1, status(429, "7200")), nil, "retry after 2h0m0s"},
		"forbidden":            {with(), times(1, status(403, "")), nil, "expected 200 OK, found 403 Forbidden"},
		"not modified, of old": {with(), times(1, status(304, "")), nil, "expected 200 OK, found 304"},
		"compressed again": {with(), times(1, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "br")
		}), feed.ErrRefused, "expected no Content-Encoding, found br"},
		"larger than any": {with(), times(1, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "999999999999")
		}), feed.ErrRefused, "expected at most 4294967296 bytes, found 999999999999"},
		"a page instead":      {[]byte("<html>"), nil, feed.ErrRefused, "not a valid zip file"},
		"empty":               {[]byte("\n"), nil, feed.ErrRefused, "not a valid zip file"},
		"truncated":           {with()[:5000], nil, feed.ErrRefused, "not a valid zip file"},
		"bytes are missing":   {missing, nil, feed.ErrRefused, "refused"},
		"a byte is wrong":     {flipped, nil, feed.ErrRefused, "refused: GO-0.json: "},
		"no records":          {zipOf(t, nil), nil, feed.ErrRefused, "there is no record in it"},
		"shrunken":            {zipOf(t, many(89)), nil, feed.ErrShrunken, "expected at least nine tenths of the 100 records before, found 89"},
		"a path upwards":      {with(entry{"../../etc/x.json", "{}"}), nil, feed.ErrRefused, `"../../etc/x.json" leads out of its folder`},
		"an absolute path":    {with(entry{"/etc/x.json", "{}"}), nil, feed.ErrRefused, "leads out of its folder"},
		"a path of Windows":   {with(entry{`..\x.json`, "{}"}), nil, feed.ErrRefused, "leads out of its folder"},
		"a folder":            {with(entry{"a/", ""}), nil, feed.ErrRefused, `expected <ID>.json alone, found "a/"`},
		"in a folder":         {with(entry{"a/GO-1.json", "{}"}), nil, feed.ErrRefused, `expected <ID>.json alone, found "a/GO-1.json"`},
		"something else":      {with(entry{"readme.txt", "x"}), nil, feed.ErrRefused, `expected <ID>.json alone, found "readme.txt"`},
		"a hidden file":       {with(entry{".json", "x"}), nil, feed.ErrRefused, `expected <ID>.json alone, found ".json"`},
		"the same name twice": {with(entry{"GO-1.json", record("GO-1", "")}), nil, feed.ErrRefused, `two entries are named "GO-1.json"`},
		"a link":              {withLink(t), nil, feed.ErrRefused, "GO-1.json: expected a regular file, found L"},
		"a bomb":              {with(entry{"GO-x.json", strings.Repeat(" ", 8<<20)}), nil, feed.ErrRefused, "a zip bomb"},
		"a bomb in parts":     {zipOf(t, bombs(40)), nil, feed.ErrRefused, "a zip bomb"},
		"entries that share":  {sharing(t), nil, feed.ErrRefused, "they are cut off, or share them"},
		"a lying size":        {lying(t), nil, feed.ErrRefused, "refused: GO-x.json: "},
		"many broken":         {zipOf(t, broken), nil, feed.ErrRefused, "12 of 100 records cannot be read, the first: GO-0.json: unexpected end of JSON input"},
		"another's records":   {zipOf(t, []entry{{"GO-1.json", record("GO-2", "")}}), nil, feed.ErrRefused, `expected id "GO-1", found "GO-2"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBucket(t)
			if c.content != nil {
				b.put("/Go/all.zip", c.content)
			}
			b.fail(c.faults...)
			s := newSource(t, b.URL, nil)
			_, err := s.Snapshot(t.Context(), "Go", feed.State{Records: 100})
			if err == nil || !strings.Contains(err.Error(), c.says) || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("got %v, want %v that says %q", err, c.is, c.says)
			}
			s.clean(t)
		})
	}
}

func withLink(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	h := &zip.FileHeader{Name: "GO-1.json"}
	h.SetMode(0o777 | os.ModeSymlink)
	w, err := z.CreateHeader(h)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(w, "/etc/passwd")
	z.Close()
	return out.Bytes()
}

// bombs are each small enough.
func bombs(n int) []entry {
	var entries []entry
	for i := range n {
		entries = append(entries, entry{fmt.Sprintf("GO-%d.json", i), strings.Repeat(" ", 1<<20)})
	}
	return entries
}

// sharing has two entries whose directory points at the same bytes.
func sharing(t *testing.T) []byte {
	t.Helper()
	text := record("GO-1", "")
	raw := zipOf(t, []entry{{"GO-1.json", text}, {"GO-2.json", text}})
	// Each entry of the directory claims nearly the whole file.
	for at := 0; ; {
		i := bytes.Index(raw[at:], []byte("PK\x01\x02"))
		if i < 0 {
			return raw
		}
		at += i + 4
		binary.LittleEndian.PutUint32(raw[at+16:], uint32(len(raw))-50) //nolint:gosec // a few hundred
	}
}

// lying has an entry that is larger than its directory claims.
func lying(t *testing.T) []byte {
	t.Helper()
	raw := zipOf(t, []entry{{"GO-x.json", strings.Repeat(" ", 1<<20)}})
	return bytes.ReplaceAll(raw, binary.LittleEndian.AppendUint32(nil, 1<<20), binary.LittleEndian.AppendUint32(nil, 10))
}

func TestSnapshotNamesBrokenRecords(t *testing.T) {
	t.Parallel()
	entries := append(many(30), entry{"GO-bad.json", "[]"}, entry{"GO-anonymous.json", "{}"})
	b := newBucket(t)
	b.put("/Go/all.zip", zipOf(t, entries))
	s := newSource(t, b.URL, nil)
	snapshot, err := s.Snapshot(t.Context(), "Go", feed.State{Records: 32})
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Close()
	n, named := snapshot.Broken()
	if n != 2 || len(named) != 2 || snapshot.Records() != 30 || !strings.HasPrefix(named[0], "GO-bad.json: json: cannot unmarshal array") ||
		named[1] != `GO-anonymous.json: expected id "GO-anonymous", found ""` {
		t.Errorf("got %d broken, %q, of %d", n, named, snapshot.Records())
	}
	if next := snapshot.Next(); next.Records != 30 {
		t.Errorf("got %+v, want the records that can be read", next)
	}
}

func TestSlowSourceIsGivenUp(t *testing.T) {
	t.Parallel()
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for name, fault := range map[string]http.HandlerFunc{
		"no answer": hang,
		"no more of it": func(w http.ResponseWriter, r *http.Request) {
			flush(w, []byte("PK"))
			hang(w, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBucket(t)
			b.fail(times(5, fault)...)
			s := newSource(t, b.URL, func(c *feed.Config) { c.Timeout = 20 * time.Millisecond })
			_, err := s.Snapshot(t.Context(), "Go", feed.State{})
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "nothing arrived within 20ms") {
				t.Errorf("got %v", err)
			}
			s.clean(t)
		})
	}
}

func TestSnapshotStopsWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	errStop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	b := newBucket(t)
	b.fail(func(_ http.ResponseWriter, r *http.Request) {
		cancel(errStop)
		<-r.Context().Done()
	})
	s := newSource(t, b.URL, nil)
	if _, err := s.Snapshot(ctx, "Go", feed.State{}); !errors.Is(err, errStop) {
		t.Errorf("got %v, want %v", err, errStop)
	}
	if len(b.requests()) != 1 {
		t.Error("it asked again")
	}
	s.clean(t)
}

func TestOnlyTheConfiguredHostIsContacted(t *testing.T) {
	t.Parallel()
	contacted := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { contacted = true }))
	t.Cleanup(elsewhere.Close)
	b := newBucket(t)
	b.put("/moved/all.zip", zipOf(t, many(3)))
	s := newSource(t, b.URL, nil)
	to := func(url string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, url, http.StatusFound) }
	}
	for name, c := range map[string]struct{ url, says string }{
		"another host":   {elsewhere.URL + "/all.zip", "refused to follow: redirected to " + elsewhere.URL + ": only " + b.URL + " is contacted"},
		"another scheme": {"https" + strings.TrimPrefix(b.URL, "http"), "refused to follow"},
		"a file":         {"file:///etc/passwd", "refused to follow"},
	} {
		b.fail(to(c.url))
		if _, err := s.Snapshot(t.Context(), "Go", feed.State{}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want an error that says %q", name, err, c.says)
		}
	}
	if contacted || len(s.waits) > 0 {
		t.Errorf("contacted elsewhere: %t, waited %v", contacted, s.waits)
	}
	b.fail(to("/moved/all.zip"))
	if got, _ := take(t, s, "Go", feed.State{}); len(got) != 3 {
		t.Errorf("on the same host: got %v", got)
	}
	b.fail(times(6, to("/Go/all.zip"))...)
	if _, err := s.Snapshot(t.Context(), "Go", feed.State{}); err == nil || !strings.Contains(err.Error(), "redirected 5 times") {
		t.Errorf("in circles: got %v", err)
	}
}

func TestSnapshotOfAFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	name := filepath.Join(dir, "crates.io", "all.zip")
	writeFile(t, name, zipOf(t, many(20)))
	s := newSource(t, "file://"+dir, nil)
	got, next := take(t, s, "crates.io", feed.State{})
	if len(got) != 20 || next.Records != 20 {
		t.Errorf("got %d records, %+v", len(got), next)
	}
	if _, err := s.Snapshot(t.Context(), "crates.io", next); !errors.Is(err, feed.ErrNotModified) {
		t.Errorf("again: got %v", err)
	}
	writeFile(t, name, zipOf(t, many(21)))
	if got, _ := take(t, s, "crates.io", next); len(got) != 21 {
		t.Errorf("after a change: got %d records", len(got))
	}
	if _, err := s.Snapshot(t.Context(), "npm", feed.State{}); !errors.Is(err, feed.ErrNoFeed) || !strings.Contains(err.Error(), filepath.Join(dir, "npm", "all.zip")) {
		t.Errorf("no folder: got %v", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "PyPI", "all.zip"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Snapshot(t.Context(), "PyPI", feed.State{}); !errors.Is(err, feed.ErrRefused) {
		t.Errorf("a folder for a zip: got %v", err)
	}
	s.clean(t)
}

func TestKeepMovesTheZip(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	b.put("/Go/all.zip", zipOf(t, many(3)))
	s := newSource(t, b.URL, nil)
	snapshot, err := s.Snapshot(t.Context(), "Go", feed.State{})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "all.zip")
	if err := snapshot.Keep(name); err != nil {
		t.Fatal(err)
	}
	if err := snapshot.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if raw, err := os.ReadFile(name); err != nil || !bytes.Equal(raw, b.files["/Go/all.zip"]) {
		t.Errorf("kept %d bytes (%v)", len(raw), err)
	}
	s.clean(t)
}
