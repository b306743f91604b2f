package worker_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/store"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
)

const (
	// patience is how long a worker may take for everything that is left over. A dead
	// process may have been River's leader, for whose term the others wait.
	patience   = 2 * time.Minute
	stopWithin = 30 * time.Second
)

// program is the worker's file.
var program string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tallyworker")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	program = filepath.Join(dir, "worker")
	build := exec.Command("go", "build", "-trimpath", "-tags=nopgxregisterdefaulttypes,grpcnotrace", "-o", program, "./cmd/worker") //nolint:noctx // go test has a limit
	build.Dir, build.Env = filepath.Join("..", ".."), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the worker: %v\n%s", err, out)
		return 1
	}
	return storetest.Run(m)
}

// bench is a world, a database, and the workers on it.
type bench struct {
	*world
	database string
	dir      string
	key      string // file
}

func newBench(t *testing.T, database string) *bench {
	t.Helper()
	b := &bench{world: newWorld(t), database: database, dir: t.TempDir()}
	b.key = filepath.Join(b.dir, "release.pub")
	if err := os.WriteFile(b.key, b.world.key.PEM(t), 0o600); err != nil {
		t.Fatal(err)
	}
	for range paths {
		b.ship(t)
	}
	b.publish(t)
	return b
}

// environment is the whole configuration of a worker: it inherits nothing.
func (b *bench) environment(t *testing.T) []string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() // its port is the worker's now
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + b.dir, "TMPDIR=" + b.dir,
		"TALLYMAN_DATABASE_URL=" + b.database, "TALLYMAN_LISTEN=" + listener.Addr().String(),
		"TALLYMAN_REPOSITORIES=" + strings.Join(b.repositories(), ","), "TALLYMAN_TRUST_KEYS=" + b.key,
		"TALLYMAN_ADVISORIES_SOURCE=file://" + filepath.ToSlash(b.feeds), "TALLYMAN_ADVISORIES_INTERVAL=1s",
		"TALLYMAN_EVIDENCE_INTERVAL=10s", "TALLYMAN_DISCOVER_INTERVAL=10s", "TALLYMAN_WORKER_LEASE=2s",
		"TALLYMAN_NOTIFY_WEBHOOKS=" + b.inbox.url, "TALLYMAN_NOTIFY_SECRET=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		"TALLYMAN_NOTIFY_ALLOW_PRIVATE=true",
	}
}

// process is a worker that runs.
type process struct {
	command *exec.Cmd
	log     *log
	ended   chan struct{}
	err     error // after ended
}

// start starts a worker that ends with the test, if not before.
func (b *bench) start(t *testing.T) *process {
	t.Helper()
	p := &process{command: exec.Command(program, "run"), log: &log{}, ended: make(chan struct{})} //nolint:noctx // ended by the test
	p.command.Env, p.command.Dir = b.environment(t), b.dir
	p.command.Stdout, p.command.Stderr = p.log, p.log
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		p.err = p.command.Wait()
	}()
	t.Cleanup(p.kill)
	return p
}

// kill ends the process as the kernel does when memory is short.
func (p *process) kill() {
	_ = p.command.Process.Kill() // it may have ended
	<-p.ended
}

// stop asks the process to end, and wants it to do so cleanly.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatalf("stop the worker: %v\n%s", err, p.log)
	}
	select {
	case <-p.ended:
		if p.err != nil {
			t.Errorf("the worker ended with %v\n%s", p.err, p.log)
		}
	case <-time.After(stopWithin):
		t.Errorf("the worker did not end within %s\n%s", stopWithin, p.log)
		p.kill()
	}
}

// live lets the process run for a while, in which it must not end.
func (p *process) live(t *testing.T, d time.Duration) {
	t.Helper()
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-p.ended:
		t.Fatalf("the worker ended: %v\n%s", p.err, p.log)
	case <-timer.C:
	}
}

// awaitWork waits until the worker has done some work.
func (p *process) awaitWork(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(patience); !strings.Contains(p.log.String(), "repository read"); {
		p.live(t, 20*time.Millisecond)
		if time.Now().After(deadline) {
			t.Fatalf("the worker does not begin\n%s", p.log)
		}
	}
}

type log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String is the end of the log.
func (l *log) String() string {
	const most = 8000
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.buf.String()
	return s[max(0, len(s)-most):]
}

// reader reads the database beside the workers.
type reader struct {
	store  *store.Store
	ledger *store.Ledger
}

// nothing is a queue for who only reads.
type nothing struct{}

func (nothing) Enqueue(context.Context, *sql.Tx, ...release.Task) error { return nil }

// read opens the database, which a worker has to have made.
func (b *bench) read(t *testing.T) *reader {
	t.Helper()
	s, err := store.Open(t.Context(), b.database, store.Options{MaxConnections: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	l, err := store.NewLedger(s, nothing{})
	if err != nil {
		t.Fatal(err)
	}
	return &reader{s, l}
}

// verdicts returns what is said of each release that was judged with everything known.
func (r *reader) verdicts(ctx context.Context) (map[string]verdict, error) {
	cases, err := r.ledger.AllCases(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string]verdict{}
	for _, c := range cases {
		if c.Last == nil {
			continue
		}
		var counts struct {
			Known         bool
			Critical, Low int
		}
		if err := json.Unmarshal([]byte(c.Last.Counts), &counts); err != nil {
			return nil, err
		}
		for _, version := range c.Versions {
			if counts.Known {
				all[name(c.Repository, version)] = verdict{c.Last.Result, counts.Critical, counts.Low}
			}
		}
	}
	return all, nil
}

// await waits until everything is said as it should be.
func (r *reader) await(t *testing.T, w *world, workers ...*process) {
	t.Helper()
	want := w.expected()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		got, err := r.verdicts(ctx)
		diff := cmp.Diff(want, got)
		if err == nil && diff == "" {
			return
		}
		for _, p := range workers {
			p.live(t, 0)
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not within %s: %v\nverdicts (-want +got):\n%s\n%s", patience, err, diff, workers[0].log)
		case <-tick.C:
		}
	}
}

// awaitCount waits until so many rows are counted.
func (r *reader) awaitCount(t *testing.T, want int, query string) {
	t.Helper()
	r.awaitThat(t, query, func(n int) bool { return n == want })
}

func (r *reader) awaitAtLeast(t *testing.T, want int, query string) {
	t.Helper()
	r.awaitThat(t, query, func(n int) bool { return n >= want })
}

func (r *reader) awaitThat(t *testing.T, query string, ok func(n int) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		got, err := r.count(ctx, query)
		if err == nil && ok(got) {
			return
		}
		select {
		case <-ctx.Done():
			t.Errorf("after %s, %s still gives %d, %v", patience, query, got, err)
			return
		case <-tick.C:
		}
	}
}

func (r *reader) count(ctx context.Context, query string) (n int, err error) {
	if db, ok := r.store.SQLite(); ok {
		err = db.QueryRowContext(ctx, query).Scan(&n)
	} else if pool, ok := r.store.Postgres(); ok {
		err = pool.QueryRow(ctx, query).Scan(&n)
	}
	return n, err
}

// settled checks what has to hold when everything is done, whatever came before.
func (b *bench) settled(t *testing.T, r *reader) {
	t.Helper()
	r.awaitCount(t, 0, `SELECT count(*) FROM outbox WHERE delivered_at IS NULL`)
	r.awaitCount(t, 0, `SELECT count(*) FROM river_job WHERE kind IN ('judge', 'notify') AND state <> 'completed'`)
	r.awaitCount(t, 0, `SELECT count(*) FROM river_job WHERE state = 'discarded'`)
	messages, err := r.count(t.Context(), `SELECT count(*) FROM outbox`)
	if err != nil {
		t.Fatal(err)
	}
	if told, _ := b.inbox.told(); told != messages {
		t.Errorf("messages that arrived: got %d, want the %d that were written", told, messages)
	}
	b.inbox.check(t)
}

// check has the worker look through its own database.
func (b *bench) check(t *testing.T) {
	t.Helper()
	command := exec.CommandContext(t.Context(), program, "db", "check")
	command.Env, command.Dir = b.environment(t), b.dir
	if out, err := command.CombinedOutput(); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			t.Fatal(err)
		}
		t.Errorf("worker db check: exit code %d\n%s", exit.ExitCode(), out)
	}
}
