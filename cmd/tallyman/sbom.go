package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tallyman-io/tallyman/internal/buildinfo"
	"github.com/tallyman-io/tallyman/internal/facts"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/sbom/convert"
	"github.com/tallyman-io/tallyman/internal/scan"
)

// sbomFlags are what `tallyman sbom` takes.
type sbomFlags struct {
	imageFlags

	format, convert, output string
	unverified              bool
}

func printSBOMCommand() *cobra.Command {
	var f sbomFlags
	cmd := &cobra.Command{
		Use:   "sbom IMAGE|LAYOUT",
		Short: "Print the SBOM that was attested for an image, byte for byte, or convert it",
		Long: `Finds the SBOM that travels with an IMAGE (host/path:tag or host/path@digest) or lies in an OCI image
LAYOUT (a folder, a .tar, or oci:PATH[:NAME]), verifies it, and prints the document as it was attested.
Which one it is, and who signed it, goes to standard error. An image with several needs --platform or --format.

With --convert the verified SBOM is turned into another format: SPDX 2.3, CycloneDX 1.6, or a table of its packages
(CSV). A conversion says itself that it is one, of which SBOM, and what is not carried over; the table says so on
standard error. One that was attested in that format is printed as it is.

Exit codes: 0 printed, 1 there is none that is verified, 2 usage, or several to choose from, 3 could not tell,
78 keys, identities or trusted root are not usable.`,
		Args: exactly(1, "IMAGE or LAYOUT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), args[0])
		},
	}
	flags := cmd.Flags()
	f.register(flags)
	flags.StringVar(&f.format, "format", "", "spdx or cyclonedx (default whichever there is)")
	flags.StringVar(&f.convert, "convert", "", "convert to spdx, cyclonedx or csv")
	completeWords(cmd, "format", "spdx", "cyclonedx")
	completeWords(cmd, "convert", "spdx", "cyclonedx", "csv")
	flags.StringVarP(&f.output, "output", "o", "", "file to write to (default standard output)")
	flags.BoolVar(&f.unverified, "unverified", false, "take one that nobody signed or that could not be verified; never one that is about another image")
	return cmd
}

func (f *sbomFlags) run(ctx context.Context, out, notes io.Writer, arg string) error {
	if err := f.check(); err != nil {
		return usageError{err}
	}
	s := sourceOf(arg)
	if s.err == nil && s.images == nil {
		s.err = errors.New("expected an image or an image layout, found a file")
	}
	if s.err != nil {
		return usageError{fmt.Errorf("%s: %w", arg, s.err)}
	}
	attached, err := f.find(ctx, *s.images)
	if err != nil {
		return err
	}
	document, told, err := f.converted(attached)
	if err != nil {
		return err
	}
	if err := f.write(out, document); err != nil {
		return fmt.Errorf("%w: write the SBOM: %w", errUndecided, err)
	}
	_, err = fmt.Fprintln(notes, strings.Join(append([]string{attached.Source}, told...), "\n"))
	return err
}

// converted returns the document that is asked for, and what there is to say of it.
func (f *sbomFlags) converted(attached scan.Attached) (document []byte, told []string, err error) {
	if f.convert == "" || f.convert == attached.Format {
		return attached.Document, nil, nil
	}
	program := buildinfo.Read("")
	original := convert.Original{
		Document: attached.Document, Digest: facts.DigestOf(attached.Document), Tool: "tallyman", Version: program.Version,
	}
	out, err := convert.Convert(original, convert.Format(f.convert))
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %s: %w", errUndecided, attached.Source, err)
	}
	told = []string{fmt.Sprintf("converted to %s from %s, %s; the conversion itself was not attested", f.convert, out.From, original.Digest)}
	if f.convert == string(convert.CSV) {
		told = append(told, "a table has the packages alone: name, version, type, purl, licences, hashes")
	}
	for _, what := range out.Lost {
		told = append(told, "not carried over: "+what)
	}
	return out.Document, told, nil
}

func (f *sbomFlags) check() error {
	switch {
	case !slices.Contains([]string{"", "spdx", "cyclonedx"}, f.format):
		return fmt.Errorf("--format: expected spdx or cyclonedx, found %q", f.format)
	case f.convert != "" && !slices.Contains(convert.Formats(), convert.Format(f.convert)):
		return fmt.Errorf("--convert: expected spdx, cyclonedx or csv, found %q", f.convert)
	case !f.somebody() && !f.unverified:
		return errors.New("expected --key, or --identity and --issuer, or --unverified, found none")
	default:
		return nil
	}
}

// find returns the one SBOM that is asked for.
func (f *sbomFlags) find(ctx context.Context, t target) (scan.Attached, error) {
	look, err := f.looker()
	if err != nil {
		return scan.Attached{}, err
	}
	var all []scan.Attached
	var missing error
	outcome := errNotVerified
	err = look.look(ctx, t, func(e sighting) error {
		found, state, reason := scan.SBOMs(scan.Image{Examination: e.Examination, Tag: t.image.Tag, Platform: e.platform},
			scan.Selection{Platform: f.platform, Trusted: !f.unverified})
		if len(found) == 0 {
			missing = f.noneError(e.Examination, state, reason)
		}
		if slices.ContainsFunc(e.Gaps, func(g release.Gap) bool { return slices.Contains(g.Kinds, release.PaperSBOM) }) {
			outcome = errUndecided // another format may lie where nobody could look
		}
		all = append(all, found...)
		return nil
	})
	if config := (configError{}); errors.As(err, &config) {
		return scan.Attached{}, err
	} else if err != nil {
		return scan.Attached{}, fmt.Errorf("%w: %w", errUndecided, err)
	}
	if missing != nil {
		return scan.Attached{}, missing
	}
	return f.choose(all, outcome)
}

func (f *sbomFlags) noneError(e release.Examination, state release.State, reason string) error {
	outcome := errNotVerified
	if state == release.StateUnknown {
		outcome = errUndecided
	}
	return fmt.Errorf("%w: %s@%s: sbom is %s: %s", outcome, e.Repository, e.Digest, state, reason)
}

// choose refuses to guess among several. The outcome is that of a format which was not
// found.
func (f *sbomFlags) choose(all []scan.Attached, outcome error) (scan.Attached, error) {
	names := make([]string, 0, len(all))
	for _, a := range all {
		names = append(names, a.Source)
	}
	if f.format != "" {
		all = slices.DeleteFunc(all, func(a scan.Attached) bool { return a.Format != f.format })
	}
	// What is there as it is asked for need not be converted.
	as := slices.DeleteFunc(slices.Clone(all), func(a scan.Attached) bool { return a.Format != f.convert })
	if f.format == "" && len(as) > 0 {
		all = as
	}
	switch len(all) {
	case 1:
		return all[0], nil
	case 0:
		return scan.Attached{}, fmt.Errorf("%w: expected an SBOM in the format %s, found %s", outcome, f.format, strings.Join(names, "; "))
	default:
		return scan.Attached{}, usageError{fmt.Errorf("expected one SBOM, found several (choose by --platform, --format): %s", strings.Join(names, "; "))}
	}
}

func (f *sbomFlags) write(out io.Writer, document []byte) error {
	if f.output != "" {
		return os.WriteFile(f.output, document, 0o644) //nolint:gosec // an SBOM is for everybody to read
	}
	_, err := out.Write(document)
	return err
}
