package main

import (
	"archive/tar"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	ggcrlayout "github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
	"github.com/tallyman-io/tallyman/internal/release"
)

const (
	envelopeType  = "application/vnd.dsse.envelope.v1+json"
	statementType = "application/vnd.in-toto+json"
	spdxPredicate = "https://spdx.dev/Document"
	cdxPredicate  = "https://cyclonedx.org/bom"

	affectedCDX  = `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"name":"a","purl":"pkg:golang/example.com/a@v1.1.0"}]}`
	affectedSPDX = `{"spdxVersion":"SPDX-2.3","packages":[{"SPDXID":"SPDXRef-a","name":"a","externalRefs":[{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":"pkg:golang/example.com/a@v1.1.0"}]}]}`
	cleanCDX     = `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"name":"a","purl":"pkg:golang/example.com/a@v1.2.0"}]}`
)

// shelf is a place with one image of two platforms, to put SBOMs beside: a registry
// or a folder.
type shelf struct {
	t       *testing.T
	private *ecdsa.PrivateKey
	// key is the file of the public key.
	key string

	// image is the argument of the command.
	image               string
	index, amd64, arm64 release.Digest
	manifest            *v1.IndexManifest

	// repository is set in a registry, dir and entries in a folder.
	repository string
	server     *registrytest.Server
	dir        string
	entries    []v1.Descriptor
}

func newShelf(t *testing.T) (*shelf, v1.ImageIndex) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	s := &shelf{t: t, private: private, key: filepath.Join(t.TempDir(), "release.pub")}
	if err := os.WriteFile(s.key, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	index := registrytest.Index(t, 7, "0123456789abcdef", "linux/amd64", "linux/arm64")
	if s.manifest, err = index.IndexManifest(); err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	s.index = release.Digest(digest.String())
	s.amd64, s.arm64 = release.Digest(s.manifest.Manifests[0].Digest.String()), release.Digest(s.manifest.Manifests[1].Digest.String())
	return s, index
}

func inRegistry(t *testing.T, srv *registrytest.Server) *shelf {
	t.Helper()
	s, index := newShelf(t)
	srv.Push(t, "acme/web", index, "v1.0.0")
	s.server, s.repository = srv, srv.Repository("acme/web")
	s.image = s.repository + ":v1.0.0"
	return s
}

func inFolder(t *testing.T) *shelf {
	t.Helper()
	s, index := newShelf(t)
	s.dir = filepath.Join(t.TempDir(), "image")
	s.image = s.dir
	written, err := ggcrlayout.Write(s.dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := written.AppendIndex(index); err != nil {
		t.Fatal(err)
	}
	s.entries = []v1.Descriptor{{MediaType: types.OCIImageIndex, Digest: hashOf(t, s.index), Size: 1}}
	return s
}

func hashOf(t *testing.T, digest release.Digest) v1.Hash {
	t.Helper()
	hash, err := v1.NewHash(string(digest))
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func digestOf(b []byte) release.Digest {
	sum := sha256.Sum256(b)
	return release.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

func (s *shelf) repo() name.Repository {
	s.t.Helper()
	repo, err := name.NewRepository(s.repository)
	if err != nil {
		s.t.Fatal(err)
	}
	return repo
}

// blob stores bytes.
func (s *shelf) blob(mediaType string, b []byte) v1.Descriptor {
	s.t.Helper()
	digest := digestOf(b)
	if s.dir == "" {
		if err := remote.WriteLayer(s.repo(), static.NewLayer(b, types.MediaType(mediaType))); err != nil {
			s.t.Fatal(err)
		}
	} else if err := os.WriteFile(filepath.Join(s.dir, "blobs", "sha256", strings.TrimPrefix(string(digest), "sha256:")), b, 0o600); err != nil {
		s.t.Fatal(err)
	}
	return v1.Descriptor{MediaType: types.MediaType(mediaType), Digest: hashOf(s.t, digest), Size: int64(len(b))}
}

// put stores a manifest: in a registry under a tag when there is one, in a folder as
// a blob that nothing lists yet.
func (s *shelf) put(tag string, mediaType types.MediaType, content any) v1.Descriptor {
	s.t.Helper()
	b := marshal(s.t, content)
	if s.dir != "" {
		return s.blob(string(mediaType), b)
	}
	var ref name.Reference = s.repo().Digest(string(digestOf(b)))
	if tag != "" {
		ref = s.repo().Tag(tag)
	}
	if err := remote.Put(ref, manifest{string(b), mediaType}); err != nil {
		s.t.Fatal(err)
	}
	return v1.Descriptor{MediaType: mediaType, Digest: hashOf(s.t, digestOf(b)), Size: int64(len(b))}
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// artifact stores a manifest with one layer; the subject may be empty.
func (s *shelf) artifact(tag string, subject release.Digest, layers ...v1.Descriptor) v1.Descriptor {
	s.t.Helper()
	m := v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Layers: layers,
		Config: s.blob("application/vnd.oci.empty.v1+json", []byte("{}")),
	}
	if subject != "" {
		m.Subject = &v1.Descriptor{MediaType: types.OCIImageIndex, Digest: hashOf(s.t, subject), Size: 1}
	}
	return s.put(tag, types.OCIManifestSchema1, m)
}

func statement(subject release.Digest, predicateType, predicate string) []byte {
	return fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","predicateType":%q,"subject":[{"name":"web","digest":{"sha256":%q}}],"predicate":%s}`,
		predicateType, strings.TrimPrefix(string(subject), "sha256:"), predicate)
}

// signed stores an attestation of the SBOM, signed with the key.
func (s *shelf) signed(subject release.Digest, predicateType, sbom string) v1.Descriptor {
	s.t.Helper()
	payload := statement(subject, predicateType, sbom)
	sum := sha256.Sum256(fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(statementType), statementType, len(payload), payload))
	sig, err := ecdsa.SignASN1(rand.Reader, s.private, sum[:])
	if err != nil {
		s.t.Fatal(err)
	}
	desc := s.blob(envelopeType, marshal(s.t, map[string]any{
		"payloadType": statementType, "payload": base64.StdEncoding.EncodeToString(payload),
		"signatures": []map[string]string{{"sig": base64.StdEncoding.EncodeToString(sig)}},
	}))
	desc.Annotations = map[string]string{"predicateType": predicateType}
	return desc
}

// unsigned stores an attestation as BuildKit makes it.
func (s *shelf) unsigned(subject release.Digest, sbom string) v1.Descriptor {
	desc := s.blob(statementType, statement(subject, spdxPredicate, sbom))
	desc.Annotations = map[string]string{"in-toto.io/predicate-type": spdxPredicate}
	return desc
}

// att puts attestations under the tag of cosign 2.
func (s *shelf) att(subject release.Digest, layers ...v1.Descriptor) {
	s.artifact(registry.FallbackTag(subject, ".att"), "", layers...)
}

// buildKit puts an attestation of each platform into the index, which is another one
// then.
func (s *shelf) buildKit(sbom string) {
	s.t.Helper()
	index := s.manifest.DeepCopy()
	for _, subject := range []release.Digest{s.amd64, s.arm64} {
		desc := s.artifact("", "", s.unsigned(subject, sbom))
		desc.Platform = &v1.Platform{OS: "unknown", Architecture: "unknown"}
		desc.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": string(subject)}
		index.Manifests = append(index.Manifests, desc)
	}
	desc := s.put("v1.0.0", types.OCIImageIndex, index)
	s.index = release.Digest(desc.Digest.String())
	s.entries = []v1.Descriptor{desc}
}

// list writes index.json of a folder.
func (s *shelf) list(more ...v1.Descriptor) {
	s.t.Helper()
	b := marshal(s.t, v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: append(s.entries, more...)})
	if err := os.WriteFile(filepath.Join(s.dir, "index.json"), b, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// pack makes a tar of the folder.
func (s *shelf) pack() {
	s.t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	if err := w.AddFS(os.DirFS(s.dir)); err != nil {
		s.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		s.t.Fatal(err)
	}
	s.image = filepath.Join(s.t.TempDir(), "image.tar")
	if err := os.WriteFile(s.image, out.Bytes(), 0o600); err != nil {
		s.t.Fatal(err)
	}
}
