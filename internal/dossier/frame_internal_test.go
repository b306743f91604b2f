package dossier

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestAHeaderHoldsAnySize(t *testing.T) {
	t.Parallel()
	name := folderBlobs + strings.Repeat("a", 64)
	for _, size := range []int64{0, 1, blockSize, maxUSTAR, maxUSTAR + 1, 1 << 40} {
		b, err := header(name, size)
		if err != nil {
			t.Fatal(err)
		}
		h, err := tar.NewReader(bytes.NewReader(b)).Next()
		if err != nil || h.Size != size || h.Name != name {
			t.Errorf("%d: got %+v, %v", size, h, err)
		}
		if (size+padding(size))%blockSize != 0 || padding(size) < 0 || padding(size) >= blockSize {
			t.Errorf("%d: got padding %d", size, padding(size))
		}
	}
}

// How the bytes come from a network must not show in the file.
func TestAFrameIsTheSameHoweverItsContentComes(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("some bytes that repeat, and "), 20_000)
	name := blobPath(digestOf(content))
	packed := func(wrap func(io.Reader) io.Reader) string {
		p, err := newPacker(filepath.Join(t.TempDir(), "x"), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer p.discard() //nolint:errcheck // a temporary folder
		if err := p.add(t.Context(), name, int64(len(content)), func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(wrap(bytes.NewReader(content))), nil
		}); err != nil {
			t.Fatal(err)
		}
		return p.table.Entries[0].SHA256
	}
	want := packed(func(r io.Reader) io.Reader { return r })
	for name, wrap := range map[string]func(io.Reader) io.Reader{
		"halves": iotest.HalfReader, "bytes": iotest.OneByteReader, "its end with the last": iotest.DataErrReader,
	} {
		if got := packed(wrap); got != want {
			t.Errorf("in %s: got %s, want %s", name, got, want)
		}
	}
}

func TestABlobOfAnotherSizeIsRefused(t *testing.T) {
	t.Parallel()
	for content, says := range map[string]string{"short": "expected 6 bytes, found 5", "longer": "", "too long": "expected 6 bytes, found 8"} {
		p, err := newPacker(filepath.Join(t.TempDir(), "x"), func(context.Context, time.Duration) error { return errors.New("waited") })
		if err != nil {
			t.Fatal(err)
		}
		err = p.add(t.Context(), nameVersion, 6, bytesOf([]byte(content)))
		if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%q: got %v, want %q", content, err, says)
		}
		if err := p.discard(); err != nil {
			t.Error(err)
		}
	}
}
