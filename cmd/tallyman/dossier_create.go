package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/buildinfo"
	"github.com/tallyman-io/tallyman/internal/dossier"
	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/layout"
	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/retry"
)

// dossierCreateFlags are what `tallyman dossier create` takes.
type dossierCreateFlags struct {
	trustFlags

	output, at, db string
	papersOnly     bool
	ecosystems     []string
	require        []string
}

func dossierCreateCommand() *cobra.Command {
	var f dossierCreateFlags
	cmd := &cobra.Command{
		Use:   "create -o FILE IMAGE…|LAYOUT…",
		Short: "Write images with all their papers into one file",
		Long: `Write images, given as registry/path[:tag][@digest] or as OCI image layouts, with all platforms and every paper
that lies beside them into FILE: an OCI image layout in a tar, compressed with Zstandard. The keys and identities
that are given verify the papers, and go into the file with the report. FILE is there whole, or as it was before.

The same images and the same --at, or $SOURCE_DATE_EPOCH, give the same bytes.

Exit codes: 0 written, and what is required is verified; 1 written, but a paper is forged or a required one absent;
2 usage; 3 could not tell, or not written; 78 keys, identities or trusted root are not usable.`,
		Args: atLeastOne("image or layout"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	flags := cmd.Flags()
	f.register(flags)
	flags.StringVarP(&f.output, "output", "o", "", "file to write")
	flags.BoolVar(&f.papersOnly, "papers-only", false, "leave out the layers of the images")
	flags.StringVar(&f.at, "at", "", "time of the dossier, in RFC 3339 (default $SOURCE_DATE_EPOCH, or now)")
	flags.StringVar(&f.db, "db", "", "advisory database whose digest and age are noted")
	flags.StringSliceVar(&f.ecosystems, "advisories", nil, "ecosystems, such as Go or Debian, whose records go in; of --db, or of the database that scan uses")
	flags.StringSliceVar(&f.require, "require", []string{"signature"}, "papers that have to be verified when a key or identity is given")
	return cmd
}

func (f *dossierCreateFlags) run(cmd *cobra.Command, args []string) (err error) {
	required, at, err := f.check()
	if err != nil {
		return err
	}
	trust, err := f.trust()
	if err != nil {
		return configError{err}
	}
	// A mistake in the trust is heard before anything is fetched.
	if _, err := evidence.New(nil, evidence.Config{Trust: trust}); err != nil {
		return configError{err}
	}
	items, done, err := f.items(cmd.Context(), args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	info := buildinfo.Read("")
	options := dossier.Options{
		PapersOnly: f.papersOnly, At: at, Trust: trust, Wait: retry.Sleep,
		Tool: dossier.Tool{Version: info.Version, Commit: info.Commit},
	}
	cleanUp, err := f.advisories(&options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cleanUp()) }()
	progress, clearLine := progressOn(cmd)
	options.Progress = progress
	created, err := dossier.Create(cmd.Context(), f.output, items, options)
	clearLine()
	if err != nil {
		return err
	}
	if err := f.tell(cmd.OutOrStdout(), created); err != nil {
		return err
	}
	if trust.Nobody {
		return nil
	}
	return decide(created.Examinations, required)
}

func (f *dossierCreateFlags) check() ([]release.PaperKind, time.Time, error) {
	required, err := paperKinds(f.require)
	if err == nil {
		err = f.checkTrust()
	}
	if f.output == "" && err == nil {
		err = errors.New("expected -o FILE, found none")
	}
	var at time.Time
	if err == nil && f.at != "" {
		if at, err = time.Parse(time.RFC3339, f.at); err != nil {
			err = fmt.Errorf("--at: expected a time such as 2026-05-01T12:00:00Z, found %q", f.at)
		}
	}
	if err != nil {
		return nil, at, usageError{err}
	}
	if f.at == "" {
		at, err = epoch()
	}
	return required, at, err
}

// epoch is the time that builds are to say (https://reproducible-builds.org/specs/source-date-epoch/),
// or now.
func epoch() (time.Time, error) {
	const variable = "SOURCE_DATE_EPOCH"
	value, ok := os.LookupEnv(variable)
	if !ok {
		return time.Now(), nil
	}
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return time.Time{}, configError{fmt.Errorf("%s: expected seconds since 1970, found %q", variable, value)}
	}
	return time.Unix(seconds, 0), nil
}

// items finds the images; done closes the layouts.
func (f *dossierCreateFlags) items(ctx context.Context, args []string) (items []dossier.Item, done func() error, err error) {
	client := registry.New(f.transfers())
	var opened []*layout.Layout
	done = func() error {
		var errs []error
		for _, l := range opened {
			errs = append(errs, l.Close())
		}
		return errors.Join(errs...)
	}
	for _, arg := range args {
		if t, ok := layoutTarget(arg); ok {
			l, err := layout.Open(t.path)
			if err != nil {
				return nil, nil, errors.Join(err, done())
			}
			opened = append(opened, l)
			found, err := layoutItems(l, t)
			if err != nil {
				return nil, nil, errors.Join(err, done())
			}
			items = append(items, found...)
			continue
		}
		item, err := remoteItem(ctx, client, arg)
		if err != nil {
			return nil, nil, errors.Join(err, done())
		}
		items = append(items, item)
	}
	return items, done, nil
}

func remoteItem(ctx context.Context, client *registry.Client, arg string) (dossier.Item, error) {
	image, err := imageOf(arg)
	if err != nil {
		return dossier.Item{}, usageError{err}
	}
	digest := image.Digest
	if digest == "" {
		if digest, err = client.Resolve(ctx, image.Repository, image.Tag); err != nil {
			return dossier.Item{}, err
		}
	}
	return dossier.Item{Source: client, Repository: image.Repository, Digest: digest, Tag: image.Tag}, nil
}

// layoutItems are the images of a layout, under the names that they have there, or that
// of its folder.
func layoutItems(l *layout.Layout, t target) ([]dossier.Item, error) {
	images, err := l.Images(t.of)
	if err != nil {
		return nil, err
	}
	var items []dossier.Item
	for _, image := range images {
		item := dossier.Item{Source: l, Repository: strings.TrimSuffix(filepath.Base(t.path), ".tar"), Digest: image.Digest, Listed: release.LayoutDisk}
		for _, name := range image.Names {
			if parsed, err := imageOf(name); err == nil {
				item.Repository, item.Tag = parsed.Repository, parsed.Tag
				break
			}
		}
		items = append(items, item)
	}
	return items, nil
}

// advisories notes the advisory data in the options, and takes records out of them;
// release takes the files away that were made for that.
func (f *dossierCreateFlags) advisories(o *dossier.Options) (release func() error, err error) {
	release = func() error { return nil }
	if f.db == "" && len(f.ecosystems) == 0 {
		return release, nil
	}
	err = withDatabase(f.db, func(_ string, db *advisory.Database) error {
		o.Advisories = &dossier.Advisories{Digest: db.Digest(), Imported: db.Built().UTC(), Records: db.Records()}
		if newest := db.Newest().UTC(); !newest.IsZero() {
			age := int64(o.At.Sub(newest) / time.Second)
			o.Advisories.Newest, o.Advisories.AgeSeconds = &newest, &age
		}
		if len(f.ecosystems) == 0 {
			return nil
		}
		dir, err := os.MkdirTemp("", "tallyman-advisories-")
		if err != nil {
			return err
		}
		release = func() error { return os.RemoveAll(dir) }
		if err := db.Export(dir, f.ecosystems...); err != nil {
			return err
		}
		for _, ecosystem := range f.ecosystems {
			records, err := attach(dir, filepath.Join(ecosystem, "all.zip"))
			if err != nil {
				return usageError{fmt.Errorf("--advisories: expected an ecosystem of the database, found %q: %w", ecosystem, err)}
			}
			o.Records = append(o.Records, records)
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, release())
	}
	return release, nil
}

func attach(dir, name string) (dossier.Attachment, error) {
	path := filepath.Join(dir, name)
	file, err := os.Open(path)
	if err != nil {
		return dossier.Attachment{}, err
	}
	sum := sha256.New()
	n, err := io.Copy(sum, file)
	if err := errors.Join(err, file.Close()); err != nil {
		return dossier.Attachment{}, err
	}
	return dossier.Attachment{
		Name: filepath.ToSlash(name), MediaType: "application/zip", Size: n,
		Digest: release.Digest("sha256:" + hex.EncodeToString(sum.Sum(nil))),
		Open:   func(context.Context) (io.ReadCloser, error) { return os.Open(path) },
	}, nil
}

func (f *dossierCreateFlags) tell(out io.Writer, created dossier.Created) error {
	info, err := os.Stat(f.output)
	if err != nil {
		return err
	}
	if err := evidence.WriteTable(out, created.Examinations); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	m := created.Manifest
	_, err = fmt.Fprintf(out, "\n%s: %s of %d image(s), %d blobs, %s, as of %s\ndossier %s\n",
		f.output, m.Contents, len(m.Images), len(m.Blobs), size(info.Size()), m.Created.Format(time.RFC3339), created.Digest)
	return err
}
