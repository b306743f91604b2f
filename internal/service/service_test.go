package service

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/tallyman-io/tallyman/internal/buildinfo"
)

// freeAddress is a loopback address that nobody listens on.
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

// logs collects log lines from many goroutines.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// lines are the log lines with the given message.
func (l *logs) lines(t *testing.T, message string) []map[string]any {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []map[string]any
	for line := range strings.Lines(l.b.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("log line is not JSON: %v: %s", err, line)
		}
		if fields["message"] == message {
			found = append(found, fields)
		}
	}
	return found
}

// running is a service under test.
type running struct {
	url     string
	signals chan os.Signal
	cancel  context.CancelFunc
	result  chan error
	logs    *logs
}

// launch runs a service in the background and stops it after the test.
func launch(t *testing.T, start Start, changes ...func(*Config)) *running {
	t.Helper()
	r := &running{signals: make(chan os.Signal, 2), result: make(chan error, 1), logs: &logs{}}
	c := Config{
		Name: "web", Listen: freeAddress(t),
		ReadHeaderTimeout: time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 5 * time.Second,
		IdleTimeout: 5 * time.Second, ShutdownTimeout: 10 * time.Second,
		Log: zerolog.New(r.logs), Build: buildinfo.Read(""), Now: time.Now,
		Uptime:  func() time.Duration { return 42 * time.Millisecond },
		Signals: r.signals,
	}
	for _, change := range changes {
		change(&c)
	}
	r.url = "http://" + c.Listen
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	r.cancel = cancel
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.result <- Run(ctx, c, start)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return r
}

// get asks once; status 0 means that nobody answered.
func (r *running) get(t *testing.T, path string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(b)
}

// until polls a path until it answers with the status.
func (r *running) until(t *testing.T, path string, want int) string {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		status, body := r.get(t, path)
		if status == want {
			return body
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: got %d (%s), want %d", path, status, body, want)
		}
	}
}

func (r *running) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.result:
		return err
	case <-time.After(15 * time.Second):
		t.Fatal("the service did not end")
		return nil
	}
}

func routesOf(install func(*Routes)) *Routes {
	routes := new(Routes)
	if install != nil {
		install(routes)
	}
	return routes
}

func pages(install func(*Routes)) Start {
	return func(context.Context) (App, error) { return App{Routes: routesOf(install)}, nil }
}

func TestServiceFromStartToStop(t *testing.T) {
	t.Parallel()
	proceed := make(chan struct{})
	var stopped []string
	r := launch(t, func(ctx context.Context) (App, error) {
		<-proceed
		step := func(name string) Stop {
			return Stop{name, func(context.Context) error {
				if err := ctx.Err(); err != nil {
					t.Errorf("stop %s: the application's context has ended: %v", name, err)
				}
				stopped = append(stopped, name)
				return nil
			}}
		}
		return App{
			Routes: routesOf(func(mux *Routes) {
				mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "page") })
			}),
			Stops: []Stop{step("jobs"), step("store")},
		}, nil
	})

	r.until(t, "/healthz", http.StatusOK)
	if got, want := r.until(t, "/readyz", http.StatusServiceUnavailable), `{"status":"starting"}`; strings.TrimSpace(got) != want {
		t.Errorf("readyz: got %s, want %s", got, want)
	}
	r.until(t, "/", http.StatusServiceUnavailable)
	close(proceed)
	r.until(t, "/readyz", http.StatusOK)
	if got := r.until(t, "/", http.StatusOK); got != "page" {
		t.Errorf("page: got %q", got)
	}
	r.until(t, "/elsewhere", http.StatusNotFound)
	if ready := r.logs.lines(t, "ready"); len(ready) != 1 || ready[0]["milliseconds"] != 42.0 {
		t.Errorf("ready lines: got %v, want one with 42 milliseconds", ready)
	}

	r.signals <- syscall.SIGTERM
	if err := r.wait(t); err != nil {
		t.Errorf("Run: got %v, want nil", err)
	}
	if diff := cmp.Diff([]string{"jobs", "store"}, stopped); diff != "" {
		t.Errorf("stopped (-want +got):\n%s", diff)
	}
}

func TestReadinessNamesWhatFails(t *testing.T) {
	t.Parallel()
	r := launch(t, func(context.Context) (App, error) {
		return App{Checks: []Check{
			{"store", func(context.Context) error { return errors.New("secret detail") }},
			{"queue", func(context.Context) error { return nil }},
			{"hanging", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
		}}, nil
	})
	r.until(t, "/healthz", http.StatusOK)
	var body string
	for body == "" || strings.Contains(body, stateStarting) {
		_, body = r.get(t, "/readyz")
	}
	if want := `{"status":"not ready","failed":["store","hanging"]}`; strings.TrimSpace(body) != want {
		t.Errorf("readyz: got %s, want %s", body, want)
	}
	if lines := r.logs.lines(t, "not ready"); len(lines) == 0 || lines[0]["error"] != "secret detail" {
		t.Errorf("log: got %v, want the reason", lines)
	}
	err := CheckHealth(t.Context(), strings.TrimPrefix(r.url, "http://"), false)
	if err == nil || !strings.Contains(err.Error(), "503 Service Unavailable: not ready: store, hanging") {
		t.Errorf("CheckHealth: got %v, want the names of what fails", err)
	}
}

func TestRequestsUnderWayAreFinishedWhileDraining(t *testing.T) {
	t.Parallel()
	entered, finish := make(chan struct{}), make(chan struct{})
	r := launch(t, pages(func(mux *Routes) {
		mux.HandleFunc("GET /slow", func(w http.ResponseWriter, r *http.Request) {
			close(entered)
			<-finish
			if err := r.Context().Err(); err != nil {
				t.Errorf("the request's context ended: %v", err)
			}
			_, _ = io.WriteString(w, "done")
		})
	}))
	r.until(t, "/readyz", http.StatusOK)
	answered := make(chan string, 1)
	go func() {
		_, body := r.get(t, "/slow")
		answered <- body
	}()
	<-entered
	r.cancel()
	// The listener closes first; then nobody answers any more.
	deadline := time.Now().Add(10 * time.Second)
	for status := http.StatusOK; status != 0; status, _ = r.get(t, "/readyz") {
		if time.Now().After(deadline) {
			t.Fatal("the listener is still open")
		}
	}
	close(finish)
	if got := <-answered; got != "done" {
		t.Errorf("slow request: got %q, want done", got)
	}
	if err := r.wait(t); err != nil {
		t.Errorf("Run: got %v, want nil", err)
	}
}

func TestAnswersWithoutAnEndAreEndedWhileDraining(t *testing.T) {
	t.Parallel()
	entered, ended := make(chan struct{}), make(chan struct{})
	r := launch(t, func(context.Context) (App, error) {
		return App{
			Routes: routesOf(func(mux *Routes) {
				mux.HandleFunc("GET /endless", func(w http.ResponseWriter, _ *http.Request) {
					close(entered)
					<-ended
					_, _ = io.WriteString(w, "ended")
				})
			}),
			Draining: func() { close(ended) },
		}, nil
	})
	r.until(t, "/readyz", http.StatusOK)
	answered := make(chan string, 1)
	go func() {
		_, body := r.get(t, "/endless")
		answered <- body
	}()
	<-entered
	r.cancel()
	if got := <-answered; got != "ended" {
		t.Errorf("got %q, want ended", got)
	}
	if err := r.wait(t); err != nil {
		t.Errorf("Run: got %v, want nil", err)
	}
}

func TestReadinessWhileDraining(t *testing.T) {
	t.Parallel()
	s := newServer(Config{Now: time.Now})
	s.open(&App{})
	s.draining.Store(true)
	w := record(t, s.handler(), "/readyz")
	if want := `{"status":"draining"}`; w.Code != http.StatusServiceUnavailable || strings.TrimSpace(w.Body.String()) != want {
		t.Errorf("readyz: got %d %s, want 503 %s", w.Code, w.Body, want)
	}
}

// hanging is an application of which one part does not stop in time.
func hanging(stubborn bool, release <-chan struct{}) Start {
	return func(context.Context) (App, error) {
		return App{Stops: []Stop{{"jobs", func(ctx context.Context) error {
			if stubborn {
				<-release
				return nil
			}
			<-ctx.Done()
			return context.Cause(ctx)
		}}}}, nil
	}
}

func TestShutdownIsBounded(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name     string
		stubborn bool
		second   bool
		timeout  time.Duration
		want     error
		text     string
	}{
		{"by the deadline", false, false, 50 * time.Millisecond, errDeadline, "stop jobs"},
		{"by the deadline, when a part ignores it", true, false, 50 * time.Millisecond, errDeadline, "some parts did not stop"},
		{"by a second signal", false, true, time.Minute, errSecondSignal, "stop jobs"},
		{"by a second signal, when a part ignores it", true, true, time.Minute, errSecondSignal, "some parts did not stop"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			release := make(chan struct{})
			t.Cleanup(func() { close(release) })
			r := launch(t, hanging(tt.stubborn, release), func(c *Config) { c.ShutdownTimeout = tt.timeout })
			r.until(t, "/readyz", http.StatusOK)
			r.signals <- syscall.SIGTERM
			if tt.second {
				r.signals <- os.Interrupt
			}
			err := r.wait(t)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("Run: got %v, want %v with %q", err, tt.want, tt.text)
			}
		})
	}
}

func TestAStartThatFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("no database")
	r := launch(t, func(context.Context) (App, error) { return App{}, broken })
	if err := r.wait(t); !errors.Is(err, broken) {
		t.Errorf("Run: got %v, want %v", err, broken)
	}
}

func TestAStopDuringTheStartIsNoFailure(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	r := launch(t, func(ctx context.Context) (App, error) {
		close(entered)
		<-ctx.Done()
		return App{}, ctx.Err()
	})
	<-entered
	r.signals <- syscall.SIGTERM
	if err := r.wait(t); err != nil {
		t.Errorf("Run: got %v, want nil", err)
	}
}

func TestAPortThatIsTaken(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := launch(t, pages(nil), func(c *Config) { c.Listen = l.Addr().String() })
	if err := r.wait(t); !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("Run: got %v, want address in use and the address", err)
	}
}

func TestCheckHealthSaysWhy(t *testing.T) {
	t.Parallel()
	r := launch(t, pages(nil))
	r.until(t, "/readyz", http.StatusOK)
	listen := strings.TrimPrefix(r.url, "http://")
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{listen, ":" + port, "0.0.0.0:" + port} {
		if err := CheckHealth(t.Context(), address, false); err != nil {
			t.Errorf("CheckHealth(%q): got %v, want nil", address, err)
		}
	}
	if err := CheckHealth(t.Context(), freeAddress(t), false); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("CheckHealth of nobody: got %v, want connection refused", err)
	}
}

func TestUptimeIsThatOfTheProcess(t *testing.T) {
	t.Parallel()
	up, ok := Uptime()
	if !ok {
		t.Fatal("the kernel does not tell")
	}
	if up <= 0 || up > time.Hour {
		t.Errorf("Uptime: got %s, want that of this test", up)
	}
}
