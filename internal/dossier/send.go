package dossier

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"slices"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/release"
)

// blobsAtOnce is how many blobs are sent side by side.
const blobsAtOnce = 4

// blobs sends every blob that the target does not have.
func (c *copier) blobs(ctx context.Context) error {
	var mu sync.Mutex
	var total, done int64
	for _, digest := range c.walk.order {
		total += c.walk.blobs[digest].Size
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(blobsAtOnce)
	for _, digest := range c.walk.order {
		group.Go(func() error {
			b := c.walk.blobs[digest]
			sent, err := c.target.PutBlob(gctx, c.repository, registry.Blob{
				Digest: digest, Size: b.Size, MediaType: b.MediaType, From: c.options.From,
				Open: func(ctx context.Context) (io.ReadCloser, error) {
					return c.from.source.Stream(ctx, c.from.repository, digest, b.Size)
				},
			})
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if sent {
				c.copied.Sent++
				c.copied.SentBytes += b.Size
			} else {
				c.copied.There++
			}
			done += b.Size
			c.options.Progress.tell("send blobs", done, total)
			return nil
		})
	}
	return group.Wait()
}

// manifests puts every manifest under its digest, each after all that it names. One
// with a subject is put in any case: it may be there and not be listed.
func (c *copier) manifests(ctx context.Context) error {
	for i, content := range c.walk.manifests {
		c.options.Progress.tell("send manifests", int64(i), int64(len(c.walk.manifests)))
		if !hasSubject(content) {
			_, ok, err := c.atTarget(ctx, string(content.Digest))
			if err != nil {
				return err
			}
			if ok {
				continue
			}
		}
		if err := c.target.PutManifest(ctx, c.repository, "", content); err != nil {
			return err
		}
	}
	return nil
}

func hasSubject(content registry.Content) bool {
	var head struct {
		Subject *json.RawMessage `json:"subject"`
	}
	return json.Unmarshal(content.Body, &head) == nil && head.Subject != nil
}

// tagPapers gives papers the tags that they lie under.
func (c *copier) tagPapers(ctx context.Context) error {
	for _, p := range c.papers {
		if p.tag == "" || p.held {
			continue
		}
		content, err := c.from.source.Manifest(ctx, c.from.repository, string(p.digest))
		if err != nil {
			return err
		}
		there, ok, err := c.atTarget(ctx, p.tag)
		if err != nil {
			return err
		}
		if ok && there.Digest == content.Digest {
			continue
		}
		if listed := listedIn(content); len(listed) > 0 {
			err = c.list(ctx, p.tag, listed, there)
		} else {
			err = c.target.PutManifest(ctx, c.repository, p.tag, content)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// list sees that everything the source lists under a fallback tag is listed at the
// target: by its registry, where that knows the subjects, and under the same tag
// otherwise, beside what is listed there.
func (c *copier) list(ctx context.Context, tag string, listed []v1.Descriptor, there registry.Content) error {
	subject := subjectOf(tag)
	known, err := c.target.Referrers(ctx, c.repository, subject)
	if err != nil && !isNotFound(err) {
		return err
	}
	before := listedIn(there)
	merged := slices.Clone(before)
	for _, desc := range listed {
		same := func(d v1.Descriptor) bool { return d.Digest == desc.Digest }
		if !slices.ContainsFunc(known, same) && !slices.ContainsFunc(merged, same) {
			merged = append(merged, desc)
		}
	}
	if len(merged) == len(before) {
		return nil
	}
	slices.SortFunc(merged, func(a, b v1.Descriptor) int { return cmp.Compare(a.Digest.String(), b.Digest.String()) })
	body, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: merged})
	if err != nil {
		return err
	}
	return c.target.PutManifest(ctx, c.repository, tag, registry.Content{Digest: digestOf(body), MediaType: string(types.OCIImageIndex), Body: body})
}

func subjectOf(tag string) release.Digest { return release.Digest("sha256:" + tag[len("sha256-"):]) }
