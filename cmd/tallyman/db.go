package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/scan"
)

func dbCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "db",
		Short: "The advisory database: update, import, status, export",
		Args:  exactly(0, ""),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&file, "db", "", "the file (default $"+databaseVariable+", or tallyman/advisories.db in the user's cache)")
	cmd.AddCommand(dbUpdateCommand(&file), dbImportCommand(&file), dbStatusCommand(&file), dbExportCommand(&file))
	return cmd
}

func dbImportCommand(file *string) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "import DIR",
		Short: "Make the database from a folder of <Ecosystem>/all.zip, as OSV publishes them",
		Args:  exactly(1, "DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := databaseFile(*file)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // public data
				return fmt.Errorf("make a place for the database: %w", err)
			}
			started := time.Now()
			report, err := advisory.Import(cmd.Context(), args[0], path, advisory.ImportOptions{Force: force, Now: time.Now})
			if err != nil {
				return err
			}
			return writeReport(cmd.OutOrStdout(), path, report, time.Since(started))
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "accept fewer records than the database has")
	return cmd
}

//nolint:errcheck // the last write tells
func writeReport(w io.Writer, path string, r advisory.Report, took time.Duration) error {
	records, broken := 0, 0
	for _, f := range r.Meta.Feeds {
		records, broken = records+f.Records, broken+f.Broken
	}
	for _, b := range r.Broken {
		fmt.Fprintf(w, "left out %s\n", b)
	}
	if more := broken - len(r.Broken); more > 0 {
		fmt.Fprintf(w, "left out %d more\n", more)
	}
	_, err := fmt.Fprintf(w, "%s: %d records of %d ecosystems, %d advisories, %d left out, in %s\n%s\n",
		path, records, len(r.Meta.Feeds), r.Identifiers, broken, took.Round(time.Millisecond), r.Digest)
	return err
}

func dbStatusCommand(file *string) *cobra.Command {
	var asJSON, verify bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say what the database holds and how old it is",
		Args:  exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withDatabase(*file, func(path string, db *advisory.Database) error {
				if verify {
					if err := db.Verify(); err != nil {
						return err
					}
				}
				if asJSON {
					return statusJSON(cmd.OutOrStdout(), path, db)
				}
				return statusTable(cmd.OutOrStdout(), path, db)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	cmd.Flags().BoolVar(&verify, "verify", false, "read the whole file and compare it with its digest")
	return cmd
}

func statusJSON(w io.Writer, path string, db *advisory.Database) error {
	type feed struct {
		Ecosystem string     `json:"ecosystem"`
		Records   int        `json:"records"`
		Withdrawn int        `json:"withdrawn"`
		Broken    int        `json:"broken"`
		Newest    *time.Time `json:"newest"`
	}
	feeds := make([]feed, 0, len(db.Meta().Feeds))
	for _, f := range db.Meta().Feeds {
		entry := feed{f.Ecosystem, f.Records, f.Withdrawn, f.Broken, nil}
		if !f.Newest.IsZero() {
			entry.Newest = &f.Newest
		}
		feeds = append(feeds, entry)
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(map[string]any{
		"schema": "tallyman.db-status/v1", "file": path, "digest": db.Digest(), "imported": db.Built(), "records": db.Records(), "feeds": feeds,
	})
}

//nolint:errcheck // Flush tells
func statusTable(w io.Writer, path string, db *advisory.Database) error {
	now := time.Now()
	fmt.Fprintf(w, "%s: %d records, %s\nimported %s\n%s\n\n", path, db.Records(), scan.Age(db.Newest(), now),
		db.Built().Format(time.RFC3339), db.Digest())
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ECOSYSTEM\tRECORDS\tWITHDRAWN\tLEFT OUT\tNEWEST")
	for _, f := range db.Meta().Feeds {
		newest := "unknown"
		if !f.Newest.IsZero() {
			newest = f.Newest.Format("2006-01-02")
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%s\n", f.Ecosystem, f.Records, f.Withdrawn, f.Broken, newest)
	}
	return t.Flush()
}

func dbExportCommand(file *string) *cobra.Command {
	return &cobra.Command{
		Use:   "export DIR",
		Short: "Write the records back as <Ecosystem>/all.zip, byte for byte as they were published",
		Args:  exactly(1, "DIR"),
		RunE: func(_ *cobra.Command, args []string) error {
			return withDatabase(*file, func(_ string, db *advisory.Database) error {
				return db.Export(args[0])
			})
		},
	}
}

func withDatabase(flag string, do func(string, *advisory.Database) error) (err error) {
	path, err := databaseFile(flag)
	if err != nil {
		return err
	}
	db, err := advisory.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return do(path, db)
}
