package sigstoretest

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	// ready is how long a server may take from its start to its first answer.
	ready = 30 * time.Second
	// building is how long a command may take to be built, with nothing in Go's cache.
	building = 15 * time.Minute
	// running is how long a run of cosign may take.
	running = time.Minute
)

// GoTool returns the file of a command that the go.mod in a folder pins by a tool
// directive. Go builds it, and keeps it in its cache.
func GoTool(t testing.TB, folder, tool string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), building)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "tool", "-n", tool)
	cmd.Dir = folder
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("build %s: %v\n%s", tool, err, &stderr)
	}
	return strings.TrimSpace(string(out))
}

// Cosign is the file of the cosign command.
type Cosign string

// Run runs cosign, which finds no cache and no token but what is named. The test
// fails if it does.
func (c Cosign) Run(t testing.TB, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), running)
	defer cancel()
	cmd := exec.CommandContext(ctx, string(c), args...)
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+home, "TUF_ROOT="+filepath.Join(home, "tuf"), "COSIGN_PASSWORD=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cosign %s: %v\n%s", args[0], err, out)
	}
}

// command is a server to start.
type command struct {
	name, path string
	args, env  []string
	// ready is the URL that answers 200 when it has started.
	ready string
}

// run starts a server and waits until it is ready. It ends with the deployment.
func (d *Deployment) run(t testing.TB, c command) {
	t.Helper()
	log, err := os.Create(filepath.Join(d.dir, c.name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() //nolint:errcheck // the process has its own handle
	ctx, stop := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, c.path, c.args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = d.dir, log, log
	cmd.Env = append(os.Environ(), c.env...)
	if err := cmd.Start(); err != nil {
		stop()
		t.Fatalf("start %s: %v", c.name, err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		// It is killed in the end: how it ended tells nothing.
		_ = cmd.Wait()
	}()
	d.ends = append(d.ends, func() {
		stop()
		<-ended
	})
	if problem := awaitReady(t.Context(), c.ready, ended); problem != "" {
		said, err := os.ReadFile(log.Name())
		t.Fatalf("start %s: %s\n%s%v", c.name, problem, said, err)
	}
}

// awaitReady waits until url answers 200. It returns what went wrong.
func awaitReady(ctx context.Context, url string, ended <-chan struct{}) string {
	ctx, cancel := context.WithTimeout(ctx, ready)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if status(ctx, url) == http.StatusOK {
			return ""
		}
		select {
		case <-ended:
			return "it ended before it was ready"
		case <-ctx.Done():
			return url + " did not answer 200 in " + ready.String()
		case <-tick.C:
		}
	}
}

// status is what url answers with, 0 when it does not answer.
func status(ctx context.Context, url string) int {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0
	}
	response, err := (&http.Client{Timeout: time.Second}).Do(request)
	if err != nil {
		return 0
	}
	response.Body.Close()
	return response.StatusCode
}

func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return listener.Addr().String()
}

func freeHostPort(t testing.TB) (host, port string) {
	t.Helper()
	host, port, err := net.SplitHostPort(freeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	return host, port
}
