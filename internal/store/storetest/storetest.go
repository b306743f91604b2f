// Package storetest gives tests an empty database on each engine that package
// store supports.
//
// PostgreSQL is the server that the environment variable TALLYMAN_TEST_POSTGRES
// names, as a postgres:// URL of a role that may create databases. Without it, a
// throw-away server is started when the programs initdb and postgres are there.
// With neither, tests that need PostgreSQL are skipped, or fail when CI is true.
//
// A package that uses it hands its tests to [Run]:
//
//	func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }
package storetest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// EnvPostgres names the environment variable with the URL of a server to use.
const EnvPostgres = "TALLYMAN_TEST_POSTGRES"

// adminTimeout bounds the statements that create and drop a database.
const adminTimeout = 30 * time.Second

// shared is the server of this test process. It is global because a server takes
// longer to start than a whole package of tests takes to run.
var shared struct {
	sync.Mutex
	running bool // inside Run
	started bool
	url     string
	missing string // why there is no server
	stop    func()
}

// Run runs the tests of a package and ends the server that they may have started.
// It returns the exit code.
func Run(m *testing.M) int {
	shared.Lock()
	shared.running = true
	shared.Unlock()
	code := m.Run()
	shared.Lock()
	defer shared.Unlock()
	if shared.stop != nil {
		shared.stop()
	}
	return code
}

// Each runs the test once on each engine, as a parallel subtest, with the URL of a
// database of its own that is empty and goes away afterwards.
func Each(t *testing.T, test func(t *testing.T, databaseURL string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, SQLite(t))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, Postgres(t))
	})
}

// SQLite returns the URL of a file that does not exist yet.
func SQLite(t testing.TB) string {
	t.Helper()
	return "sqlite://" + filepath.ToSlash(filepath.Join(t.TempDir(), "tallyman.db"))
}

// Postgres returns the URL of a new database, which is dropped after the test.
func Postgres(t *testing.T) string {
	t.Helper()
	server := serverURL(t)
	name := "tallyman_test_" + strings.ToLower(rand.Text())
	if err := admin(t.Context(), server, "CREATE DATABASE "+name); err != nil {
		t.Fatalf("create database: %v", err)
	}
	t.Cleanup(func() {
		// t.Context has been cancelled by now.
		if err := admin(context.WithoutCancel(t.Context()), server, "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("drop database: %v", err)
		}
	})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatalf("%s is not a URL", EnvPostgres)
	}
	u.Path = "/" + name
	return u.String()
}

func admin(ctx context.Context, server, statement string) error {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	_, err = conn.Exec(ctx, statement)
	if cerr := conn.Close(ctx); err == nil {
		err = cerr
	}
	return err
}

func serverURL(t *testing.T) string {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if !shared.running {
		t.Fatal("storetest: TestMain does not call storetest.Run")
	}
	if !shared.started {
		shared.started = true
		if shared.url = os.Getenv(EnvPostgres); shared.url == "" {
			shared.url, shared.stop, shared.missing = startServer()
		}
	}
	if shared.missing != "" {
		if os.Getenv("CI") == "true" {
			t.Fatalf("needs PostgreSQL: %s", shared.missing)
		}
		t.Skipf("needs PostgreSQL: %s", shared.missing)
	}
	return shared.url
}
