package login_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is web, built once.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "login")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
		binary = filepath.Join(dir, "web")
		build := exec.Command("go", "build", "-C", "../..", "-tags=nopgxregisterdefaulttypes,grpcnotrace", "-o", binary, "./cmd/web") //nolint:noctx // before the tests
		build.Env = append(os.Environ(), "GOFLAGS=")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build web: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// output collects what a process writes.
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

// startWeb runs web until the test ends.
func startWeb(t *testing.T, address string, environ ...string) *output {
	t.Helper()
	log := &output{}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), binary, "serve")
	cmd.Env = append(environ, "TALLYMAN_LISTEN="+address, "TALLYMAN_DATABASE_URL=sqlite:"+filepath.Join(t.TempDir(), "t.db"),
		"TALLYMAN_CONSOLE_URL=http://"+address, "TALLYMAN_OIDC_CLIENT_ID="+clientID, "TALLYMAN_LIMITS_FAILED_LOGINS=1000", "TALLYMAN_LOG_FORMAT=json")
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("web: %v\n%s", err, log)
		}
		for _, secret := range []string{clientSecret, "id_token", "eyJ"} {
			if strings.Contains(log.String(), secret) {
				t.Errorf("the log of web holds %q:\n%s", secret, log)
			}
		}
	})
	for deadline := time.Now().Add(30 * time.Second); ; {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/readyz", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return log
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("web is not ready: %v\n%s", err, log)
		}
	}
}

// browser keeps cookies for each host, secure ones on loopback as well, as browsers do.
type browser struct {
	t    *testing.T
	jars map[string]map[string]string
	// at is where the last answer came from.
	at   *url.URL
	code int
	body string
	to   string // Location
}

func newBrowser(t *testing.T) *browser {
	return &browser{t: t, jars: map[string]map[string]string{}}
}

// ask asks once, and follows nothing.
func (b *browser) ask(method, to string, form url.Values) {
	b.t.Helper()
	u, err := url.Parse(to)
	if err != nil {
		b.t.Fatal(err)
	}
	if b.at != nil {
		u = b.at.ResolveReference(u)
	}
	request, err := http.NewRequestWithContext(b.t.Context(), method, u.String(), strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range b.jars[u.Host] {
		request.Header.Add("Cookie", name+"="+value)
	}
	answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	if b.jars[u.Host] == nil {
		b.jars[u.Host] = map[string]string{}
	}
	for _, c := range answer.Cookies() {
		b.jars[u.Host][c.Name] = c.Value
		if c.MaxAge < 0 {
			delete(b.jars[u.Host], c.Name)
		}
	}
	b.at, b.code, b.body, b.to = u, answer.StatusCode, string(text), answer.Header.Get("Location")
}

// follow goes where answers lead, until one leads nowhere, or to a path that has stop in it.
func (b *browser) follow(stop string) {
	b.t.Helper()
	for range 10 {
		if b.to == "" || stop != "" && strings.Contains(b.to, stop) {
			return
		}
		b.ask(http.MethodGet, b.to, nil)
	}
	b.t.Fatalf("led around in circles: %s", b.to)
}
