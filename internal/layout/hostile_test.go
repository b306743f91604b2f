package layout_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tallyman-io/tallyman/internal/layout"
	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/release"
)

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
