package command

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

	"github.com/tallyman-io/tallyman/internal/config"
	"github.com/tallyman-io/tallyman/internal/service"
)

// program is a service whose application is start.
func program(start func(context.Context, Env[config.Web]) (service.App, error)) Program[config.Web] {
	return Program[config.Web]{
		Name: "web", Short: "Test", Verb: "serve", VerbShort: "Serve", Settings: config.ForWeb(), Start: start,
	}
}

func empty(context.Context, Env[config.Web]) (service.App, error) { return service.App{}, nil }

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

// call runs the program to its end.
func call(t *testing.T, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs output
	code = Run(t.Context(), program(empty), Process{Args: args, Environ: environ, Stdout: &out, Stderr: &errs, Began: time.Now()})
	return code, out.String(), errs.String()
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

func TestExitCodes(t *testing.T) {
	t.Parallel()
	const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	tests := []struct {
		name           string
		environ        []string
		args           []string
		code           int
		stdout, stderr string // parts of it; "" for none at all
	}{
		{"help", nil, []string{"--help"}, ExitOK, "Usage:", ""},
		{"no subcommand", nil, nil, ExitUsage, "", "Available Commands:"},
		{"unknown subcommand", nil, []string{"server"}, ExitUsage, "", `unknown command "server" for "web"`},
		{"near to a subcommand", nil, []string{"serv"}, ExitUsage, "", "serve"},
		{"no subcommand of config", nil, []string{"config"}, ExitUsage, "", "Available Commands:"},
		{"unknown subcommand of config", nil, []string{"config", "chek"}, ExitUsage, "", "did you mean check?"},
		{"unknown flag", nil, []string{"serve", "--lisen=:1"}, ExitUsage, "", "unknown flag: --lisen"},
		{"flag without a value", nil, []string{"serve", "--listen"}, ExitUsage, "", "flag needs an argument: --listen"},
		{"an argument too many", nil, []string{"serve", "now"}, ExitUsage, "", `unknown command "now"`},
		{"unknown format", nil, []string{"config", "print", "--format=xml"}, ExitUsage, "", "expected yaml or json"},
		{"good configuration", nil, []string{"config", "check"}, ExitOK, "no mistakes", ""},
		{"bad configuration", nil, []string{"config", "check", "--listen=x"}, ExitConfig, "", "listen: expected host:port"},
		{"print", []string{"TALLYMAN_LISTEN=:1"}, []string{"config", "print"}, ExitOK, "listen: :1 # environment TALLYMAN_LISTEN", ""},
		{"print as JSON", nil, []string{"config", "print", "--format=json", "--listen=:2"}, ExitOK, `"flag --listen"`, ""},
		{"print of a bad configuration", nil, []string{"config", "print", "--listen=x"}, ExitConfig, "", "listen"},
		{"schema", nil, []string{"config", "schema"}, ExitOK, `"https://json-schema.org/draft/2020-12/schema"`, ""},
		{"version", nil, []string{"version"}, ExitOK, "commit time", ""},
		{"version with the image", []string{"TALLYMAN_IMAGE_DIGEST=" + digest}, []string{"version", "--json"}, ExitOK, `"imageDigest": "` + digest, ""},
		{"version in a bad environment", []string{"TALLYMAN_X=1"}, []string{"version"}, ExitOK, "web", ""},
		{"health of nobody", nil, []string{"healthcheck", "--listen", freeAddress(t)}, ExitFailed, "", "connection refused"},
		{"health with a bad configuration", nil, []string{"healthcheck", "--listen=x"}, ExitFailed, "", "listen: expected"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := call(t, tt.environ, tt.args...)
			if code != tt.code {
				t.Errorf("exit code: got %d, want %d", code, tt.code)
			}
			if !strings.Contains(stdout, tt.stdout) || (tt.stdout == "") != (stdout == "") {
				t.Errorf("stdout: got %q, want %q in it", stdout, tt.stdout)
			}
			if !strings.Contains(stderr, tt.stderr) || (tt.stderr == "") != (stderr == "") {
				t.Errorf("stderr: got %q, want %q in it", stderr, tt.stderr)
			}
		})
	}
}

func TestMistakesAreListedOneOnALine(t *testing.T) {
	t.Parallel()
	environ := []string{"TALLYMAN_DATABASE_URL=postgres://u:hunter2/@db/t", "TALLYMAN_LOG_LEVEL=loud"}
	code, _, stderr := call(t, environ, "serve", "--listen=x", "--shutdown-timeout=1")
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	if code != ExitConfig || len(lines) != 5 || lines[0] != "web: the configuration has mistakes: 4" {
		t.Errorf("got exit code %d and\n%s\nwant 78 and four mistakes under a heading", code, stderr)
	}
	for i, key := range []string{"database.url", "listen", "log.level", "shutdown.timeout"} {
		if !strings.HasPrefix(lines[i+1], key+": ") {
			t.Errorf("line %d: got %q, want a mistake of %s", i+1, lines[i+1], key)
		}
	}
	if strings.Contains(stderr, "hunter2") {
		t.Errorf("the password is shown:\n%s", stderr)
	}
}

func TestAFailureAtRunIsLoggedWithoutTheSecret(t *testing.T) {
	t.Parallel()
	const password = "correct-horse-battery"
	var errs output
	code := Run(t.Context(), program(func(_ context.Context, e Env[config.Web]) (service.App, error) {
		return service.App{}, errors.New("dial " + e.Config.Database.URL.Reveal() + ": password " + password + " refused")
	}), Process{
		Args:    []string{"serve", "--listen", freeAddress(t)},
		Environ: []string{"TALLYMAN_DATABASE_URL=postgres://u:" + password + "@db/t", "TALLYMAN_LOG_LEVEL=trace"},
		Stdout:  io.Discard, Stderr: &errs, Began: time.Now(),
	})
	got := errs.String()
	if code != ExitFailed || strings.Contains(got, password) || !strings.Contains(got, `"dial REDACTED: password REDACTED refused"`) {
		t.Errorf("got exit code %d and\n%s\nwant 1 and the redacted error", code, got)
	}
	for line := range strings.Lines(got) {
		if !json.Valid([]byte(line)) {
			t.Errorf("not a JSON line: %s", line)
		}
	}
}

func TestServiceIsHealthyUntilASignalEndsIt(t *testing.T) {
	t.Parallel()
	listen := freeAddress(t)
	signals := make(chan os.Signal, 1)
	restored := false
	var errs output
	ended := make(chan int, 1)
	go func() {
		ended <- Run(t.Context(), program(empty), Process{
			Args: []string{"serve", "--listen", listen}, Stdout: io.Discard, Stderr: &errs, Began: time.Now(),
			Signals: func() (<-chan os.Signal, func()) { return signals, func() { restored = true } },
		})
	}()
	deadline := time.Now().Add(10 * time.Second)
	for {
		code, _, stderr := call(t, nil, "healthcheck", "--listen", listen)
		if code == ExitOK {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("healthcheck: %s\nlog: %s", stderr, errs.String())
		}
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listen+"/version", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("version: got %s, %v", answer.Status, err)
	}
	signals <- syscall.SIGTERM
	select {
	case code := <-ended:
		if code != ExitOK || !restored {
			t.Errorf("got exit code %d, signals restored: %v; want 0, true\n%s", code, restored, errs.String())
		}
	case <-time.After(15 * time.Second):
		t.Fatal("the service did not end")
	}
}
