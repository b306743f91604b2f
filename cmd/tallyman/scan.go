package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/buildinfo"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/scan"
	"github.com/tallyman-io/tallyman/internal/vex"
)

// databaseVariable names the advisory database when --db does not.
const databaseVariable = "TALLYMAN_DB"

// outcomeError makes an outcome that is no error the exit code of the command.
type outcomeError struct{ code int }

func (e outcomeError) Error() string { return fmt.Sprintf("exit %d", e.code) }

// scanFlags are what `tallyman scan` takes.
type scanFlags struct {
	imageFlags

	db, format, fail, vexImage, at string
	vex                            []string
}

func scanCommand() *cobra.Command {
	var f scanFlags
	cmd := &cobra.Command{
		Use:   "scan FILE…|IMAGE…|LAYOUT…",
		Short: "Find the known vulnerabilities of the packages in SBOMs",
		Long: `Reads SPDX 2.x and CycloneDX 1.x JSON documents (also .gz and .zst; - is standard
input) and matches their packages against the advisory database (tallyman db).
Findings that an OpenVEX statement of --vex suppresses are shown and do not count.

Of an IMAGE (host/path:tag or host/path@digest) and of an OCI image LAYOUT (a folder,
a .tar, or oci:PATH[:NAME]) it reads the SBOMs that travel with it. With --key or
--identity only verified ones count, and its verified OpenVEX attestations are applied.

With --at the answer is that of a day: advisories published by the end of it count, also
where they were withdrawn since, each as the database has it now.

Exit codes: 0 no finding at or above --severity-fail, 1 there are, 2 usage,
3 could not tell (no database, a document that cannot be read, an image without an
SBOM that counts, or no such finding but packages that could not be judged),
78 bad configuration.`,
		Args: atLeastOne("FILE, IMAGE or LAYOUT"),
		RunE: f.run,
	}
	flags := cmd.Flags()
	registerDatabase(flags, &f.db)
	flags.StringVar(&f.format, "format", "table", "table, json or sarif")
	flags.StringArrayVar(&f.vex, "vex", nil, "OpenVEX document whose statements are believed; may be given several times")
	flags.StringVar(&f.vexImage, "vex-image", "", "REPOSITORY[:TAG]@DIGEST of the image that the SBOMs describe, for statements about images")
	flags.StringVar(&f.fail, "severity-fail", "any", "least severity that fails: any (unscored too), low, medium, high, critical, never")
	flags.StringVar(&f.at, "at", "", "as known on that day: YYYY-MM-DD, which is the end of the day in UTC, or a time as in RFC 3339")
	f.register(flags)
	completeWords(cmd, "format", "table", "json", "sarif")
	completeWords(cmd, "severity-fail", "any", "low", "medium", "high", "critical", "never")
	completeFiles(cmd, "db", "vex", "key", "trusted-root")
	return cmd
}

// registerDatabase adds the flag that names the advisory database.
func registerDatabase(flags *pflag.FlagSet, file *string) {
	flags.StringVar(file, "db", "", "advisory database (default $"+databaseVariable+", or tallyman/advisories.db in the user's cache)")
}

func (f *scanFlags) run(cmd *cobra.Command, args []string) error {
	threshold, err := scan.ParseThreshold(f.fail)
	if err != nil {
		return usageError{fmt.Errorf("--severity-fail: %w", err)}
	}
	write, err := writerOf(f.format)
	if err != nil {
		return err
	}
	now := time.Now()
	at, err := dayOf(f.at, now)
	if err != nil {
		return usageError{fmt.Errorf("--at: %w", err)}
	}
	scanner, err := scannerOf(f.vex, f.vexImage)
	if err != nil {
		return err
	}
	file, err := databaseFile(f.db)
	if err != nil {
		return err
	}
	db, err := advisory.Open(file)
	if errors.Is(err, advisory.ErrNoDatabase) {
		return fmt.Errorf("%w; make one with tallyman db import or db update", err)
	} else if err != nil {
		return err
	}
	err = f.scan(cmd, scanner, db, threshold, write, scan.Data{DB: db, Now: now, AsOf: at}, args)
	return errors.Join(err, db.Close())
}

func (f *scanFlags) scan(cmd *cobra.Command, scanner scan.Scanner, db *advisory.Database, threshold scan.Threshold,
	write reportWriter, data scan.Data, sources []string,
) (err error) {
	scanner.DB, scanner.Stdin, scanner.At = db, cmd.InOrStdin(), data.Now
	if !data.AsOf.IsZero() {
		scanner.At = data.AsOf
		if scanner.Past, err = db.AsOf(data.AsOf); err != nil {
			return err
		}
	}
	documents, err := f.scanAll(cmd.Context(), &scanner, sources)
	if err != nil {
		return err
	}
	if err := write(cmd.OutOrStdout(), data, documents); err != nil {
		return err
	}
	for i := range documents {
		if documents[i].Err != nil && f.format != "table" {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: %v\n", documents[i].Source, documents[i].Err) //nolint:errcheck // nowhere left to say so
		}
	}
	switch threshold.Judge(documents) {
	case scan.Fail:
		return outcomeError{exitFail}
	case scan.CouldNotTell:
		return outcomeError{exitUnknown}
	default:
		return nil
	}
}

// dayOf reads a day, which stands for its end, or a time; zero for the empty string. What
// will be known nobody knows.
func dayOf(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	const expected = "expected a day such as 2026-01-31, or a time such as 2026-01-31T12:00:00Z"
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		day, err := time.Parse(time.DateOnly, s)
		if err != nil {
			return time.Time{}, fmt.Errorf("%s, found %q", expected, s)
		}
		at = day.AddDate(0, 0, 1).Add(-time.Nanosecond)
		if day.After(now) {
			return time.Time{}, fmt.Errorf("%s, not after now; found %q", expected, s)
		}
		return at, nil
	}
	if at.After(now) {
		return time.Time{}, fmt.Errorf("%s, not after now; found %q", expected, s)
	}
	return at, nil
}

// scannerOf reads the statements, and what they may be about.
func scannerOf(files []string, image string) (scan.Scanner, error) {
	var scanner scan.Scanner
	if image != "" {
		repository, digest, _ := strings.Cut(image, "@")
		d, err := release.ParseDigest(digest)
		if err != nil || repository == "" {
			return scanner, usageError{fmt.Errorf("--vex-image %q: expected REPOSITORY[:TAG]@sha256:DIGEST", image)}
		}
		scanner.Image = vex.Image{Repository: repository, Digest: d}
		if colon := strings.LastIndexByte(repository, ':'); colon > strings.LastIndexByte(repository, '/') {
			scanner.Image.Repository, scanner.Image.Tag = repository[:colon], repository[colon+1:]
		}
	}
	documents, err := readAllStatements(files)
	if err != nil {
		return scanner, err
	}
	if len(documents) > 0 {
		scanner.VEX = vex.NewSet(documents...)
	}
	return scanner, nil
}

func readStatements(name string) (vex.Document, error) {
	in, err := os.Open(name)
	if err != nil {
		return vex.Document{}, fmt.Errorf("--vex: %w", err)
	}
	defer in.Close() //nolint:errcheck // it was only read from
	return vex.Read(name, in)
}

type reportWriter func(io.Writer, scan.Data, []scan.Document) error

func writerOf(format string) (reportWriter, error) {
	switch format {
	case "table":
		return scan.WriteTable, nil
	case "json":
		return scan.WriteJSON, nil
	case "sarif":
		return func(w io.Writer, data scan.Data, documents []scan.Document) error {
			return scan.WriteSARIF(w, data, documents, buildinfo.Read("").Version)
		}, nil
	default:
		return nil, usageError{fmt.Errorf("--format %q: expected table, json or sarif", format)}
	}
}

// databaseFile returns the flag's file, the environment's, or the default.
func databaseFile(flag string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	if file, ok := os.LookupEnv(databaseVariable); ok {
		if file == "" {
			return "", configError{fmt.Errorf("%s: expected a file, found nothing", databaseVariable)}
		}
		if info, err := os.Stat(file); err == nil && info.IsDir() {
			return "", configError{fmt.Errorf("%s: expected a file, found the folder %s", databaseVariable, file)}
		}
		return file, nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", configError{fmt.Errorf("where the advisory database is: %w; set --db or %s", err, databaseVariable)}
	}
	return filepath.Join(cache, "tallyman", "advisories.db"), nil
}
