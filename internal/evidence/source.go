package evidence

import (
	"context"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Source is where images and their papers lie: a registry ([registry.Client]), or an
// image layout on disk. Failures to read are [registry.Error]s: only what is not
// found may be absent.
type Source interface {
	// Manifest returns what a tag or a digest names. Content that a digest names has
	// that digest.
	Manifest(ctx context.Context, repository, tagOrDigest string) (registry.Content, error)
	// Blob returns a blob of at most limit bytes that has the digest.
	Blob(ctx context.Context, repository string, digest release.Digest, limit int64) ([]byte, error)
	// Referrers lists the manifests whose subject is the digest.
	Referrers(ctx context.Context, repository string, subject release.Digest) ([]v1.Descriptor, error)
}
