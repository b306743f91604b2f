package workbench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	buildkitReady = 30 * time.Second // from start to the first answer
	buildkitEnd   = 20 * time.Second // from the signal to the end
)

// ErrNoBuilder means that this machine cannot build images for two platforms.
var ErrNoBuilder = errors.New("neither Docker with buildx nor root for BuildKit is to be had: " +
	"start Docker, or run as root on Linux")

// BuildKit gives the bench a builder of its own, with an empty cache: a
// container of the Docker that is there, or a BuildKit daemon where we are root.
func (b *Bench) BuildKit(ctx context.Context) error {
	b.Setenv("BUILDX_CONFIG", filepath.Join(b.Dir, "buildx"))
	b.Setenv("BUILDX_BUILDER", "tallyman")
	root := os.Geteuid() == 0
	if b.dockerWorks(ctx) {
		err := b.dockerBuilder(ctx)
		if err == nil || !root {
			return err
		}
		fmt.Fprintf(b.Log, "Docker gives no builder, so BuildKit is started by hand: %v\n", err) //nolint:errcheck // progress
	}
	if !root {
		return ErrNoBuilder
	}
	return b.buildkitd(ctx)
}

// searchPath is PATH without the stand-in for docker, which `make` may have put first.
func searchPath() []string {
	return slices.DeleteFunc(filepath.SplitList(os.Getenv("PATH")), func(dir string) bool {
		return strings.HasSuffix(filepath.ToSlash(dir), "/build/shim")
	})
}

// DockerClient is the file of the Docker client, and false where there is none but the
// stand-in.
func DockerClient() (string, bool) {
	for _, dir := range searchPath() {
		if found, err := exec.LookPath(filepath.Join(dir, "docker")); err == nil {
			return found, true
		}
	}
	return "", false
}

// docker prepares a command of the Docker client, for the bench's daemon.
func (b *Bench) docker(ctx context.Context, args ...string) *exec.Cmd {
	client, ok := DockerClient()
	if !ok {
		client = "docker"
	}
	cmd := exec.CommandContext(ctx, client, args...)
	cmd.Env = append(os.Environ(), b.env...)
	return cmd
}

// dockerWorks reports whether there is a Docker daemon, and a client that can
// build with it.
func (b *Bench) dockerWorks(ctx context.Context) bool {
	return b.docker(ctx, "info").Run() == nil && b.docker(ctx, "buildx", "version").Run() == nil
}

// dockerBuilder runs BuildKit as a container, on the host's network so that it
// reaches a registry on loopback. The image is the one that releases are built
// with.
func (b *Bench) dockerBuilder(ctx context.Context) error {
	workflow, err := os.ReadFile(filepath.Join(b.repository, ".github", "workflows", "release.yml"))
	if err != nil {
		return err
	}
	image := regexp.MustCompile(`image=moby/buildkit:\S+@sha256:[0-9a-f]{64}`).Find(workflow)
	if image == nil {
		return errors.New(".github/workflows/release.yml: expected driver-opts: image=moby/buildkit:…@sha256:…")
	}
	return b.createBuilder(ctx, "--driver", "docker-container", "--driver-opt", "network=host", "--driver-opt", string(image), "--bootstrap")
}

func (b *Bench) buildkitd(ctx context.Context) error {
	runc, err := b.Tools.Path("runc")
	if err != nil {
		return err
	}
	daemon, err := b.Tools.Path("buildkitd")
	if err != nil {
		return err
	}
	socket := "unix://" + filepath.Join(b.Dir, "buildkitd.sock")
	log, err := os.Create(filepath.Join(b.Dir, "buildkitd.log"))
	if err != nil {
		return err
	}
	defer log.Close()                                                                         //nolint:errcheck // the daemon has its own handle
	cmd := exec.Command(daemon, "--addr", socket, "--root", filepath.Join(b.Dir, "buildkit"), //nolint:noctx // ended by Close, not by ctx
		"--oci-worker-binary", runc, "--oci-worker-net", "host", "--config", os.DevNull)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// The daemon takes its OCI worker for absent when there is no runc on PATH.
	cmd.Env = append(os.Environ(), "TMPDIR="+b.Dir, "PATH="+filepath.Dir(runc)+string(os.PathListSeparator)+os.Getenv("PATH"))
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start buildkitd: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	b.onClose(func() error { return end(cmd, ended) })
	if err := b.awaitBuildkit(ctx, socket, ended); err != nil {
		return fmt.Errorf("%w; its log is %s", err, log.Name())
	}
	path := append([]string{b.Tools.Dir}, searchPath()...)
	if !b.dockerWorks(ctx) {
		// There may still be a `docker` that cannot build: the stand-in goes first.
		path = append([]string{filepath.Join(b.repository, "build", "shim")}, path...)
	}
	b.Setenv("PATH", strings.Join(path, string(os.PathListSeparator)))
	return b.createBuilder(ctx, "--driver", "remote", socket)
}

func (b *Bench) awaitBuildkit(ctx context.Context, socket string, ended <-chan error) error {
	ctx, cancel := context.WithTimeout(ctx, buildkitReady)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := b.Tools.Run(ctx, "buildctl", "--addr", socket, "debug", "workers"); err == nil {
			return nil
		}
		select {
		case err := <-ended:
			return fmt.Errorf("buildkitd ended at once: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("buildkitd did not answer in %s", buildkitReady)
		case <-tick.C:
		}
	}
}

func (b *Bench) createBuilder(ctx context.Context, args ...string) error {
	tools := b.Tools
	tools.Env = b.Env()
	if _, err := tools.Run(ctx, "buildx", append([]string{"create", "--name", "tallyman", "--use"}, args...)...); err != nil {
		// A builder that could not be booted is registered all the same.
		_, _ = tools.Run(ctx, "buildx", "rm", "--force", "tallyman")
		return fmt.Errorf("create a builder: %w", err)
	}
	b.onClose(func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), buildkitEnd)
		defer cancel()
		_, err := tools.Run(ctx, "buildx", "rm", "--force", "tallyman")
		return err
	})
	return nil
}

// end asks a process to end and, when it does not, kills it. Being ended by our
// signal is no error.
func end(cmd *exec.Cmd, ended <-chan error) error {
	if err := cmd.Process.Signal(syscall.SIGTERM); errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	timer := time.NewTimer(buildkitEnd)
	defer timer.Stop()
	select {
	case err := <-ended:
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			return err
		}
		return nil
	case <-timer.C:
		err := cmd.Process.Kill()
		return errors.Join(fmt.Errorf("%s did not end in %s and was killed", filepath.Base(cmd.Path), buildkitEnd), err, <-ended)
	}
}
