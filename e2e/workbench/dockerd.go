package workbench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

const dockerReady = 60 * time.Second // from start to the first answer

// ErrNoDocker means that there is no Docker daemon and none can be started.
var ErrNoDocker = errors.New("no Docker daemon, and no dockerd on PATH or no root to start it")

// Dockerd gives the bench a Docker daemon: the one that is there, or one of its
// own, with the pinned buildx as the client's plugin.
func (b *Bench) Dockerd(ctx context.Context) error {
	if b.dockerWorks(ctx) {
		return nil
	}
	daemon, err := exec.LookPath("dockerd")
	if err != nil || os.Geteuid() != 0 {
		return ErrNoDocker
	}
	plugins := filepath.Join(b.Dir, "docker-config", "cli-plugins")
	if err := os.MkdirAll(plugins, 0o755); err != nil {
		return err
	}
	if err := os.Symlink(filepath.Join(b.Tools.Dir, "buildx"), filepath.Join(plugins, "docker-buildx")); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(b.Dir, "dockerd.log"))
	if err != nil {
		return err
	}
	defer log.Close() //nolint:errcheck // the daemon has its own handle
	socket := "unix://" + filepath.Join(b.Dir, "docker.sock")
	// No bridge and no firewall rules: what it runs is on the host's network.
	cmd := exec.Command(daemon, "--host", socket, "--data-root", filepath.Join(b.Dir, "docker"), "--exec-root", filepath.Join(b.Dir, "docker-exec"), //nolint:noctx // ended by Close, not by ctx
		"--pidfile", filepath.Join(b.Dir, "docker.pid"), "--bridge", "none", "--iptables=false", "--ip6tables=false")
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start dockerd: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	b.onClose(func() error {
		ended := end(cmd, ended)
		// The daemon leaves the host's network namespace mounted in its folder.
		namespace := filepath.Join(b.Dir, "docker-exec", "netns", "default")
		if err := syscall.Unmount(namespace, syscall.MNT_DETACH); err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, syscall.EINVAL) {
			return errors.Join(ended, fmt.Errorf("unmount %s: %w", namespace, err))
		}
		return ended
	})
	b.Setenv("DOCKER_HOST", socket)
	b.Setenv("DOCKER_CONFIG", filepath.Dir(plugins))
	return b.awaitDocker(ctx, ended, log.Name())
}

func (b *Bench) awaitDocker(ctx context.Context, ended <-chan error, log string) error {
	ctx, cancel := context.WithTimeout(ctx, dockerReady)
	defer cancel()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for b.docker(ctx, "info").Run() != nil {
		select {
		case err := <-ended:
			return fmt.Errorf("dockerd ended at once: %w; its log is %s", err, log)
		case <-ctx.Done():
			return errors.New("dockerd did not answer in " + dockerReady.String() + "; its log is " + log)
		case <-tick.C:
		}
	}
	return nil
}

// DockerImages lists the images of the bench's daemon as REPOSITORY:TAG.
func (b *Bench) DockerImages(ctx context.Context) (string, error) {
	out, err := b.docker(ctx, "images", "--format", "{{.Repository}}:{{.Tag}}").CombinedOutput()
	return string(out), err
}
