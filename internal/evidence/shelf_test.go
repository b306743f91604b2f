package evidence_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
	"github.com/tallyman-io/tallyman/internal/release"
)

// shelf is a repository with one image, to put papers beside.
type shelf struct {
	*registrytest.Server

	t          testing.TB
	repository string
	index      release.Digest
	amd64      release.Digest
}

// newShelf pushes the image that every test, and the recorded material, is about.
func newShelf(t testing.TB, srv *registrytest.Server) *shelf {
	t.Helper()
	index := registrytest.Index(t, 7, "0123456789abcdef", "linux/amd64", "linux/arm64")
	digest := srv.Push(t, "acme/web", index, "v1.0.0")
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	return &shelf{
		Server: srv, t: t, repository: srv.Repository("acme/web"), index: release.Digest(digest),
		amd64: release.Digest(manifest.Manifests[0].Digest.String()),
	}
}

func (s *shelf) repo() name.Repository {
	repo, err := name.NewRepository(s.repository)
	if err != nil {
		s.t.Fatal(err)
	}
	return repo
}

// blob uploads bytes and returns their descriptor.
func (s *shelf) blob(mediaType string, body []byte, annotations map[string]string) v1.Descriptor {
	s.t.Helper()
	layer := static.NewLayer(body, types.MediaType(mediaType))
	if err := remote.WriteLayer(s.repo(), layer); err != nil {
		s.t.Fatalf("upload blob: %v", err)
	}
	digest, err := layer.Digest()
	if err != nil {
		s.t.Fatal(err)
	}
	return v1.Descriptor{MediaType: types.MediaType(mediaType), Digest: digest, Size: int64(len(body)), Annotations: annotations}
}

// raw is a manifest as it is.
type raw struct {
	body      []byte
	mediaType types.MediaType
}

func (r raw) RawManifest() ([]byte, error)        { return r.body, nil }
func (r raw) MediaType() (types.MediaType, error) { return r.mediaType, nil }
func (r raw) descriptor(artifact string) v1.Descriptor {
	return v1.Descriptor{MediaType: r.mediaType, Digest: hashOf(r.body), Size: int64(len(r.body)), ArtifactType: artifact}
}

func hashOf(b []byte) v1.Hash {
	sum := sha256.Sum256(b)
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
}

// put uploads a manifest under a tag, or under its digest when there is none.
func (s *shelf) put(tag string, m raw) {
	s.t.Helper()
	var ref name.Reference = s.repo().Digest(hashOf(m.body).String())
	if tag != "" {
		ref = s.repo().Tag(tag)
	}
	if err := remote.Put(ref, m); err != nil {
		s.t.Fatalf("put %s: %v", ref, err)
	}
}

// artifact makes the manifest of an artifact with the layers. With a subject a
// registry that has the referrers API lists it.
func (s *shelf) artifact(subject release.Digest, annotations map[string]string, layers ...v1.Descriptor) raw {
	s.t.Helper()
	manifest := v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Annotations: annotations, Layers: layers,
		Config: s.blob("application/vnd.oci.empty.v1+json", []byte("{}"), nil),
	}
	if subject != "" {
		hash, err := v1.NewHash(string(subject))
		if err != nil {
			s.t.Fatal(err)
		}
		manifest.Subject = &v1.Descriptor{MediaType: types.OCIImageIndex, Digest: hash, Size: 1}
	}
	return raw{marshal(s.t, manifest), types.OCIManifestSchema1}
}

// fallback lists artifacts under the fallback tag of the subject.
func (s *shelf) fallback(subject release.Digest, mediaType types.MediaType, artifacts ...v1.Descriptor) {
	s.t.Helper()
	index := v1.IndexManifest{SchemaVersion: 2, MediaType: mediaType, Manifests: artifacts}
	s.put(registry.FallbackTag(subject, ""), raw{marshal(s.t, index), mediaType})
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(b.Bytes())
}

func client() *registry.Client {
	return registry.New(registry.Config{Timeout: 5 * time.Second, UserAgent: "tallyman-test"})
}

// at is the clock of the tests.
func at() time.Time { return time.Date(2026, time.May, 1, 12, 0, 0, 0, time.UTC) }

// examine looks through the papers of the image.
func (s *shelf) examine(trust evidence.Trust) release.Examination {
	s.t.Helper()
	return s.examineWith(evidence.Config{Trust: trust})
}

func (s *shelf) examineWith(cfg evidence.Config) release.Examination {
	s.t.Helper()
	cfg.Now = at
	examiner, err := evidence.New(client(), cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	got, err := examiner.Examine(s.t.Context(), s.repository, s.index)
	if err != nil {
		s.t.Fatal(err)
	}
	return got
}

// of returns the piece of a kind about the index.
func (s *shelf) of(e release.Examination, kind release.PaperKind) release.Evidence {
	s.t.Helper()
	piece, ok := e.Of(kind, s.index)
	if !ok {
		s.t.Fatalf("no piece for %s of %s in %+v", kind, s.index, e)
	}
	return piece
}
