package workbench

import (
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// GoReleaser prepares `goreleaser ARGS` in a folder with the bench's
// environment, in a process group of its own, so that killing it kills what it
// runs. env comes last and wins.
func (b *Bench) GoReleaser(ctx context.Context, dir string, out io.Writer, env []string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(b.Tools.Dir, "goreleaser"), args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	cmd.Env = slices.Concat(environment(), []string{noVulndb}, b.env, env)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// noVulndb has the gate of a release on a bench ask nobody outside.
const noVulndb = "TALLYMAN_GATE_VULNDB=off"

// environment is the process's, less what would make a release on a bench a
// release of the real thing.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(kv string) bool {
		key, _, _ := strings.Cut(kv, "=")
		return strings.HasPrefix(key, "GITHUB_") || strings.HasPrefix(key, "ACTIONS_") || strings.HasPrefix(key, "TALLYMAN_") ||
			strings.HasPrefix(key, "COSIGN_") || key == "GITLAB_TOKEN" || key == "GITEA_TOKEN" || key == "MAKEFLAGS" || key == "MAKELEVEL" || key == "MFLAGS"
	})
}
