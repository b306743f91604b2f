package evidence

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/release"
)

const (
	// maxManifests bounds the artifacts that are read for one digest, and maxPapers
	// the layers in them.
	maxManifests = 128
	maxPapers    = 256
	// papersAtOnce is how many artifacts or papers of one digest are asked for side by
	// side. The client of a registry bounds what all of them come to.
	papersAtOnce = 4
)

// leaf is a layer that carries a paper.
type leaf struct {
	manifest release.Digest
	layouts  []release.Layout
	format   format
	layer    v1.Descriptor
	// annotations are those of the manifest.
	annotations map[string]string
}

// visit looks for the papers of one digest. What it asks for it asks for at once, as far
// as that depends on nothing; what comes of it is taken in one fixed order, so that equal
// registries give equal examinations.
type visit struct {
	source     Source
	repository string
	subject    release.Digest
	limit      int64
	// listed is the place of what the source lists as referrers.
	listed release.Layout

	// order and layouts are the artifacts found, and where.
	order   []release.Digest
	layouts map[release.Digest][]release.Layout
	bodies  map[release.Digest]answer
	leaves  []leaf
	gaps    []release.Gap
	// throttled is set once the registry asked to be left alone.
	throttled atomic.Pointer[registry.Error]
}

// answer is what the source said when it was asked for a manifest.
type answer struct {
	content registry.Content
	err     error
}

// ask makes a request, unless the registry asked to be left alone before.
func (v *visit) ask(f func() error) error {
	if failed := v.throttled.Load(); failed != nil {
		return failed
	}
	err := f()
	var failed *registry.Error
	if errors.As(err, &failed) && failed.Cause == release.CauseThrottled {
		v.throttled.Store(failed)
	}
	return err
}

// missed notes a place that could not be looked at.
func (v *visit) missed(kinds []release.PaperKind, where string, err error) {
	v.gaps = append(v.gaps, v.gap(kinds, where, err))
}

func (v *visit) gap(kinds []release.PaperKind, where string, err error) release.Gap {
	gap := release.Gap{Subject: v.subject, Kinds: kinds, Reason: where + ": " + clip(err.Error())}
	var failed *registry.Error
	if errors.As(err, &failed) {
		gap.Cause, gap.RetryAfter, gap.Reason = failed.Cause, failed.RetryAfter, where+": "+clip(failed.Reason())
	}
	return gap
}

func isNotFound(err error) bool {
	var failed *registry.Error
	return errors.As(err, &failed) && failed.Cause == release.CauseNotFound
}

// tags are those that papers lie under, by suffix, with what may lie there.
func tags() []struct {
	suffix string
	layout release.Layout
	kinds  []release.PaperKind
} {
	return []struct {
		suffix string
		layout release.Layout
		kinds  []release.PaperKind
	}{
		{"", release.LayoutFallback, anyKind()},
		{".sig", release.LayoutSig, []release.PaperKind{release.PaperSignature}},
		{".att", release.LayoutAtt, attestationKinds()},
		{".sbom", release.LayoutSBOM, []release.PaperKind{release.PaperSBOM}},
	}
}

// find looks in every layout. It returns an error only when ctx has ended.
func (v *visit) find(ctx context.Context, inIndex []v1.Descriptor) error {
	v.layouts = make(map[release.Digest][]release.Layout)
	v.bodies = make(map[release.Digest]answer)
	for _, desc := range inIndex {
		v.note(desc, release.LayoutIndex)
	}
	// By itself, so that a registry that throttles is left alone after one question.
	v.findReferrers(ctx)
	tags := tags()
	tagged := make([]answer, len(tags))
	each(len(tags), func(i int) { tagged[i] = v.manifest(ctx, registry.FallbackTag(v.subject, tags[i].suffix)) })
	for i, tag := range tags {
		switch found := tagged[i]; {
		case isNotFound(found.err):
		case found.err != nil:
			v.missed(tag.kinds, string(tag.layout), found.err)
		case tag.layout == release.LayoutFallback:
			v.takeFallback(found.content)
		default:
			v.hold(found.content, tag.layout)
		}
	}
	v.fetch(ctx)
	for i, digest := range v.order {
		if i == maxManifests {
			v.missed(anyKind(), "papers", fmt.Errorf("expected at most %d artifacts, found %d", maxManifests, len(v.order)))
			break
		}
		v.open(digest)
	}
	return context.Cause(ctx)
}

// fetch reads the manifests of the artifacts that are not held yet.
func (v *visit) fetch(ctx context.Context) {
	var missing []release.Digest
	for _, digest := range v.order[:min(len(v.order), maxManifests)] {
		if _, held := v.bodies[digest]; !held {
			missing = append(missing, digest)
		}
	}
	found := make([]answer, len(missing))
	each(len(missing), func(i int) { found[i] = v.manifest(ctx, string(missing[i])) })
	for i, digest := range missing {
		v.bodies[digest] = found[i]
	}
}

// each does something n times, several of them at once.
func each(n int, do func(i int)) {
	var group errgroup.Group
	group.SetLimit(papersAtOnce)
	for i := range n {
		group.Go(func() error {
			do(i)
			return nil
		})
	}
	group.Wait() //nolint:errcheck // there are none
}

// note remembers an artifact, once however often it is listed.
func (v *visit) note(desc v1.Descriptor, layout release.Layout) {
	digest, err := release.ParseDigest(desc.Digest.String())
	if err != nil {
		v.missed(anyKind(), string(layout), err)
		return
	}
	if !slices.Contains(v.order, digest) {
		v.order = append(v.order, digest)
	}
	if !slices.Contains(v.layouts[digest], layout) {
		v.layouts[digest] = append(v.layouts[digest], layout)
	}
}

func (v *visit) findReferrers(ctx context.Context) {
	var found []v1.Descriptor
	err := v.ask(func() (err error) {
		found, err = v.source.Referrers(ctx, v.repository, v.subject)
		return err
	})
	if err != nil && !isNotFound(err) {
		v.missed(anyKind(), string(v.listed), err)
		return
	}
	for _, desc := range found {
		v.note(desc, v.listed)
	}
}

// manifest reads a manifest by tag or digest.
func (v *visit) manifest(ctx context.Context, tagOrDigest string) (a answer) {
	a.err = v.ask(func() (err error) {
		a.content, err = v.source.Manifest(ctx, v.repository, tagOrDigest)
		return err
	})
	return a
}

// takeFallback reads what the tag sha256-<hex> names. It should be an index of
// descriptors with their artifact types. It is seen as a Docker manifest list too,
// without the types, and as the artifact itself.
func (v *visit) takeFallback(content registry.Content) {
	if !types.MediaType(content.MediaType).IsIndex() {
		v.hold(content, release.LayoutFallback)
		return
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(content.Body))
	if err != nil {
		v.missed(anyKind(), string(release.LayoutFallback), fmt.Errorf("expected an index: %w", err))
		return
	}
	for _, desc := range index.Manifests {
		v.note(desc, release.LayoutFallback)
	}
}

func (v *visit) hold(content registry.Content, layout release.Layout) {
	v.bodies[content.Digest] = answer{content: content}
	if !slices.Contains(v.order, content.Digest) {
		v.order = append(v.order, content.Digest)
	}
	v.layouts[content.Digest] = append(v.layouts[content.Digest], layout)
}

// open reads the manifest of an artifact, which was fetched, and takes the layers that are papers.
func (v *visit) open(digest release.Digest) {
	where := string(v.layouts[digest][0]) + ": artifact " + digest.Short()
	content, err := v.bodies[digest].content, v.bodies[digest].err
	if err != nil {
		v.missed(anyKind(), where, err)
		return
	}
	if !types.MediaType(content.MediaType).IsImage() {
		v.missed(anyKind(), where, fmt.Errorf("%w: expected a manifest, found media type %q", errUnsupported, content.MediaType))
		return
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(content.Body))
	if err != nil {
		v.missed(anyKind(), where, fmt.Errorf("expected a manifest: %w", err))
		return
	}
	for _, layer := range manifest.Layers {
		f := formatOf(string(layer.MediaType))
		if f == "" {
			v.unread(digest, string(layer.MediaType), where)
			continue
		}
		if len(v.leaves) == maxPapers {
			v.missed(anyKind(), where, fmt.Errorf("expected at most %d papers", maxPapers))
			return
		}
		v.leaves = append(v.leaves, leaf{
			manifest: digest, layouts: v.layouts[digest], format: f, layer: layer, annotations: manifest.Annotations,
		})
	}
}

// unread notes a layer of a format that is not read, where nothing but papers
// should be. Among the referrers it is something else, such as a chart.
func (v *visit) unread(digest release.Digest, mediaType, where string) {
	err := fmt.Errorf("%w: media type %.100q", errUnsupported, mediaType)
	for _, layout := range v.layouts[digest] {
		switch layout {
		case release.LayoutSig:
			v.missed([]release.PaperKind{release.PaperSignature}, where, err)
		case release.LayoutAtt:
			v.missed(attestationKinds(), where, err)
		case release.LayoutSBOM:
			v.missed([]release.PaperKind{release.PaperSBOM}, where, err)
		}
	}
}
