package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"github.com/tallyman-io/tallyman/internal/command"
	"github.com/tallyman-io/tallyman/internal/store"
)

func backupTask() task {
	var force bool
	return task{
		Use: "backup FILE", Short: "Write the database into a file", Args: 1,
		Long: "Writes all that is kept at one moment into a compressed file that either engine can restore. It may run beside the services.\n" +
			"The file appears complete or not at all.",
		Flags: func(f *pflag.FlagSet) { f.BoolVar(&force, "force", false, "overwrite the file") },
		Run: func(ctx context.Context, e env, c command.Call) error {
			meter := command.NewMeter(c.Stderr, e.Now)
			defer meter.Clear()
			return keep(ctx, e, store.Attach, func(ledger *store.Ledger) error {
				rows, err := ledger.BackupFile(ctx, c.Args[0], force, store.BackupOptions{Program: e.Build.Version, Progress: meter.Show})
				if errors.Is(err, os.ErrExist) {
					return fmt.Errorf("%w (--force overwrites it)", err)
				}
				return report(c, meter, "backed up", rows, err)
			})
		},
	}
}

func restoreDatabase(ctx context.Context, e env, c command.Call) (err error) {
	meter := command.NewMeter(c.Stderr, e.Now)
	defer meter.Clear()
	file, err := os.Open(c.Args[0])
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	backup, err := store.ReadBackup(file)
	if err != nil {
		return fmt.Errorf("restore %s: %w", c.Args[0], err)
	}
	defer backup.Close()
	return keep(ctx, e, store.Open, func(ledger *store.Ledger) error {
		rows, err := ledger.Restore(ctx, backup, store.BackupOptions{Progress: meter.Show, Evidence: e.Config.Evidence.Interval})
		return report(c, meter, "restored", rows, err)
	})
}

// report tells what was done, unless it failed.
func report(c command.Call, meter *command.Meter, done string, rows int64, err error) error {
	if err != nil {
		return err
	}
	meter.Clear()
	if _, err := fmt.Fprintf(c.Stdout, "%s: %d rows\n", done, rows); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}
