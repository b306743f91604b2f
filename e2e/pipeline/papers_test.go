package pipeline_test

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"

	"github.com/tallyman-io/tallyman/internal/release"
)

// predicateTypes are what an auditor passes to `cosign verify-attestation --type`.
var predicateTypes = []string{"spdx", "cyclonedx", "slsaprovenance1", "https://slsa.dev/verification_summary/v1"}

func (s *suite) papersVerify(t *testing.T) {
	checks := 0
	for image, facts := range s.released[second] {
		subjects := []release.Digest{facts.Image.Digest}
		for _, platform := range facts.Image.Platforms {
			subjects = append(subjects, platform.Digest)
		}
		for _, subject := range subjects {
			ref := image + "@" + string(subject)
			must(t, s.cosign(t, "verify", ref, s.publicKey))
			checks++
			for _, kind := range predicateTypes {
				must(t, s.cosign(t, "verify-attestation", ref, s.publicKey, "--type", kind))
				checks++
			}
		}
	}
	checksums := filepath.Join(s.clone.Dir, "dist", "checksums.txt")
	verifyBlob := func(key string) error {
		_, err := s.bench.Tools.Run(t.Context(), "cosign", "verify-blob", "--key", key, "--insecure-ignore-tlog=true",
			"--bundle", checksums+".sigstore.json", checksums)
		return err
	}
	must(t, verifyBlob(s.publicKey))
	checks++
	s.figures["2"] = fmt.Sprintf("%d papers verified", checks)

	image := s.images()[0]
	digest := s.released[second][image].Image.Digest
	ref := image + "@" + string(digest)
	t.Run("with another key", func(t *testing.T) {
		other := filepath.Join(t.TempDir(), "other")
		tools := s.bench.Tools
		tools.Env = append(tools.Env, "COSIGN_PASSWORD=")
		_, err := tools.Run(t.Context(), "cosign", "generate-key-pair", "--output-key-prefix", other)
		must(t, err)
		s.wantRejected(t, ref, other+".pub")
		if verifyBlob(other+".pub") == nil {
			t.Error("cosign verify-blob checksums.txt: got success, want a rejection")
		}
	})
	t.Run("with one byte of each paper changed", func(t *testing.T) {
		s.tamper(t, image, digest, ".sig")
		s.tamper(t, image, digest, ".att")
		s.wantRejected(t, ref, s.publicKey)
	})
	t.Run("restored", func(t *testing.T) {
		must(t, s.cosign(t, "verify", ref, s.publicKey))
	})
}

// wantRejected asserts that neither signature nor any attestation verifies.
func (s *suite) wantRejected(t *testing.T, ref, key string) {
	t.Helper()
	if err := s.cosign(t, "verify", ref, key); err == nil {
		t.Errorf("cosign verify %s with %s: got success, want a rejection", ref, key)
	}
	for _, kind := range predicateTypes {
		if err := s.cosign(t, "verify-attestation", ref, key, "--type", kind); err == nil {
			t.Errorf("cosign verify-attestation --type %s %s with %s: got success, want a rejection", kind, ref, key)
		}
	}
}

func (s *suite) cosign(t *testing.T, command, ref, key string, more ...string) error {
	t.Helper()
	args := append([]string{command, "--key", key, "--insecure-ignore-tlog=true"}, more...)
	_, err := s.bench.Tools.Run(t.Context(), "cosign", append(args, ref)...)
	return err
}

// tamper changes one byte of every document in the paper of a digest, as
// somebody with push rights could, and puts the paper back when the test ends.
func (s *suite) tamper(t *testing.T, image string, digest release.Digest, suffix string) {
	t.Helper()
	tag, err := name.NewTag(image + ":" + strings.Replace(string(digest), ":", "-", 1) + suffix)
	must(t, err)
	paper, err := remote.Image(tag, remote.WithContext(t.Context()))
	must(t, err)
	t.Cleanup(func() { must(t, remote.Write(tag, paper)) })
	must(t, remote.Write(tag, changed(t, paper), remote.WithContext(t.Context())))
}

func changed(t *testing.T, paper v1.Image) v1.Image {
	t.Helper()
	manifest, err := paper.Manifest()
	must(t, err)
	layers, err := paper.Layers()
	must(t, err)
	addenda := make([]mutate.Addendum, 0, len(layers))
	for i, layer := range layers {
		reader, err := layer.Uncompressed()
		must(t, err)
		content, err := io.ReadAll(reader)
		must(t, err)
		addenda = append(addenda, mutate.Addendum{
			Layer:       static.NewLayer(flip(content), manifest.Layers[i].MediaType),
			Annotations: manifest.Layers[i].Annotations,
		})
	}
	tampered, err := mutate.Append(emptyLike(t, paper), addenda...)
	must(t, err)
	return tampered
}

// flip changes one character inside the document: in the middle of the payload
// of an envelope, or of a digest in a signature's payload.
func flip(content []byte) []byte {
	out := bytes.Clone(content)
	at := len(out) / 2
	if i := bytes.Index(out, []byte(`"payload":"`)); i >= 0 {
		at = i + len(`"payload":"`) + 400
	}
	if i := bytes.Index(out, []byte(`sha256:`)); i >= 0 && !bytes.Contains(out, []byte(`"payload":"`)) {
		at = i + len(`sha256:`) + 5
	}
	if out[at] == 'a' {
		out[at] = 'b'
	} else {
		out[at] = 'a'
	}
	return out
}

// emptyLike is an image without layers and with the media types of another.
func emptyLike(t *testing.T, img v1.Image) v1.Image {
	t.Helper()
	mediaType, err := img.MediaType()
	must(t, err)
	manifest, err := img.Manifest()
	must(t, err)
	return mutate.ConfigMediaType(mutate.MediaType(empty.Image, mediaType), manifest.Config.MediaType)
}
