package rebuild

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// patience is how long a command that was told to end may take: BuildKit has builds to
// stop.
const patience = 30 * time.Second

// run runs a command in a folder with exactly the environment that is given, in a
// process group of its own. When ctx ends, all of the group is told to end. It returns
// the standard output; an error has the last lines of what the command said.
func run(ctx context.Context, dir string, env []string, log io.Writer, name string, args ...string) (string, error) {
	path, err := lookPath(env, name)
	if err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, path, args...) //nolint:gosec // git, make and goreleaser, without a shell; what is foreign in args was checked
	cmd.Dir, cmd.Env = dir, env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = patience
	var out bytes.Buffer
	last := &lastLines{}
	cmd.Stdout, cmd.Stderr = &out, io.MultiWriter(last, log)
	if log != io.Discard {
		cmd.Stdout = io.MultiWriter(last, log)
	}
	err = cmd.Run()
	switch {
	case err == nil:
		return strings.TrimSpace(out.String()), nil
	case ctx.Err() != nil:
		return "", fmt.Errorf("%s: %w", name, context.Cause(ctx))
	default:
		return "", fmt.Errorf("%s %s: %w: %s", name, first(args), err, last)
	}
}

func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// lookPath finds a command on the PATH of env rather than on the process's.
func lookPath(env []string, name string) (string, error) {
	for i := len(env) - 1; i >= 0; i-- {
		path, isPath := strings.CutPrefix(env[i], "PATH=")
		if !isPath {
			continue
		}
		for _, dir := range strings.Split(path, ":") {
			if !strings.HasPrefix(dir, "/") {
				continue
			}
			if found, err := exec.LookPath(dir + "/" + name); err == nil {
				return found, nil
			}
		}
		break
	}
	return "", fmt.Errorf("find %s on PATH: %w", name, exec.ErrNotFound)
}

// lastLines keeps the end of what was written to it.
type lastLines struct{ kept []byte }

const (
	keptBytes = 4 << 10
	keptLines = 12
)

func (l *lastLines) Write(p []byte) (int, error) {
	l.kept = append(l.kept, p...)
	if len(l.kept) > 2*keptBytes {
		l.kept = append([]byte(nil), l.kept[len(l.kept)-keptBytes:]...)
	}
	return len(p), nil
}

// String is the last lines.
func (l *lastLines) String() string {
	lines := strings.Split(strings.TrimSpace(string(l.kept)), "\n")
	return strings.Join(lines[max(0, len(lines)-keptLines):], "\n")
}

var errNoBuilder = errors.New("no builder for two platforms: set BUILDX_BUILDER to one, start Docker with buildx, or run as root on Linux")
