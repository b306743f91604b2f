package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/e2e/workbench"
)

const (
	coldStarts   = 7                      // measured
	coldStartMax = 150 * time.Millisecond // from starting the container to the first 200 of /readyz
	endMax       = 5 * time.Second        // from SIGTERM to the end, when idle
)

func (s *suite) imageRuns(t *testing.T) { s.runImages(t, s.bench) }

// runImages runs both images of second as the bench can: by Docker or by runc.
func (s *suite) runImages(t *testing.T, bench *workbench.Bench) {
	settings, err := workbench.ReadSettings(s.repository)
	must(t, err)
	for _, service := range []string{"web", "worker"} {
		image := s.registry + "/" + service
		pulled, err := bench.Pull(t.Context(), image+"@"+string(s.released[second][image].Image.Digest))
		must(t, err)
		want := settings.Services[service]
		if diff := cmp.Diff(want.Entrypoint, pulled.Config.Entrypoint); diff != "" {
			t.Errorf("entrypoint of %s (-deploy/container.json +image):\n%s", service, diff)
		}
		if diff := cmp.Diff(want.Args, pulled.Config.Cmd); diff != "" {
			t.Errorf("command of %s (-deploy/container.json +image):\n%s", service, diff)
		}
		if pulled.Config.User != settings.User {
			t.Errorf("user of %s: got %q, want %q", service, pulled.Config.User, settings.User)
		}
		t.Run(service+" serves and ends", func(t *testing.T) { s.servesAndEnds(t, pulled, settings, service) })
		t.Run(service+" refuses a bad configuration", func(t *testing.T) { refusesBadConfiguration(t, pulled, settings, service) })
	}
	t.Run(commandImage+" verifies what was released", func(t *testing.T) { s.commandVerifies(t, bench, settings) })
}

// withDaemon makes a snapshot where GoReleaser finds a Docker daemon, and runs
// the released images by it.
func (s *suite) withDaemon(t *testing.T) {
	bench := s.newBench(t, withDocker)
	s.lendBase(bench)
	clone, err := bench.Clone(t.Context(), "clone")
	must(t, err)
	must(t, clone.Adopt(t.Context(), s.clone, second))
	var log output
	cmd := bench.GoReleaser(t.Context(), clone.Dir, &log, []string{"TALLYMAN_REGISTRY=" + s.registry}, "release", "--snapshot", "--clean", "--skip=archive,nfpm,sbom,sign")
	if err := cmd.Run(); err != nil {
		t.Fatalf("snapshot of %s with a Docker daemon: %v\n%s", second, err, &log)
	}
	s.wantReleasedDigests(t, clone.Dir, second)
	loaded, err := bench.DockerImages(t.Context())
	must(t, err)
	for _, image := range s.images() {
		for _, arch := range []string{"amd64", "arm64"} {
			if want := image + ":sha-" + s.commits[second] + "-" + arch; !strings.Contains(loaded, want) {
				t.Errorf("%s is not in what Docker loaded:\n%s", want, loaded)
			}
		}
	}
	s.runImages(t, bench)
}

// stateFolder is a folder that the image's user may write to.
func stateFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if os.Geteuid() == 0 {
		must(t, os.Chown(dir, 65532, 65532))
	} else {
		must(t, os.Chmod(dir, 0o777))
	}
	// The folder above belongs to the test; the user of the image passes through.
	must(t, os.Chmod(filepath.Dir(dir), 0o755))
	return dir
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

func (s *suite) servesAndEnds(t *testing.T, img *workbench.Image, settings workbench.Settings, service string) {
	state := stateFolder(t)
	starts := make([]time.Duration, 0, coldStarts)
	for i := range coldStarts {
		address := freeAddress(t)
		var log output
		start := time.Now()
		container, err := img.Start(settings, fmt.Sprintf("tallyman-%s-%d-%d", service, os.Getpid(), i), state, []string{"TALLYMAN_LISTEN=" + address}, &log)
		must(t, err)
		if err := workbench.AwaitReady(t.Context(), "http://"+address+"/readyz", container.Ended()); err != nil {
			t.Fatalf("%v\n%s", err, &log)
		}
		starts = append(starts, time.Since(start))
		if i == 0 {
			wantConfined(t, container, settings)
			if said, err := container.Exec(t.Context(), settings.Services[service].Healthcheck...); err != nil {
				t.Errorf("healthcheck: got %v: %s, want success", err, said)
			}
		}
		wantEnd(t, container, &log)
	}
	fresh := starts[0]
	slices.Sort(starts)
	median := starts[len(starts)/2]
	// Docker's client and daemon take longer than any service of ours to start.
	if service == "web" && img.Engine() == "runc" && median > coldStartMax {
		t.Errorf("cold start of web: got median %s of %v, want at most %s", median, starts, coldStartMax)
	}
	line := map[string]string{"docker": "3c", "runc": "7"}[img.Engine()]
	s.figures[line] += fmt.Sprintf("%s by %s: cold start %s (new database %s); ", service, img.Engine(), median.Round(time.Millisecond), fresh.Round(time.Millisecond))
}

// wantConfined asserts from outside what the container is allowed.
func wantConfined(t *testing.T, container *workbench.Container, settings workbench.Settings) {
	t.Helper()
	pid, err := container.Pid(t.Context())
	must(t, err)
	status, err := os.ReadFile("/proc/" + pid + "/status")
	must(t, err)
	uid, gid, _ := strings.Cut(settings.User, ":")
	for _, want := range []string{
		"Uid:\t" + strings.Join([]string{uid, uid, uid, uid}, "\t"),
		"Gid:\t" + strings.Join([]string{gid, gid, gid, gid}, "\t"),
		"CapEff:\t0000000000000000",
		"CapPrm:\t0000000000000000",
		"CapBnd:\t0000000000000000",
		"NoNewPrivs:\t1",
	} {
		if !strings.Contains(string(status), want) {
			t.Errorf("/proc/%s/status: %q is not in\n%s", pid, want, status)
		}
	}
	mounts, err := os.ReadFile("/proc/" + pid + "/mountinfo")
	must(t, err)
	readOnly := slices.ContainsFunc(strings.Split(string(mounts), "\n"), func(line string) bool {
		fields := strings.Fields(line)
		return len(fields) > 5 && fields[4] == "/" && slices.Contains(strings.Split(fields[5], ","), "ro")
	})
	if !readOnly {
		t.Errorf("/proc/%s/mountinfo: the root file system is not read-only:\n%s", pid, mounts)
	}
}

func wantEnd(t *testing.T, container *workbench.Container, log *output) {
	t.Helper()
	start := time.Now()
	must(t, container.Signal(t.Context(), "TERM"))
	ctx, cancel := context.WithTimeout(t.Context(), endMax)
	defer cancel()
	code, err := container.Wait(ctx)
	if err != nil || code != 0 {
		t.Errorf("after SIGTERM and %s: got exit status %d, %v, want 0\n%s", time.Since(start).Round(time.Millisecond), code, err, log)
	}
}

func refusesBadConfiguration(t *testing.T, img *workbench.Image, settings workbench.Settings, service string) {
	var log output
	container, err := img.Start(settings, fmt.Sprintf("tallyman-bad-%s-%d", service, os.Getpid()), stateFolder(t), []string{
		"TALLYMAN_LISTEN=nowhere", "TALLYMAN_LOG_LEVEL=loud", "TALLYMAN_DATABASE_URL=mysql://user:" + planted + "@db/x", "TALLYMAN_LOGFORMAT=json",
	}, &log)
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), endMax)
	defer cancel()
	code, err := container.Wait(ctx)
	if err != nil || code != 78 {
		t.Errorf("got exit status %d, %v, want 78", code, err)
	}
	for _, want := range []string{"listen", "TALLYMAN_LISTEN", "log.level", "TALLYMAN_LOG_LEVEL", "database.url", "TALLYMAN_LOGFORMAT"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%q is not in\n%s", want, &log)
		}
	}
	if strings.Contains(log.String(), planted) {
		t.Errorf("the password of database.url is in\n%s", &log)
	}
}

func asExit(err error, exit **exec.ExitError) bool { return errors.As(err, exit) }

// deployments runs the manifests' own tests: they decode with the platforms' own
// types and are held to deploy/container.json, which line 7 runs with.
func (s *suite) deployments(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-v", "./deploy", "./workflows")
	cmd.Dir = filepath.Join(s.repository, "e2e")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go test ./deploy ./workflows: %v\n%s", err, out)
	}
	s.figures["10"] = fmt.Sprintf("%d tests", strings.Count(string(out), "--- PASS"))
}
