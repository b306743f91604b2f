package dossier

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tallyman-io/tallyman/internal/release"
)

// Schema names the form of dossier.json. Another form has another name.
const Schema = "https://github.com/tallyman-io/tallyman/dossier/v1"

// Media types of what a dossier adds to images and papers.
const (
	// MediaType is that of dossier.json, and the artifact type of what carries it.
	MediaType = "application/vnd.tallyman.dossier.v1+json"
	// TrustMediaType is that of the list of keys and identities, and the artifact type of
	// what carries it with the keys and the trusted root.
	TrustMediaType = "application/vnd.tallyman.trust.v1+json"
	// ReportMediaType is that of the report of `tallyman verify --format json`.
	ReportMediaType = "application/vnd.tallyman.verify.v1+json"

	rootMediaType  = "application/vnd.dev.sigstore.trustedroot+json"
	keyMediaType   = "application/x-pem-file"
	emptyMediaType = "application/vnd.oci.empty.v1+json"
)

// Annotations of the image specification, "Pre-Defined Annotation Keys".
const (
	annotationName  = "org.opencontainers.image.ref.name"
	annotationTitle = "org.opencontainers.image.title"
)

// Contents says what of the images a dossier has.
type Contents string

const (
	// ContentsImages is everything.
	ContentsImages Contents = "images"
	// ContentsPapers is everything but the layers.
	ContentsPapers Contents = "papers"
)

// Role says what a blob is there for. A blob that is there for several reasons has the
// first, in the order of index.json.
type Role string

// The roles of blobs.
const (
	RoleIndex         Role = "index"          // of an image
	RoleManifest      Role = "manifest"       // of a platform
	RoleConfig        Role = "config"         // of a platform
	RoleLayer         Role = "layer"          // of a platform
	RolePaperManifest Role = "paper manifest" // a referrer, what a tag of cosign names, or a list of such
	RolePaperConfig   Role = "paper config"   // mostly empty
	RolePaper         Role = "paper"          // a signature, an attestation, a document
	RoleTrust         Role = "trust"          // who was trusted
	RoleReport        Role = "report"         // what verifying found
	RoleAdvisories    Role = "advisories"     // records of an advisory database
	RoleDossier       Role = "dossier"        // what holds the dossier together
)

// Manifest is dossier.json.
type Manifest struct {
	// Schema is [Schema].
	Schema string `json:"schema"`
	// Created is in UTC and whole seconds.
	Created  time.Time `json:"created"`
	Tool     Tool      `json:"tool"`
	Contents Contents  `json:"contents"`
	// Images are in the order of repository and digest.
	Images []Image `json:"images"`
	// Report is the blob of [RoleReport]; its form is that of evidence.Schema.
	Report release.Digest `json:"report"`
	// Trust is the manifest of the artifact of [TrustMediaType]; empty when nobody was
	// trusted.
	Trust release.Digest `json:"trust,omitempty"`
	// Advisories tell what was known of vulnerabilities; nil when no data were named.
	Advisories *Advisories `json:"advisories,omitempty"`
	// Index are the entries of index.json but the last, which is the dossier's own.
	Index []v1.Descriptor `json:"index"`
	// Blobs are all blobs but dossier.json and the manifest that carries it, in the order
	// of their digests.
	Blobs []Blob `json:"blobs"`
}

// Tool is what made a dossier.
type Tool struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
}

// Image is an image that a dossier is about.
type Image struct {
	// Repository is where it lay: registry and path.
	Repository string `json:"repository"`
	// Tags are those that it was asked for by.
	Tags   []string       `json:"tags"`
	Digest release.Digest `json:"digest"`
}

// Name is what index.json calls it: by the first tag, or by the digest when it has none.
func (i Image) names() []string {
	if len(i.Tags) == 0 {
		return []string{i.Repository + "@" + string(i.Digest)}
	}
	names := make([]string, 0, len(i.Tags))
	for _, tag := range i.Tags {
		names = append(names, i.Repository+":"+tag)
	}
	return names
}

// Advisories name the advisory data of a time.
type Advisories struct {
	// Digest is that of the database (`tallyman db status`).
	Digest string `json:"digest"`
	// Imported is when the database was made, and Newest when its newest record changed;
	// nil when that is not known.
	Imported time.Time  `json:"imported"`
	Newest   *time.Time `json:"newest,omitempty"`
	Records  int        `json:"records"`
	// AgeSeconds is how old Newest was when the dossier was made; nil when that is not
	// known.
	AgeSeconds *int64 `json:"ageSeconds,omitempty"`
}

// Blob is a blob of a dossier.
type Blob struct {
	Digest release.Digest `json:"digest"`
	// Size is in bytes.
	Size      int64  `json:"size"`
	MediaType string `json:"mediaType"`
	Role      Role   `json:"role"`
}

// encode is the one form of a JSON document: two are equal when their bytes are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// parseManifest reads dossier.json, which has to be in the form of [encode].
func parseManifest(b []byte) (Manifest, error) {
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return Manifest{}, fmt.Errorf("expected JSON with a schema: %w", err)
	}
	if head.Schema != Schema {
		return Manifest{}, fmt.Errorf("%w: expected %s, found %.100q", ErrVersion, Schema, head.Schema)
	}
	var m Manifest
	decoder := json.NewDecoder(bytes.NewReader(b))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&m); err != nil {
		return Manifest{}, err
	}
	if again, err := encode(m); err != nil || !bytes.Equal(again, b) {
		return Manifest{}, errors.New("expected the form that tallyman writes, found another")
	}
	return m, m.check()
}

func (m *Manifest) check() error {
	if m.Contents != ContentsImages && m.Contents != ContentsPapers {
		return fmt.Errorf("contents: expected %s or %s, found %.100q", ContentsImages, ContentsPapers, m.Contents)
	}
	if len(m.Images) == 0 {
		return errors.New("images: expected at least one, found none")
	}
	for _, image := range m.Images {
		if _, err := release.ParseDigest(string(image.Digest)); err != nil {
			return fmt.Errorf("images: %.100q: %w", image.Repository, err)
		}
		if err := printable(append(slices.Clone(image.Tags), image.Repository)...); err != nil {
			return fmt.Errorf("images: %w", err)
		}
	}
	for i, blob := range m.Blobs {
		if _, err := release.ParseDigest(string(blob.Digest)); err != nil {
			return fmt.Errorf("blobs: %w", err)
		}
		if i > 0 && blob.Digest <= m.Blobs[i-1].Digest {
			return fmt.Errorf("blobs: expected each once, in the order of digests, found %s behind %s", blob.Digest, m.Blobs[i-1].Digest)
		}
	}
	return nil
}

// printable refuses names that would do something to a terminal.
func printable(names ...string) error {
	for _, name := range names {
		if !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return fmt.Errorf("expected a name that can be printed, found %.100q", name)
		}
	}
	return nil
}

// index returns index.json of a dossier.
func (m *Manifest) index(own v1.Descriptor) ([]byte, error) {
	return encode(v1.IndexManifest{
		SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: append(slices.Clone(m.Index), own),
	})
}

// artifact is a manifest that carries something else than an image (image
// specification, "Guidelines for Artifact Usage").
type artifact struct {
	SchemaVersion int64           `json:"schemaVersion"`
	MediaType     types.MediaType `json:"mediaType"`
	ArtifactType  string          `json:"artifactType"`
	Config        v1.Descriptor   `json:"config"`
	Layers        []v1.Descriptor `json:"layers"`
}

func newArtifact(artifactType string, config v1.Descriptor, layers ...v1.Descriptor) artifact {
	return artifact{2, types.OCIManifestSchema1, artifactType, config, layers}
}

// describe makes a descriptor of bytes; the title may be empty.
func describe(mediaType, title string, b []byte) v1.Descriptor {
	desc := v1.Descriptor{MediaType: types.MediaType(mediaType), Digest: hashOf(digestOf(b)), Size: int64(len(b))}
	if title != "" {
		desc.Annotations = map[string]string{annotationTitle: title}
	}
	return desc
}

func digestOf(b []byte) release.Digest {
	sum := sha256.Sum256(b)
	return release.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

func hashOf(digest release.Digest) v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: strings.TrimPrefix(string(digest), "sha256:")}
}
