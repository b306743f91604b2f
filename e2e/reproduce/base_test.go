package reproduce

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tallyman-io/tallyman/e2e/workbench"
)

// otherFile is what the other base has another content of.
const otherFile = "etc/nsswitch.conf"

// base is the base of the release: the stand-in, or the pinned one.
func (s *suite) base(t *testing.T) v1.ImageIndex {
	t.Helper()
	for _, kv := range s.bench.Env() {
		value, ok := strings.CutPrefix(kv, "TALLYMAN_BASE=oci-layout://")
		if !ok {
			continue
		}
		dir, _, _ := strings.Cut(value, "@")
		index, err := layout.ImageIndexFromPath(dir)
		must(t, err)
		top, err := index.IndexManifest()
		must(t, err)
		index, err = index.ImageIndex(top.Manifests[0].Digest)
		must(t, err)
		return index
	}
	pinned, err := workbench.PinnedBase(s.repository)
	must(t, err)
	// A tag beside the digest says nothing more.
	repository, digest, _ := strings.Cut(pinned, "@")
	if slash, colon := strings.LastIndexByte(repository, '/'), strings.LastIndexByte(repository, ':'); colon > slash {
		repository = repository[:colon]
	}
	reference, err := name.NewDigest(repository + "@" + digest)
	must(t, err)
	index, err := remote.Index(reference, remote.WithContext(t.Context()))
	must(t, err)
	return index
}

// otherBase is the base of the release, with one file changed, as a named context.
func (s *suite) otherBase(t *testing.T) string {
	t.Helper()
	index := s.base(t)
	manifest, err := index.IndexManifest()
	must(t, err)
	changed := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, m := range manifest.Manifests {
		if m.Platform == nil || m.Platform.OS != "linux" || m.Platform.Architecture != "amd64" && m.Platform.Architecture != "arm64" {
			continue // we build for the others nothing
		}
		image, err := index.Image(m.Digest)
		must(t, err)
		changed = mutate.AppendManifests(changed, mutate.IndexAddendum{Add: otherContent(t, image), Descriptor: v1.Descriptor{Platform: m.Platform}})
	}
	dir := filepath.Join(s.bench.Dir, "other-base")
	written, err := layout.Write(dir, empty.Index)
	must(t, err)
	must(t, written.AppendIndex(changed))
	digest, err := changed.Digest()
	must(t, err)
	return "oci-layout://" + dir + "@" + digest.String()
}

// otherContent is an image with another content of otherFile.
func otherContent(t *testing.T, image v1.Image) v1.Image {
	t.Helper()
	layers, err := image.Layers()
	must(t, err)
	config, err := image.ConfigFile()
	must(t, err)
	config = config.DeepCopy()
	config.RootFS.DiffIDs, config.History = nil, nil
	bare, err := mutate.ConfigFile(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON), config)
	must(t, err)
	found := false
	for _, layer := range layers {
		other, changed := otherLayer(t, layer)
		found = found || changed
		bare, err = mutate.AppendLayers(bare, other)
		must(t, err)
	}
	if !found {
		t.Fatalf("the base image: expected %s in a layer of it, found none", otherFile)
	}
	return bare
}

// otherLayer is a layer with another content of otherFile, and whether it has that file.
func otherLayer(t *testing.T, layer v1.Layer) (v1.Layer, bool) {
	t.Helper()
	content, err := layer.Uncompressed()
	must(t, err)
	defer content.Close()
	var out bytes.Buffer
	changed := false
	reader, writer := tar.NewReader(content), tar.NewWriter(&out)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		body, err := io.ReadAll(reader)
		must(t, err)
		if strings.TrimPrefix(header.Name, "./") == otherFile {
			body, changed = bytes.ToUpper(body), true
		}
		must(t, writer.WriteHeader(header))
		_, err = writer.Write(body)
		must(t, err)
	}
	must(t, writer.Close())
	if !changed {
		return layer, false
	}
	other, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(out.Bytes())), nil }, tarball.WithMediaType(types.OCILayer))
	must(t, err)
	return other, true
}
