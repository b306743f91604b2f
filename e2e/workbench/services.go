package workbench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// serviceReady is how long a service may take from its start to ready.
const serviceReady = 30 * time.Second

// Watching is what a worker of the bench watches.
type Watching struct {
	Repositories []string
	PublicKey    string // a file
	Advisories   string // the URL of the feeds
}

// Services starts worker and web, as built into a GoReleaser dist folder, on
// one SQLite database of the bench. It returns the console's host:port when both are
// ready. The worker looks again every second: what is done to a paper is seen at once.
func (b *Bench) Services(ctx context.Context, dist string, watching Watching) (string, error) {
	database := b.Database()
	worker, err := b.service(ctx, dist, "worker", "run", "TALLYMAN_DATABASE_URL="+database,
		"TALLYMAN_REPOSITORIES="+strings.Join(watching.Repositories, ","), "TALLYMAN_TRUST_KEYS="+watching.PublicKey,
		"TALLYMAN_ADVISORIES_SOURCE="+watching.Advisories, "TALLYMAN_EVIDENCE_INTERVAL=1s", "TALLYMAN_DISCOVER_INTERVAL=10s")
	if err != nil {
		return "", err
	}
	web, err := b.service(ctx, dist, "web", "serve", "TALLYMAN_DATABASE_URL="+database)
	if err != nil {
		return "", fmt.Errorf("%w (worker is at %s)", err, worker)
	}
	return web, nil
}

func (b *Bench) service(ctx context.Context, dist, name, command string, env ...string) (string, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return "", err
	}
	log, err := os.Create(filepath.Join(b.Dir, name+".log"))
	if err != nil {
		return "", err
	}
	defer log.Close() //nolint:errcheck // the process has its own handle
	pattern := filepath.Join(dist, name+"-binary_linux_"+runtime.GOARCH+"*", name)
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) != 1 {
		return "", fmt.Errorf("start %s: expected one %s, found %d: %w", name, pattern, len(found), err)
	}
	cmd := exec.Command(found[0], command) //nolint:noctx // ended by Close, not by ctx
	cmd.Env = append(environment(), append(env, "TALLYMAN_LISTEN="+address)...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("start %s: %w", name, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	b.onClose(func() error { return end(cmd, ended) })
	if err := AwaitReady(ctx, "http://"+address+"/readyz", ended); err != nil {
		return "", fmt.Errorf("start %s: %w; its log is %s", name, err, log.Name())
	}
	return address, nil
}

// AwaitReady waits until url answers 200, the process behind it ends, or the
// time is over.
func AwaitReady(ctx context.Context, url string, ended <-chan error) error {
	ctx, cancel := context.WithTimeout(ctx, serviceReady)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if status(ctx, url) == http.StatusOK {
			return nil
		}
		select {
		case err := <-ended:
			return fmt.Errorf("it ended before it was ready: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("%s did not answer 200 in %s", url, serviceReady)
		case <-tick.C:
		}
	}
}

// status is the status that url answers with, 0 when it does not answer.
func status(ctx context.Context, url string) int {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0
	}
	response, err := (&http.Client{Timeout: serviceReady}).Do(request)
	if err != nil {
		return 0
	}
	_, err = io.Copy(io.Discard, response.Body)
	if errors.Join(err, response.Body.Close()) != nil {
		return 0
	}
	return response.StatusCode
}

func freeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}
