package evidence_test

import (
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
	"github.com/tallyman-io/tallyman/internal/release"
)

// TestTheShapeOfAnImage compares with what the client of the registry describes, which the
// worker stores.
func TestTheShapeOfAnImage(t *testing.T) {
	t.Parallel()
	srv := registrytest.New(t)
	client := registry.New(registry.Config{})
	repository := srv.Repository("acme/web")
	based := map[string]string{"org.opencontainers.image.base.name": "example.com/base:1", "org.opencontainers.image.base.digest": "sha256:aa"}
	annotated, ok := mutate.Annotations(registrytest.Index(t, 2, "c0ffee", "linux/amd64"), based).(v1.ImageIndex)
	if !ok {
		t.Fatal("an annotated index is no index")
	}
	single, err := name.NewTag(repository + ":single")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(single, registrytest.Image(t, 3, "c0ffee", "linux/arm/v7")); err != nil {
		t.Fatal(err)
	}
	srv.Push(t, "acme/web", registrytest.Index(t, 1, "c0ffee", "linux/amd64", "linux/arm64"), "two")
	srv.Push(t, "acme/web", annotated, "based")
	for tag, base := range map[string]string{"two": "", "based": "example.com/base:1@sha256:aa", "single": ""} {
		t.Run(tag, func(t *testing.T) {
			t.Parallel()
			described, err := client.Describe(t.Context(), repository, tag)
			if err != nil {
				t.Fatal(err)
			}
			got, err := evidence.ShapeOf(t.Context(), client, repository, described.Digest)
			if err != nil {
				t.Fatal(err)
			}
			if got.Base != base {
				t.Errorf("base: got %q, want %q", got.Base, base)
			}
			if len(got.Platforms) < len(described.Manifests) {
				t.Fatalf("got %d platforms, want %d", len(got.Platforms), len(described.Manifests))
			}
			for i, m := range described.Manifests {
				p := got.Platforms[i]
				if p.Digest != m.Digest || p.CompressedSize != m.CompressedSize || p.String() != m.String() || len(p.Layers) != len(m.Layers) {
					t.Errorf("got %+v, want %+v", p, m.Platform)
				}
			}
		})
	}
	if _, err := evidence.ShapeOf(t.Context(), client, repository, release.Digest("sha256:"+"0000000000000000000000000000000000000000000000000000000000000000")); err == nil {
		t.Error("of an image that is not there: got no error")
	}
}
