package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallyman-io/tallyman/internal/buildinfo"
	"github.com/tallyman-io/tallyman/internal/feed"
	"github.com/tallyman-io/tallyman/internal/mirror"
)

func dbUpdateCommand(file *string) *cobra.Command {
	var source string
	var ecosystems []string
	var force bool
	cmd := &cobra.Command{
		Use:   "update",
		Short: "Fetch advisories from OSV, or a mirror of it, and make the database of them",
		Long: `Fetches <source>/<Ecosystem>/all.zip of each ecosystem, unless the source says that
it is the one that is kept beside the database, and makes the database anew when one
has changed. If one cannot be had complete, the database stays as it is.`,
		Args: exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := databaseFile(*file)
			if err != nil {
				return err
			}
			client, err := feed.New(feed.Config{Base: source, Dir: mirror.Dir(path), UserAgent: "tallyman/" + buildinfo.Read("").Version})
			if err != nil {
				return usageError{fmt.Errorf("--source: %w", err)}
			}
			options := mirror.Options{Database: path, Source: client, Ecosystems: ecosystems, Force: force, Now: time.Now}
			return runUpdate(cmd.Context(), cmd.OutOrStdout(), options)
		},
	}
	cmd.Flags().StringVar(&source, "source", feed.OSV, "where advisories are published: an http, https or file URL")
	cmd.Flags().StringSliceVar(&ecosystems, "ecosystem", nil, "as OSV calls it, such as Go or Debian; may be repeated (default those of the database)")
	cmd.Flags().BoolVar(&force, "force", false, "accept fewer records than the database has")
	return cmd
}

func runUpdate(ctx context.Context, w io.Writer, options mirror.Options) error {
	if err := os.MkdirAll(filepath.Dir(options.Database), 0o755); err != nil { //nolint:gosec // public data
		return fmt.Errorf("make a place for the database: %w", err)
	}
	started := time.Now()
	report, err := mirror.Update(ctx, options)
	if errors.Is(err, mirror.ErrNoEcosystems) {
		return usageError{fmt.Errorf("%s: %w: --ecosystem names them, as in --ecosystem Go,npm,PyPI,Debian", options.Database, err)}
	} else if err != nil {
		return err
	}
	if err := writeChanges(w, report); err != nil {
		return err
	}
	if report.Import == nil {
		_, err := fmt.Fprintf(w, "%s: nothing has changed since it was made, %s\n%s\n", options.Database, report.Built.Format(time.RFC3339), report.Digest)
		return err
	}
	return writeReport(w, options.Database, *report.Import, time.Since(started))
}

//nolint:errcheck // Flush tells
func writeChanges(w io.Writer, r mirror.Report) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ECOSYSTEM\tBEFORE\tAFTER\tNEWEST\tSOURCE")
	for _, c := range r.Changes {
		before, newest, source := "none", "unknown", "not modified"
		if c.Before != nil {
			before = strconv.Itoa(c.Before.Records)
		}
		if !c.After.Newest.IsZero() {
			newest = c.After.Newest.Format("2006-01-02")
		}
		if c.Modified {
			source = "fetched"
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\n", c.Ecosystem, before, c.After.Records, newest, source)
	}
	return t.Flush()
}
