package workbench

import (
	"context"
	"crypto/rand"
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
	"sync"
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

// Service is a worker or web of the bench that runs.
type Service struct {
	Address string // host:port
	Log     string // a file
	stop    func() error
}

// Stop ends the service, which closing the bench does too. It may be called twice.
func (s *Service) Stop() error { return s.stop() }

// Console is a web of the bench, and how to sign in to it.
type Console struct {
	Address string // host:port
	// Token is that of an operator, for a day.
	Token string
	stop  func() error
}

// Stop ends the console, as [Service.Stop] does.
func (c *Console) Stop() error { return c.stop() }

// Services starts worker and web, as built into a GoReleaser dist folder, on
// one SQLite database of the bench. It returns the console when both are ready.
func (b *Bench) Services(ctx context.Context, dist string, watching Watching) (Console, error) {
	worker, err := b.Worker(ctx, dist, watching)
	if err != nil {
		return Console{}, err
	}
	console, err := b.Console(ctx, dist)
	if err != nil {
		return Console{}, fmt.Errorf("%w (worker is at %s)", err, worker.Address)
	}
	return console, nil
}

// Console starts the web of a GoReleaser dist folder on the database of the bench, and
// returns when it is ready.
func (b *Bench) Console(ctx context.Context, dist string) (Console, error) {
	token := firstToken()
	web, err := b.service(ctx, dist, "web", "serve", "TALLYMAN_ACCESS_BOOTSTRAP_TOKEN="+token)
	if err != nil {
		return Console{}, err
	}
	return Console{Address: web.Address, Token: token, stop: web.stop}, nil
}

// firstToken is of the form that access.bootstrap_token takes.
func firstToken() string {
	return "tally_demo_" + strings.ToLower(rand.Text()+rand.Text())
}

// Worker starts the worker of a GoReleaser dist folder on the database of the bench, and
// returns when it is ready. It looks at the papers every second: what is done to one is
// seen at once.
func (b *Bench) Worker(ctx context.Context, dist string, watching Watching) (*Service, error) {
	return b.service(ctx, dist, "worker", "run", "TALLYMAN_REPOSITORIES="+strings.Join(watching.Repositories, ","),
		"TALLYMAN_TRUST_KEYS="+watching.PublicKey, "TALLYMAN_ADVISORIES_SOURCE="+watching.Advisories,
		"TALLYMAN_EVIDENCE_INTERVAL=1s", "TALLYMAN_DISCOVER_INTERVAL=10s")
}

func (b *Bench) service(ctx context.Context, dist, name, command string, env ...string) (*Service, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(b.Dir, name+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close() //nolint:errcheck // the process has its own handle
	pattern := filepath.Join(dist, name+"-binary_linux_"+runtime.GOARCH+"*", name)
	found, err := filepath.Glob(pattern)
	if err != nil || len(found) != 1 {
		return nil, fmt.Errorf("start %s: expected one %s, found %d: %w", name, pattern, len(found), err)
	}
	cmd := exec.Command(found[0], command) //nolint:noctx // ended by Stop, not by ctx
	cmd.Env = append(environment(), append(env, "TALLYMAN_LISTEN="+address, "TALLYMAN_DATABASE_URL="+b.Database())...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	service := &Service{Address: address, Log: log.Name(), stop: sync.OnceValue(func() error { return end(cmd, ended) })}
	b.onClose(service.Stop)
	if err := AwaitReady(ctx, "http://"+address+"/readyz", ended); err != nil {
		return nil, fmt.Errorf("start %s: %w; its log is %s", name, err, log.Name())
	}
	return service, nil
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
