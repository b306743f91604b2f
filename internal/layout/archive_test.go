package layout_test

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/layout"
)

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
