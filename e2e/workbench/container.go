package workbench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Settings are the container settings that every deployment names:
// deploy/container.json.
type Settings struct {
	User                   string   `json:"user"`
	ReadOnlyRootFilesystem bool     `json:"readOnlyRootFilesystem"`
	NoNewPrivileges        bool     `json:"noNewPrivileges"`
	CapDrop                []string `json:"capDrop"`
	CapAdd                 []string `json:"capAdd"`
	Services               map[string]struct {
		Entrypoint  []string `json:"entrypoint"`
		Args        []string `json:"args"`
		Healthcheck []string `json:"healthcheck"`
	} `json:"services"`
}

// ReadSettings reads deploy/container.json of a checkout.
func ReadSettings(repository string) (Settings, error) {
	content, err := os.ReadFile(filepath.Join(repository, "deploy", "container.json"))
	if err != nil {
		return Settings{}, err
	}
	var s Settings
	if err := json.Unmarshal(content, &s); err != nil {
		return Settings{}, fmt.Errorf("deploy/container.json: %w", err)
	}
	return s, nil
}

// Image is a pulled image for this machine's platform.
type Image struct {
	Config v1.Config
	// Args stand in for the image's own command when there are any.
	Args   []string
	ref    string
	bundle string
	bench  *Bench
}

// Pull pulls an image by digest, for Docker where there is one, and else
// unpacks it for runc.
func (b *Bench) Pull(ctx context.Context, ref string) (*Image, error) {
	digest, err := name.NewDigest(ref)
	if err != nil {
		return nil, err
	}
	pulled, err := remote.Image(digest, remote.WithContext(ctx), remote.WithPlatform(v1.Platform{OS: "linux", Architecture: runtime.GOARCH}))
	if err != nil {
		return nil, fmt.Errorf("pull %s: %w", ref, err)
	}
	config, err := pulled.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("pull %s: %w", ref, err)
	}
	img := &Image{Config: config.Config, ref: ref, bench: b}
	if b.dockerWorks(ctx) {
		if out, err := b.docker(ctx, "pull", "--quiet", ref).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("docker pull %s: %w: %s", ref, err, out)
		}
		return img, nil
	}
	img.bundle, err = os.MkdirTemp(b.Dir, "bundle-")
	if err != nil {
		return nil, err
	}
	files := mutate.Extract(pulled)
	defer files.Close()
	rootfs := filepath.Join(img.bundle, "rootfs")
	if err := os.Mkdir(rootfs, 0o755); err != nil {
		return nil, err
	}
	unpacking := exec.CommandContext(ctx, "tar", "-x", "--numeric-owner", "-p", "-C", rootfs)
	unpacking.Stdin = files
	if out, err := unpacking.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("unpack %s: %w: %s", ref, err, out)
	}
	return img, nil
}

// Engine is what runs the image: "docker" or "runc".
func (i *Image) Engine() string {
	if i.bundle == "" {
		return "docker"
	}
	return "runc"
}

// Container is a container of the image, on the host's network.
type Container struct {
	id    string
	image *Image
	cmd   *exec.Cmd
	ended chan error
}

// Start runs the image with its own entrypoint, command and user under the
// settings; data is mounted where the image keeps its state. The container's
// output goes to out.
func (i *Image) Start(settings Settings, id, data string, env []string, out io.Writer) (*Container, error) {
	var cmd *exec.Cmd
	if i.Engine() == "docker" {
		cmd = i.docker(settings, id, data, env)
	} else {
		if err := i.writeSpec(settings, data, env); err != nil {
			return nil, err
		}
		runc, err := i.bench.Tools.Path("runc")
		if err != nil {
			return nil, err
		}
		cmd = exec.Command(runc, "--root", filepath.Join(i.bench.Dir, "runc"), "run", "--bundle", i.bundle, id) //nolint:noctx // ended by Stop
	}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("run %s: %w", i.ref, err)
	}
	c := &Container{id: id, image: i, cmd: cmd, ended: make(chan error, 1)}
	go func() { c.ended <- cmd.Wait() }()
	return c, nil
}

func (i *Image) docker(s Settings, id, data string, env []string) *exec.Cmd {
	args := []string{"run", "--rm", "--name", id, "--network", "host", "--user", s.User, "--volume", data + ":" + i.Config.WorkingDir}
	if s.ReadOnlyRootFilesystem {
		args = append(args, "--read-only")
	}
	if s.NoNewPrivileges {
		args = append(args, "--security-opt", "no-new-privileges")
	}
	for _, c := range s.CapDrop {
		args = append(args, "--cap-drop", c)
	}
	for _, kv := range env {
		args = append(args, "--env", kv)
	}
	return i.bench.docker(context.Background(), append(append(args, i.ref), i.Args...)...) // ended by a signal to the container
}

// writeSpec writes the OCI runtime bundle's config.json
// (https://github.com/opencontainers/runtime-spec/blob/main/config.md).
func (i *Image) writeSpec(s Settings, data string, env []string) error {
	var uid, gid int
	if _, err := fmt.Sscanf(s.User, "%d:%d", &uid, &gid); err != nil {
		return fmt.Errorf("user %q: expected UID:GID: %w", s.User, err)
	}
	type object = map[string]any
	mount := func(destination, kind, source string, options ...string) object {
		return object{"destination": destination, "type": kind, "source": source, "options": options}
	}
	none, command := []string{}, i.Config.Cmd
	if len(i.Args) > 0 {
		command = i.Args
	}
	spec := object{
		"ociVersion": "1.2.0",
		"process": object{
			"user":            object{"uid": uid, "gid": gid},
			"args":            slices.Concat(i.Config.Entrypoint, command),
			"env":             slices.Concat(i.Config.Env, env),
			"cwd":             i.Config.WorkingDir,
			"noNewPrivileges": s.NoNewPrivileges,
			"capabilities":    object{"bounding": none, "effective": none, "permitted": none, "inheritable": none, "ambient": none},
		},
		"root": object{"path": "rootfs", "readonly": s.ReadOnlyRootFilesystem},
		"mounts": []object{
			mount("/proc", "proc", "proc", "nosuid", "noexec", "nodev"),
			mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
			mount(i.Config.WorkingDir, "bind", data, "rbind", "rw", "nosuid", "nodev"),
		},
		"linux": object{"namespaces": []object{{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}}},
	}
	content, err := json.Marshal(spec)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(i.bundle, "config.json"), content, 0o600)
}

// Ended is closed over by [AwaitReady]: it gives the container's end.
func (c *Container) Ended() <-chan error { return c.ended }

// engine runs a command of the engine on the container.
func (c *Container) engine(ctx context.Context, args ...string) ([]byte, error) {
	if c.image.Engine() == "docker" {
		return c.image.bench.docker(ctx, args...).CombinedOutput()
	}
	runc, err := c.image.bench.Tools.Path("runc")
	if err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, runc, append([]string{"--root", filepath.Join(c.image.bench.Dir, "runc")}, args...)...).CombinedOutput()
}

// Exec runs a command inside the container.
func (c *Container) Exec(ctx context.Context, args ...string) (string, error) {
	out, err := c.engine(ctx, append([]string{"exec", c.id}, args...)...)
	return string(out), err
}

// Pid is the process ID, on this machine, of the container's first process.
func (c *Container) Pid(ctx context.Context) (string, error) {
	if c.image.Engine() == "docker" {
		out, err := c.engine(ctx, "inspect", "--format", "{{.State.Pid}}", c.id)
		return strings.TrimSpace(string(out)), err
	}
	out, err := c.engine(ctx, "state", c.id)
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	var state struct {
		Pid int `json:"pid"`
	}
	if err := json.Unmarshal(out, &state); err != nil {
		return "", err
	}
	return fmt.Sprint(state.Pid), nil
}

// Signal sends the container a signal by name, as TERM or KILL.
func (c *Container) Signal(ctx context.Context, signal string) error {
	args := []string{"kill", c.id, signal}
	if c.image.Engine() == "docker" {
		args = []string{"kill", "--signal", signal, c.id}
	}
	if out, err := c.engine(ctx, args...); err != nil {
		return fmt.Errorf("signal %s: %w: %s", c.id, err, out)
	}
	return nil
}

// Wait waits for the container's end and returns its exit status.
func (c *Container) Wait(ctx context.Context) (int, error) {
	select {
	case err := <-c.ended:
		c.ended <- err
		var exit *exec.ExitError
		switch {
		case err == nil:
			return 0, nil
		case errors.As(err, &exit):
			return exit.ExitCode(), nil
		default:
			return -1, err
		}
	case <-ctx.Done():
		return -1, fmt.Errorf("%s did not end: %w", c.id, ctx.Err())
	}
}
