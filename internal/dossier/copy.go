package dossier

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Target is the registry that a copy goes to. Failures are [registry.Error]s.
type Target interface {
	evidence.Source
	// HasBlob reports whether a repository has a blob.
	HasBlob(ctx context.Context, repository string, digest release.Digest) (bool, error)
	// PutBlob sends a blob unless it is there or can be mounted, and tells which.
	PutBlob(ctx context.Context, repository string, blob registry.Blob) (sent bool, err error)
	// PutManifest stores a manifest by its digest, or under a tag. One with a subject is
	// listed for it.
	PutManifest(ctx context.Context, repository, tag string, content registry.Content) error
}

// CopyOptions say how an image is copied.
type CopyOptions struct {
	// Tags are what the image is to be called at the target.
	Tags []string
	// From is the repository of the source when that is a registry: blobs may be mounted
	// from there.
	From string
	// PapersOnly says that the source has no layers: they have to be at the target.
	PapersOnly bool
	// Force lets tags that name something else be moved, and papers be replaced.
	Force bool
	// Trust is what papers are verified with, at the source and at the target.
	Trust evidence.Trust
	// Accept decides whether what was found at the target is enough. It is asked before
	// any of Tags is set.
	Accept   func(release.Examination) error
	Progress Progress
	Now      func() time.Time
}

// Copied is what came of a copy.
type Copied struct {
	// Sent and There are the blobs that were sent, and that were there or were mounted.
	Sent, There int
	// SentBytes is the sum of the sizes of what was sent.
	SentBytes int64
	// Papers are the signatures, attestations and documents at the target.
	Papers int
	// Examination is that at the target.
	Examination release.Examination
}

// Copy moves an image with all its papers to a repository. In this order: blobs,
// manifests by digest, papers, a look at what is there now, and the tags at last. So a
// copy that fails leaves none of the tags, and one that is made again goes on where the
// first one stopped.
//
// The error is [ErrRefused] when something at the target is in the way, or the copy
// does not verify as the source does.
func Copy(ctx context.Context, item Item, target Target, repository string, o CopyOptions) (Copied, error) {
	c := copier{item: item, target: target, repository: repository, options: o, from: place{newMemo(item.Source), item.Repository}, walk: newWalk(o.PapersOnly)}
	if err := c.run(ctx); err != nil {
		return c.copied, fmt.Errorf("copy %s@%s to %s: %w", item.Repository, item.Digest, repository, err)
	}
	return c.copied, nil
}

type copier struct {
	item       Item
	target     Target
	repository string
	options    CopyOptions
	from       place
	walk       *walk
	papers     []paper
	copied     Copied
}

func (c *copier) run(ctx context.Context) error {
	c.options.Progress.tell("find papers", 0, 0)
	found, self, err := beside(ctx, c.from, c.item.Digest, c.options.PapersOnly)
	if err != nil {
		return err
	}
	c.papers = found
	m := Manifest{Images: []Image{{Digest: c.item.Digest}}, Index: []v1.Descriptor{self}}
	for _, p := range found {
		m.Index = append(m.Index, p.descriptor())
	}
	if err := c.walk.follow(ctx, &m, func(release.Digest) place { return c.from }); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{c.checkTags, c.checkPapers, c.checkLeft, c.blobs, c.manifests, c.tagPapers, c.verify, c.tag} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// atTarget reads a manifest; ok is false when there is none.
func (c *copier) atTarget(ctx context.Context, tagOrDigest string) (content registry.Content, ok bool, err error) {
	content, err = c.target.Manifest(ctx, c.repository, tagOrDigest)
	if isNotFound(err) {
		return registry.Content{}, false, nil
	}
	return content, err == nil, err
}

// checkTags refuses to move a version: what was shipped under it stays (as in
// package pipeline).
func (c *copier) checkTags(ctx context.Context) error {
	for _, tag := range c.options.Tags {
		there, ok, err := c.atTarget(ctx, tag)
		if err != nil {
			return err
		}
		if ok && there.Digest != c.item.Digest && release.KindOfTag(tag) == release.TagVersion && !c.options.Force {
			return fmt.Errorf("%w: tag %s: expected none, or %s, found %s", ErrRefused, tag, c.item.Digest, there.Digest)
		}
	}
	return nil
}

// checkPapers refuses to replace papers that somebody else put there. What lies under
// a tag may be replaced by what holds all of it, and is kept where it holds more.
func (c *copier) checkPapers(ctx context.Context) error {
	for i, p := range c.papers {
		if p.tag == "" {
			continue
		}
		there, ok, err := c.atTarget(ctx, p.tag)
		if err != nil {
			return err
		}
		ours, err := c.from.source.Manifest(ctx, c.from.repository, string(p.digest))
		if err != nil {
			return err
		}
		if !ok || there.Digest == p.digest || len(listedIn(ours)) > 0 {
			continue // lists are merged
		}
		theirs, own := layersOf(there), layersOf(ours)
		switch {
		case c.options.Force, holdsAll(own, theirs):
		case holdsAll(theirs, own):
			c.papers[i].held = true
		default:
			return fmt.Errorf("%w: tag %s: expected papers that the source has, found others, in %s", ErrRefused, p.tag, there.Digest)
		}
	}
	return nil
}

func layersOf(content registry.Content) []v1.Hash {
	manifest, err := v1.ParseManifest(bytes.NewReader(content.Body))
	if err != nil {
		return nil
	}
	all := make([]v1.Hash, 0, len(manifest.Layers))
	for _, layer := range manifest.Layers {
		all = append(all, layer.Digest)
	}
	return all
}

func holdsAll(all, some []v1.Hash) bool {
	return !slices.ContainsFunc(some, func(h v1.Hash) bool { return !slices.Contains(all, h) })
}

// checkLeft demands the layers that the source does not have.
func (c *copier) checkLeft(ctx context.Context) error {
	if !c.options.PapersOnly {
		return nil
	}
	for _, b := range c.walk.left {
		if !types.MediaType(b.MediaType).IsDistributable() {
			continue
		}
		found, err := c.target.HasBlob(ctx, c.repository, b.Digest)
		if err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("%w: the source has papers only: expected layer %s at the target, found none", ErrRefused, b.Digest)
		}
	}
	return nil
}

// verify looks at what is at the target as an outsider would.
func (c *copier) verify(ctx context.Context) error {
	c.options.Progress.tell("verify the copy", 0, 0)
	source, err := c.examine(ctx, c.from.source, c.from.repository, c.item.Listed)
	if err != nil {
		return err
	}
	if c.copied.Examination, err = c.examine(ctx, c.target, c.repository, release.LayoutReferrers); err != nil {
		return err
	}
	if err := sameStates(source, c.copied.Examination); err != nil {
		return err
	}
	c.copied.Papers = countPapers(c.copied.Examination)
	if err := c.samePapers(ctx); err != nil {
		return err
	}
	if c.options.Accept == nil {
		return nil
	}
	return c.options.Accept(c.copied.Examination)
}

func (c *copier) examine(ctx context.Context, source evidence.Source, repository string, listed release.Layout) (release.Examination, error) {
	examiner, err := evidence.New(source, evidence.Config{Trust: c.options.Trust, Listed: listed, Now: c.options.Now})
	if err != nil {
		return release.Examination{}, err
	}
	return examiner.Examine(ctx, repository, c.item.Digest)
}

func countPapers(e release.Examination) int {
	seen := make(map[release.Digest]bool)
	for _, p := range e.Other {
		seen[p.Blob] = true
	}
	for _, piece := range e.Evidence {
		for _, p := range piece.Papers {
			seen[p.Blob] = true
		}
	}
	return len(seen)
}

// samePapers demands every artifact of the source at the target, those that are not read
// as papers and those about papers among them.
func (c *copier) samePapers(ctx context.Context) error {
	at := place{newMemo(unstreamed{c.target}), c.repository}
	found, _, err := beside(ctx, at, c.item.Digest, c.options.PapersOnly)
	if err != nil {
		return err
	}
	there := make(map[string]bool)
	for _, p := range found {
		there[string(p.digest)] = true
		content, err := at.source.Manifest(ctx, at.repository, string(p.digest))
		if err != nil {
			return err
		}
		for _, desc := range listedIn(content) {
			there[desc.Digest.String()] = true
		}
	}
	for _, p := range c.papers {
		content, err := c.from.source.Manifest(ctx, c.from.repository, string(p.digest))
		if err != nil {
			return err
		}
		// A list is merged into that of the target, or its registry lists by itself.
		wanted := []string{string(p.digest)}
		if listed := listedIn(content); len(listed) > 0 {
			wanted = wanted[:0]
			for _, desc := range listed {
				wanted = append(wanted, desc.Digest.String())
			}
		}
		for _, digest := range wanted {
			if !there[digest] && !p.held {
				return fmt.Errorf("%w: expected paper %s beside the image at the target, found it listed nowhere", ErrRefused, digest)
			}
		}
	}
	return nil
}

// unstreamed is a target whose blobs are not read.
type unstreamed struct{ evidence.Source }

// Stream fails.
func (unstreamed) Stream(_ context.Context, _ string, digest release.Digest, _ int64) (io.ReadCloser, error) {
	return nil, fmt.Errorf("blob %s: expected nobody to read it", digest)
}

// sameStates demands every paper of the source at the target, in the same state.
func sameStates(source, target release.Examination) error {
	var differ []error
	for _, want := range source.Evidence {
		found, _ := target.Of(want.Kind, want.Subject)
		for _, p := range want.Papers {
			at := slices.IndexFunc(found.Papers, func(q release.Paper) bool { return q.Blob == p.Blob })
			if at < 0 {
				differ = append(differ, fmt.Errorf("%s of %s: expected %s at the target, found it missing", want.Kind, want.On, p.Blob))
			} else if found.Papers[at].State != p.State {
				differ = append(differ, fmt.Errorf("%s of %s: expected %s to be %s at the target, found it %s: %s",
					want.Kind, want.On, p.Blob, p.State, found.Papers[at].State, found.Papers[at].Reason))
			}
		}
	}
	for _, p := range source.Other {
		if !slices.ContainsFunc(target.Other, func(q release.Paper) bool { return q.Blob == p.Blob && q.State == p.State }) {
			differ = append(differ, fmt.Errorf("paper %s of type %.100q: expected it %s at the target, found none such", p.Blob, p.PredicateType, p.State))
		}
	}
	if err := errors.Join(differ...); err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return nil
}

// tag gives the image its tags, and looks whether they name it.
func (c *copier) tag(ctx context.Context) error {
	content, err := c.from.source.Manifest(ctx, c.from.repository, string(c.item.Digest))
	if err != nil {
		return err
	}
	for _, tag := range c.options.Tags {
		if err := c.target.PutManifest(ctx, c.repository, tag, content); err != nil {
			return err
		}
		there, _, err := c.atTarget(ctx, tag)
		if err != nil {
			return err
		}
		if there.Digest != c.item.Digest {
			return fmt.Errorf("%w: tag %s: expected %s at the target, found %s", ErrRefused, tag, c.item.Digest, there.Digest)
		}
	}
	return nil
}
