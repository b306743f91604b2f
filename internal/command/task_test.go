package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/tallyman-io/tallyman/internal/config"
)

// callTask runs a program with one group of one task.
func callTask(t *testing.T, task Task[config.Web], signals func() (<-chan os.Signal, func()), environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	p := program(empty)
	p.Groups = []Group[config.Web]{{Name: "things", Short: "Do things", Tasks: []Task[config.Web]{task}}}
	var out, errs output
	code = Run(t.Context(), p, Process{Args: args, Environ: environ, Stdout: &out, Stderr: &errs, Signals: signals, Began: time.Now()})
	return code, out.String(), errs.String()
}

func TestATaskRunsWithTheConfigurationAndItsArguments(t *testing.T) {
	t.Parallel()
	var twice bool
	task := Task[config.Web]{
		Use: "do THING", Short: "Do one", Args: 1,
		Flags: func(f *pflag.FlagSet) { f.BoolVar(&twice, "twice", false, "do it twice") },
		Run: func(_ context.Context, e Env[config.Web], c Call) error {
			if c.Args[0] == "nothing" {
				return errors.New("found nothing to do")
			}
			_, err := fmt.Fprintf(c.Stdout, "%s %t %s\n", c.Args[0], twice, e.Config.Listen)
			return err
		},
	}
	environ := []string{"TALLYMAN_LISTEN=127.0.0.1:1"}
	tests := []struct {
		name    string
		environ []string
		args    []string
		code    int
		want    string
	}{
		{"with a flag", environ, []string{"things", "do", "this", "--twice"}, ExitOK, "this true 127.0.0.1:1\n"},
		{"with a setting", nil, []string{"things", "do", "--listen=127.0.0.1:2", "this", "--twice=false"}, ExitOK, "this false 127.0.0.1:2\n"},
		{"failing", environ, []string{"things", "do", "nothing"}, ExitFailed, "web: found nothing to do\n"},
		{"without an argument", environ, []string{"things", "do"}, ExitUsage, "accepts 1 arg(s), received 0"},
		{"without a task", environ, []string{"things"}, ExitUsage, "a subcommand is missing"},
		{"with a mistake in the configuration", []string{"TALLYMAN_LISTEN=nowhere"}, []string{"things", "do", "this"}, ExitConfig, "the configuration has mistakes: 1\n"},
	}
	for _, tt := range tests { // one after the other, for the flag
		code, stdout, stderr := callTask(t, task, nil, tt.environ, tt.args...)
		if code != tt.code || !strings.Contains(stdout+stderr, tt.want) {
			t.Errorf("%s: got exit code %d and output\n%s%s\nwant %d and %q", tt.name, code, stdout, stderr, tt.code, tt.want)
		}
	}
}

func TestASignalEndsATask(t *testing.T) {
	t.Parallel()
	signals := make(chan os.Signal, 1)
	restored := 0
	task := Task[config.Web]{Use: "wait", Run: func(ctx context.Context, _ Env[config.Web], _ Call) error {
		signals <- syscall.SIGTERM
		<-ctx.Done()
		return context.Cause(ctx)
	}}
	code, _, stderr := callTask(t, task, func() (<-chan os.Signal, func()) { return signals, func() { restored++ } }, nil, "things", "wait")
	if code != ExitFailed || stderr != "web: interrupted\n" || restored != 1 {
		t.Errorf("got exit code %d, output %q, signals given back %d times", code, stderr, restored)
	}
}

func TestAMeterShowsItselfOnATerminalAlone(t *testing.T) {
	t.Parallel()
	now := time.Unix(1, 0)
	var out output
	for _, m := range []*Meter{NewMeter(&out, time.Now), new(Meter)} {
		m.Show("rows", 1, 2)
		m.Clear()
	}
	if out.String() != "" {
		t.Errorf("without a terminal: got %q, want nothing", out.String())
	}
	m := &Meter{w: &out, now: func() time.Time { return now }}
	for _, done := range []int64{0, 1, 2} {
		m.Show("rows", done, 3)
	}
	now = now.Add(meterEvery)
	m.Show("rows", 2, 3)
	m.Show("rows", 3, 3)
	m.Show("columns", 0, 0)
	m.Clear()
	const cleared = "\r\x1b[K"
	if want := cleared + "rows: 0 of 3" + cleared + "rows: 2 of 3" + cleared + "rows: 3 of 3" + cleared + "columns" + cleared; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
