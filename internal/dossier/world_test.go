package dossier_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tallyman-io/tallyman/internal/dossier"
	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/evidence/evidencetest"
	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
	"github.com/tallyman-io/tallyman/internal/release"
)

// at is the clock of the tests.
func at() time.Time { return time.Date(2026, time.May, 1, 12, 0, 0, 0, time.UTC) }

// world is a registry with a released image: signed, with attestations under cosign's
// tags and as referrers.
type world struct {
	t          testing.TB
	server     *registrytest.Server
	repository string
	digest     release.Digest
	amd64      release.Digest
	key        evidencetest.Key
	client     *registry.Client
}

const (
	spdx       = `{"spdxVersion":"SPDX-2.3","packages":[]}`
	provenance = `{"buildDefinition":{"buildType":"test"},"runDetails":{"builder":{"id":"test"}}}`
	openVEX    = `{"@context":"https://openvex.dev/ns/v0.2.0","statements":[]}`
)

func newWorld(t testing.TB, server *registrytest.Server) *world {
	t.Helper()
	index := registrytest.Index(t, 7, "0123456789abcdef", "linux/amd64", "linux/arm64")
	digest := server.Push(t, "acme/web", index, "v1.0.0", "latest")
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, server: server, repository: server.Repository("acme/web"), digest: release.Digest(digest),
		amd64: release.Digest(manifest.Manifests[0].Digest.String()), key: evidencetest.NewKey(t), client: registry.New(registry.Config{}),
	}
	w.key.Sign(t, w.repository, w.digest)
	w.key.Attest(t, w.repository, w.digest,
		evidencetest.Attestation{Type: evidencetest.Provenance, Predicate: []byte(provenance)},
		evidencetest.Attestation{Type: evidencetest.OpenVEX, Predicate: []byte(openVEX)})
	w.key.Attest(t, w.repository, w.amd64, evidencetest.Attestation{Type: evidencetest.SPDX, Predicate: []byte(spdx)})
	w.refer(w.amd64, evidencetest.Tag(w.amd64, "att"))
	return w
}

// refer makes a referrer of what lies under a tag, and takes the tag away: so cosign 3
// and others keep papers.
func (w *world) refer(subject release.Digest, tag string) {
	w.t.Helper()
	content, err := w.client.Manifest(w.t.Context(), w.repository, tag)
	if err != nil {
		w.t.Fatal(err)
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(content.Body))
	if err != nil {
		w.t.Fatal(err)
	}
	hash, err := v1.NewHash(string(subject))
	if err != nil {
		w.t.Fatal(err)
	}
	manifest.Subject = &v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: hash, Size: 1}
	manifest.Config.MediaType = "application/vnd.oci.empty.v1+json"
	repo, err := name.NewRepository(w.repository)
	if err != nil {
		w.t.Fatal(err)
	}
	body := marshal(w.t, manifest)
	if err := remote.Put(repo.Digest(digestOf(body)), raw(body)); err != nil {
		w.t.Fatal(err)
	}
	w.server.Delete(w.t, "acme/web", tag)
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type raw []byte

func (r raw) RawManifest() ([]byte, error)        { return r, nil }
func (r raw) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

func digestOf(b []byte) string {
	hash, _, err := v1.SHA256(bytes.NewReader(b))
	if err != nil {
		panic(err)
	}
	return hash.String()
}

func (w *world) trust() evidence.Trust {
	return evidence.Trust{Keys: []evidence.Key{{Name: "release.pub", PEM: w.key.PEM(w.t)}}}
}

func (w *world) item() dossier.Item {
	return dossier.Item{Source: w.client, Repository: w.repository, Digest: w.digest, Tag: "v1.0.0"}
}

func (w *world) options() dossier.Options {
	return dossier.Options{
		At: at(), Tool: dossier.Tool{Version: "1.2.3", Commit: "unknown"}, Trust: w.trust(),
		Wait: func(context.Context, time.Duration) error { return nil },
	}
}

// create makes a dossier.
func (w *world) create(change ...func(*dossier.Options)) (string, dossier.Created) {
	w.t.Helper()
	o := w.options()
	for _, f := range change {
		f(&o)
	}
	path := filepath.Join(w.t.TempDir(), "web.dossier")
	created, err := dossier.Create(w.t.Context(), path, []dossier.Item{w.item()}, o)
	if err != nil {
		w.t.Fatal(err)
	}
	return path, created
}

// open opens a dossier and checks it.
func open(t testing.TB, path string) (*dossier.File, dossier.Checked) {
	t.Helper()
	f, err := dossier.Open(path, dossier.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	checked, err := f.Check(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return f, checked
}

// states are what is known of each kind on each subject.
func states(e release.Examination) []string {
	var all []string
	for _, piece := range e.Evidence {
		line := piece.On + " " + string(piece.Kind) + " " + string(piece.State)
		for _, p := range piece.Papers {
			line += " " + p.Blob.Short() + " by " + p.Signer.String()
		}
		all = append(all, line)
	}
	slices.Sort(all)
	return all
}

func (w *world) examine(source evidence.Source, repository string) release.Examination {
	w.t.Helper()
	examiner, err := evidence.New(source, evidence.Config{Trust: w.trust(), Now: at})
	if err != nil {
		w.t.Fatal(err)
	}
	e, err := examiner.Examine(w.t.Context(), repository, w.digest)
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// servers are the two kinds of registry.
func servers(t testing.TB) map[string]*registrytest.Server {
	t.Helper()
	return map[string]*registrytest.Server{"a registry with referrers": registrytest.NewWithReferrers(t), "a registry without": registrytest.New(t)}
}

// posts counts uploads of blobs from now on.
func posts(server *registrytest.Server) *[]string {
	var all []string
	server.Fail(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			all = append(all, r.URL.Path)
		}
		return false
	})
	return &all
}
