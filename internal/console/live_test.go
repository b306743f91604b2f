package console_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/console"
	"github.com/tallyman-io/tallyman/internal/ledger"
)

// moving is a store whose progress moves each time it is read.
type moving struct {
	*memory
	reads  atomic.Int64
	failed atomic.Bool
}

func (m *moving) Progress(context.Context) ([]ledger.Progress, error) {
	n := m.reads.Add(1)
	if m.failed.Load() {
		return nil, errors.New("database is gone")
	}
	return []ledger.Progress{{Step: "sync", Subject: "Go\nand\r\nmore", Done: n, Total: 1000, UpdatedAt: now}}, nil
}

// follow connects and returns what reads the next event of a kind.
func follow(t *testing.T, server *httptest.Server) (next func(kind string) string, status int) {
	t.Helper()
	return followAt(t, server, "")
}

// followAt follows what a query names.
func followAt(t *testing.T, server *httptest.Server, query string) (next func(kind string) string, status int) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/activity/events"+query, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	lines := bufio.NewScanner(answer.Body)
	return func(kind string) string {
		t.Helper()
		var data []string
		mine := false
		for lines.Scan() {
			line := lines.Text()
			switch {
			case line == "" && mine:
				return strings.Join(data, "\n")
			case strings.HasPrefix(line, "event: "):
				mine = line == "event: "+kind
			case mine:
				text, ok := strings.CutPrefix(line, "data: ")
				if !ok {
					t.Fatalf("got line %q within an event", line)
				}
				data = append(data, text)
			}
		}
		return ""
	}, answer.StatusCode
}

func serve(t *testing.T, c *console.Console, timeout time.Duration) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(install(c))
	server.Config.WriteTimeout = timeout
	server.Start()
	t.Cleanup(server.Close)
	t.Cleanup(c.Close)
	return server
}

func quick(c *console.Config) { c.LiveEvery = 5 * time.Millisecond }

func TestProgressIsToldAsItMovesPastTheWriteTimeout(t *testing.T) {
	t.Parallel()
	m := &moving{memory: harbour()}
	server := serve(t, newConsole(t, m, &bytes.Buffer{}, quick), 50*time.Millisecond)
	next, status := follow(t, server)
	if status != http.StatusOK {
		t.Fatalf("got status %d", status)
	}
	began := time.Now()
	seen := map[string]bool{}
	for time.Since(began) < 200*time.Millisecond {
		got := next("jobs")
		if !strings.Contains(got, "<progress") || !strings.Contains(got, "of 1\u202f000") {
			t.Fatalf("got event %q", got)
		}
		seen[got] = true
	}
	if len(seen) < 3 {
		t.Errorf("got %d different events, want more", len(seen))
	}
}

func TestAStoreThatFailsIsToldAsUnknown(t *testing.T) {
	t.Parallel()
	m := &moving{memory: harbour()}
	m.failed.Store(true)
	next, _ := follow(t, serve(t, newConsole(t, m, &bytes.Buffer{}, quick), time.Second))
	if got := next("unknown"); got != "The store cannot be read, so how far jobs are is unknown." {
		t.Errorf("got %q", got)
	}
	m.failed.Store(false)
	if got := next("jobs"); !strings.Contains(got, "<progress") {
		t.Errorf("when it answers again: got %q", got)
	}
}

func TestTheStoreIsReadOnceForAllWhoFollow(t *testing.T) {
	t.Parallel()
	m := &moving{memory: harbour()}
	server := serve(t, newConsole(t, m, &bytes.Buffer{}, func(c *console.Config) { c.LiveEvery = time.Minute }), time.Second)
	for range 5 {
		next, _ := follow(t, server)
		if next("jobs") == "" {
			t.Fatal("got no event")
		}
	}
	if n := m.reads.Load(); n != 1 {
		t.Errorf("got %d reads, want 1", n)
	}
}

func TestOnlySoManyMayFollow(t *testing.T) {
	t.Parallel()
	c := newConsole(t, &moving{memory: harbour()}, &bytes.Buffer{}, func(c *console.Config) { c.LiveEvery, c.LiveMost = time.Minute, 1 })
	server := serve(t, c, time.Second)
	next, _ := follow(t, server)
	if next("jobs") == "" {
		t.Fatal("got no event")
	}
	if _, status := follow(t, server); status != http.StatusServiceUnavailable {
		t.Errorf("got status %d, want 503", status)
	}
}

func TestWhoFollowsIsLetGoWhenTheServerEnds(t *testing.T) {
	t.Parallel()
	c := newConsole(t, &moving{memory: harbour()}, &bytes.Buffer{}, func(c *console.Config) { c.LiveEvery = time.Minute })
	server := serve(t, c, time.Second)
	next, _ := follow(t, server)
	if next("jobs") == "" {
		t.Fatal("got no event")
	}
	c.Close()
	c.Close()
	if got := next("jobs"); got != "" {
		t.Errorf("got another event %q", got)
	}
}
