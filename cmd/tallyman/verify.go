package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallyman-io/tallyman/internal/audit"
	"github.com/tallyman-io/tallyman/internal/release"
)

var (
	// errNotVerified marks an image whose papers do not hold, or are missing, or which a
	// policy does not pass.
	errNotVerified = errors.New("not verified")
	// errUndecided marks an image of which it could not be told.
	errUndecided = errors.New("could not tell")
)

// verifyFlags are what `tallyman verify` takes.
type verifyFlags struct {
	imageFlags
	judgeFlags

	require []string
	format  string
	// offline refuses what would need a connection.
	offline bool
	// required: --require was said.
	required bool
}

func verifyPapersCommand() *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify IMAGE…|LAYOUT…",
		Short: "Verify the papers of images (signature, SBOM, provenance, VEX, verification summary), and judge them by a policy",
		Long: `Find and verify the papers of images, given as registry/path[:tag][@digest], on the index and on each platform,
and judge what they say by a policy. Nothing but the registry is contacted. Of an OCI image LAYOUT (a folder, a .tar,
or oci:PATH[:NAME]) the papers inside are verified, and nothing is contacted.

What decides: the papers that --require names; the policy that --policy names. With neither of them it is the built-in
policy where there is an advisory database (--db), and the signature where there is none.

Exit codes: 0 what decides is verified and passes, 1 it does not, or a paper is forged, 2 usage, 3 could not tell,
78 keys, identities, trusted root or policy are not usable.`,
		Args: atLeastOne("image or layout"),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.required = cmd.Flags().Changed("require")
			return f.run(cmd.Context(), cmd.OutOrStdout(), args)
		},
	}
	flags := cmd.Flags()
	f.imageFlags.register(flags)
	f.judgeFlags.register(flags)
	flags.StringSliceVar(&f.require, "require", []string{"signature"}, "papers that have to be verified: signature, sbom, provenance, vex, summary")
	flags.StringVar(&f.format, "format", "table", "table or json")
	flags.BoolVar(&f.offline, "offline", false, "open no connection: layouts only, an image in a registry is refused")
	completeWords(cmd, "format", "table", "json")
	completeWords(cmd, "require", "signature", "sbom", "provenance", "vex", "summary")
	completeFiles(cmd, "policy", "db", "vex", "key", "trusted-root")
	return cmd
}

func (f *verifyFlags) run(ctx context.Context, out io.Writer, args []string) (err error) {
	targets, required, err := f.check(args)
	if err != nil {
		return usageError{err}
	}
	look, err := f.looker()
	if err != nil {
		return err
	}
	by, err := f.open(f.required, time.Now())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, by.close()) }()
	// A single manifest does not say its platform; policies and --platform ask for it.
	look.platforms, look.lenient = look.platforms || by.judge != nil, true
	images, err := f.look(ctx, look, targets, by)
	if err != nil {
		return err
	}
	var advisories audit.Advisories
	if by.judge != nil {
		advisories = by.judge.Advisories
	}
	write := audit.WriteTable
	if f.format == "json" {
		write = audit.WriteJSON
	}
	if err := write(out, images, advisories); err != nil {
		return fmt.Errorf("%w: write the report: %w", errUndecided, err)
	}
	if by.judge != nil && !f.required {
		required = nil
	}
	return decideJudged(images, required)
}

// look looks at the targets, and has them judged where somebody does.
func (f *verifyFlags) look(ctx context.Context, look *looker, targets []target, by judgement) ([]audit.Image, error) {
	var images []audit.Image
	for _, t := range targets {
		err := look.look(ctx, t, func(e sighting) (err error) {
			image := audit.Image{Examination: e.Examination, Reference: t.arg, Tag: t.image.Tag, Platform: e.platform, NotJudged: by.why}
			if f.platform != "" {
				if image.Examination, err = audit.Narrow(e.Examination, e.platform, f.platform); err != nil {
					return err
				}
			}
			if by.judge != nil {
				if image.Judgement, err = by.judge.Judge(ctx, image); err != nil {
					return err
				}
			}
			images = append(images, image)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errUndecided, err)
		}
	}
	return images, nil
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

// decide makes the exit code's error of papers.
func decide(examinations []release.Examination, required []release.PaperKind) error {
	var f found
	for _, e := range examinations {
		f.papers(e, required)
	}
	return f.err()
}

// decideJudged makes the exit code's error of papers, and of what a policy says of them.
func decideJudged(images []audit.Image, required []release.PaperKind) error {
	var f found
	for i := range images {
		f.papers(images[i].Examination, required)
		f.judgement(images[i].Examination, images[i].Judgement)
	}
	return f.err()
}

// found is what speaks against an image, a sentence each.
type found struct{ failed, undecided []string }

func (f *found) papers(e release.Examination, required []release.PaperKind) {
	at := e.Repository + "@" + e.Digest.Short()
	for _, kind := range required {
		switch state, reason := e.State(kind); state {
		case release.StateVerified:
		case release.StateUnknown:
			f.undecided = append(f.undecided, fmt.Sprintf("%s: %s: %s", at, kind, reason))
		default:
			f.failed = append(f.failed, fmt.Sprintf("%s: %s is %s: %s", at, kind, state, reason))
		}
	}
	for _, piece := range e.Evidence {
		if piece.Disputed() && !slices.Contains(required, piece.Kind) {
			f.failed = append(f.failed, fmt.Sprintf("%s: %s of %s is invalid: %s", at, piece.Kind, piece.On, piece.Reason))
		}
	}
}

func (f *found) judgement(e release.Examination, j *audit.Judgement) {
	if j == nil {
		return
	}
	for _, r := range j.Verdict.Reasons {
		said := fmt.Sprintf("%s@%s: %s: %s", e.Repository, e.Digest.Short(), r.Rule, r.Message)
		switch r.Result {
		case release.ResultPass:
		case release.ResultFail:
			f.failed = append(f.failed, said)
		default:
			f.undecided = append(f.undecided, said)
		}
	}
}

// err is what weighs most: what does not hold weighs more than what could not be told.
func (f *found) err() error {
	switch {
	case len(f.failed) > 0:
		return fmt.Errorf("%w: %s", errNotVerified, strings.Join(append(f.failed, f.undecided...), "; "))
	case len(f.undecided) > 0:
		return fmt.Errorf("%w: %s", errUndecided, strings.Join(f.undecided, "; "))
	default:
		return nil
	}
}
