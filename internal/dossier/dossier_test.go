package dossier_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/tallyman-io/tallyman/internal/dossier"
	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/layout"
	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
	"github.com/tallyman-io/tallyman/internal/release"
)

func TestPapersVerifyFromTheFileAsTheyDidInTheRegistry(t *testing.T) {
	t.Parallel()
	for name, server := range servers(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, server)
			path, created := w.create()
			want := states(w.examine(w.client, w.repository))
			server.Fail(registrytest.Status(http.StatusServiceUnavailable))

			f, checked := open(t, path)
			if checked.Digest != created.Digest {
				t.Errorf("digest: got %s, want %s", checked.Digest, created.Digest)
			}
			if diff := cmp.Diff(created.Manifest, checked.Manifest); diff != "" {
				t.Errorf("manifest (-created +read):\n%s", diff)
			}
			got, err := f.Examine(t.Context(), checked.Manifest, w.trust(), at)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, states(got[0])); diff != "" {
				t.Errorf("states (-registry +file):\n%s", diff)
			}
			for _, kind := range []release.PaperKind{release.PaperSignature, release.PaperProvenance, release.PaperVEX} {
				if state, reason := got[0].State(kind); state != release.StateVerified {
					t.Errorf("%s: got %s: %s", kind, state, reason)
				}
			}
			if got[0].Repository != w.repository {
				t.Errorf("repository: got %s, want %s", got[0].Repository, w.repository)
			}
		})
	}
}

func TestADossierHasWhomItsMakerTrusted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registrytest.New(t))
	path, _ := w.create()
	f, checked := open(t, path)
	got, err := f.Trust(checked.Manifest)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(w.trust(), got); diff != "" {
		t.Errorf("trust (-want +got):\n%s", diff)
	}

	path, _ = w.create(func(o *dossier.Options) { o.Trust = evidence.Trust{Nobody: true} })
	f, checked = open(t, path)
	if _, err := f.Trust(checked.Manifest); !errors.Is(err, dossier.ErrNoTrust) {
		t.Errorf("of nobody: got %v, want %v", err, dossier.ErrNoTrust)
	}
}

func TestTheSameInputsGiveTheSameBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registrytest.NewWithReferrers(t))
	first, _ := w.create()
	second, _ := w.create()
	a, b := readFile(t, first), readFile(t, second)
	if !bytes.Equal(a, b) {
		t.Errorf("got %d and %d bytes that differ", len(a), len(b))
	}
}

func TestPapersOnlyLeavesOutTheLayersOfImagesAndNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registrytest.New(t))
	path, created := w.create(func(o *dossier.Options) { o.PapersOnly = true })
	_, all := w.create()
	f, checked := open(t, path)
	var left []string
	for _, b := range all.Manifest.Blobs {
		if b.Role == dossier.RoleLayer {
			left = append(left, string(b.Digest))
		}
	}
	var absent []string
	for _, b := range checked.Absent {
		absent = append(absent, string(b.Digest))
	}
	if len(left) != 4 || len(absent) != 4 || len(created.Manifest.Blobs) != len(all.Manifest.Blobs)-4 {
		t.Errorf("left out %d layers, told of %d, and have %d of %d blobs; want four layers left out", len(left), len(absent), len(created.Manifest.Blobs), len(all.Manifest.Blobs))
	}
	got, err := f.Examine(t.Context(), checked.Manifest, w.trust(), at)
	if err != nil {
		t.Fatal(err)
	}
	if state, reason := got[0].State(release.PaperSignature); state != release.StateVerified {
		t.Errorf("signature: got %s: %s", state, reason)
	}
}

// Other tools know nothing of the table of contents.
func TestOtherToolsUnpackAnImageLayout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registrytest.New(t))
	path, _ := w.create()
	decoder, err := zstd.NewReader(bytes.NewReader(readFile(t, path)))
	if err != nil {
		t.Fatal(err)
	}
	defer decoder.Close()
	plain, err := io.ReadAll(decoder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for reader := tar.NewReader(bytes.NewReader(plain)); ; {
		h, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		if !h.ModTime.IsZero() && h.ModTime.Unix() != 0 || h.Uid != 0 || h.Uname != "" || h.Mode != 0o644 {
			t.Errorf("%s: got header %+v", h.Name, h)
		}
	}
	for i := range len(names) - 1 {
		if names[i] >= names[i+1] {
			t.Errorf("%s stands before %s", names[i], names[i+1])
		}
	}
	unpacked := filepath.Join(t.TempDir(), "web.tar")
	if err := os.WriteFile(unpacked, plain, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := layout.Open(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	images, err := l.Images("")
	if err != nil || len(images) != 1 || images[0].Digest != w.digest {
		t.Fatalf("images: got %+v, %v; want %s alone", images, err, w.digest)
	}
	if state, reason := w.examine(l, w.repository).State(release.PaperSignature); state != release.StateVerified {
		t.Errorf("signature: got %s: %s", state, reason)
	}
}

func TestNothingHalfWrittenStays(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]registrytest.Fault{
		"a layer is lost": func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
				http.NotFound(w, r)
				return true
			}
			return false
		},
		"the registry is down": registrytest.Status(http.StatusServiceUnavailable),
		"referrers cannot be listed": func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/referrers/") {
				return false
			}
			return registrytest.Status(http.StatusForbidden)(w, r)
		},
		"a blob has another content": func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
				_, _ = io.WriteString(w, "something else")
				return true
			}
			return false
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, registrytest.NewWithReferrers(t))
			w.server.Fail(fault)
			dir := t.TempDir()
			path := filepath.Join(dir, "web.dossier")
			if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := dossier.Create(t.Context(), path, []dossier.Item{w.item()}, w.options()); err == nil {
				t.Fatal("expected an error")
			}
			entries, err := os.ReadDir(dir)
			if err != nil || len(entries) != 1 {
				t.Errorf("in the folder: got %v, %v; want web.dossier alone", entries, err)
			}
			if got := readFile(t, path); string(got) != "before" {
				t.Errorf("the file: got %q, want what was there before", got)
			}
		})
	}
}

func TestABlobThatWasCutIsAskedForAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registrytest.New(t))
	want, _ := w.create()
	cut := 0
	w.server.Fail(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
			if cut++; cut%3 == 0 {
				panic(http.ErrAbortHandler)
			}
		}
		return false
	})
	o := w.options()
	path := filepath.Join(t.TempDir(), "web.dossier")
	created, err := dossier.Create(t.Context(), path, []dossier.Item{w.item()}, o)
	if err != nil {
		t.Fatal(err)
	}
	if cut < 3 || len(created.Manifest.Blobs) == 0 {
		t.Fatalf("cut %d times", cut)
	}
	// The report may tell of papers that were cut; the images are the same.
	open(t, path)
	open(t, want)
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
