package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tallyman-io/tallyman/internal/buildinfo"
	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/pipeline"
	"github.com/tallyman-io/tallyman/internal/registry"
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
	keys, identities, patterns []string
	issuer, trustedRoot        string
	requireLog                 bool
	require                    []string
	format                     string
	insecure                   []string
}

func verifyPapersCommand() *cobra.Command {
	var f verifyFlags
	cmd := &cobra.Command{
		Use:   "verify IMAGE…",
		Short: "Find and verify the papers of images: signature, SBOM, provenance, VEX, verification summary",
		Long: `Find and verify the papers of images, given as registry/path[:tag][@digest], on the index and on each platform.
Nothing but the registry is contacted.

Exit codes: 0 what is required is verified, 1 a paper is forged or a required one absent,
2 usage, 3 could not tell, 78 keys, identities or trusted root are not usable.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{errors.New("expected at least one image, found none")}
			}
			return nil
		},
		RunE: f.runE,
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&f.keys, "key", nil, "file of a public key (PEM) that may have signed; may be repeated")
	flags.StringArrayVar(&f.identities, "identity", nil, "certificate identity that may have signed, exactly; may be repeated")
	flags.StringArrayVar(&f.patterns, "identity-pattern", nil, "regular expression for it, from ^ to $; may be repeated")
	flags.StringVar(&f.issuer, "issuer", "", "OIDC issuer of the identities, exactly")
	flags.StringVar(&f.trustedRoot, "trusted-root", "", "file of the Sigstore trusted root; identities need it")
	flags.BoolVar(&f.requireLog, "require-log", false, "demand a transparency log entry of signatures by key, too")
	flags.StringSliceVar(&f.require, "require", []string{"signature"}, "papers that have to be verified: signature, sbom, provenance, vex, summary")
	flags.StringVar(&f.format, "format", "table", "table or json")
	flags.StringArrayVar(&f.insecure, "insecure", nil, "host[:port] of a registry that speaks plain HTTP; may be repeated")
	return cmd
}

func (f *verifyFlags) runE(cmd *cobra.Command, args []string) error {
	return f.run(cmd.Context(), cmd.OutOrStdout(), args)
}

func (f *verifyFlags) run(ctx context.Context, out io.Writer, args []string) error {
	images, required, err := f.check(args)
	if err != nil {
		return usageError{err}
	}
	trust, err := f.trust()
	if err != nil {
		return configError{err}
	}
	client := registry.New(registry.Config{
		Hosts: furtherHosts(), HostsKey: hostsVariable, Insecure: f.insecure, UserAgent: "tallyman/" + buildinfo.Read("").Version,
	})
	examiner, err := evidence.New(client, evidence.Config{Trust: trust})
	if err != nil {
		return configError{err}
	}
	examinations := make([]release.Examination, 0, len(images))
	for _, image := range images {
		examination, err := examineImage(ctx, client, examiner, image)
		if err != nil {
			return fmt.Errorf("%w: %w", errUndecided, err)
		}
		examinations = append(examinations, examination)
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

// check returns the images and the kinds of paper that are required.
func (f *verifyFlags) check(args []string) ([]pipeline.Image, []release.PaperKind, error) {
	if f.format != "table" && f.format != "json" {
		return nil, nil, fmt.Errorf("--format: expected table or json, found %q", f.format)
	}
	if len(f.keys)+len(f.identities)+len(f.patterns) == 0 {
		return nil, nil, errors.New("expected --key, or --identity and --issuer, found neither")
	}
	images := make([]pipeline.Image, 0, len(args))
	for _, arg := range args {
		image, err := pipeline.ParseImage(arg)
		if err != nil {
			return nil, nil, err
		}
		if image.Tag == "" && image.Digest == "" {
			return nil, nil, fmt.Errorf("image %q: expected a tag or a digest, found neither", arg)
		}
		images = append(images, image)
	}
	kinds := make([]release.PaperKind, 0, len(f.require))
	for _, name := range f.require {
		kind := release.PaperKind(name)
		if name == "summary" {
			kind = release.PaperSummary
		}
		if !slices.Contains(release.PaperKinds(), kind) {
			return nil, nil, fmt.Errorf("--require: expected signature, sbom, provenance, vex or summary, found %q", name)
		}
		kinds = append(kinds, kind)
	}
	return images, kinds, nil
}

func (f *verifyFlags) trust() (evidence.Trust, error) {
	trust := evidence.Trust{RequireLog: f.requireLog}
	for _, file := range f.keys {
		pem, err := os.ReadFile(file)
		if err != nil {
			return trust, fmt.Errorf("--key: %w", err)
		}
		trust.Keys = append(trust.Keys, evidence.Key{Name: filepath.Base(file), PEM: pem})
	}
	for _, subject := range f.identities {
		trust.Identities = append(trust.Identities, evidence.Identity{Subject: subject, Issuer: f.issuer})
	}
	for _, pattern := range f.patterns {
		trust.Identities = append(trust.Identities, evidence.Identity{Pattern: pattern, Issuer: f.issuer})
	}
	if f.trustedRoot != "" {
		root, err := os.ReadFile(f.trustedRoot)
		if err != nil {
			return trust, fmt.Errorf("--trusted-root: %w", err)
		}
		trust.TrustedRoot = root
	}
	return trust, nil
}

func examineImage(ctx context.Context, client *registry.Client, examiner *evidence.Examiner, image pipeline.Image) (release.Examination, error) {
	digest := image.Digest
	if digest == "" {
		var err error
		if digest, err = client.Resolve(ctx, image.Repository, image.Tag); err != nil {
			return release.Examination{}, err
		}
	}
	return examiner.Examine(ctx, image.Repository, digest)
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
