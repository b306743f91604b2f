// Package tool runs the pinned commands that a release is made with (cosign,
// syft, goreleaser) and says what they said when they fail.
package tool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Box finds and runs commands. The zero value looks on PATH only and inherits
// the environment.
type Box struct {
	// Dir is where `make tools` leaves the pinned commands. A command that is
	// there wins over one of the same name on PATH.
	Dir string
	// Env is added to the process's environment; a later entry wins.
	Env []string
	// Progress, when set, is given what a command prints, as it prints it.
	Progress io.Writer
}

// Failure is a command that ended with a non-zero status.
type Failure struct {
	Name   string
	Code   int
	Stderr string
}

// Error gives the command and the last lines that it printed.
func (f *Failure) Error() string {
	return fmt.Sprintf("%s: exit status %d: %s", f.Name, f.Code, tail(f.Stderr, 12))
}

// Path resolves a command's name.
func (b Box) Path(name string) (string, error) {
	if b.Dir != "" {
		p := filepath.Join(b.Dir, name)
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return p, nil
		}
	}
	p, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("find %s in %q or on PATH: %w (`make tools` builds it)", name, b.Dir, err)
	}
	return p, nil
}

// Run runs the command and returns its standard output. On a non-zero status
// the error is a [*Failure]. When ctx ends, the command gets an interrupt and
// five seconds.
func (b Box) Run(ctx context.Context, name string, args ...string) ([]byte, error) {
	path, err := b.Path(name)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = append(os.Environ(), b.Env...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if b.Progress != nil {
		cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, b.Progress), io.MultiWriter(&errOut, b.Progress)
	}
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return out.Bytes(), nil
	case ctx.Err() != nil:
		return out.Bytes(), fmt.Errorf("%s: %w", name, context.Cause(ctx))
	case errors.As(err, &exit):
		return out.Bytes(), &Failure{Name: name, Code: exit.ExitCode(), Stderr: errOut.String()}
	default:
		return out.Bytes(), fmt.Errorf("%s: %w", name, err)
	}
}

func tail(s string, lines int) string {
	all := strings.Split(strings.TrimSpace(s), "\n")
	if len(all) > lines {
		all = all[len(all)-lines:]
	}
	return strings.Join(all, "\n")
}
