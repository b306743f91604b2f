package layout_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/layout"
	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/release"
)

const (
	indexType    = "application/vnd.oci.image.index.v1+json"
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	nameKey      = "org.opencontainers.image.ref.name"
)

// object is JSON that need not be what it should.
type object map[string]any

// folder is a layout to be written.
type folder struct {
	t   *testing.T
	dir string
}

func newFolder(t *testing.T) folder {
	t.Helper()
	f := folder{t, filepath.Join(t.TempDir(), "image")}
	if err := os.MkdirAll(filepath.Join(f.dir, "blobs", "sha256"), 0o755); err != nil {
		t.Fatal(err)
	}
	f.write("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	return f
}

func (f folder) write(name string, b []byte) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), b, 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f folder) path(digest release.Digest) string {
	return filepath.Join(f.dir, "blobs", "sha256", strings.TrimPrefix(string(digest), "sha256:"))
}

func digestOf(b []byte) release.Digest {
	sum := sha256.Sum256(b)
	return release.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

func (f folder) blob(b []byte) release.Digest {
	f.t.Helper()
	digest := digestOf(b)
	if err := os.WriteFile(f.path(digest), b, 0o600); err != nil {
		f.t.Fatal(err)
	}
	return digest
}

func (f folder) json(v any) release.Digest {
	f.t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		f.t.Fatal(err)
	}
	return f.blob(b)
}

// image stores the manifest of an image; what tells them apart is arbitrary.
func (f folder) image(what string) object {
	config := f.json(object{"os": "linux", "architecture": "amd64", "author": what})
	return descriptor(manifestType, f.json(object{
		"schemaVersion": 2, "mediaType": manifestType, "config": descriptor(configType, config), "layers": []any{},
	}))
}

// referrer stores the manifest of an artifact about a subject.
func (f folder) referrer(subject release.Digest) object {
	return descriptor(manifestType, f.json(object{
		"schemaVersion": 2, "mediaType": manifestType, "config": descriptor("application/vnd.oci.empty.v1+json", f.blob([]byte("{}"))),
		"layers": []any{}, "subject": descriptor(manifestType, subject),
	}))
}

func (f folder) index(entries ...object) object {
	return descriptor(indexType, f.json(object{"schemaVersion": 2, "mediaType": indexType, "manifests": entries}))
}

func descriptor(mediaType string, digest release.Digest) object {
	return object{"mediaType": mediaType, "digest": digest, "size": 1}
}

func (o object) with(key, value string) object {
	annotations, _ := o["annotations"].(map[string]string)
	if annotations == nil {
		annotations = make(map[string]string)
	}
	annotations[key] = value
	o["annotations"] = annotations
	return o
}

func (o object) digest(t *testing.T) release.Digest {
	t.Helper()
	digest, ok := o["digest"].(release.Digest)
	if !ok {
		t.Fatalf("no digest in %v", o)
	}
	return digest
}

// list writes index.json.
func (f folder) list(entries ...object) {
	f.t.Helper()
	b, err := json.Marshal(object{"schemaVersion": 2, "manifests": entries})
	if err != nil {
		f.t.Fatal(err)
	}
	f.write("index.json", b)
}

func (f folder) open() *layout.Layout {
	f.t.Helper()
	l, err := layout.Open(f.dir)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { l.Close() })
	return l
}

func TestImagesAreToldFromTheirPapers(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		entries func(f folder) []object
		want    func(f folder) []layout.Image
	}{
		"an index, with its manifests listed once more": {
			entries: func(f folder) []object {
				return []object{f.index(f.image("a"), f.image("b")).with(nameKey, "v1"), f.image("a"), f.image("b")}
			},
			want: func(f folder) []layout.Image {
				return []layout.Image{{Names: []string{"v1"}, Digest: f.index(f.image("a"), f.image("b")).digest(f.t)}}
			},
		},
		"two images, one with two names": {
			entries: func(f folder) []object {
				return []object{
					f.image("a").with(nameKey, "v1").with("io.containerd.image.name", "example.com/a:v1"),
					f.image("b"), f.image("a").with(nameKey, "v2"),
				}
			},
			want: func(f folder) []layout.Image {
				return []layout.Image{
					{Names: []string{"v1", "example.com/a:v1", "v2"}, Digest: f.image("a").digest(f.t)}, {Digest: f.image("b").digest(f.t)},
				}
			},
		},
		"papers": {
			entries: func(f folder) []object {
				a := f.image("a").digest(f.t)
				return []object{
					f.image("a"), f.referrer(a),
					f.image("sigs").with("kind", "dev.cosignproject.cosign/sigs"),
					f.image("att").with(nameKey, registry.FallbackTag(a, ".att")),
					f.index(f.referrer(a)).with(nameKey, registry.FallbackTag(a, "")),
					f.image("buildkit").with("vnd.docker.reference.type", "attestation-manifest").with("vnd.docker.reference.digest", string(a)),
				}
			},
			want: func(f folder) []layout.Image { return []layout.Image{{Digest: f.image("a").digest(f.t)}} },
		},
		"indexes in an index": {
			entries: func(f folder) []object { return []object{f.index(f.index(f.image("a")), f.index(f.image("b")))} },
			want: func(f folder) []layout.Image {
				return []layout.Image{{Digest: f.index(f.image("a")).digest(f.t)}, {Digest: f.index(f.image("b")).digest(f.t)}}
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFolder(t)
			f.list(tt.entries(f)...)
			got, err := f.open().Images("")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want(f), got); diff != "" {
				t.Errorf("images (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReferrers(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	a, b := f.image("a"), f.image("b")
	listed := f.referrer(a.digest(t))
	of := f.image("attestation").with("vnd.docker.reference.type", "attestation-manifest").with("vnd.docker.reference.digest", string(b.digest(t)))
	f.list(a, b, listed, of)
	f.blob([]byte(`{"subject":[{"digest":{"sha256":"00"}}]}`)) // a paper, not a manifest
	f.write("blobs/sha256/README", []byte("not a blob"))
	l := f.open()
	for subject, want := range map[release.Digest]release.Digest{a.digest(t): listed.digest(t), b.digest(t): of.digest(t)} {
		got, err := l.Referrers(t.Context(), "", subject)
		if err != nil || len(got) != 1 || got[0].Digest.String() != string(want) {
			t.Errorf("of %s: got %v, %v, want %s", subject, got, err, want)
		}
	}
	if got, err := l.Referrers(t.Context(), "", listed.digest(t)); err != nil || len(got) != 0 {
		t.Errorf("got %v, %v, want none", got, err)
	}
}

// TestAHostileLayoutIsRefused opens layouts that lie, lead elsewhere or are endless,
// and asks for what is in them.
func TestAHostileLayoutIsRefused(t *testing.T) {
	t.Parallel()
	outside := func(t *testing.T, b []byte) string {
		t.Helper()
		name := filepath.Join(t.TempDir(), "outside")
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	must := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	tests := map[string]struct {
		// put returns the digest to ask for, "" when opening fails.
		put  func(t *testing.T, f folder) release.Digest
		want string
	}{
		"other content": {func(t *testing.T, f folder) release.Digest {
			a := f.image("a")
			f.list(a)
			must(t, os.WriteFile(f.path(a.digest(t)), []byte(`{"manifests":[]}`), 0o600))
			return a.digest(t)
		}, "invalid answer: blobs/sha256/"},
		"a blob that is not there": {func(t *testing.T, f folder) release.Digest {
			a := f.image("a")
			f.list(a)
			must(t, os.Remove(f.path(a.digest(t))))
			return a.digest(t)
		}, "not found: "},
		"an index in a circle": {func(t *testing.T, f folder) release.Digest {
			// Content cannot have its own digest in it, so that the circle is a lie.
			a := f.index()
			b := f.index(a)
			must(t, os.WriteFile(f.path(a.digest(t)), []byte(`{"schemaVersion":2,"manifests":[{"mediaType":"`+indexType+`","size":1,"digest":"`+string(b.digest(t))+`"}]}`), 0o600))
			f.list(b)
			return a.digest(t)
		}, "expected content of that digest, found sha256:"},
		"indexes in indexes": {func(_ *testing.T, f folder) release.Digest {
			entry := f.index(f.image("a"))
			for range 5 {
				entry = f.index(entry)
			}
			f.list(entry)
			return ""
		}, "index.json: expected at most 4 levels of indexes"},
		"more manifests than are read": {func(_ *testing.T, f folder) release.Digest {
			entries := make([]object, 1001)
			for i := range entries {
				entries[i] = descriptor(manifestType, digestOf([]byte{byte(i), byte(i >> 8)}))
			}
			f.list(entries...)
			return ""
		}, "index.json: expected at most 1000 manifests"},
		"indexes that fan out": {func(_ *testing.T, f folder) release.Digest {
			entry := f.index(f.image("a"))
			for range 2 {
				fan := make([]object, 40)
				for i := range fan {
					fan[i] = entry
				}
				entry = f.index(fan...)
			}
			f.list(entry)
			return ""
		}, "index.json: expected at most 1000 manifests"},
		"a huge manifest": {func(_ *testing.T, f folder) release.Digest {
			digest := f.blob([]byte(`{"manifests":[],"x":"` + strings.Repeat("x", 4<<20) + `"}`))
			f.list(descriptor(indexType, digest))
			return digest
		}, "too large: expected at most 4194304 bytes"},
		"a huge index.json": {func(_ *testing.T, f folder) release.Digest {
			f.write("index.json", bytes.Repeat([]byte(" "), 4<<20+1))
			return ""
		}, "index.json: too large: expected at most 4194304 bytes"},
		"a blob that leads outside": {func(t *testing.T, f folder) release.Digest {
			a := f.image("a")
			f.list(a)
			b, err := os.ReadFile(f.path(a.digest(t)))
			must(t, err)
			must(t, os.Remove(f.path(a.digest(t))))
			must(t, os.Symlink(outside(t, b), f.path(a.digest(t))))
			return a.digest(t)
		}, "path escapes from parent"},
		"blobs that are elsewhere": {func(t *testing.T, f folder) release.Digest {
			a := f.image("a")
			f.list(a)
			away := filepath.Join(t.TempDir(), "blobs")
			must(t, os.Rename(filepath.Join(f.dir, "blobs"), away))
			must(t, os.Symlink(away, filepath.Join(f.dir, "blobs")))
			return a.digest(t)
		}, "path escapes from parent"},
		"an index.json that leads outside": {func(t *testing.T, f folder) release.Digest {
			must(t, os.Symlink(outside(t, []byte(`{}`)), filepath.Join(f.dir, "index.json")))
			return ""
		}, "path escapes from parent"},
		"a blob that is a folder": {func(t *testing.T, f folder) release.Digest {
			digest := digestOf(nil)
			must(t, os.Mkdir(f.path(digest), 0o755))
			f.list(descriptor(indexType, digest))
			return digest
		}, "expected a regular file, found d"},
		"a blob that is a named pipe": {func(t *testing.T, f folder) release.Digest {
			digest := digestOf(nil)
			must(t, syscall.Mkfifo(f.path(digest), 0o600))
			f.list(descriptor(indexType, digest))
			return digest
		}, "expected a regular file, found p"},
		"a digest that is a path": {func(_ *testing.T, f folder) release.Digest {
			f.list(descriptor(indexType, "sha256:../../../../etc/passwd"))
			return ""
		}, "index.json: expected an index: "},
		"a digest of another algorithm": {func(_ *testing.T, f folder) release.Digest {
			f.list(descriptor(indexType, release.Digest("sha512:"+strings.Repeat("0", 128))))
			return ""
		}, "index.json: "},
		"both a manifest and an index": {func(_ *testing.T, f folder) release.Digest {
			digest := f.json(object{"schemaVersion": 2, "manifests": []any{}, "layers": []any{}, "config": object{}})
			f.list(descriptor(indexType, digest))
			return digest
		}, "expected either manifests, as an index has, or config and layers"},
		"a media type of neither": {func(_ *testing.T, f folder) release.Digest {
			digest := f.json(object{"schemaVersion": 2, "mediaType": "text/plain", "manifests": []any{}})
			f.list(descriptor(indexType, digest))
			return digest
		}, `expected the media type of an index or a manifest, found "text/plain"`},
		"another version": {func(_ *testing.T, f folder) release.Digest {
			f.list()
			f.write("oci-layout", []byte(`{"imageLayoutVersion":"2.0.0"}`))
			return ""
		}, "oci-layout: expected imageLayoutVersion 1.0.0"},
		"no index.json": {func(*testing.T, folder) release.Digest { return "" }, "index.json: no such file"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFolder(t)
			digest := tt.put(t, f)
			l, err := layout.Open(f.dir)
			if digest != "" {
				if err != nil {
					t.Fatal(err)
				}
				defer l.Close()
				_, err = l.Manifest(t.Context(), "", string(digest))
				if failed := (*registry.Error)(nil); !errors.As(err, &failed) {
					t.Errorf("got %T, want a registry.Error", err)
				}
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestAReferrerThatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(t *testing.T, path string) error{
		"altered": func(t *testing.T, path string) error {
			t.Helper()
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(path, append(b, '\n'), 0o600)
		},
		"a link outside": func(t *testing.T, path string) error {
			t.Helper()
			return errors.Join(os.Remove(path), os.Symlink("/nonexistent", path))
		},
	} {
		f := newFolder(t)
		a := f.image("a")
		f.list(a)
		if err := spoil(t, f.path(f.referrer(a.digest(t)).digest(t))); err != nil {
			t.Fatal(err)
		}
		got, err := f.open().Referrers(t.Context(), "", a.digest(t))
		if failed := (*registry.Error)(nil); !errors.As(err, &failed) || failed.Cause != release.CauseInvalid {
			t.Errorf("%s: got %v, %v, want an invalid answer", name, got, err)
		}
	}
}

func TestABlobOfMoreBytesThanTheLimitIsRefused(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.list(f.image("a"))
	digest := f.blob([]byte("12345"))
	l := f.open()
	if b, err := l.Blob(t.Context(), "", digest, 5); err != nil || string(b) != "12345" {
		t.Errorf("at the limit: got %q, %v", b, err)
	}
	if _, err := l.Blob(t.Context(), "", digest, 4); !errors.Is(err, registry.ErrTooLarge) {
		t.Errorf("above it: got %v, want %v", err, registry.ErrTooLarge)
	}
	if _, err := l.Blob(t.Context(), "", "sha256:../index.json", 5); err == nil || !strings.Contains(err.Error(), "expected sha256: and 64") {
		t.Errorf("a path: got %v", err)
	}
}

// pack writes a tar of the headers, and the files of a folder.
func (f folder) pack(headers ...tar.Header) string {
	f.t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	if err := w.AddFS(os.DirFS(f.dir)); err != nil {
		f.t.Fatal(err)
	}
	for _, header := range headers {
		if err := w.WriteHeader(&header); err != nil {
			f.t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		f.t.Fatal(err)
	}
	name := filepath.Join(f.t.TempDir(), "image.tar")
	if err := os.WriteFile(name, out.Bytes(), 0o600); err != nil {
		f.t.Fatal(err)
	}
	return name
}

func TestATarIsReadAsItsFolder(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	a := f.image("a")
	referrer := f.referrer(a.digest(t))
	f.list(a, referrer)
	l, err := layout.Open(f.pack())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got, err := l.Referrers(t.Context(), "", a.digest(t))
	if err != nil || len(got) != 1 || got[0].Digest.String() != string(referrer.digest(t)) {
		t.Errorf("got %v, %v", got, err)
	}
	content, err := l.Manifest(t.Context(), "", string(a.digest(t)))
	if err != nil || content.MediaType != manifestType || digestOf(content.Body) != a.digest(t) {
		t.Errorf("got %+v, %v", content, err)
	}
}

func TestAHostileTarIsRefused(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	f.list(f.image("a"))
	short := f.pack()
	b, err := os.ReadFile(short)
	if err == nil {
		err = os.WriteFile(short, b[:700], 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		f.pack(tar.Header{Typeflag: tar.TypeSymlink, Name: "./index.json", Linkname: "/etc/passwd"}): "open index.json: file does not exist",
		f.pack(tar.Header{Typeflag: tar.TypeReg, Name: "../index.json", Mode: 0o600}):                "index.json: expected an index",
		short: "tar: unexpected EOF",
	} {
		if l, err := layout.Open(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, %v, want %q", l, err, want)
		}
	}
}

// FuzzOpen reads foreign bytes as index.json and as a manifest that it leads to.
func FuzzOpen(f *testing.F) {
	f.Add([]byte(`{"schemaVersion":2,"manifests":[]}`), []byte(`{"schemaVersion":2,"config":{},"layers":[]}`))
	f.Add([]byte(`{"manifests":[{"digest":"sha256:`+strings.Repeat("0", 64)+`","annotations":{"kind":"dev.cosignproject.cosign/atts"}}]}`), []byte(`{"manifests":[{}]}`))
	f.Add([]byte(`[]`), []byte(`{"subject":{"digest":"sha256:`+strings.Repeat("0", 64)+`"},"schemaVersion":2}`))
	f.Fuzz(func(t *testing.T, index, manifest []byte) {
		d := newFolder(t)
		digest := d.blob(manifest)
		d.write("index.json", bytes.ReplaceAll(index, []byte(strings.Repeat("0", 64)), []byte(strings.TrimPrefix(string(digest), "sha256:"))))
		l, err := layout.Open(d.dir)
		if err != nil {
			return
		}
		defer l.Close()
		images, err := l.Images("")
		if err == nil && len(images) == 0 {
			t.Error("no image and no error")
		}
		for _, image := range images {
			content, err := l.Manifest(t.Context(), "", string(image.Digest))
			if err == nil && digestOf(content.Body) != image.Digest {
				t.Errorf("content of %s has another digest", image.Digest)
			}
			if _, err := l.Referrers(t.Context(), "", image.Digest); err != nil {
				t.Logf("referrers: %v", err)
			}
		}
	})
}
