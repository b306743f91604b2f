package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/tallyman-io/tallyman/internal/audit"
	"github.com/tallyman-io/tallyman/internal/pipeline"
	"github.com/tallyman-io/tallyman/internal/release"
)

const (
	// maxReleases bounds how many releases are looked at.
	maxReleases = 500
	// releasesAtOnce is how many are looked at side by side.
	releasesAtOnce = 2
)

// releasesFlags are what `tallyman releases` takes.
type releasesFlags struct {
	trustFlags

	db, format string
	vex        []string
	most       int
}

func releasesCommand() *cobra.Command {
	var f releasesFlags
	cmd := &cobra.Command{
		Use:   "releases REPOSITORY",
		Short: "List the last releases of a repository: critical findings, build duration, sizes, from their papers alone",
		Long: `Lists the version tags of a repository (host/path), newest version first, with what their papers say: the number of critical
findings (of the gate receipt; where there is none, of the SBOM and the advisory database, marked as such), how long the
build took (of the provenance) and what a pull transfers. Nothing but the registry is contacted, and no database of the
services is needed. What is not known is shown as unknown, with the reason below.

With --key or --identity papers are verified; without, receipts and provenance tell nothing.

Exit codes: 0 listed, also where something is unknown, 1 there is no release, 2 usage, 3 the registry could not be read, or one of
the releases, 78 bad configuration.`,
		Args: exactly(1, "REPOSITORY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.run(cmd.Context(), cmd.OutOrStdout(), args[0])
		},
	}
	flags := cmd.Flags()
	f.register(flags)
	registerDatabase(flags, &f.db)
	flags.StringArrayVar(&f.vex, "vex", nil, "OpenVEX document whose statements are believed; may be given several times")
	flags.IntVarP(&f.most, "number", "n", 10, "how many releases")
	flags.StringVar(&f.format, "format", "table", "table or json")
	completeWords(cmd, "format", "table", "json")
	completeFiles(cmd, "db", "vex", "key", "trusted-root")
	return cmd
}

func (f *releasesFlags) run(ctx context.Context, out io.Writer, repository string) (err error) {
	if err := f.check(repository); err != nil {
		return usageError{err}
	}
	look, err := newLooker(&f.trustFlags)
	if err != nil {
		return err
	}
	look.platforms, look.lenient = true, true
	teller := audit.Teller{Nobody: !f.somebody(), Now: time.Now()}
	if teller.VEX, err = readAllStatements(f.vex); err != nil {
		return err
	}
	var done func() error
	if teller.Advisories, done, err = openAdvisories(f.db); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	versions, err := f.versions(ctx, look, repository)
	if err != nil {
		return err
	}
	releases, err := tellAll(ctx, look, &teller, repository, versions)
	if err != nil {
		return fmt.Errorf("%w: %w", errUndecided, err)
	}
	if f.format == "json" {
		err = audit.WriteReleasesJSON(out, repository, releases, teller.Advisories)
	} else {
		err = audit.WriteReleasesTable(out, repository, releases, teller.Advisories, teller.Now)
	}
	if err != nil {
		return fmt.Errorf("%w: write the list: %w", errUndecided, err)
	}
	if i := slices.IndexFunc(releases, func(r audit.Release) bool { return r.Unknown != "" }); i >= 0 {
		return fmt.Errorf("%w: %s: %s", errUndecided, releases[i].Version, releases[i].Unknown)
	}
	return nil
}

func (f *releasesFlags) check(repository string) error {
	switch image, err := pipeline.ParseImage(repository); {
	case err != nil:
		return err
	case image.Tag != "" || image.Digest != "":
		return fmt.Errorf("expected a repository without tag and digest, found %q", repository)
	case f.format != "table" && f.format != "json":
		return fmt.Errorf("--format: expected table or json, found %q", f.format)
	case f.most < 1 || f.most > maxReleases:
		return fmt.Errorf("--number: expected 1 to %d, found %d", maxReleases, f.most)
	default:
		return nil
	}
}

// versions are the newest version tags of a repository, newest first.
func (f *releasesFlags) versions(ctx context.Context, look *looker, repository string) ([]string, error) {
	tags, err := look.client.Tags(ctx, repository)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUndecided, err)
	}
	versions := slices.DeleteFunc(tags, func(tag string) bool { return release.KindOfTag(tag) != release.TagVersion })
	if len(versions) == 0 {
		return nil, fmt.Errorf("%w: %s has no version tag", errNotVerified, repository)
	}
	slices.SortFunc(versions, func(a, b string) int { return release.CompareVersions(b, a) })
	return versions[:min(len(versions), f.most)], nil
}

// tellAll tells of the versions, in their order. One that cannot be looked at does not hide
// the others.
func tellAll(ctx context.Context, look *looker, teller *audit.Teller, repository string, versions []string) ([]audit.Release, error) {
	releases := make([]audit.Release, len(versions))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(releasesAtOnce)
	for i, version := range versions {
		group.Go(func() error {
			t := target{arg: repository + ":" + version, image: pipeline.Image{Repository: repository, Tag: version}}
			var told error
			err := look.look(gctx, t, func(e sighting) (err error) {
				image := audit.Image{Examination: e.Examination, Reference: t.arg, Tag: version, Platform: e.platform}
				unknown := ""
				shape, err := e.shape(gctx)
				if err != nil {
					unknown = err.Error()
				}
				releases[i], told = teller.Tell(gctx, image, shape, unknown)
				return told
			})
			if err != nil && told == nil && gctx.Err() == nil {
				releases[i] = audit.Release{Version: version, Unknown: err.Error()}
				return nil
			}
			return err
		})
	}
	return releases, group.Wait()
}
