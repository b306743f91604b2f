package sbom

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

const (
	// MaxDocument bounds a document, decompressed, in bytes.
	MaxDocument = 1 << 30
	// MaxPackages bounds how many packages one document may list.
	MaxPackages = 2_000_000
	// zstdMemory bounds the window that a compressed document may ask for.
	zstdMemory = 32 << 20
)

// errTooLarge is returned by the reader of [Open] beyond MaxDocument.
var errTooLarge = fmt.Errorf("larger than %d MiB decompressed", MaxDocument>>20)

// Open returns r as UTF-8 JSON: decompressed when it is gzip or zstd, and
// converted when it is UTF-16; a byte order mark is dropped (RFC 8259, 8.1 lets a
// parser ignore one). What a file is shows in its first bytes, not in its name.
func Open(r io.Reader) (io.ReadCloser, error) {
	in := bufio.NewReaderSize(r, 4<<10)
	head, err := in.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read: %w", err)
	}
	closer := func() {}
	var out io.Reader = in
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		out = z
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdMemory))
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		out, closer = z, z.Close
	}
	if out != io.Reader(in) {
		in = bufio.NewReaderSize(&limited{r: out, left: MaxDocument}, 4<<10)
		if head, err = in.Peek(4); err != nil && !errors.Is(err, io.EOF) {
			closer()
			return nil, fmt.Errorf("decompress: %w", err)
		}
		out = in
	} else {
		out = &limited{r: in, left: MaxDocument}
	}
	return &document{Reader: decode(out, in, head), close: closer}, nil
}

// decode chooses the encoding by the first bytes; in is what out reads from.
func decode(out io.Reader, in *bufio.Reader, head []byte) io.Reader {
	switch {
	case bytes.HasPrefix(head, []byte{0xef, 0xbb, 0xbf}):
		in.Discard(3) //nolint:errcheck // they were peeked at
		return out
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}), len(head) > 1 && head[0] != 0 && head[1] == 0:
		return transform.NewReader(out, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder())
	case bytes.HasPrefix(head, []byte{0xfe, 0xff}), len(head) > 1 && head[0] == 0 && head[1] != 0:
		return transform.NewReader(out, unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewDecoder())
	default:
		return out
	}
}

type document struct {
	io.Reader

	close func()
}

// Close frees the decompressor; it does not close the reader given to Open.
func (d *document) Close() error {
	d.close()
	return nil
}

// limited fails beyond its limit, where io.LimitedReader would end as if the
// document did.
type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errTooLarge
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}
