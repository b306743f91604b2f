package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/tallyman-io/tallyman/internal/command"
	"github.com/tallyman-io/tallyman/internal/jobs/jobschema"
	"github.com/tallyman-io/tallyman/internal/store"
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

// published is a repository with one tagged image in a registry of its own.
func published(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(stdlog.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	repository := strings.TrimPrefix(server.URL, "http://") + "/tallyman/web"
	publish(t, repository, "v1.2.3")
	return repository
}

// publicKey is a file with a key that nothing is signed with.
func publicKey(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key.pub")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// publish pushes an image of its own under the tag.
func publish(t *testing.T, repository, version string) {
	t.Helper()
	tag, err := name.NewTag(repository + ":" + version)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := random.Image(100, 1)
	if err != nil {
		t.Fatal(err)
	}
	config, err := layers.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", "amd64"
	image, err := mutate.ConfigFile(layers, config)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, image, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
}

func ready(t *testing.T, url string) bool {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/readyz", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// eventually polls until done holds.
func eventually(t *testing.T, what string, log *output, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not in time\n%s", what, log.String())
		}
	}
}

func TestWorkerLooksAtItsRepositoriesUntilItIsStopped(t *testing.T) {
	t.Parallel()
	repository, listen := published(t), freeAddress(t)
	url := "sqlite:" + filepath.Join(t.TempDir(), "t.db")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var log output
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, command.Process{
			Args:    []string{"run", "--listen", listen, "--repositories", repository},
			Environ: []string{"TALLYMAN_DATABASE_URL=" + url},
			Stdout:  io.Discard, Stderr: &log, Began: time.Now(),
		})
	}()
	eventually(t, "ready", &log, func() bool { return ready(t, "http://"+listen) })
	db, err := store.Open(t.Context(), url, store.Options{Queue: jobschema.River{}})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "image noted", &log, func() bool {
		images, err := db.Images(t.Context(), repository)
		if err != nil {
			t.Fatal(err)
		}
		return len(images) == 1
	})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	cancel()
	if code := <-ended; code != command.ExitOK {
		t.Errorf("exit code: got %d, want 0\n%s", code, log.String())
	}
	for line := range strings.Lines(log.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("log line is not JSON: %s", line)
		}
	}
}

func TestWorkerRefusesABadConfigurationNamingEveryMistake(t *testing.T) {
	t.Parallel()
	var stderr output
	code := run(t.Context(), command.Process{
		Args:    []string{"run", "--repositories=alpine,ghcr.io/a/b:v1", "--worker-concurrency=0"},
		Environ: []string{"TALLYMAN_DISCOVER_INTERVALL=1m"},
		Stdout:  io.Discard, Stderr: &stderr, Began: time.Now(),
	})
	if code != command.ExitConfig {
		t.Errorf("exit code: got %d, want %d", code, command.ExitConfig)
	}
	for _, want := range []string{
		"\nTALLYMAN_DISCOVER_INTERVALL: unknown variable (did you mean TALLYMAN_DISCOVER_INTERVAL?)",
		"\nrepositories[0]: ", "\nrepositories[1]: ", "\nworker.concurrency: ",
	} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("stderr: want a line that begins with %q in\n%s", strings.TrimSpace(want), stderr.String())
		}
	}
}

func TestWorkerWithoutRepositoriesSaysSo(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	listen := freeAddress(t)
	var log output
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, command.Process{
			Args:    []string{"run", "--listen", listen},
			Environ: []string{"TALLYMAN_DATABASE_URL=sqlite:" + filepath.Join(t.TempDir(), "t.db")},
			Stdout:  io.Discard, Stderr: &log, Began: time.Now(),
		})
	}()
	eventually(t, "ready", &log, func() bool { return ready(t, "http://"+listen) })
	if !strings.Contains(log.String(), `"message":"no repository to look at"`) {
		t.Errorf("log: want a warning in\n%s", log.String())
	}
	cancel()
	if code := <-ended; code != command.ExitOK {
		t.Errorf("exit code: got %d, want 0\n%s", code, log.String())
	}
}

func TestWorkerLooksAtARepositoryThatItsRegistryTellsOf(t *testing.T) {
	t.Parallel()
	repository, listen := published(t), freeAddress(t)
	url := "sqlite:" + filepath.Join(t.TempDir(), "t.db")
	const secret = "0123456789abcdef0123456789abcdef"
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var log output
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, command.Process{
			Args: []string{
				"run", "--listen", listen, "--repositories", repository, "--discover-interval", "24h",
				"--trust-keys", publicKey(t), "--advisories-source", "file://" + t.TempDir(),
			},
			Environ: []string{"TALLYMAN_DATABASE_URL=" + url, "TALLYMAN_HOOKS_SECRET=" + secret},
			Stdout:  io.Discard, Stderr: &log, Began: time.Now(),
		})
	}()
	eventually(t, "ready", &log, func() bool { return ready(t, "http://"+listen) })
	db, err := store.Open(t.Context(), url, store.Options{Queue: jobschema.River{}})
	if err != nil {
		t.Fatal(err)
	}
	known := func(n int) func() bool {
		return func() bool {
			images, err := db.Images(t.Context(), repository)
			if err != nil {
				t.Fatal(err)
			}
			return len(images) == n
		}
	}
	eventually(t, "first look", &log, known(1))
	publish(t, repository, "v1.2.4")
	host, path, _ := strings.Cut(repository, "/")
	message := `{"events":[{"action":"push","target":{"repository":"` + path + `"},"request":{"host":"` + host + `"}}]}`
	// Told again until it is seen: the first look may still have been running.
	eventually(t, "look at what was pushed", &log, func() bool {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+listen+"/hooks/registry", strings.NewReader(message))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+secret)
		answer, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != http.StatusAccepted && answer.StatusCode != http.StatusTooManyRequests {
			t.Fatalf("got status %d, want 202", answer.StatusCode)
		}
		return known(2)()
	})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	cancel()
	if code := <-ended; code != command.ExitOK {
		t.Errorf("exit code: got %d, want 0\n%s", code, log.String())
	}
	if strings.Contains(log.String(), secret) {
		t.Error("the log has the secret")
	}
}
