package registry

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/tallyman-io/tallyman/internal/release"
)

// maxPlatforms bounds the manifests of one index. The largest official images
// have about a dozen.
const maxPlatforms = 64

// Image describes what is behind a digest.
type Image struct {
	Digest    release.Digest
	MediaType string
	// Annotations are those of the index, or of the manifest when there is none.
	Annotations map[string]string
	// Manifests has one entry for each platform, in the order of the index.
	Manifests []Manifest
}

// Manifest describes a platform manifest of an image, with its configuration.
type Manifest struct {
	release.Platform

	Annotations map[string]string
	// Labels and Created are from the image configuration. Created is zero when
	// the configuration does not say.
	Labels  map[string]string
	Created time.Time
}

// Describe reads the image that a tag or a digest names: its index, its platform
// manifests and their configurations, no layers. Every part is checked against
// its digest. What is no image, such as BuildKit's attestations in an index or a
// chart under a tag, has no manifests in the result.
func (c *Client) Describe(ctx context.Context, repository, tagOrDigest string) (Image, error) {
	op := "describe " + repository + " " + tagOrDigest
	ref, err := c.reference(repository, tagOrDigest)
	if err != nil {
		return Image{}, asFailure(op, err)
	}
	var image Image
	err = c.do(ctx, op, ref.Context().Registry, func(ctx context.Context, puller *remote.Puller) (err error) {
		image, err = describe(ctx, puller, ref)
		return err
	})
	if err != nil {
		return Image{}, err
	}
	return image, nil
}

func (c *Client) reference(repository, tagOrDigest string) (name.Reference, error) {
	repo, err := c.repository(repository)
	if err != nil {
		return nil, err
	}
	if digest, err := release.ParseDigest(tagOrDigest); err == nil {
		return repo.Digest(string(digest)), nil
	}
	return name.NewTag(repo.Name()+":"+tagOrDigest, c.nameOptions(repository)...)
}

func describe(ctx context.Context, puller *remote.Puller, ref name.Reference) (Image, error) {
	got, err := puller.Get(ctx, ref)
	if err != nil {
		return Image{}, err
	}
	image := Image{Digest: release.Digest(got.Digest.String()), MediaType: string(got.MediaType)}
	switch {
	case got.MediaType.IsIndex():
		err = readIndex(ctx, puller, ref.Context(), got, &image)
	case got.MediaType.IsImage():
		err = readSingle(got, &image)
	default:
		err = invalidf("expected an index or an image manifest, found media type %q", got.MediaType)
	}
	return image, err
}

func readIndex(ctx context.Context, puller *remote.Puller, repo name.Repository, got *remote.Descriptor, image *Image) error {
	index, err := v1.ParseIndexManifest(bytes.NewReader(got.Manifest))
	if err != nil {
		return invalidf("index %s: %w", got.Digest, err)
	}
	image.Annotations = maps.Clone(index.Annotations)
	for _, desc := range index.Manifests {
		if !isPlatform(desc) {
			continue
		}
		if len(image.Manifests) == maxPlatforms {
			return invalidf("index %s has more than %d platforms", got.Digest, maxPlatforms)
		}
		child, err := puller.Get(ctx, repo.Digest(desc.Digest.String()))
		if err != nil {
			return fmt.Errorf("manifest %s: %w", desc.Digest, err)
		}
		if err := readManifest(child, desc.Platform, image); err != nil {
			return err
		}
	}
	return nil
}

// isPlatform tells images from other entries of an index. BuildKit marks its
// attestations with the platform unknown/unknown
// (https://docs.docker.com/build/metadata/attestations/attestation-storage/).
func isPlatform(desc v1.Descriptor) bool {
	return desc.MediaType.IsImage() && (desc.Platform == nil || desc.Platform.OS != "unknown")
}

func readSingle(got *remote.Descriptor, image *Image) error {
	image.Annotations = maps.Clone(got.Annotations)
	return readManifest(got, nil, image)
}

// readManifest adds a platform manifest with its configuration to the image. The
// platform is the one that the index states, or else that of the configuration; it
// is empty when neither states one.
func readManifest(got *remote.Descriptor, platform *v1.Platform, image *Image) error {
	parsed, err := v1.ParseManifest(bytes.NewReader(got.Manifest))
	if err != nil {
		return invalidf("manifest %s: %w", got.Digest, err)
	}
	if !parsed.Config.MediaType.IsConfig() {
		return nil // an artifact, not an image
	}
	m := Manifest{Annotations: maps.Clone(parsed.Annotations)}
	m.Digest = release.Digest(got.Digest.String())
	for _, part := range append([]v1.Descriptor{parsed.Config}, parsed.Layers...) {
		if part.Size < 0 || m.CompressedSize+part.Size < 0 {
			return invalidf("manifest %s states a size of %d for %s", got.Digest, part.Size, part.Digest)
		}
		m.CompressedSize += part.Size
	}
	for _, layer := range parsed.Layers {
		m.Layers = append(m.Layers, release.Layer{Digest: release.Digest(layer.Digest.String()), MediaType: string(layer.MediaType), Size: layer.Size})
	}
	config, err := readConfig(got, parsed)
	if err != nil {
		return err
	}
	if platform == nil {
		platform = config.Platform()
	}
	if platform != nil {
		m.OS, m.Architecture, m.Variant = platform.OS, platform.Architecture, platform.Variant
	}
	m.Labels, m.Created = config.Config.Labels, config.Created.UTC()
	image.Manifests = append(image.Manifests, m)
	return nil
}

func readConfig(got *remote.Descriptor, parsed *v1.Manifest) (*v1.ConfigFile, error) {
	if parsed.Config.Size > maxBody {
		return nil, invalidf("configuration %s has %d bytes, more than %d", parsed.Config.Digest, parsed.Config.Size, int64(maxBody))
	}
	image, err := got.Image()
	if err != nil {
		return nil, fmt.Errorf("manifest %s: %w", got.Digest, err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("configuration %s: %w", parsed.Config.Digest, err)
	}
	return config, nil
}
