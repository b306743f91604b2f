// Package logging makes the logger of a program.
//
// Messages are constant and in lower case; what varies goes into fields. The
// logger travels in the context: put it there with (zerolog.Logger).WithContext
// and take it out with zerolog.Ctx.
package logging

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
)

// Options say what is logged and how.
type Options struct {
	// Service is the program's name, a field of every line.
	Service string
	// Level is the least severe level that is written: trace, debug, info,
	// warn or error.
	Level string
	// Format is json, console, or auto: console when the writer is a
	// terminal, json otherwise.
	Format string
	// Needles are strings that are replaced wherever they would appear in a
	// line, the longest first: secrets that a library may put into an error.
	Needles []string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// New makes a logger that writes to w one line an event, each with its time in
// RFC 3339 with nanoseconds, UTC. It may be used by many goroutines.
func New(w io.Writer, o Options) (zerolog.Logger, error) {
	level, err := zerolog.ParseLevel(o.Level)
	if err != nil || level == zerolog.NoLevel {
		return zerolog.Nop(), fmt.Errorf("log level %q: expected trace, debug, info, warn or error", o.Level)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	console, err := wantsConsole(w, o.Format)
	if err != nil {
		return zerolog.Nop(), err
	}
	if len(o.Needles) > 0 {
		w = &scrubber{to: w, replace: replacer(o.Needles)}
	}
	w = zerolog.SyncWriter(w)
	if console {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: "15:04:05.000", TimeLocation: time.UTC}
	}
	return zerolog.New(w).Level(level).Hook(stamp(o.Now)).With().Str("service", o.Service).Logger(), nil
}

func wantsConsole(w io.Writer, format string) (bool, error) {
	switch format {
	case "json":
		return false, nil
	case "console":
		return true, nil
	case "auto":
		f, ok := w.(*os.File)
		return ok && isatty.IsTerminal(f.Fd()), nil
	}
	return false, fmt.Errorf("log format %q: expected auto, json or console", format)
}

// stamp adds the time to every event. zerolog's own timestamp takes its format
// from a variable of the package, which we do not own.
func stamp(now func() time.Time) zerolog.HookFunc {
	return func(e *zerolog.Event, _ zerolog.Level, _ string) {
		e.Str(zerolog.TimestampFieldName, now().UTC().Format(time.RFC3339Nano))
	}
}

// scrubber replaces secrets in what is written through it. Each call to Write
// is one whole line.
type scrubber struct {
	to      io.Writer
	replace *strings.Replacer
}

func replacer(needles []string) *strings.Replacer {
	pairs := make([]string, 0, 2*len(needles))
	for _, n := range needles {
		pairs = append(pairs, n, "REDACTED")
	}
	return strings.NewReplacer(pairs...)
}

func (s *scrubber) Write(line []byte) (int, error) {
	if _, err := io.WriteString(s.to, s.replace.Replace(string(line))); err != nil {
		return 0, fmt.Errorf("write log: %w", err)
	}
	return len(line), nil
}
