package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"

	"github.com/tallyman-io/tallyman/internal/dossier"
	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/layout"
	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/release"
)

// dossierCopyFlags are what `tallyman dossier copy` takes.
type dossierCopyFlags struct {
	trustFlags
	limitFlags

	tags    []string
	image   string
	force   bool
	require []string
}

func dossierCopyCommand() *cobra.Command {
	var f dossierCopyFlags
	cmd := &cobra.Command{
		Use:   "copy FILE|IMAGE|LAYOUT REPOSITORY",
		Short: "Move an image with all its papers to another repository, and verify it there",
		Long: `Copy an image out of a dossier FILE, a registry or an OCI image LAYOUT to REPOSITORY, by digest, with every paper that
lies beside it: referrers by the referrers API or under the fallback tag, as the target has it, and the tags of cosign.
What is there is not sent again, and layers are mounted within one registry. Then it is verified at the target, and only
after that it gets its tags. FILE is checked as verify does, before anything is sent.

Exit codes: 0 copied and verified; 1 damaged, not verified at the target, or something there is in the way;
2 usage; 3 could not tell, such as a registry that does not answer; 78 keys, identities or trusted root are not usable.`,
		Args: exactly(2, "FILE, IMAGE or LAYOUT, and REPOSITORY"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0], args[1]) },
	}
	flags := cmd.Flags()
	f.trustFlags.register(flags)
	f.limitFlags.register(flags)
	flags.StringArrayVar(&f.tags, "tag", nil, "tag that the image gets at the target; may be repeated")
	flags.StringVar(&f.image, "image", "", "which one of several images: its digest, or its name as in repository:tag")
	flags.BoolVar(&f.force, "force", false, "move version tags that name something else, and replace other papers under the tags of cosign")
	flags.StringSliceVar(&f.require, "require", []string{"signature"}, "papers that have to be verified at the target, where there is a key or an identity to verify with")
	return cmd
}

func (f *dossierCopyFlags) run(cmd *cobra.Command, from, repository string) (err error) {
	required, err := paperKinds(f.require)
	if err = errors.Join(err, f.checkTrust(), f.checkLimits(), f.checkNames(repository)); err != nil {
		return usageError{err}
	}
	if f.given() {
		if _, err := newLooker(&f.trustFlags); err != nil {
			return err
		}
	}
	source, err := f.source(cmd, from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.close()) }()
	progress, clearLine := progressOn(cmd)
	options := dossier.CopyOptions{
		Tags: f.tags, From: source.from, PapersOnly: source.papersOnly, Force: f.force, Trust: source.trust.Trust, Progress: progress, Now: time.Now,
	}
	if !source.trust.Nobody || cmd.Flags().Changed("require") {
		options.Accept = func(e release.Examination) error { return decide([]release.Examination{e}, required) }
	}
	copied, err := dossier.Copy(cmd.Context(), source.item, registry.NewPublisher(f.transfers()), repository, options)
	clearLine()
	if err != nil {
		return err
	}
	return f.tell(cmd.OutOrStdout(), repository, copied, source.trust)
}

func (f *dossierCopyFlags) checkNames(repository string) error {
	if _, err := name.NewRepository(repository, name.StrictValidation); err != nil {
		return fmt.Errorf("expected a repository, such as registry.example/path, found %q: %w", repository, err)
	}
	for _, tag := range f.tags {
		if _, err := name.NewTag(repository+":"+tag, name.StrictValidation); err != nil {
			return fmt.Errorf("--tag: %w", err)
		}
		if release.KindOfTag(tag) == release.TagPaper {
			return fmt.Errorf("--tag: expected a tag for an image, found %s, where papers lie", tag)
		}
	}
	return nil
}

// copySource is what is copied.
type copySource struct {
	item       dossier.Item
	trust      trustOf
	from       string
	papersOnly bool
	close      func() error
}

func (f *dossierCopyFlags) source(cmd *cobra.Command, arg string) (copySource, error) {
	if isDossier(arg) {
		return f.fromDossier(cmd, arg)
	}
	trust, err := f.trust()
	if err != nil {
		return copySource{}, configError{err}
	}
	told := trustOf{trust, "flags", "The keys and identities are those that were given."}
	if trust.Nobody {
		told.From, told.Note = "nobody", "No key and no identity was given: all papers are there, and no signature was verified."
	}
	if t, ok := layoutTarget(arg); ok {
		return f.fromLayout(t, told)
	}
	return f.fromRegistry(cmd.Context(), arg, told)
}

func (f *dossierCopyFlags) fromRegistry(ctx context.Context, arg string, trust trustOf) (copySource, error) {
	item, err := remoteItem(ctx, registry.New(f.transfers()), arg)
	return copySource{item: item, trust: trust, from: item.Repository, close: func() error { return nil }}, err
}

func (f *dossierCopyFlags) fromLayout(t target, trust trustOf) (copySource, error) {
	l, err := layout.Open(t.path)
	if err != nil {
		return copySource{}, err
	}
	items, err := layoutItems(l, t)
	if err == nil && len(items) != 1 {
		err = usageError{fmt.Errorf("expected one image in %s, found %d; oci:PATH:NAME chooses", t.path, len(items))}
	}
	if err != nil {
		return copySource{}, errors.Join(err, l.Close())
	}
	return copySource{item: items[0], trust: trust, close: l.Close}, nil
}

func (f *dossierCopyFlags) fromDossier(cmd *cobra.Command, path string) (copySource, error) {
	file, checked, err := openDossier(cmd, path, f.limits)
	if err != nil {
		return copySource{}, err
	}
	failed := func(err error) (copySource, error) { return copySource{}, errors.Join(err, file.Close()) }
	image, err := f.choose(checked.Manifest.Images)
	if err != nil {
		return failed(usageError{err})
	}
	l, err := file.Layout()
	if err != nil {
		return failed(err)
	}
	trust, err := f.trustIn(file, checked.Manifest)
	if err != nil {
		return failed(err)
	}
	if _, err := evidence.New(l, evidence.Config{Trust: trust.Trust}); err != nil {
		return failed(configError{err})
	}
	return copySource{
		item:  dossier.Item{Source: l, Repository: image.Repository, Digest: image.Digest, Listed: release.LayoutDisk},
		trust: trust, papersOnly: checked.Manifest.Contents == dossier.ContentsPapers, close: file.Close,
	}, nil
}

// choose refuses to guess among several images.
func (f *dossierCopyFlags) choose(images []dossier.Image) (dossier.Image, error) {
	var names []string
	var found []dossier.Image
	for _, image := range images {
		own := []string{string(image.Digest), image.Repository, image.Repository + "@" + string(image.Digest)}
		for _, tag := range image.Tags {
			own = append(own, image.Repository+":"+tag)
		}
		names = append(names, own[len(own)-1])
		if f.image == "" || slices.Contains(own, f.image) {
			found = append(found, image)
		}
	}
	if len(found) != 1 {
		return dossier.Image{}, fmt.Errorf("--image: expected one image, found %d; there are %q", len(found), names)
	}
	return found[0], nil
}

func (f *dossierCopyFlags) tell(out io.Writer, repository string, copied dossier.Copied, trust trustOf) error {
	if err := evidence.WriteTable(out, []release.Examination{copied.Examination}); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	_, err := fmt.Fprintf(out, "\n%s@%s: %d blobs sent (%s), %d there before; %d papers; tags %q\n%s\n",
		repository, copied.Examination.Digest, copied.Sent, size(copied.SentBytes), copied.There, copied.Papers, f.tags, trust.Note)
	return err
}
