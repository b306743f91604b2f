package evidence

import (
	"bytes"
	"context"
	"fmt"
	"maps"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"

	"github.com/tallyman-io/tallyman/internal/release"
)

// Annotations of the OCI image specification that tell of the base image ("Pre-Defined
// Annotation Keys").
const (
	annotationBaseName   = "org.opencontainers.image.base.name"
	annotationBaseDigest = "org.opencontainers.image.base.digest"
)

// Shape is what the manifests of an image say of it, without its layers.
type Shape struct {
	// Platforms have their sizes and layers, in the order of the index.
	Platforms []release.Platform
	// Base is the base image, by name and digest, as the image itself claims. Empty when
	// it does not.
	Base string
}

// ShapeOf reads the index and the platform manifests of an image; of an image without an
// index the configuration as well, which tells the platform.
func ShapeOf(ctx context.Context, source Source, repository string, digest release.Digest) (Shape, error) {
	content, err := source.Manifest(ctx, repository, string(digest))
	if err != nil {
		return Shape{}, err
	}
	if !types.MediaType(content.MediaType).IsIndex() {
		return shapeOfManifest(ctx, source, repository, digest, content.Body)
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(content.Body))
	if err != nil {
		return Shape{}, fmt.Errorf("index %s: %w", digest, err)
	}
	subjects, err := subjectsOf(content)
	if err != nil {
		return Shape{}, fmt.Errorf("index %s: %w", digest, err)
	}
	annotations := maps.Clone(index.Annotations)
	shape := Shape{Platforms: make([]release.Platform, len(subjects)-1)}
	manifests := make([]*v1.Manifest, len(shape.Platforms))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(subjectsAtOnce)
	for i, s := range subjects[1:] {
		group.Go(func() error {
			child, err := source.Manifest(gctx, repository, string(s.digest))
			if err != nil {
				return err
			}
			manifests[i], err = v1.ParseManifest(bytes.NewReader(child.Body))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return Shape{}, fmt.Errorf("index %s: %w", digest, err)
	}
	for i, s := range subjects[1:] {
		p, named := measured(manifests[i]), release.PlatformNamed(s.on)
		p.Digest, p.OS, p.Architecture, p.Variant = s.digest, named.OS, named.Architecture, named.Variant
		shape.Platforms[i] = p
		if annotations[annotationBaseName] == "" {
			annotations = manifests[i].Annotations
		}
	}
	shape.Base = baseOf(annotations)
	return shape, nil
}

func shapeOfManifest(ctx context.Context, source Source, repository string, digest release.Digest, body []byte) (Shape, error) {
	manifest, err := v1.ParseManifest(bytes.NewReader(body))
	if err != nil {
		return Shape{}, fmt.Errorf("manifest %s: %w", digest, err)
	}
	platform, err := PlatformOf(ctx, source, repository, digest)
	if err != nil {
		return Shape{}, err
	}
	p := measured(manifest)
	p.Digest, p.OS, p.Architecture, p.Variant = digest, platform.OS, platform.Architecture, platform.Variant
	return Shape{Platforms: []release.Platform{p}, Base: baseOf(manifest.Annotations)}, nil
}

// measured is a platform with what its manifest says of configuration and layers.
func measured(m *v1.Manifest) release.Platform {
	p := release.Platform{CompressedSize: m.Config.Size}
	for _, layer := range m.Layers {
		p.CompressedSize += layer.Size
		p.Layers = append(p.Layers, release.Layer{
			Digest: release.Digest(layer.Digest.String()), MediaType: string(layer.MediaType), Size: layer.Size,
		})
	}
	return p
}

func baseOf(annotations map[string]string) string {
	name, digest := annotations[annotationBaseName], annotations[annotationBaseDigest]
	if name != "" && digest != "" {
		return name + "@" + digest
	}
	return name
}
