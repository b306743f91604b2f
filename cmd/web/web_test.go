package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/command"
)

// output collects what a program writes, from any goroutine.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Addr().String()
}

// get asks once; status 0 means that nobody answered.
func get(t *testing.T, url string) (status int, body string, header http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+firstToken)
	answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		return 0, err.Error(), nil
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(b), answer.Header
}

func TestWebServesFromAnEmptyDatabaseUntilItIsStopped(t *testing.T) {
	t.Parallel()
	listen := freeAddress(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var log output
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, command.Process{
			Args:    []string{"serve", "--listen", listen},
			Environ: []string{"TALLYMAN_DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "t.db"), "TALLYMAN_ACCESS_BOOTSTRAP_TOKEN=" + firstToken},
			Stdout:  io.Discard, Stderr: &log, Began: time.Now(),
		})
	}()
	url, deadline := "http://"+listen, time.Now().Add(20*time.Second)
	for {
		status, body, _ := get(t, url+"/readyz")
		if status == http.StatusOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not ready: %d %s\n%s", status, body, log.String())
		}
	}
	checkAnswers(t, url)
	cancel()
	if code := <-ended; code != command.ExitOK {
		t.Errorf("exit code: got %d, want 0\n%s", code, log.String())
	}
	if strings.Contains(log.String(), firstToken) {
		t.Errorf("the token is in the log:\n%s", log.String())
	}
	for line := range strings.Lines(log.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("log line is not JSON: %s", line)
		}
	}
	if !strings.Contains(log.String(), `"message":"ready"`) {
		t.Errorf("the log does not say when it was ready:\n%s", log.String())
	}
}

// firstToken is access.bootstrap_token.
var firstToken = "tally_first_" + strings.Repeat("ab", 32)

func checkAnswers(t *testing.T, url string) {
	t.Helper()
	tests := []struct{ path, contentType, contains string }{
		{"/", "text/html", "<html"},
		{"/login", "text/html", `name="token"`},
		{"/settings/tokens", "text/html", "first token"},
		{"/healthz", "application/json", "alive"},
		{"/version", "application/json", `"platform"`},
		{"/metrics", "text/plain", "tallyman_build_info{"},
	}
	for _, tt := range tests {
		status, body, header := get(t, url+tt.path)
		if status != http.StatusOK || !strings.HasPrefix(header.Get("Content-Type"), tt.contentType) || !strings.Contains(body, tt.contains) {
			t.Errorf("%s: got %d %s %.200q, want 200 %s with %q", tt.path, status, header.Get("Content-Type"), body, tt.contentType, tt.contains)
		}
		if header.Get("X-Request-Id") == "" || !strings.Contains(header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: no request id or no strict policy: %v", tt.path, header)
		}
	}
}

func TestWebRefusesABadConfigurationNamingEveryMistake(t *testing.T) {
	t.Parallel()
	var stderr output
	code := run(t.Context(), command.Process{
		Args:    []string{"serve", "--listen=80", "--server-idle-timeout=never"},
		Environ: []string{"TALLYMAN_DATABASE_URL=mysql://u:hunter2@db/t", "TALLYMAN_REPOSITORIES=ghcr.io/a/b"},
		Stdout:  io.Discard, Stderr: &stderr, Began: time.Now(),
	})
	if code != command.ExitConfig {
		t.Errorf("exit code: got %d, want %d", code, command.ExitConfig)
	}
	for _, want := range []string{"\nTALLYMAN_REPOSITORIES: ", "\ndatabase.url: ", "\nlisten: ", "\nserver.idle_timeout: "} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("stderr: want a line that begins with %q in\n%s", strings.TrimSpace(want), stderr.String())
		}
	}
	if strings.Contains(stderr.String(), "hunter2") {
		t.Errorf("the password is shown:\n%s", stderr.String())
	}
}

func TestWebFailsWhenTheDatabaseCannotBeOpened(t *testing.T) {
	t.Parallel()
	var stderr output
	code := run(t.Context(), command.Process{
		Args:    []string{"serve", "--listen", freeAddress(t)},
		Environ: []string{"TALLYMAN_DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "missing", "t.db")},
		Stdout:  io.Discard, Stderr: &stderr, Began: time.Now(),
	})
	if code != command.ExitFailed || !strings.Contains(stderr.String(), "open store: ") {
		t.Errorf("got exit code %d and\n%s\nwant 1 and what failed", code, stderr.String())
	}
}
