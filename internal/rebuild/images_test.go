package rebuild_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tallyman-io/tallyman/internal/rebuild"
	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/release"
)

// commitTime is that of everything in the images of these tests.
var commitTime = time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)

// store is a place for images in memory.
type store struct {
	blobs map[release.Digest][]byte
	types map[release.Digest]string
}

func newStore() *store {
	return &store{make(map[release.Digest][]byte), make(map[release.Digest]string)}
}

func (s *store) Manifest(_ context.Context, _, digest string) (registry.Content, error) {
	body, ok := s.blobs[release.Digest(digest)]
	if !ok {
		return registry.Content{}, &registry.Error{Op: "read manifest " + digest, Cause: release.CauseNotFound, Err: fs.ErrNotExist}
	}
	return registry.Content{Digest: release.Digest(digest), MediaType: s.types[release.Digest(digest)], Body: body}, nil
}

func (s *store) Blob(_ context.Context, _ string, digest release.Digest, limit int64) ([]byte, error) {
	body, ok := s.blobs[digest]
	if !ok {
		return nil, &registry.Error{Op: "read blob " + string(digest), Cause: release.CauseNotFound, Err: fs.ErrNotExist}
	}
	if int64(len(body)) > limit {
		return nil, fmt.Errorf("%w: %d bytes", registry.ErrTooLarge, len(body))
	}
	return body, nil
}

func (s *store) put(mediaType types.MediaType, body []byte) map[string]any {
	sum := sha256.Sum256(body)
	digest := release.Digest("sha256:" + hex.EncodeToString(sum[:]))
	s.blobs[digest], s.types[digest] = body, string(mediaType)
	return map[string]any{"mediaType": string(mediaType), "digest": string(digest), "size": len(body)}
}

func (s *store) encode(mediaType types.MediaType, value any) map[string]any {
	body, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return s.put(mediaType, body)
}

// member is a file of a layer.
type member struct {
	tar.Header

	content string
}

func file(name, content string) member {
	return member{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o755, ModTime: commitTime}, content}
}

func packed(members ...member) []byte {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for i := range members {
		h := members[i].Header
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(members[i].content))
		}
		if err := w.WriteHeader(&h); err != nil {
			panic(err)
		}
		if _, err := w.Write([]byte(members[i].content)); err != nil {
			panic(err)
		}
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

func zipped(content []byte, level int) []byte {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, level)
	if err != nil {
		panic(err)
	}
	if _, err := w.Write(content); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// spec says what an image is made of; each test changes one thing of it.
type spec struct {
	platforms   []string
	annotations map[string]any
	manifest    map[string]any // more fields of each manifest
	config      map[string]any
	base        []member
	ours        []member
	level       int // of gzip
	indent      string
	// layers, when set, are what the manifests list in place of base and ours.
	layers func(*store) []map[string]any
}

func plainSpec() *spec {
	return &spec{
		platforms:   []string{"amd64", "arm64"},
		annotations: map[string]any{"org.opencontainers.image.version": "1.0.0", "org.opencontainers.image.base.digest": "sha256:11"},
		manifest:    map[string]any{},
		config: map[string]any{
			"created": "2026-01-02T03:04:05Z", "os": "linux",
			"config": map[string]any{
				"Env": []any{"PATH=/bin"}, "User": "65532:65532",
				"Labels": map[string]any{"org.opencontainers.image.version": "1.0.0", "org.opencontainers.image.base.digest": "sha256:11"},
			},
			"history": []any{
				map[string]any{"created": "1970-01-01T00:00:00Z", "created_by": "bazel build"},
				map[string]any{"created": "2026-01-02T03:04:05Z", "created_by": "COPY /out/web /web # buildkit", "comment": "buildkit.dockerfile.v0"},
				map[string]any{"created": "2026-01-02T03:04:05Z", "created_by": "USER 65532:65532", "comment": "buildkit.dockerfile.v0", "empty_layer": true},
			},
		},
		base:  []member{file("etc/passwd", "root:x:0:0\n"), file("etc/os-release", "ID=debian\nVERSION_ID=13\n")},
		ours:  []member{file("web", "a program that serves the console of the tally")},
		level: gzip.DefaultCompression,
	}
}

// build puts the image into a store of its own.
func (s *spec) build(t testing.TB) rebuild.Side {
	t.Helper()
	st := newStore()
	var manifests []any
	for _, arch := range s.platforms {
		layers := []map[string]any{st.put(types.OCILayer, zipped(packed(s.base...), s.level)), st.put(types.OCILayer, zipped(packed(s.ours...), s.level))}
		if s.layers != nil {
			layers = s.layers(st)
		}
		diffIDs := make([]any, 0, len(layers))
		for range layers {
			diffIDs = append(diffIDs, "sha256:00")
		}
		config := map[string]any{"architecture": arch, "rootfs": map[string]any{"type": "layers", "diff_ids": diffIDs}}
		for key, value := range s.config {
			config[key] = value
		}
		manifest := map[string]any{"schemaVersion": 2, "mediaType": types.OCIManifestSchema1, "config": st.encode(types.OCIConfigJSON, config), "layers": layers}
		for key, value := range s.manifest {
			manifest[key] = value
		}
		desc := st.encode(types.OCIManifestSchema1, manifest)
		desc["platform"] = map[string]any{"os": "linux", "architecture": arch}
		manifests = append(manifests, desc)
	}
	index := map[string]any{"schemaVersion": 2, "mediaType": types.OCIImageIndex, "manifests": manifests, "annotations": s.annotations}
	body, err := json.MarshalIndent(index, "", s.indent)
	if err != nil {
		t.Fatal(err)
	}
	top := st.put(types.OCIImageIndex, body)
	digest, ok := top["digest"].(string)
	if !ok {
		t.Fatal("a digest that is no string")
	}
	return rebuild.Side{Source: st, Digest: release.Digest(digest)}
}

func hexOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
