package dossier_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tallyman-io/tallyman/internal/dossier"
	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/evidence/evidencetest"
	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
	"github.com/tallyman-io/tallyman/internal/release"
)

// attach puts an SBOM under the .sbom tag, as cosign 2 does, and returns its manifest.
func (w *world) attach(subject release.Digest) release.Digest {
	w.t.Helper()
	repo, err := name.NewRepository(w.repository)
	if err != nil {
		w.t.Fatal(err)
	}
	descs := make([]v1.Descriptor, 0, 2)
	for mediaType, body := range map[types.MediaType]string{types.OCIConfigJSON: "{}", "text/spdx+json": spdx} {
		layer := static.NewLayer([]byte(body), mediaType)
		if err := remote.WriteLayer(repo, layer); err != nil {
			w.t.Fatal(err)
		}
		digest, err := layer.Digest()
		if err != nil {
			w.t.Fatal(err)
		}
		descs = append(descs, v1.Descriptor{MediaType: mediaType, Digest: digest, Size: int64(len(body))})
	}
	if descs[0].MediaType != types.OCIConfigJSON {
		slices.Reverse(descs)
	}
	body := marshal(w.t, v1.Manifest{SchemaVersion: 2, MediaType: types.OCIManifestSchema1, Config: descs[0], Layers: descs[1:]})
	if err := remote.Put(repo.Tag(evidencetest.Tag(subject, "sbom")), raw(body)); err != nil {
		w.t.Fatal(err)
	}
	return release.Digest(digestOf(body))
}

func TestPapersAboutPapersTravelAlong(t *testing.T) {
	t.Parallel()
	for name, server := range servers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, registrytest.New(t))
			sbom := w.attach(w.digest)
			w.key.Sign(t, w.repository, sbom)
			item := w.fromFile()
			repository := server.Repository("mirror/web")
			if _, err := dossier.Copy(t.Context(), item, target(), repository, w.copyOptions()); err != nil {
				t.Fatal(err)
			}
			for _, tag := range []string{evidencetest.Tag(w.digest, "sbom"), evidencetest.Tag(sbom, "sig")} {
				if _, err := w.client.Resolve(t.Context(), repository, tag); err != nil {
					t.Errorf("tag %s: %v", tag, err)
				}
			}
		})
	}
}

// A fallback tag may list what has no subject, which a referrers API does not find.
func TestWhatOnlyAFallbackTagListsIsListedAtTheTarget(t *testing.T) {
	t.Parallel()
	for to, server := range servers(t) {
		t.Run(to, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, registrytest.New(t))
			repo, err := name.NewRepository(w.repository)
			if err != nil {
				t.Fatal(err)
			}
			attestations, err := w.client.Manifest(t.Context(), w.repository, evidencetest.Tag(w.digest, "att"))
			if err != nil {
				t.Fatal(err)
			}
			hash, err := v1.NewHash(string(attestations.Digest))
			if err != nil {
				t.Fatal(err)
			}
			list := marshal(t, v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{
				{MediaType: types.OCIManifestSchema1, Digest: hash, Size: int64(len(attestations.Body))},
			}})
			if err := remote.Put(repo.Tag(registry.FallbackTag(w.digest, "")), index(list)); err != nil {
				t.Fatal(err)
			}
			w.server.Delete(t, "acme/web", evidencetest.Tag(w.digest, "att"))
			want := states(w.examine(w.client, w.repository))
			repository := server.Repository("mirror/web")
			for range 2 {
				if _, err := dossier.Copy(t.Context(), w.item(), target(), repository, w.copyOptions()); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(want, states(w.examine(w.client, repository))); diff != "" {
				t.Errorf("states (-source +copy):\n%s", diff)
			}
		})
	}
}

type index []byte

func (i index) RawManifest() ([]byte, error)        { return i, nil }
func (i index) MediaType() (types.MediaType, error) { return types.OCIImageIndex, nil }

func TestADossierOfSeveralImages(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registrytest.New(t))
	worker := release.Digest(w.server.Push(t, "acme/worker", registrytest.Index(t, 9, "abc", "linux/amd64"), "v1.0.0"))
	w.key.Sign(t, w.server.Repository("acme/worker"), worker)
	items := []dossier.Item{
		{Source: w.client, Repository: w.server.Repository("acme/worker"), Digest: worker, Tag: "v1.0.0"},
		{Source: w.client, Repository: w.repository, Digest: w.digest, Tag: "v1.0.0"},
		{Source: w.client, Repository: w.repository, Digest: w.digest, Tag: "latest"},
	}
	var files []string
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}} {
		path := filepath.Join(t.TempDir(), "release.dossier")
		var ordered []dossier.Item
		for _, i := range order {
			ordered = append(ordered, items[i])
		}
		if _, err := dossier.Create(t.Context(), path, ordered, w.options()); err != nil {
			t.Fatal(err)
		}
		files = append(files, string(readFile(t, path)))
		f, checked := open(t, path)
		want := []dossier.Image{
			{Repository: w.repository, Tags: []string{"latest", "v1.0.0"}, Digest: w.digest},
			{Repository: w.server.Repository("acme/worker"), Tags: []string{"v1.0.0"}, Digest: worker},
		}
		if diff := cmp.Diff(want, checked.Manifest.Images); diff != "" {
			t.Errorf("images (-want +got):\n%s", diff)
		}
		examinations, err := f.Examine(t.Context(), checked.Manifest, w.trust(), at)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range examinations {
			if state, reason := e.State(release.PaperSignature); state != release.StateVerified {
				t.Errorf("%s: got %s: %s", e.Repository, state, reason)
			}
		}
	}
	if files[0] != files[1] {
		t.Error("the order of the arguments shows in the file")
	}
}

func TestATrustedRootAndIdentitiesAreKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registrytest.New(t))
	want := w.trust()
	want.TrustedRoot = trustedRoot(t)
	want.Identities = []evidence.Identity{
		{Subject: "https://example.com/release.yml@refs/tags/v1.0.0", Issuer: "https://issuer.example.com"},
		{Pattern: "^https://example.com/.*$", Issuer: "https://issuer.example.com"},
	}
	path, _ := w.create(func(o *dossier.Options) { o.Trust = want })
	f, checked := open(t, path)
	got, err := f.Trust(checked.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("trust (-want +got):\n%s", diff)
	}
	if _, err := f.Examine(t.Context(), checked.Manifest, got, at); err != nil {
		t.Error(err)
	}
}

// trustedRoot is one that Sigstore's conformance tests have.
func trustedRoot(t *testing.T) []byte {
	t.Helper()
	file, err := os.Open(filepath.Join("..", "evidence", "testdata", "conformance.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	for archive := tar.NewReader(unzipped); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			t.Fatal("expected a trusted root")
		} else if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(h.Name, "bundle-with-sct-with-extensions/trusted_root.json") {
			continue
		}
		b, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}
