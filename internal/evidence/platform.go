package evidence

import (
	"bytes"
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tallyman-io/tallyman/internal/release"
)

// maxConfig bounds an image configuration, in bytes.
const maxConfig = 8 << 20

// PlatformOf returns the platform of an image without an index, which only its
// configuration tells. For an index it is zero.
func PlatformOf(ctx context.Context, source Source, repository string, digest release.Digest) (release.Platform, error) {
	content, err := source.Manifest(ctx, repository, string(digest))
	if err != nil {
		return release.Platform{}, err
	}
	if types.MediaType(content.MediaType).IsIndex() {
		return release.Platform{}, nil
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(content.Body))
	if err != nil {
		return release.Platform{}, fmt.Errorf("manifest %s: %w", digest, err)
	}
	of, err := release.ParseDigest(manifest.Config.Digest.String())
	if err != nil {
		return release.Platform{}, fmt.Errorf("configuration of %s: %w", digest, err)
	}
	blob, err := source.Blob(ctx, repository, of, maxConfig)
	if err != nil {
		return release.Platform{}, err
	}
	config, err := v1.ParseConfigFile(bytes.NewReader(blob))
	if err != nil {
		return release.Platform{}, fmt.Errorf("configuration %s: %w", of, err)
	}
	if config.OS == "" || config.Architecture == "" {
		return release.Platform{}, fmt.Errorf("configuration %s: expected os and architecture, found %q and %q", of, config.OS, config.Architecture)
	}
	return release.Platform{OS: config.OS, Architecture: config.Architecture, Variant: config.Variant}, nil
}
