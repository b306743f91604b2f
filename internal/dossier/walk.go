package dossier

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Source is where images and their papers lie: a registry, an image layout, a dossier.
type Source interface {
	evidence.Source
	// Stream opens a blob of size bytes. Its reader fails at the end of what does not
	// have the digest.
	Stream(ctx context.Context, repository string, digest release.Digest, size int64) (io.ReadCloser, error)
}

const (
	// maxBlobs and maxDepth bound what an entry of index.json leads to.
	maxBlobs = 10_000
	maxDepth = 4
)

// walk follows what a dossier is made of, from the entries of index.json down.
type walk struct {
	// papersOnly leaves out the layers of images.
	papersOnly bool

	blobs map[release.Digest]Blob
	// order are the blobs that are no manifests, as they were come upon, and from is
	// where they are.
	order []release.Digest
	from  map[release.Digest]place
	// manifests are in an order in which a registry takes them: after all that they name.
	manifests []registry.Content
	// left are the layers that were left out.
	left []Blob
}

func newWalk(papersOnly bool) *walk {
	return &walk{papersOnly: papersOnly, blobs: make(map[release.Digest]Blob), from: make(map[release.Digest]place)}
}

// place is where something is read from.
type place struct {
	source     Source
	repository string
}

// note takes a blob. It is false when the blob was taken before.
func (w *walk) note(b Blob) (bool, error) {
	if known, ok := w.blobs[b.Digest]; ok {
		if known.Size != b.Size {
			return false, fmt.Errorf("blob %s: expected %d bytes, as it is described first, found %d", b.Digest, known.Size, b.Size)
		}
		return false, nil
	}
	if len(w.blobs) == maxBlobs {
		return false, fmt.Errorf("%w: expected at most %d blobs", ErrLimit, maxBlobs)
	}
	w.blobs[b.Digest] = b
	return true, nil
}

func (w *walk) leaf(at place, desc v1.Descriptor, role Role) error {
	digest, err := release.ParseDigest(desc.Digest.String())
	if err != nil {
		return err
	}
	if desc.Size < 0 {
		return fmt.Errorf("blob %s: expected a size, found %d", digest, desc.Size)
	}
	b := Blob{Digest: digest, Size: desc.Size, MediaType: string(desc.MediaType), Role: role}
	// What may not be passed on is often in no registry that has the image (image
	// specification, "Non-Distributable Layers").
	if role == RoleLayer && (w.papersOnly || !desc.MediaType.IsDistributable()) {
		w.left = append(w.left, b)
		return nil
	}
	fresh, err := w.note(b)
	if fresh {
		w.order = append(w.order, digest)
		w.from[digest] = at
	}
	return err
}

// roles are those of what an entry of index.json leads to.
type roles struct{ index, manifest, config, layer Role }

func goods() roles { return roles{RoleIndex, RoleManifest, RoleConfig, RoleLayer} }

func papers() roles {
	return roles{RolePaperManifest, RolePaperManifest, RolePaperConfig, RolePaper}
}

func trust() roles { return roles{RoleTrust, RoleTrust, RoleTrust, RoleTrust} }

// follow takes everything that the entries of index.json lead to. Whoever calls says
// where each entry is read from.
func (w *walk) follow(ctx context.Context, m *Manifest, at func(release.Digest) place) error {
	for _, desc := range m.Index {
		digest, err := release.ParseDigest(desc.Digest.String())
		if err != nil {
			return fmt.Errorf("%s: %w", nameIndex, err)
		}
		as := papers()
		switch {
		case slices.ContainsFunc(m.Images, func(image Image) bool { return image.Digest == digest }):
			as = goods()
		case digest == m.Trust:
			as = trust()
		}
		if err := w.manifest(ctx, at(digest), digest, as, 0); err != nil {
			return fmt.Errorf("%s: %w", nameIndex, err)
		}
	}
	return nil
}

func (w *walk) manifest(ctx context.Context, at place, digest release.Digest, as roles, depth int) error {
	if depth == maxDepth {
		return fmt.Errorf("%w: manifest %s: expected at most %d levels of indexes", ErrLimit, digest, maxDepth)
	}
	content, err := at.source.Manifest(ctx, at.repository, string(digest))
	if err != nil {
		return err
	}
	isIndex, role := types.MediaType(content.MediaType).IsIndex(), as.manifest
	if isIndex {
		role = as.index
	}
	if fresh, err := w.note(Blob{Digest: digest, Size: int64(len(content.Body)), MediaType: content.MediaType, Role: role}); !fresh {
		return err
	}
	if isIndex {
		err = w.index(ctx, at, content, as, depth)
	} else {
		err = w.parts(at, content, as)
	}
	if err != nil {
		return fmt.Errorf("manifest %s: %w", digest, err)
	}
	w.manifests = append(w.manifests, content)
	return nil
}

func (w *walk) index(ctx context.Context, at place, content registry.Content, as roles, depth int) error {
	index, err := v1.ParseIndexManifest(bytes.NewReader(content.Body))
	if err != nil {
		return fmt.Errorf("expected an index: %w", err)
	}
	for _, desc := range index.Manifests {
		if !desc.MediaType.IsIndex() && !desc.MediaType.IsImage() {
			if err := w.leaf(at, desc, RolePaper); err != nil {
				return err
			}
			continue
		}
		child, err := release.ParseDigest(desc.Digest.String())
		if err != nil {
			return err
		}
		of := as
		// BuildKit keeps its attestations in the index of the image.
		if desc.Annotations["vnd.docker.reference.type"] == "attestation-manifest" {
			of = papers()
		}
		if err := w.manifest(ctx, at, child, of, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) parts(at place, content registry.Content, as roles) error {
	if !types.MediaType(content.MediaType).IsImage() {
		return fmt.Errorf("expected an index or a manifest of schema 2, found media type %.100q", content.MediaType)
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(content.Body))
	if err != nil {
		return fmt.Errorf("expected a manifest: %w", err)
	}
	if err := w.leaf(at, manifest.Config, as.config); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	for i, desc := range manifest.Layers {
		if err := w.leaf(at, desc, as.layer); err != nil {
			return fmt.Errorf("layer %d: %w", i, err)
		}
	}
	return nil
}

// sorted are the blobs, manifests among them, by digest.
func (w *walk) sorted() []Blob {
	all := make([]Blob, 0, len(w.blobs))
	for _, b := range w.blobs {
		all = append(all, b)
	}
	slices.SortFunc(all, func(a, b Blob) int { return strings.Compare(string(a.Digest), string(b.Digest)) })
	return all
}

// subjects are the digests of an image that papers may be about: every manifest of it.
func (w *walk) subjects() []release.Digest {
	all := make([]release.Digest, 0, len(w.manifests))
	for _, content := range slices.Backward(w.manifests) {
		all = append(all, content.Digest)
	}
	return all
}

// memo remembers the manifests that were read by digest.
type memo struct {
	Source

	mu        sync.Mutex
	manifests map[string]registry.Content
}

func newMemo(source Source) *memo {
	return &memo{Source: source, manifests: make(map[string]registry.Content)}
}

// Manifest implements [evidence.Source].
func (m *memo) Manifest(ctx context.Context, repository, tagOrDigest string) (registry.Content, error) {
	key := repository + " " + tagOrDigest
	m.mu.Lock()
	known, ok := m.manifests[key]
	m.mu.Unlock()
	if ok {
		return known, nil
	}
	content, err := m.Source.Manifest(ctx, repository, tagOrDigest)
	if err == nil && string(content.Digest) == tagOrDigest {
		m.mu.Lock()
		m.manifests[key] = content
		m.mu.Unlock()
	}
	return content, err
}
