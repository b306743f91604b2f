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

	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/scan"
)

// sbomFlags are what `tallyman sbom` takes.
type sbomFlags struct {
	imageFlags

	format, output string
	unverified     bool
}

func printSBOMCommand() *cobra.Command {
	var f sbomFlags
	cmd := &cobra.Command{
		Use:   "sbom IMAGE|LAYOUT",
		Short: "Print the SBOM that was attested for an image, byte for byte",
		Long: `Finds the SBOM that travels with an IMAGE (host/path:tag or host/path@digest) or lies in an OCI image
LAYOUT (a folder, a .tar, or oci:PATH[:NAME]), verifies it, and prints the document as it was attested.
Which one it is, and who signed it, goes to standard error. An image with several needs --platform or --format.

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
	if err := f.write(out, attached.Document); err != nil {
		return fmt.Errorf("%w: write the SBOM: %w", errUndecided, err)
	}
	_, err = fmt.Fprintln(notes, attached.Source)
	return err
}

func (f *sbomFlags) check() error {
	switch {
	case !slices.Contains([]string{"", "spdx", "cyclonedx"}, f.format):
		return fmt.Errorf("--format: expected spdx or cyclonedx, found %q", f.format)
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
