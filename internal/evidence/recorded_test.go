package evidence_test

import (
	"encoding/json"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
	"github.com/tallyman-io/tallyman/internal/release"
)

var update = flag.String("update", "", "record what this cosign command signs")

// recording is what the cosign command left in a registry, and the key that it
// signed with.
type recording struct {
	Cosign    string
	Key       string
	Manifests []recorded
	Blobs     []recorded
}

type recorded struct {
	// Tag is empty for what is named by its digest alone.
	Tag       string `json:",omitempty"`
	MediaType types.MediaType
	Body      string
}

// recordings are the layouts of cosign by the flags that make them.
func recordings() map[string][]string {
	return map[string][]string{
		"tags":    {"--new-bundle-format=false"},
		"bundles": {"--new-bundle-format=true"},
	}
}

// TestRecord makes the recordings anew, with -update=COSIGN, and is otherwise
// nothing: the tests below read what it left.
func TestRecord(t *testing.T) {
	if *update == "" {
		return
	}
	for layout, flags := range recordings() {
		s := newShelf(t, registrytest.NewWithReferrers(t))
		dir := t.TempDir()
		predicates := map[string]string{
			"spdxjson": `{"spdxVersion":"SPDX-2.3","packages":[]}`, "cyclonedx": `{"bomFormat":"CycloneDX","specVersion":"1.6"}`,
			"slsaprovenance1": `{"buildDefinition":{"buildType":"https://example.com/build","externalParameters":{}},"runDetails":{"builder":{"id":"https://example.com"}}}`,
			"openvex":         `{"@context":"https://openvex.dev/ns/v0.2.0","statements":[]}`,
			"https://slsa.dev/verification_summary/v1": `{"verificationResult":"PASSED"}`, "https://example.com/review": `{"by":"a person"}`,
		}
		run := func(args ...string) string {
			cmd := exec.CommandContext(t.Context(), *update, args...)
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "COSIGN_PASSWORD=", "TUF_ROOT="+dir, "SIGSTORE_NO_CACHE=1")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("cosign %s: %v\n%s", strings.Join(args, " "), err, out)
			}
			return string(out)
		}
		run("generate-key-pair")
		ref := s.repository + "@" + string(s.index)
		common := append([]string{"--key", "cosign.key", "--tlog-upload=false", "--yes"}, flags...)
		run(append(append([]string{"sign", "--recursive"}, common...), ref)...)
		for kind, predicate := range predicates {
			if err := os.WriteFile(filepath.Join(dir, "predicate"), []byte(predicate), 0o600); err != nil {
				t.Fatal(err)
			}
			run(append(append([]string{"attest", "--type", kind, "--predicate", "predicate"}, common...), ref)...)
		}
		key, err := os.ReadFile(filepath.Join(dir, "cosign.pub"))
		if err != nil {
			t.Fatal(err)
		}
		got := s.record()
		got.Key, got.Cosign = string(key), version(run("version", "--json"))
		if err := os.WriteFile(filepath.Join("testdata", "cosign-"+layout+".json"), indented(t, got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func version(text string) string {
	var v struct{ GitVersion string }
	if start := strings.Index(text, "{"); start < 0 || json.Unmarshal([]byte(text[start:]), &v) != nil {
		return text
	}
	return v.GitVersion
}

func indented(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(b, '\n')
}

// record reads back everything beside the image.
func (s *shelf) record() recording {
	s.t.Helper()
	var r recording
	take := func(tag string, desc *remote.Descriptor) {
		r.Manifests = append(r.Manifests, recorded{Tag: tag, MediaType: desc.MediaType, Body: string(desc.Manifest)})
		image, err := desc.Image()
		if err != nil {
			s.t.Fatal(err)
		}
		layers, err := image.Layers()
		if err != nil {
			s.t.Fatal(err)
		}
		config, err := image.RawConfigFile()
		if err != nil {
			s.t.Fatal(err)
		}
		r.Blobs = append(r.Blobs, recorded{Body: string(config)})
		for _, layer := range layers {
			body, err := layer.Compressed()
			if err != nil {
				s.t.Fatal(err)
			}
			b, err := io.ReadAll(body)
			if err != nil {
				s.t.Fatal(err)
			}
			r.Blobs = append(r.Blobs, recorded{Body: string(b)})
		}
	}
	tags, err := remote.List(s.repo())
	if err != nil {
		s.t.Fatal(err)
	}
	for _, tag := range tags {
		if release.KindOfTag(tag) != release.TagPaper {
			continue
		}
		desc, err := remote.Get(s.repo().Tag(tag))
		if err != nil {
			s.t.Fatal(err)
		}
		take(tag, desc)
	}
	for _, subject := range []release.Digest{s.index, s.amd64} {
		index, err := remote.Referrers(s.repo().Digest(string(subject)))
		if err != nil {
			s.t.Fatal(err)
		}
		manifest, err := index.IndexManifest()
		if err != nil {
			s.t.Fatal(err)
		}
		for _, entry := range manifest.Manifests {
			desc, err := remote.Get(s.repo().Digest(entry.Digest.String()))
			if err != nil {
				s.t.Fatal(err)
			}
			take("", desc)
		}
	}
	return r
}

// replay puts a recording beside the image, and returns the trust in its key.
func (s *shelf) replay(layout string) evidence.Trust {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "cosign-"+layout+".json"))
	if err != nil {
		s.t.Fatal(err)
	}
	var r recording
	if err := json.Unmarshal(b, &r); err != nil {
		s.t.Fatal(err)
	}
	for _, blob := range r.Blobs {
		if err := remote.WriteLayer(s.repo(), static.NewLayer([]byte(blob.Body), types.OCILayer)); err != nil {
			s.t.Fatal(err)
		}
	}
	for _, m := range r.Manifests {
		s.put(m.Tag, raw{[]byte(m.Body), m.MediaType})
	}
	return evidence.Trust{Keys: []evidence.Key{{Name: "cosign.pub", PEM: []byte(r.Key)}}}
}

// TestWhatCosignSignedIsVerified reads what the real command made.
func TestWhatCosignSignedIsVerified(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		layout   string
		registry func(testing.TB) *registrytest.Server
		found    map[release.PaperKind]release.Layout
	}{
		"tags": {
			layout: "tags", registry: registrytest.New,
			found: map[release.PaperKind]release.Layout{release.PaperSignature: release.LayoutSig, release.PaperSBOM: release.LayoutAtt},
		},
		"bundles under the fallback tag": {
			layout: "bundles", registry: registrytest.New,
			found: map[release.PaperKind]release.Layout{release.PaperSignature: release.LayoutFallback, release.PaperSBOM: release.LayoutFallback},
		},
		"bundles in the referrers API": {
			layout: "bundles", registry: registrytest.NewWithReferrers,
			found: map[release.PaperKind]release.Layout{release.PaperSignature: release.LayoutReferrers, release.PaperSBOM: release.LayoutReferrers},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t, tt.registry(t))
			got := s.examine(s.replay(tt.layout))
			for _, kind := range release.PaperKinds() {
				piece := s.of(got, kind)
				if piece.State != release.StateVerified || piece.Papers[0].Signer.Key != "cosign.pub" {
					t.Errorf("%s: got %s: %s", kind, piece.State, piece.Reason)
					continue
				}
				if want, ok := tt.found[kind]; ok && piece.Papers[0].Found[0] != want {
					t.Errorf("%s: found in %q, want %q", kind, piece.Papers[0].Found, want)
				}
			}
			if sboms := s.of(got, release.PaperSBOM).Papers; len(sboms) != 2 {
				t.Errorf("SBOMs: got %d, want SPDX and CycloneDX", len(sboms))
			}
			if len(got.Other) != 1 || got.Other[0].State != release.StateVerified || string(got.Other[0].Document) != `{"by":"a person"}` {
				t.Errorf("other attestations: got %+v", got.Other)
			}
			if platform, _ := got.Of(release.PaperSignature, s.amd64); platform.State != release.StateVerified || platform.On != "linux/amd64" {
				t.Errorf("signature of linux/amd64: got %+v", platform)
			}
		})
	}
}
