// Package evidencetest puts papers beside images in a test's registry, as cosign 2
// does with a key.
package evidencetest

import (
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
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tallyman-io/tallyman/internal/release"
)

// Media types of cosign 2's layers, and what is signed of an attestation.
const (
	simpleType   = "application/vnd.dev.cosign.simplesigning.v1+json"
	envelopeType = "application/vnd.dsse.envelope.v1+json"
	payloadType  = "application/vnd.in-toto+json"
)

// Predicate types of attestations.
const (
	SPDX       = "https://spdx.dev/Document"
	CycloneDX  = "https://cyclonedx.org/bom"
	Provenance = "https://slsa.dev/provenance/v1"
	OpenVEX    = "https://openvex.dev/ns/v0.2.0"
)

// Key signs.
type Key struct{ private *ecdsa.PrivateKey }

// NewKey makes a key.
func NewKey(t testing.TB) Key {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return Key{private}
}

// PEM is the public key.
func (k Key) PEM(t testing.TB) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(k.private.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func (k Key) sign(t testing.TB, b []byte) string {
	t.Helper()
	sum := sha256.Sum256(b)
	signature, err := ecdsa.SignASN1(rand.Reader, k.private, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(signature)
}

// Attestation is a predicate to attest.
type Attestation struct {
	Type      string
	Predicate []byte
	// Tamper changes the statement after it is signed.
	Tamper func(statement []byte) []byte
}

// Tag returns the tag under which cosign 2 keeps the papers of a digest: suffix is sig
// or att.
func Tag(digest release.Digest, suffix string) string {
	return strings.Replace(string(digest), ":", "-", 1) + "." + suffix
}

// Sign puts a signature beside the manifest of a digest. It replaces what is there.
func (k Key) Sign(t testing.TB, repository string, digest release.Digest) {
	t.Helper()
	payload := fmt.Appendf(nil, `{"critical":{"identity":{"docker-reference":%q},"image":{"docker-manifest-digest":%q},`+
		`"type":"cosign container image signature"},"optional":null}`, repository, digest)
	put(t, repository, Tag(digest, "sig"), upload(t, repository, simpleType, payload,
		map[string]string{"dev.cosignproject.cosign/signature": k.sign(t, payload)}))
}

// Attest puts attestations beside the manifest of a digest. It replaces what is there.
func (k Key) Attest(t testing.TB, repository string, digest release.Digest, attestations ...Attestation) {
	t.Helper()
	var layers []v1.Descriptor
	for _, a := range attestations {
		statement := fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","predicateType":%q,`+
			`"subject":[{"name":%q,"digest":{"sha256":%q}}],"predicate":%s}`,
			a.Type, repository, strings.TrimPrefix(string(digest), "sha256:"), a.Predicate)
		signature := k.sign(t, fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(statement), statement))
		if a.Tamper != nil {
			statement = a.Tamper(statement)
		}
		layers = append(layers, upload(t, repository, envelopeType, encode(t, map[string]any{
			"payloadType": payloadType, "payload": base64.StdEncoding.EncodeToString(statement),
			"signatures": []map[string]string{{"sig": signature}},
		}), map[string]string{"predicateType": a.Type}))
	}
	put(t, repository, Tag(digest, "att"), layers...)
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// upload uploads a blob and returns its descriptor.
func upload(t testing.TB, repository, mediaType string, body []byte, annotations map[string]string) v1.Descriptor {
	t.Helper()
	layer := static.NewLayer(body, types.MediaType(mediaType))
	if err := remote.WriteLayer(repositoryOf(t, repository), layer); err != nil {
		t.Fatalf("upload a paper: %v", err)
	}
	return v1.Descriptor{MediaType: types.MediaType(mediaType), Digest: hashOf(body), Size: int64(len(body)), Annotations: annotations}
}

func hashOf(b []byte) v1.Hash {
	sum := sha256.Sum256(b)
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(sum[:])}
}

func repositoryOf(t testing.TB, repository string) name.Repository {
	t.Helper()
	r, err := name.NewRepository(repository)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// manifest is one as it is.
type manifest []byte

// RawManifest returns the bytes.
func (m manifest) RawManifest() ([]byte, error) { return bytes.Clone(m), nil }

// MediaType returns that of an OCI manifest.
func (m manifest) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

func put(t testing.TB, repository, tag string, layers ...v1.Descriptor) {
	t.Helper()
	m := v1.Manifest{
		SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Layers: layers,
		Config: upload(t, repository, "application/vnd.oci.image.config.v1+json", []byte("{}"), nil),
	}
	if err := remote.Put(repositoryOf(t, repository).Tag(tag), manifest(encode(t, m))); err != nil {
		t.Fatalf("put papers under %s: %v", tag, err)
	}
}
