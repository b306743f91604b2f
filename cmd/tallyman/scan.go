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

func scanCommand() *cobra.Command {
	var db, format, fail, image string
	var statements []string
	var images imageFlags
	cmd := &cobra.Command{
		Use:   "scan FILE…|IMAGE…|LAYOUT…",
		Short: "Find the known vulnerabilities of the packages in SBOMs",
		Long: `Reads SPDX 2.x and CycloneDX 1.x JSON documents (also .gz and .zst; - is standard
input) and matches their packages against the advisory database (tallyman db).
Findings that an OpenVEX statement of --vex suppresses are shown and do not count.

Of an IMAGE (host/path:tag or host/path@digest) and of an OCI image LAYOUT (a folder,
a .tar, or oci:PATH[:NAME]) it reads the SBOMs that travel with it. With --key or
--identity only verified ones count, and its verified OpenVEX attestations are applied.

Exit codes: 0 no finding at or above --severity-fail, 1 there are, 2 usage,
3 could not tell (no database, a document that cannot be read, an image without an
SBOM that counts, or no such finding but packages that could not be judged),
78 bad configuration.`,
		Args: atLeastOne("FILE, IMAGE or LAYOUT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			threshold, err := scan.ParseThreshold(fail)
			if err != nil {
				return usageError{fmt.Errorf("--severity-fail: %w", err)}
			}
			scanner, err := scannerOf(statements, image)
			if err != nil {
				return err
			}
			return runScan(cmd, &images, scanner, db, format, threshold, args)
		},
	}
	cmd.Flags().StringVar(&db, "db", "", "advisory database (default $"+databaseVariable+", or tallyman/advisories.db in the user's cache)")
	cmd.Flags().StringVar(&format, "format", "table", "table, json or sarif")
	cmd.Flags().StringArrayVar(&statements, "vex", nil, "OpenVEX document whose statements are believed; may be given several times")
	cmd.Flags().StringVar(&image, "vex-image", "", "REPOSITORY[:TAG]@DIGEST of the image that the SBOMs describe, for statements about images")
	cmd.Flags().StringVar(&fail, "severity-fail", "any", "least severity that fails: any (unscored too), low, medium, high, critical, never")
	images.register(cmd.Flags())
	return cmd
}

func runScan(cmd *cobra.Command, images *imageFlags, scanner scan.Scanner, file, format string, threshold scan.Threshold, sources []string) (err error) {
	write, err := writerOf(format)
	if err != nil {
		return err
	}
	if file, err = databaseFile(file); err != nil {
		return err
	}
	db, err := advisory.Open(file)
	if errors.Is(err, advisory.ErrNoDatabase) {
		return fmt.Errorf("%w; make one with tallyman db import or db update", err)
	} else if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	scanner.DB, scanner.Stdin = db, cmd.InOrStdin()
	documents, err := images.scanAll(cmd.Context(), &scanner, sources)
	if err != nil {
		return err
	}
	if err := write(cmd.OutOrStdout(), db, documents, time.Now()); err != nil {
		return err
	}
	for i := range documents {
		if documents[i].Err != nil && format != "table" {
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
	documents := make([]vex.Document, 0, len(files))
	for _, name := range files {
		document, err := readStatements(name)
		if err != nil {
			return scanner, err
		}
		documents = append(documents, document)
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

type reportWriter func(io.Writer, *advisory.Database, []scan.Document, time.Time) error

func writerOf(format string) (reportWriter, error) {
	switch format {
	case "table":
		return scan.WriteTable, nil
	case "json":
		return scan.WriteJSON, nil
	case "sarif":
		return func(w io.Writer, db *advisory.Database, documents []scan.Document, now time.Time) error {
			return scan.WriteSARIF(w, db, documents, buildinfo.Read("").Version, now)
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
