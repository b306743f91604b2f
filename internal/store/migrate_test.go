package store_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/jobs/jobschema"
	"github.com/tallyman-io/tallyman/internal/store"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

func open(t *testing.T, url string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), url, store.Options{MaxConnections: 4, Queue: jobschema.River{}})
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	return s
}

func TestMigrationsGoUpDownAndUpAgain(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s := open(t, url)
		up := objects(t, s)
		if !strings.Contains(strings.Join(up, "\n"), "repository") || !strings.Contains(strings.Join(up, "\n"), "river_job") {
			t.Fatalf("after the first migration: got %q, want the tables of the tally and of the job queue", up)
		}
		if err := s.MigrateDown(t.Context()); err != nil {
			t.Fatalf("migrate down: %v", err)
		}
		if left := objects(t, s); len(left) > 0 {
			t.Errorf("after migrating down: got %q left, want nothing", left)
		}
		if err := s.MigrateUp(t.Context()); err != nil {
			t.Fatalf("migrate up again: %v", err)
		}
		if diff := cmp.Diff(up, objects(t, s)); diff != "" {
			t.Errorf("after migrating up again (-first +again):\n%s", diff)
		}
	})
}

func objects(t *testing.T, s *store.Store) []string {
	t.Helper()
	got, err := s.Objects(t.Context())
	if err != nil {
		t.Fatalf("list objects: %v", err)
	}
	return got
}

func TestOpeningAgainChangesNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		first := objects(t, open(t, url))
		if diff := cmp.Diff(first, objects(t, open(t, url))); diff != "" {
			t.Errorf("after opening again (-first +again):\n%s", diff)
		}
	})
}

func TestManyOpenOneNewDatabaseAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		const n = 8
		var wg sync.WaitGroup
		errs := make([]error, n)
		for i := range n {
			wg.Go(func() {
				s, err := store.Open(t.Context(), url, store.Options{MaxConnections: 2, Queue: jobschema.River{}})
				if err != nil {
					errs[i] = err
					return
				}
				defer func() { errs[i] = s.Close() }()
				errs[i] = s.Ping(t.Context())
			})
		}
		wg.Wait()
		for i, err := range errs {
			if err != nil {
				t.Errorf("process %d: %v", i, err)
			}
		}
	})
}

func TestOneConnectionIsEnoughToMigrate(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.Context(), storetest.Postgres(t), store.Options{MaxConnections: 1, Queue: jobschema.River{}})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ statement, want string }{
		"of the tally": {
			`INSERT INTO tallyman_migration (version, applied_at) VALUES (9999, 0)`,
			"database has schema version 9999, this program knows versions up to",
		},
		"of the job queue": {
			`INSERT INTO river_migration (line, version) VALUES ('main', 9999)`,
			"database has job queue schema version 9999, this program knows versions up to",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, url string) {
				if err := open(t, url).Exec(t.Context(), tt.statement); err != nil {
					t.Fatal(err)
				}
				_, err := store.Open(t.Context(), url, store.Options{Queue: jobschema.River{}})
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got error %v, want one with %q", err, tt.want)
				}
			})
		})
	}
}

func TestOpenAnswersPings(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s, err := store.Open(t.Context(), url, store.Options{Queue: jobschema.River{}})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Ping(t.Context()); err != nil {
			t.Errorf("ping: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := s.Ping(t.Context()); err == nil {
			t.Error("ping after close: got no error")
		}
	})
}

func BenchmarkOpenSQLite(b *testing.B) {
	b.Run("new", func(b *testing.B) {
		dir := b.TempDir()
		for i := 0; b.Loop(); i++ {
			openAndClose(b, fmt.Sprintf("sqlite://%s/%d.db", dir, i))
		}
	})
	b.Run("existing", func(b *testing.B) {
		url := "sqlite://" + b.TempDir() + "/existing.db"
		openAndClose(b, url)
		for b.Loop() {
			openAndClose(b, url)
		}
	})
}

func openAndClose(b *testing.B, url string) {
	b.Helper()
	s, err := store.Open(b.Context(), url, store.Options{Queue: jobschema.River{}})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}
