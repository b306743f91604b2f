package tally

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/release"
)

const (
	// requestsAtOnce bounds the requests to one repository that run at a time.
	requestsAtOnce = 4
	// tagsAtOnce is how many tags are resolved before the images behind them are
	// read.
	tagsAtOnce = 32
	// recordTimeout bounds the writing down of a look whose own time has run out.
	recordTimeout = 10 * time.Second

	// Keys of annotations and labels: OCI image specification, annotations.md,
	// "Pre-Defined Annotation Keys".
	annotationRevision = "org.opencontainers.image.revision"
	annotationCreated  = "org.opencontainers.image.created"
)

// Discover looks at a repository: it lists the tags, resolves versions, moving
// tags and commits, and reads the images that are new. Papers and tags of other
// kinds are left alone.
//
// A look that fails half-way is recorded as unknown with its reason, together with
// what it did find out; nothing that was known before is taken back. The failure
// is returned as well, for the caller to decide when to look again; it is a
// [*registry.Error] unless it is our own. A look that ctx ended by cancellation is
// not recorded: it tells nothing about the repository.
func (t *Tally) Discover(ctx context.Context, repository string) error {
	if !slices.Contains(t.cfg.Repositories, repository) {
		return fmt.Errorf("discover %s: %w", repository, ErrNotConfigured)
	}
	known, err := t.cfg.Ledger.Images(ctx, repository)
	if err != nil {
		return fmt.Errorf("discover %s: %w", repository, err)
	}
	look := release.Look{Repository: repository, At: t.cfg.Now(), Outcome: release.OutcomeComplete}
	told := t.follow(ctx, release.StepDiscover, repository, "list tags", 0)
	seen, failure := t.see(ctx, repository, known, told)
	if failure != nil {
		if errors.Is(ctx.Err(), context.Canceled) {
			return fmt.Errorf("discover %s: %w", repository, failure)
		}
		look.Outcome = release.OutcomeUnknown
		look.Cause, look.Reason = explain(failure)
	}
	// What the look saw is worth keeping even when its time is up.
	recordCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	moves, err := t.cfg.Ledger.RecordLook(recordCtx, look, seen)
	if err = errors.Join(failure, err); err != nil {
		err = fmt.Errorf("discover %s: %w", repository, err)
	}
	t.report(look, seen, moves)
	told.end(ctx, fmt.Sprintf("tags: %d, new images: %d", len(seen.Tags), len(seen.Images)), err)
	return err
}

func explain(failure error) (release.Cause, string) {
	var failed *registry.Error
	if !errors.As(failure, &failed) {
		return "", failure.Error()
	}
	if part := (partError{}); errors.As(failure, &part) {
		return failed.Cause, part.name + ": " + failed.Reason()
	}
	return failed.Cause, failed.Reason()
}

func (t *Tally) report(look release.Look, seen release.Sighting, moves []release.Move) {
	log := t.cfg.Log.With().Str("repository", look.Repository).Logger()
	for _, m := range moves {
		event := log.Info()
		if m.Alarming() {
			event = log.Warn()
		}
		event.Str("tag", m.Tag).Str("from", string(m.From)).Str("to", string(m.To)).
			Bool("version", m.Alarming()).Msg("tag moved to another digest")
	}
	if look.Outcome == release.OutcomeComplete {
		log.Info().Int("tags", len(seen.Tags)).Int("new_images", len(seen.Images)).Msg("repository read")
	}
}

// see gathers what the registry tells. With an error, the sighting holds what was
// found out before it.
func (t *Tally) see(ctx context.Context, repository string, digests []release.Digest, told *telling) (release.Sighting, error) {
	seen := release.Sighting{Tags: map[string]release.Digest{}}
	listed, err := t.cfg.Registry.Tags(ctx, repository)
	if err != nil {
		return seen, err
	}
	known := map[release.Digest]bool{}
	for _, d := range digests {
		known[d] = true
	}
	// In batches, so that a registry that allows only so many requests at a time
	// has the newest versions read, and not all tags resolved and no image read.
	var failure error
	names, done := wanted(listed), 0
	for batch := range slices.Chunk(names, tagsAtOnce) {
		told.at(ctx, "read tags, and the images that are new", int64(done), int64(len(names)))
		done += len(batch)
		err := t.seeBatch(ctx, repository, batch, known, &seen)
		failure = cmp.Or(failure, err)
		if err != nil && !isPart(err) {
			break
		}
	}
	return seen, failure
}

// partError is the failure to read one tag or image because of what it is. It says
// nothing about the others.
type partError struct {
	name string
	err  error
}

func (e partError) Error() string { return e.name + ": " + e.err.Error() }

func (e partError) Unwrap() error { return e.err }

func isPart(err error) bool {
	var part partError
	return errors.As(err, &part)
}

// asPart marks a failure that has to do with the named tag or image alone: the
// registry answers, but not with what it should.
func asPart(name string, err error) error {
	var failed *registry.Error
	if errors.As(err, &failed) && (failed.Cause == release.CauseInvalid || failed.Cause == release.CauseNotFound) {
		return partError{name, err}
	}
	return err
}

// seeBatch adds some tags, and the images behind them that are not known, to seen
// and to known. A tag whose image could not be read is left for the next look.
func (t *Tally) seeBatch(ctx context.Context, repository string, names []string, known map[release.Digest]bool, seen *release.Sighting) error {
	tags, err := t.resolve(ctx, repository, names)
	if err == nil || isPart(err) {
		images, describeErr := t.describe(ctx, repository, unknown(tags, known))
		if err == nil || describeErr != nil && !isPart(describeErr) {
			err = describeErr
		}
		for _, image := range images {
			known[image.Digest] = true
		}
		seen.Images = append(seen.Images, images...)
	}
	for name, digest := range tags {
		if known[digest] {
			seen.Tags[name] = digest
		}
	}
	return err
}

// wanted returns the tags that lead to images, versions first: when a registry
// stops answering half-way, they are what matters.
func wanted(listed []string) []string {
	rank := map[release.TagKind]int{release.TagVersion: 1, release.TagMoving: 2, release.TagCommit: 3}
	tags := slices.DeleteFunc(slices.Clone(listed), func(name string) bool { return rank[release.KindOfTag(name)] == 0 })
	slices.SortFunc(tags, func(a, b string) int {
		return cmp.Or(
			cmp.Compare(rank[release.KindOfTag(a)], rank[release.KindOfTag(b)]),
			release.CompareVersions(b, a),
			cmp.Compare(a, b))
	})
	return slices.Compact(tags)
}

// resolve returns the digest of each tag. A tag that is deleted meanwhile is left
// out.
func (t *Tally) resolve(ctx context.Context, repository string, names []string) (map[string]release.Digest, error) {
	var (
		mu   sync.Mutex
		part error
		tags = make(map[string]release.Digest, len(names))
	)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(requestsAtOnce)
	for _, name := range names {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err // another request has failed: leave the registry alone
			}
			digest, err := t.cfg.Registry.Resolve(ctx, repository, name)
			if isNotFound(err) {
				return nil
			}
			err = asPart("tag "+name, err)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				tags[name] = digest
			case isPart(err):
				part = cmp.Or(part, err)
			default:
				return err
			}
			return nil
		})
	}
	err := group.Wait()
	return tags, cmp.Or(err, part)
}

func isNotFound(err error) bool {
	var failed *registry.Error
	return errors.As(err, &failed) && failed.Cause == release.CauseNotFound
}

func unknown(tags map[string]release.Digest, known map[release.Digest]bool) []release.Digest {
	fresh := map[release.Digest]bool{}
	for _, d := range tags {
		if !known[d] {
			fresh[d] = true
		}
	}
	return slices.Sorted(maps.Keys(fresh))
}

// describe reads the images behind digests, in the order given. It leaves out
// those that cannot be read, and ends when the registry does not answer.
func (t *Tally) describe(ctx context.Context, repository string, digests []release.Digest) ([]release.Image, error) {
	var (
		images []release.Image
		part   error
	)
	for _, d := range digests {
		found, err := t.cfg.Registry.Describe(ctx, repository, string(d))
		err = asPart("image "+d.Short(), err)
		switch {
		case err == nil:
			images = append(images, imageOf(repository, found))
		case isPart(err):
			part = cmp.Or(part, err)
		default:
			return images, err
		}
	}
	return images, part
}

// imageOf takes what an image says of itself from the annotations of its index,
// else of a manifest, else from the labels of a configuration.
func imageOf(repository string, found registry.Image) release.Image {
	image := release.Image{Repository: repository, Digest: found.Digest, MediaType: found.MediaType}
	sources := []map[string]string{found.Annotations}
	for _, m := range found.Manifests {
		image.Platforms = append(image.Platforms, m.Platform)
		sources = append(sources, m.Annotations)
	}
	for _, m := range found.Manifests {
		sources = append(sources, m.Labels)
	}
	for _, from := range sources {
		if image.Revision == "" {
			image.Revision = from[annotationRevision]
		}
		// "date and time on which the image was built, conforming to RFC 3339"
		if created, err := time.Parse(time.RFC3339, from[annotationCreated]); err == nil && image.Created.IsZero() {
			image.Created = created.UTC()
		}
	}
	for _, m := range found.Manifests {
		if image.Created.IsZero() {
			image.Created = m.Created
		}
	}
	return image
}
