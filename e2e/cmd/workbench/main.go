// Workbench runs one command in the repository's root with a builder for two
// platforms at hand, and ends the builder afterwards:
//
//	go run ./cmd/workbench goreleaser release --snapshot --clean
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/tallyman-io/tallyman/e2e/workbench"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	var failed commandFailed
	switch {
	case err == nil:
	case errors.As(err, &failed):
		os.Exit(failed.code)
	default:
		fmt.Fprintln(os.Stderr, "workbench:", err) //nolint:errcheck // nowhere left to say so
		os.Exit(1)
	}
}

// commandFailed is the status of the command that was run.
type commandFailed struct{ code int }

func (c commandFailed) Error() string { return fmt.Sprintf("exit status %d", c.code) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	if len(args) == 0 {
		return errors.New("expected a command to run")
	}
	repository, err := filepath.Abs("..")
	if err != nil {
		return err
	}
	bench, err := workbench.New(filepath.Join(repository, ".e2e", "workbench"), repository, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bench.Close()) }()
	if err := bench.BuildKit(ctx); err != nil {
		return err
	}
	said, err := bench.Base(ctx, repository)
	if err != nil {
		return err
	}
	fmt.Fprintln(stderr, said) //nolint:errcheck // progress for people
	path, err := bench.Tools.Path(args[0])
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, path, args[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = repository, stdout, stderr
	cmd.Env = append(os.Environ(), bench.Env()...)
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return commandFailed{exit.ExitCode()}
	}
	return err
}
