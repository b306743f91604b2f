package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallyman-io/tallyman/internal/dossier"
	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/release"
)

// dossierVerifyFlags are what `tallyman dossier verify` takes.
type dossierVerifyFlags struct {
	trustFlags
	limitFlags

	require []string
	format  string
}

func dossierVerifyCommand() *cobra.Command {
	var f dossierVerifyFlags
	cmd := &cobra.Command{
		Use:   "verify FILE",
		Short: "Check that a dossier is whole, and verify the papers in it, without a network",
		Long: `Read the whole FILE: every byte is compared with its hash, and what is there with what has to be. Then the papers
are verified again with the keys and identities that are given, or else with those in the dossier, which are worth
no more than the dossier. No connection is opened.

Exit codes: 0 whole, and what is required is verified; 1 damaged, or a paper is forged or a required one absent;
2 usage; 3 could not tell: over a limit, or of a schema that this version does not know;
78 keys, identities or trusted root are not usable.`,
		Args: exactly(1, "FILE"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	flags := cmd.Flags()
	f.trustFlags.register(flags)
	f.limitFlags.register(flags)
	flags.StringSliceVar(&f.require, "require", []string{"signature"}, "papers that have to be verified: signature, sbom, provenance, vex, summary")
	flags.StringVar(&f.format, "format", "table", "table or json")
	return cmd
}

func (f *dossierVerifyFlags) run(cmd *cobra.Command, path string) (err error) {
	required, err := paperKinds(f.require)
	if err = errors.Join(err, f.checkTrust(), f.checkLimits()); err != nil {
		return usageError{err}
	}
	if f.format != "table" && f.format != "json" {
		return usageError{fmt.Errorf("--format: expected table or json, found %q", f.format)}
	}
	if f.given() {
		// A mistake in the trust is heard before a large file is read.
		if _, err := newLooker(&f.trustFlags); err != nil {
			return err
		}
	}
	file, checked, err := openDossier(cmd, path, f.limits)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	trust, err := f.trustIn(file, checked.Manifest)
	if err != nil {
		return err
	}
	examinations, err := file.Examine(cmd.Context(), checked.Manifest, trust.Trust, time.Now)
	if err != nil {
		return fmt.Errorf("%w: %w", errUndecided, err)
	}
	write := writeDossierTable
	if f.format == "json" {
		write = writeDossierJSON
	}
	if err := write(cmd.OutOrStdout(), path, checked, trust, examinations); err != nil {
		return fmt.Errorf("%w: write the report: %w", errUndecided, err)
	}
	return decide(examinations, required)
}

func writeDossierTable(out io.Writer, path string, checked dossier.Checked, trust trustOf, examinations []release.Examination) error {
	if err := evidence.WriteTable(out, examinations); err != nil {
		return err
	}
	m := checked.Manifest
	_, err := fmt.Fprintf(out, "\n%s: whole: %s of %d image(s), %d blobs; made %s by tallyman %.50q\ndossier %s\n",
		path, m.Contents, len(m.Images), len(m.Blobs), m.Created.Format(time.RFC3339), m.Tool.Version, checked.Digest)
	if err != nil {
		return err
	}
	advisories := "Advisory data: none were noted.\n"
	if a := m.Advisories; a != nil {
		advisories = fmt.Sprintf("Advisory data: %.80q, %d records, imported %s, newest record %s.\n", a.Digest, a.Records, a.Imported.Format(time.RFC3339), newest(a))
	}
	_, err = fmt.Fprintf(out, "%s%s\n", advisories, trust.Note)
	return err
}

func newest(a *dossier.Advisories) string {
	if a.Newest == nil || a.AgeSeconds == nil {
		return "of unknown age"
	}
	return fmt.Sprintf("%s, %s old when the dossier was made", a.Newest.Format(time.RFC3339), time.Duration(*a.AgeSeconds)*time.Second)
}

// dossierReportSchema names the form of what is written for machines.
const dossierReportSchema = "https://github.com/tallyman-io/tallyman/dossier-verify/v1"

func writeDossierJSON(out io.Writer, _ string, checked dossier.Checked, trust trustOf, examinations []release.Examination) error {
	var report bytes.Buffer
	if err := evidence.WriteJSON(&report, examinations); err != nil {
		return err
	}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(struct {
		Schema     string              `json:"schema"`
		Digest     release.Digest      `json:"digest"`
		Created    time.Time           `json:"created"`
		Contents   dossier.Contents    `json:"contents"`
		Images     []dossier.Image     `json:"images"`
		Advisories *dossier.Advisories `json:"advisories"`
		Trust      string              `json:"trust"`
		Note       string              `json:"note"`
		Report     json.RawMessage     `json:"report"`
	}{
		dossierReportSchema, checked.Digest, checked.Manifest.Created, checked.Manifest.Contents, checked.Manifest.Images,
		checked.Manifest.Advisories, trust.From, trust.Note, report.Bytes(),
	})
}
