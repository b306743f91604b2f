package feed_test

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/feed"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// record is an OSV record; modified is left out when empty.
func record(id, modified string) string {
	if modified == "" {
		return fmt.Sprintf(`{"id":%q}`, id)
	}
	return fmt.Sprintf(`{"id":%q,"modified":%q}`, id, modified)
}

// entry is a file of a zip.
type entry struct{ name, text string }

// many are n records, each a minute newer than the one before.
func many(n int) []entry {
	var entries []entry
	for i := range n {
		id := fmt.Sprintf("GO-%d", i)
		entries = append(entries, entry{id + ".json", record(id, stamp(i))})
	}
	return entries
}

func stamp(minutes int) string {
	return time.Date(2026, 1, 1, 0, minutes, 0, 0, time.UTC).Format(time.RFC3339Nano)
}

func zipOf(t testing.TB, entries []entry) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, e := range entries {
		w, err := z.Create(e.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(e.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// bucket serves files as OSV's does, and faults in front of them.
type bucket struct {
	URL    string
	mu     sync.Mutex
	files  map[string][]byte
	faults []http.HandlerFunc // each answers one request, the first first
	asked  []string           // path, and what was conditional about it
	most   int                // requests at the same time
	active int
}

func newBucket(t testing.TB) *bucket {
	t.Helper()
	b := &bucket{files: make(map[string][]byte)}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	b.URL = server.URL
	return b
}

func (b *bucket) put(path string, content []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.files[path] = content
}

func (b *bucket) fail(faults ...http.HandlerFunc) { b.faults = append(b.faults, faults...) }

func (b *bucket) requests() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	asked := slices.Clone(b.asked)
	b.asked = nil
	return asked
}

func (b *bucket) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	content, ok, fault := b.begin(r)
	defer func() {
		b.mu.Lock()
		b.active--
		b.mu.Unlock()
	}()
	switch {
	case fault != nil:
		fault(w, r)
	case !ok:
		http.NotFound(w, r)
	default:
		w.Header().Set("ETag", etag(content))
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}
}

func (b *bucket) begin(r *http.Request) (content []byte, ok bool, fault http.HandlerFunc) {
	b.mu.Lock()
	defer b.mu.Unlock()
	asked := r.URL.EscapedPath()
	for _, name := range []string{"Range", "If-None-Match"} {
		if v := r.Header.Get(name); v != "" {
			asked += " " + name
		}
	}
	b.asked = append(b.asked, asked)
	b.active++
	b.most = max(b.most, b.active)
	if len(b.faults) > 0 {
		fault, b.faults = b.faults[0], b.faults[1:]
	}
	content, ok = b.files[r.URL.Path]
	return content, ok, fault
}

func etag(content []byte) string {
	return fmt.Sprintf(`"%d-%x"`, len(content), content[len(content)/2])
}

// status answers with a code.
func status(code int, retryAfter string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.WriteHeader(code)
	}
}

// cut announces all of content, sends half of it and breaks the connection off.
func cut(content []byte, tag string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		if tag != "" {
			w.Header().Set("ETag", tag)
		}
		flush(w, content[:len(content)/2])
		panic(http.ErrAbortHandler)
	}
}

// flush sends the beginning of an answer.
func flush(w http.ResponseWriter, part []byte) {
	fmt.Fprintf(w, "%s", part)
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
}

// times repeats a fault.
func times(n int, fault http.HandlerFunc) []http.HandlerFunc {
	return slices.Repeat([]http.HandlerFunc{fault}, n)
}

// source is a client, and what it waited for.
type source struct {
	*feed.Client
	dir   string
	waits []time.Duration
}

func newSource(t testing.TB, base string, change func(*feed.Config)) *source {
	t.Helper()
	s := &source{dir: t.TempDir()}
	config := feed.Config{
		Base: base, Dir: s.dir, UserAgent: "tallyman-test", Now: func() time.Time { return now },
		Wait: func(ctx context.Context, d time.Duration) error {
			s.waits = append(s.waits, d)
			return ctx.Err()
		},
	}
	if change != nil {
		change(&config)
	}
	var err error
	if s.Client, err = feed.New(config); err != nil {
		t.Fatal(err)
	}
	return s
}

// clean makes sure that nothing was left behind.
func (s *source) clean(t testing.TB) {
	t.Helper()
	left, err := os.ReadDir(s.dir)
	if err != nil || len(left) > 0 {
		t.Errorf("files were left: %v (%v)", left, err)
	}
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
