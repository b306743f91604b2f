package layout_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/layout"
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
