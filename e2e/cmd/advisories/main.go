// Advisories tries the tallyman command on real advisories and SBOMs, which are not
// part of the repository:
//
//	advisories accuracy TALLYMAN DATA    every case finds exactly what its truth file says
//	advisories bench    TALLYMAN DATA    whole-process time and peak memory, beside osv-scanner when OSV_SCANNER names it,
//	                                     and those of the worker that lies beside TALLYMAN
//
// DATA has osv/<Ecosystem>/all.zip, sboms/CASE.json.zst, truth/CASE.json and cases.tsv.
// Without it, there is nothing to try, and the program says so and succeeds.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "advisories:", err)
		os.Exit(1)
	}
}

// trial is one run over the data.
type trial struct {
	tallyman, data, db string
	dir                string // for what is made on the way
	out                io.Writer
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	steps := map[string]func(*trial, context.Context) error{"accuracy": (*trial).accuracy, "bench": func(t *trial, ctx context.Context) error { return errors.Join(t.bench(ctx), t.sync(ctx)) }}
	if len(args) != 3 || steps[args[0]] == nil {
		return errors.New("usage: advisories accuracy|bench TALLYMAN DATA")
	}
	t := &trial{tallyman: args[1], data: args[2], out: out}
	if _, err := os.Stat(filepath.Join(t.data, "cases.tsv")); errors.Is(err, os.ErrNotExist) {
		fmt.Fprintf(out, "advisories %s: SKIPPED, there is no data in %s (set TALLYMAN_DATA)\n", args[0], t.data) //nolint:errcheck // a note
		return nil
	}
	if t.dir, err = os.MkdirTemp("", "tallyman-advisories-*"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(t.dir)) }()
	t.db = filepath.Join(t.dir, "advisories.db")
	imported, err := measure(ctx, nil, t.tallyman, "db", "import", "--db", t.db, filepath.Join(t.data, "osv"))
	if err != nil {
		return err
	}
	if imported.code != 0 {
		return fmt.Errorf("import: exit status %d", imported.code)
	}
	t.printf("import: %s, peak %.0f MiB\n", imported.took.Round(1e6), imported.mib())
	return steps[args[0]](t, ctx)
}

func (t *trial) printf(format string, args ...any) {
	fmt.Fprintf(t.out, format, args...) //nolint:errcheck // progress
}
