package store_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/jobs/jobschema"
	"github.com/tallyman-io/tallyman/internal/store"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
)

func TestOpenSaysWhatIsWrongWithAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("file", "")
	write("text.db", strings.Repeat("this is no database. ", 100))
	tests := map[string]struct{ path, want string }{
		"missing folder":   {"missing/tallyman.db", "folder " + dir + "/missing does not exist"},
		"file as a folder": {"file/tallyman.db", "file is not a folder"},
		"folder as a file": {"", "expected a file, found a folder"},
		"no database":      {"text.db", "expected an SQLite database, found another kind of file"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(dir, tt.path)
			_, err := store.Open(t.Context(), "sqlite://"+path, store.Options{Queue: jobschema.River{}})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got error %v, want one with %q and the path", err, tt.want)
			}
		})
	}
}

func TestOpenSaysThatAFileCannotBeWritten(t *testing.T) {
	t.Parallel()
	dir := "/proc" // where not even root can make a file
	if os.Geteuid() != 0 {
		dir = t.TempDir()
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
	}
	_, err := store.Open(t.Context(), "sqlite://"+dir+"/tallyman.db", store.Options{Queue: jobschema.River{}})
	if err == nil || !strings.Contains(err.Error(), "must be able to write") {
		t.Errorf("got error %v, want one that says who must be able to write", err)
	}
}

func TestAPathMayHoldAnyCharacter(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "with space #and %25?")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	escaped := strings.NewReplacer("%", "%25", "?", "%3f", "#", "%23").Replace(dir)
	open(t, "sqlite://"+escaped+"/tallyman.db")
	if _, err := os.Stat(filepath.Join(dir, "tallyman.db")); err != nil {
		t.Errorf("the file is not where the URL says: %v", err)
	}
}

func TestErrorsOfPostgresHoldNoPassword(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"nobody there":      "postgres://tally:hunter2secret@127.0.0.1:1/tally",
		"wrong parameter":   "postgres://tally:hunter2secret@127.0.0.1:1/tally?sslmode=perhaps",
		"unparsable":        "postgres://tally:hunter2secret@127.0.0.1:port/tally",
		"in a parameter":    "postgres://127.0.0.1:1/tally?user=tally&password=hunter2secret",
		"split by a slash":  "postgres://tally:hunter2secret/x@127.0.0.1:1/tally",
		"unescaped percent": "postgres://tally:hunter2secret%@127.0.0.1:1/tally",
	}
	for name, url := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := store.Open(t.Context(), url, store.Options{Queue: jobschema.River{}})
			if err == nil {
				t.Fatal("got no error")
			}
			if strings.Contains(err.Error(), "hunter2secret") {
				t.Errorf("the error holds the password: %v", err)
			}
		})
	}
}

func TestOpenHonoursTheDeadline(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
		defer cancel()
		if _, err := store.Open(ctx, url, store.Options{Queue: jobschema.River{}}); err == nil {
			t.Error("got no error")
		}
	})
}

func TestSQLiteIsAWriteAheadLogThatClosingFoldsIn(t *testing.T) {
	t.Parallel()
	url := storetest.SQLite(t)
	path := strings.TrimPrefix(url, "sqlite://")
	s, err := store.Open(t.Context(), url, store.Options{Queue: jobschema.River{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + "-wal"); err != nil {
		t.Errorf("while open: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + "-wal"); !os.IsNotExist(err) {
		t.Errorf("after close: got %v, want no write-ahead log", err)
	}
}

func TestPostgresPlansForFewUnlessItsURLSaysOtherwise(t *testing.T) {
	t.Parallel()
	url := storetest.Postgres(t)
	for query, want := range map[string]map[string]string{
		"":                       {"jit": "off", "random_page_cost": "1.1", "plan_cache_mode": "force_generic_plan"},
		"jit=on":                 {"jit": "on", "random_page_cost": "1.1", "plan_cache_mode": "force_generic_plan"},
		"plan_cache_mode=auto":   {"jit": "off", "random_page_cost": "1.1", "plan_cache_mode": "auto"},
		"random_page_cost=3.5":   {"jit": "off", "random_page_cost": "3.5", "plan_cache_mode": "force_generic_plan"},
		"application_name=audit": {"jit": "off", "application_name": "audit"},
	} {
		s, err := store.Open(t.Context(), url+"&"+query, store.Options{Queue: jobschema.River{}})
		if err != nil {
			t.Fatal(err)
		}
		pool, ok := s.Postgres()
		if !ok {
			t.Fatal("the store is not in PostgreSQL")
		}
		if got, most := pool.Config().MaxConns, 2*runtime.GOMAXPROCS(0)+1; int(got) != min(most, 20) {
			t.Errorf("got at most %d connections, want two for each processor and one", got)
		}
		for name, value := range want {
			var got string
			if err := pool.QueryRow(t.Context(), `SELECT current_setting($1)`, name).Scan(&got); err != nil {
				t.Fatal(err)
			}
			if got != value {
				t.Errorf("%q: %s is %q, want %q", query, name, got, value)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
