package layout_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/layout"
)

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
