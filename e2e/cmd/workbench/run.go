package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/tallyman-io/tallyman/e2e/workbench"
)

// commandFailed is the status of the command that was run.
type commandFailed struct{ code int }

func (c commandFailed) Error() string { return fmt.Sprintf("exit status %d", c.code) }

// run is main without the process: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	err := command(ctx, args, stdout, stderr)
	var failed commandFailed
	switch {
	case err == nil:
		return 0
	case errors.As(err, &failed):
		return failed.code
	default:
		fmt.Fprintln(stderr, "workbench:", err) //nolint:errcheck // nowhere left to say so
		return 1
	}
}

func command(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
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
	said := "base image: TALLYMAN_BASE"
	if os.Getenv("TALLYMAN_BASE") == "" { // whoever names a stand-in gets it
		if said, err = bench.Base(ctx, repository); err != nil {
			return err
		}
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
