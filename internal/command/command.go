// Package command builds the command line that our services share: the verb
// that serves, and config, healthcheck and version beside it.
//
// Exit codes never change: 0 all is well, 1 failed at run, 2 wrong usage, 78
// wrong configuration (EX_CONFIG of sysexits(3)).
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/tallyman-io/tallyman/internal/buildinfo"
	"github.com/tallyman-io/tallyman/internal/config"
	"github.com/tallyman-io/tallyman/internal/service"
)

// Exit codes of every program.
const (
	ExitOK     = 0
	ExitFailed = 1
	ExitUsage  = 2
	ExitConfig = 78
)

// Program is what one service adds to the common command line.
type Program[T Configuration] struct {
	// Name is the program's name, Short says in a line what it is.
	Name, Short string
	// Verb is the subcommand that serves, VerbShort says what it does.
	Verb, VerbShort string
	// Settings describe the configuration.
	Settings config.Program[T]
	// Start puts the application together; see service.Start.
	Start func(context.Context, Env[T]) (service.App, error)
	// Groups are subcommands of this program alone.
	Groups []Group[T]
}

// Configuration is the configuration of a service.
type Configuration interface{ Shared() config.Service }

// Env is what an application is put together from.
type Env[T Configuration] struct {
	Config T
	// Settings are those in force as they may be shown, each with where it was set.
	Settings []config.Value
	Log      zerolog.Logger
	Build    buildinfo.Info
	Now      func() time.Time
}

// Process is what the operating system gives a program.
type Process struct {
	// Args are the arguments without the program's name.
	Args []string
	// Environ is the environment, as os.Environ returns it.
	Environ        []string
	Stdout, Stderr io.Writer
	// Signals begins to deliver SIGTERM and SIGINT, until the returned
	// function is called. nil leaves the signals alone.
	Signals func() (<-chan os.Signal, func())
	// Began is about when the program began.
	Began time.Time
}

// OS is the process that calls it.
func OS() Process {
	return Process{
		Args:    os.Args[1:],
		Environ: os.Environ(),
		Stdout:  os.Stdout,
		Stderr:  os.Stderr,
		Signals: func() (<-chan os.Signal, func()) {
			// Room for the first signal and the one that cuts it short.
			c := make(chan os.Signal, 2)
			signal.Notify(c, syscall.SIGTERM, os.Interrupt)
			return c, func() { signal.Stop(c) }
		},
		Began: time.Now(),
	}
}

// Run runs the program and returns its exit code. When ctx ends, a service
// stops as it does at SIGTERM.
func Run[T Configuration](ctx context.Context, p Program[T], proc Process) int {
	err := p.root(proc).ExecuteContext(ctx)
	var mistakes config.Mistakes
	var failure failed
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &mistakes):
		complain(proc.Stderr, "%s: the configuration has mistakes: %d\n%s\n", p.Name, len(mistakes), mistakes)
		return ExitConfig
	case errors.As(err, &failure):
		if !failure.logged {
			complain(proc.Stderr, "%s: %v\n", p.Name, failure.err)
		}
		return ExitFailed
	}
	// What is left comes from the parsing of the command line.
	complain(proc.Stderr, "%s: %v\nSee %s --help.\n", p.Name, err, p.Name)
	return ExitUsage
}

// complain writes to standard error. Where that fails there is nobody to tell.
func complain(stderr io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(stderr, format, args...)
}

// failed is the error of a command that was understood.
type failed struct {
	err error
	// logged says that the error has been told.
	logged bool
}

func (f failed) Error() string { return f.err.Error() }
func (f failed) Unwrap() error { return f.err }

// root is the command without a subcommand.
func (p Program[T]) root(proc Process) *cobra.Command {
	root := group(p.Name, p.Short)
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetArgs(proc.Args)
	root.SetOut(proc.Stdout)
	root.SetErr(proc.Stderr)
	root.AddCommand(p.verb(proc), p.config(proc), p.healthcheck(proc), p.version(proc))
	for _, g := range p.Groups {
		root.AddCommand(p.group(g, proc))
	}
	return root
}

// group is a command that needs a subcommand. Without one it shows its help,
// and fails: a service that was started without a verb must not look as if it
// had done its work.
func group(use, short string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				c.SetOut(c.ErrOrStderr())
				if err := c.Help(); err != nil {
					return failed{err: fmt.Errorf("show help: %w", err)}
				}
				return errors.New("a subcommand is missing")
			}
			if near := c.SuggestionsFor(args[0]); len(near) > 0 {
				return fmt.Errorf("unknown command %q for %q (did you mean %s?)", args[0], c.CommandPath(), near[0])
			}
			return fmt.Errorf("unknown command %q for %q", args[0], c.CommandPath())
		},
		SuggestionsMinimumDistance: 2,
	}
}

// load resolves the configuration from the flags of c and the environment.
func (p Program[T]) load(c *cobra.Command, proc Process) (config.Loaded[T], error) {
	loaded, err := p.Settings.Load(config.Input{Flags: c.Flags(), Environ: proc.Environ})
	if err != nil {
		return loaded, failed{err: err}
	}
	return loaded, nil
}
