package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tallyman-io/tallyman/internal/buildinfo"
)

// Group are tasks of one program under a common name.
type Group[T Configuration] struct {
	Name, Short string
	Tasks       []Task[T]
}

// Task is a subcommand that does one thing, with the configuration of the service, and
// ends.
type Task[T Configuration] struct {
	// Use is its name and what it takes; Short says in a line what it does, Long the
	// rest.
	Use, Short, Long string
	// Args is how many arguments it takes.
	Args int
	// Flags adds flags of its own. It may be nil.
	Flags func(*pflag.FlagSet)
	// Run does it. Its context ends at SIGTERM and SIGINT.
	Run func(ctx context.Context, e Env[T], c Call) error
}

// Call is how a task was called.
type Call struct {
	Args           []string
	Stdout, Stderr io.Writer
}

// errInterrupted is the cause of a context that a signal ended.
var errInterrupted = errors.New("interrupted")

func (p Program[T]) group(g Group[T], proc Process) *cobra.Command {
	c := group(g.Name, g.Short)
	p.Settings.AddFlags(c.PersistentFlags())
	for _, t := range g.Tasks {
		c.AddCommand(p.task(t, proc))
	}
	return c
}

func (p Program[T]) task(t Task[T], proc Process) *cobra.Command {
	c := &cobra.Command{
		Use: t.Use, Short: t.Short, Long: t.Long, Args: cobra.ExactArgs(t.Args),
		RunE: func(c *cobra.Command, args []string) error {
			loaded, err := p.load(c, proc)
			if err != nil {
				return err
			}
			ctx, stop := untilSignal(c.Context(), proc)
			defer stop()
			env := Env[T]{
				Config: loaded.Config, Log: zerolog.Nop(), Now: time.Now,
				Build: buildinfo.Read(loaded.Config.Shared().ImageDigest),
			}
			if err := t.Run(ctx, env, Call{Args: args, Stdout: proc.Stdout, Stderr: proc.Stderr}); err != nil {
				return failed{err: err}
			}
			return nil
		},
	}
	if t.Flags != nil {
		t.Flags(c.Flags())
	}
	return c
}

// untilSignal returns a context that ends at the first signal. From then on another one
// ends the process.
func untilSignal(ctx context.Context, proc Process) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	if proc.Signals == nil {
		return ctx, func() { cancel(nil) }
	}
	signals, restore := proc.Signals()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-signals:
			restore()
			cancel(errInterrupted)
		case <-ctx.Done():
			restore()
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-ended
	}
}

// Meter shows how far something is, in one line that changes, where a person looks on.
// The zero value shows nothing.
type Meter struct {
	w    io.Writer
	now  func() time.Time
	what string
	last time.Time
}

// meterEvery is how often the line changes.
const meterEvery = 100 * time.Millisecond

// NewMeter returns a meter that shows itself when w is a terminal.
func NewMeter(w io.Writer, now func() time.Time) *Meter {
	if f, ok := w.(*os.File); !ok || !isatty.IsTerminal(f.Fd()) {
		return new(Meter)
	}
	return &Meter{w: w, now: now}
}

// Show shows what is done, and how much of it. A total of 0 is not known.
func (m *Meter) Show(what string, done, total int64) {
	if m.w == nil {
		return
	}
	now := m.now()
	if what == m.what && done != total && now.Sub(m.last) < meterEvery {
		return
	}
	m.what, m.last = what, now
	line := what
	switch {
	case total > 0:
		line = fmt.Sprintf("%s: %d of %d", what, done, total)
	case done > 0:
		line = fmt.Sprintf("%s: %d", what, done)
	}
	complain(m.w, "\r\x1b[K%s", line)
}

// Clear takes the line away.
func (m *Meter) Clear() {
	if m.w != nil {
		complain(m.w, "\r\x1b[K")
	}
}
