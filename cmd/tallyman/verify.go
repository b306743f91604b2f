package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/release"
)

var (
	// errNotVerified marks an image whose papers do not hold, or are missing.
	errNotVerified = errors.New("not verified")
	// errUndecided marks an image of which it could not be told.
	errUndecided = errors.New("could not tell")
)

// verifyFlags are what `tallyman verify` takes.
type verifyFlags struct {
	trustFlags

	require []string
	format  string
	// offline refuses what would need a connection.
	offline bool
}

func verifyPapersCommand() *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify IMAGE…|LAYOUT…",
		Short: "Find and verify the papers of images: signature, SBOM, provenance, VEX, verification summary",
		Long: `Find and verify the papers of images, given as registry/path[:tag][@digest], on the index and on each platform.
Nothing but the registry is contacted. Of an OCI image LAYOUT (a folder, a .tar, or oci:PATH[:NAME]) the papers
inside are verified, and nothing is contacted.

Exit codes: 0 what is required is verified, 1 a paper is forged or a required one absent,
2 usage, 3 could not tell, 78 keys, identities or trusted root are not usable.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{errors.New("expected at least one image or layout, found none")}
			}
			return nil
		},
		RunE: f.runE,
	}
	flags := cmd.Flags()
	f.register(flags)
	flags.StringSliceVar(&f.require, "require", []string{"signature"}, "papers that have to be verified: signature, sbom, provenance, vex, summary")
	flags.StringVar(&f.format, "format", "table", "table or json")
	flags.BoolVar(&f.offline, "offline", false, "open no connection: layouts only, an image in a registry is refused")
	return cmd
}

func (f *verifyFlags) runE(cmd *cobra.Command, args []string) error {
	return f.run(cmd.Context(), cmd.OutOrStdout(), args)
}

func (f *verifyFlags) run(ctx context.Context, out io.Writer, args []string) error {
	targets, required, err := f.check(args)
	if err != nil {
		return usageError{err}
	}
	look, err := newLooker(&f.trustFlags)
	if err != nil {
		return err
	}
	var examinations []release.Examination
	for _, t := range targets {
		err := look.look(ctx, t, func(e release.Examination, _ release.Platform) error {
			examinations = append(examinations, e)
			return nil
		})
		if err != nil {
			return fmt.Errorf("%w: %w", errUndecided, err)
		}
	}
	write := evidence.WriteTable
	if f.format == "json" {
		write = evidence.WriteJSON
	}
	if err := write(out, examinations); err != nil {
		return fmt.Errorf("%w: write the report: %w", errUndecided, err)
	}
	return decide(examinations, required)
}

// check returns the targets and the kinds of paper that are required.
func (f *verifyFlags) check(args []string) ([]target, []release.PaperKind, error) {
	if f.format != "table" && f.format != "json" {
		return nil, nil, fmt.Errorf("--format: expected table or json, found %q", f.format)
	}
	if !f.somebody() {
		return nil, nil, errors.New("expected --key, or --identity and --issuer, found neither")
	}
	targets := make([]target, 0, len(args))
	for _, arg := range args {
		t, ok := layoutTarget(arg)
		if !ok {
			if f.offline {
				return nil, nil, fmt.Errorf("--offline: expected an OCI image layout (a folder, a .tar, or oci:PATH), found %q", arg)
			}
			var err error
			if t.image, err = imageOf(arg); err != nil {
				return nil, nil, err
			}
			t.path = ""
		}
		targets = append(targets, t)
	}
	kinds, err := paperKinds(f.require)
	return targets, kinds, err
}

// paperKinds reads --require.
func paperKinds(names []string) ([]release.PaperKind, error) {
	kinds := make([]release.PaperKind, 0, len(names))
	for _, name := range names {
		kind := release.PaperKind(name)
		if name == "summary" {
			kind = release.PaperSummary
		}
		if !slices.Contains(release.PaperKinds(), kind) {
			return nil, fmt.Errorf("--require: expected signature, sbom, provenance, vex or summary, found %q", name)
		}
		kinds = append(kinds, kind)
	}
	return kinds, nil
}

// decide makes the exit code's error of what was found. What does not hold weighs
// more than what could not be told.
func decide(examinations []release.Examination, required []release.PaperKind) error {
	var failed, undecided []string
	for _, e := range examinations {
		at := e.Repository + "@" + e.Digest.Short()
		for _, kind := range required {
			switch state, reason := e.State(kind); state {
			case release.StateVerified:
			case release.StateUnknown:
				undecided = append(undecided, fmt.Sprintf("%s: %s: %s", at, kind, reason))
			default:
				failed = append(failed, fmt.Sprintf("%s: %s is %s: %s", at, kind, state, reason))
			}
		}
		for _, piece := range e.Evidence {
			if piece.Disputed() && !slices.Contains(required, piece.Kind) {
				failed = append(failed, fmt.Sprintf("%s: %s of %s is invalid: %s", at, piece.Kind, piece.On, piece.Reason))
			}
		}
	}
	switch {
	case len(failed) > 0:
		return fmt.Errorf("%w: %s", errNotVerified, strings.Join(append(failed, undecided...), "; "))
	case len(undecided) > 0:
		return fmt.Errorf("%w: %s", errUndecided, strings.Join(undecided, "; "))
	default:
		return nil
	}
}
