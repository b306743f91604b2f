package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallyman-io/tallyman/internal/buildinfo"
	"github.com/tallyman-io/tallyman/internal/cosign"
	"github.com/tallyman-io/tallyman/internal/rebuild"
	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/tool"
)

// reproduceFlags are what `tallyman reproduce` takes.
type reproduceFlags struct {
	trustFlags

	source, archives, format string
	work, tools, rebuilt     string
	attest                   bool
	signingKey, builderID    string
	timeout                  time.Duration
	notes                    io.Writer
	environ                  []string
	getenv                   func(string) string
	now                      func() time.Time
}

// noTools is what --tools may say in place of a folder.
const noTools = "none"

func reproduceCommand() *cobra.Command {
	f := reproduceFlags{environ: os.Environ(), getenv: os.Getenv, now: time.Now}
	cmd := &cobra.Command{
		Use:   "reproduce TAG|IMAGE…",
		Short: "Rebuild a release from its source, and compare it with what was published",
		Long: `Rebuilds what was published and compares it: index, platform manifests, configurations, layers, files, bytes.

IMAGE is host/path:tag or host/path@digest; several have to be of one commit. TAG (v1.2.3), in a clone of the repository, stands for
the images of that release at TALLYMAN_REGISTRY, and the clone for the source. The commit to rebuild is the one that
verified provenance names (--key, or --identity and --issuer); without it nothing is cloned. The rebuild runs the
commit's own build: "make tools" and "make snapshot", or, where BUILDX_BUILDER names a builder, "goreleaser release --snapshot" with that
(docs/reproduce.md).

Exit codes: 0 identical, 1 different, 2 usage, 3 could not tell (no verified provenance; it cannot be cloned, built
or reached; it could not be attested), 78 keys, identities or trusted root are not usable, or there is nothing to sign with.`,
		Args: atLeastOne("TAG or IMAGE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.notes = cmd.ErrOrStderr()
			return f.run(cmd.Context(), cmd.OutOrStdout(), args)
		},
	}
	flags := cmd.Flags()
	f.register(flags)
	flags.StringVar(&f.source, "source", "", "folder, or https or file URL, to clone from (default what the provenance says; the clone for a TAG)")
	flags.StringVar(&f.archives, "archives", "", "folder with files of the release page (checksums.txt, archives, their SBOMs, packages) to compare as well")
	flags.StringVar(&f.format, "format", "table", "table or json")
	flags.StringVar(&f.work, "work", "", "new or empty folder to work in, which is left there with the log (default a temporary one)")
	flags.StringVar(&f.tools, "tools", "", "folder of the pinned tools, kept between runs, or none to build them anew (default tallyman/tools in the user's cache)")
	flags.StringVar(&f.rebuilt, "rebuilt", "", "checkout in which the build was run already, or its image layout: compare only")
	flags.BoolVar(&f.attest, "attest", false, "where it is identical, sign that as provenance about the digest and attach it")
	flags.StringVar(&f.signingKey, "signing-key", "", "private key (file or KMS URI) that --attest signs with (default $COSIGN_KEY, or keyless)")
	flags.StringVar(&f.builderID, "builder-id", "", "URI of who rebuilt, for --attest (default $TALLYMAN_BUILDER_ID, or docs/reproduce.md)")
	flags.DurationVar(&f.timeout, "timeout", time.Hour, "longest time that cloning and building may take")
	completeWords(cmd, "format", "table", "json")
	completeFiles(cmd, "key", "trusted-root", "signing-key")
	return cmd
}

func (f *reproduceFlags) run(ctx context.Context, out io.Writer, args []string) error {
	if err := f.check(); err != nil {
		return usageError{err}
	}
	identity := f.identity()
	if f.attest {
		if err := identity.CheckSigning(f.getenv); err != nil {
			return configError{err}
		}
	}
	look, err := newLooker(&f.trustFlags)
	if err != nil {
		return err
	}
	images, err := f.published(ctx, look, args)
	if err != nil {
		return err
	}
	dir, done, err := f.workFolder()
	if err != nil {
		return fmt.Errorf("%w: %w", errUndecided, err)
	}
	outcome, err := f.rebuild(ctx, images, dir)
	if err != nil {
		return undecided(errors.Join(err, done()))
	}
	var signing error
	if f.attest && outcome.Report.Result == rebuild.Identical {
		signing = f.sign(ctx, identity, outcome, dir)
	}
	// What was found out is told, also when it could not be signed.
	return errors.Join(f.report(out, outcome.Report), undecided(signing), undecided(done()))
}

// undecided marks what kept the command from telling. A mismatch is an answer.
func undecided(err error) error {
	if err == nil || errors.Is(err, rebuild.ErrMismatch) {
		return err
	}
	return fmt.Errorf("%w: %w", errUndecided, err)
}

func (f *reproduceFlags) report(out io.Writer, report *rebuild.Report) error {
	write := report.WriteTable
	if f.format == "json" {
		write = report.WriteJSON
	}
	if err := write(out); err != nil {
		return fmt.Errorf("%w: write the report: %w", errUndecided, err)
	}
	if report.Result != rebuild.Identical {
		return outcomeError{exitFail}
	}
	return nil
}

func (f *reproduceFlags) check() error {
	switch {
	case f.format != "table" && f.format != "json":
		return fmt.Errorf("--format: expected table or json, found %q", f.format)
	case !f.somebody():
		return errors.New("expected --key, or --identity and --issuer, found neither: what is rebuilt is what somebody vouches for")
	case f.rebuilt != "" && f.attest:
		return errors.New("--attest: expected a build by this command, found --rebuilt: what it did not build it cannot vouch for")
	case f.rebuilt != "" && (f.source != "" || f.work != ""):
		return errors.New("--rebuilt: nothing is cloned or built; found --source or --work beside it")
	case !f.attest && (f.signingKey != "" || f.builderID != ""):
		return errors.New("--signing-key and --builder-id are for --attest, which is not set")
	case f.timeout <= 0:
		return fmt.Errorf("--timeout: expected more than 0, found %s", f.timeout)
	default:
		return nil
	}
}

// identity is whom --attest signs as: as a release does, but that the flag wins.
func (f *reproduceFlags) identity() cosign.Identity {
	identity := cosign.IdentityFromEnv(f.getenv)
	if f.signingKey != "" {
		identity.Key = f.signingKey
		// That of another key may be in the environment of a release.
		identity.PublicKey = ""
	}
	return identity
}

// published finds what the arguments stand for, and what their provenance says.
func (f *reproduceFlags) published(ctx context.Context, look *looker, args []string) ([]rebuild.Published, error) {
	targets, commit, err := f.targets(ctx, args)
	if err != nil {
		return nil, err
	}
	var images []rebuild.Published
	for _, t := range targets {
		err := look.look(ctx, t, func(e sighting) error {
			claim, err := rebuild.ClaimOf(e.Examination)
			if err != nil {
				return err
			}
			images = append(images, rebuild.Published{Repository: e.Repository, Digest: e.Digest, Claim: claim})
			return matches(t, claim, commit)
		})
		if err != nil {
			return nil, undecided(err)
		}
	}
	return images, nil
}

// matches refuses an image whose provenance is of another version than it was asked for
// by, or of another commit than the tag of the clone.
func matches(t target, claim rebuild.Claim, commit string) error {
	if release.KindOfTag(t.image.Tag) == release.TagVersion && t.image.Tag != claim.Tag {
		return fmt.Errorf("%w: %s: expected provenance of the tag %s, found that of %s", rebuild.ErrMismatch, t.arg, t.image.Tag, claim.Tag)
	}
	if commit != "" && commit != claim.Commit {
		return fmt.Errorf("%w: %s: expected commit %s, as the tag %s of this clone names, found %s", rebuild.ErrMismatch, t.arg, commit, claim.Tag, claim.Commit)
	}
	return nil
}

// targets reads the arguments: images, or one tag of the clone at hand, with the commit
// that it names.
func (f *reproduceFlags) targets(ctx context.Context, args []string) (targets []target, commit string, err error) {
	for _, arg := range args {
		if release.KindOfTag(arg) == release.TagVersion {
			if len(args) > 1 {
				return nil, "", usageError{fmt.Errorf("expected one TAG, or images, found %q", args)}
			}
			return f.tagTargets(ctx, arg)
		}
		t, err := referenceTarget(arg)
		if err != nil {
			return nil, "", usageError{fmt.Errorf("%s: expected a TAG such as v1.2.3, or an IMAGE: %w", arg, err)}
		}
		targets = append(targets, t)
	}
	return targets, "", nil
}

func (f *reproduceFlags) tagTargets(ctx context.Context, tag string) ([]target, string, error) {
	root, err := checkout()
	if err != nil {
		return nil, "", usageError{fmt.Errorf("a TAG is one of a clone: %w", err)}
	}
	images, err := releasedImages(root, f.getenv)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", errUndecided, err)
	}
	commit, err := rebuild.TagCommit(ctx, root, tag, f.environ)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %w", errUndecided, err)
	}
	if f.source == "" && f.rebuilt == "" {
		f.source = root
	}
	targets := make([]target, 0, len(images))
	for _, image := range images {
		arg := image + ":" + tag
		t, err := referenceTarget(arg)
		if err != nil {
			return nil, "", configError{fmt.Errorf("TALLYMAN_REGISTRY: %s: %w", arg, err)}
		}
		targets = append(targets, t)
	}
	return targets, commit, nil
}

// workFolder makes the folder to work in. The function removes a temporary one.
func (f *reproduceFlags) workFolder() (string, func() error, error) {
	if f.work == "" {
		dir, err := os.MkdirTemp("", "tallyman-reproduce-*")
		return dir, func() error { return os.RemoveAll(dir) }, err
	}
	dir, err := filepath.Abs(f.work)
	if err != nil {
		return "", nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // public data
		return "", nil, err
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("--work: expected an empty folder, found %d files in %s", len(entries), dir)
	}
	return dir, func() error { return nil }, err
}

func (f *reproduceFlags) rebuild(ctx context.Context, images []rebuild.Published, dir string) (_ *rebuild.Outcome, err error) {
	log, err := os.Create(filepath.Join(dir, "build.log"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	ctx, cancel := context.WithTimeoutCause(ctx, f.timeout, fmt.Errorf("it took longer than %s (--timeout)", f.timeout))
	defer cancel()
	// Layers take longer than the papers that a looker reads.
	client := registry.New(registry.Config{
		Hosts: furtherHosts(), HostsKey: hostsVariable, Insecure: f.insecure, Timeout: requestTimeout, UserAgent: "tallyman/" + buildinfo.Read("").Version,
	})
	job := rebuild.Job{
		Images: images, Registry: client, From: f.source, Dir: dir, Made: f.rebuilt, Archives: f.archives,
		Builder: &rebuild.Builder{
			Environ: f.environ, Root: os.Geteuid() == 0, Tools: f.toolsFolder(), Log: log, Now: f.now,
			Say: func(format string, args ...any) { fmt.Fprintf(f.notes, "reproduce: "+format+"\n", args...) }, //nolint:errcheck // progress for people
		},
	}
	return job.Run(ctx)
}

func (f *reproduceFlags) toolsFolder() string {
	switch f.tools {
	case noTools:
		return ""
	case "":
		cache, err := os.UserCacheDir()
		if err != nil {
			return "" // then they are built anew
		}
		return filepath.Join(cache, "tallyman", "tools")
	default:
		return f.tools
	}
}

// sign attests each image, in the order of the arguments.
func (f *reproduceFlags) sign(ctx context.Context, identity cosign.Identity, outcome *rebuild.Outcome, dir string) error {
	builder := f.builderID
	if builder == "" {
		builder = f.getenv("TALLYMAN_BUILDER_ID")
	}
	attester := rebuild.Attester{Tools: tool.Box{Dir: outcome.Tools}, Identity: identity, BuilderID: builder, Dir: dir}
	for _, r := range outcome.Rebuilt {
		signer, err := attester.Attest(ctx, r)
		if err != nil {
			return err
		}
		outcome.Report.Attested(r.Repository, r.Digest, signer)
	}
	return nil
}
