package rebuild

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// errTooLarge means that content exceeds a limit, so that nobody looked into it.
var errTooLarge = errors.New("too large to look into")

// unpack returns the content of a blob without its compression: gzip (RFC 1952),
// Zstandard (RFC 8878) or none, told by its first bytes. Reading more than the limits
// is an error that wraps errTooLarge.
func unpack(blob []byte, limits Limits) (io.ReadCloser, error) {
	switch {
	case bytes.HasPrefix(blob, []byte{0x1f, 0x8b}):
		r, err := gzip.NewReader(bytes.NewReader(blob))
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		return bounded{&bounding{r, limits.Unpacked, limits.work}, r.Close}, nil
	case bytes.HasPrefix(blob, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		r, err := zstd.NewReader(bytes.NewReader(blob), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20), zstd.WithDecoderMaxWindow(64<<20))
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		return bounded{&bounding{r, limits.Unpacked, limits.work}, func() error { r.Close(); return nil }}, nil
	default:
		return bounded{&bounding{bytes.NewReader(blob), limits.Unpacked, limits.work}, func() error { return nil }}, nil
	}
}

type bounded struct {
	io.Reader
	close func() error
}

func (b bounded) Close() error { return b.close() }

// bounding is an io.LimitedReader that does not take its limit for the end.
type bounding struct {
	inner io.Reader
	left  int64
	work  *work
}

var errEnded = errors.New("there was no more time")

func (b *bounding) Read(p []byte) (int, error) {
	select {
	case <-b.work.done:
		return 0, errEnded
	default:
	}
	if b.left < 0 || b.work.left < 0 {
		return 0, fmt.Errorf("%w: it unpacks to more than is read", errTooLarge)
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.inner.Read(p)
	b.work.left -= int64(n)
	if b.left -= int64(n); b.left < 0 {
		return n - 1, fmt.Errorf("%w: it unpacks to more than is read", errTooLarge)
	}
	return n, err
}

// entry is a file of a tar. Of a name that comes more than once, each is an entry of
// its own, with its place among them.
type entry struct {
	header *tar.Header
	nth    int
	sum    [sha256.Size]byte
}

type entryKey struct {
	name string
	nth  int
}

// listing is what a tar holds, in its order.
type listing struct {
	keys    []entryKey
	entries map[entryKey]*entry
}

// list reads a tar to its end. Content is hashed and not kept.
func list(blob []byte, limits Limits) (*listing, error) {
	l := &listing{entries: make(map[entryKey]*entry)}
	seen := make(map[string]int)
	headers := 0
	err := eachEntry(blob, limits, func(header *tar.Header, content io.Reader) error {
		headers += weight(header)
		if len(l.keys) == limits.Entries || headers > maxHeaders {
			return fmt.Errorf("%w: it has more than %d files, or headers of more than %d MiB", errTooLarge, limits.Entries, maxHeaders>>20)
		}
		e := &entry{header: header, nth: seen[header.Name]}
		seen[header.Name]++
		hash := sha256.New()
		if _, err := io.Copy(hash, content); err != nil {
			return fmt.Errorf("content of %s: %w", printable(header.Name), err)
		}
		hash.Sum(e.sum[:0])
		key := entryKey{header.Name, e.nth}
		l.keys = append(l.keys, key)
		l.entries[key] = e
		return nil
	})
	return l, err
}

func weight(h *tar.Header) int {
	n := 512 + len(h.Name) + len(h.Linkname)
	for key, value := range h.PAXRecords {
		n += len(key) + len(value)
	}
	return n
}

var errFound = errors.New("found") // ends a walk early

func eachEntry(blob []byte, limits Limits, visit func(*tar.Header, io.Reader) error) error {
	unpacked, err := unpack(blob, limits)
	if err != nil {
		return err
	}
	defer unpacked.Close()
	reader := tar.NewReader(bufio.NewReaderSize(unpacked, 64<<10))
	for {
		header, err := reader.Next()
		switch {
		case errors.Is(err, io.EOF):
			// The rest is padding, which counts for the bytes and not for the files.
			return nil
		case errors.Is(err, errTooLarge):
			return err
		case err != nil && !errors.Is(err, tar.ErrInsecurePath):
			return fmt.Errorf("tar: %w", err)
		}
		if err := visit(header, reader); err != nil {
			return err
		}
	}
}

// open finds an entry again and hands its content to read.
func open(blob []byte, limits Limits, key entryKey, read func(io.Reader) error) error {
	nth := 0
	err := eachEntry(blob, limits, func(header *tar.Header, content io.Reader) error {
		if header.Name != key.name {
			return nil
		}
		if nth++; nth <= key.nth {
			return nil
		}
		return errors.Join(errFound, read(content))
	})
	switch {
	case err == nil:
		return fmt.Errorf("%s: expected it where it was before", printable(key.name))
	case errors.Is(err, errFound):
		return unfound(err)
	default:
		return err
	}
}

// unfound takes errFound out of what it was joined with.
func unfound(err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) < 2 {
		return nil
	}
	return joined.Unwrap()[1]
}

// compareHeaders returns what differs of two entries besides their content (pax, POSIX
// 1003.1-2008, "pax Header Block"; ustar, the same, "ustar Interchange Format").
func compareHeaders(a, b *tar.Header) []field {
	var found []field
	add := func(name, published, rebuilt string) {
		if published != rebuilt {
			found = append(found, field{name, published, rebuilt})
		}
	}
	add("type", kindOfEntry(a.Typeflag), kindOfEntry(b.Typeflag))
	add("mode", fmt.Sprintf("%04o", a.Mode), fmt.Sprintf("%04o", b.Mode))
	add("owner", fmt.Sprintf("%d:%d", a.Uid, a.Gid), fmt.Sprintf("%d:%d", b.Uid, b.Gid))
	add("owner name", clip(a.Uname+":"+a.Gname), clip(b.Uname+":"+b.Gname))
	add("mtime", stamp(a.ModTime), stamp(b.ModTime))
	add("atime", stamp(a.AccessTime), stamp(b.AccessTime))
	add("ctime", stamp(a.ChangeTime), stamp(b.ChangeTime))
	add("link", clip(a.Linkname), clip(b.Linkname))
	add("device", fmt.Sprintf("%d,%d", a.Devmajor, a.Devminor), fmt.Sprintf("%d,%d", b.Devmajor, b.Devminor))
	names := slices.Collect(maps.Keys(a.PAXRecords))
	names = slices.AppendSeq(names, maps.Keys(b.PAXRecords))
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if told(name) {
			continue
		}
		one, hasOne := a.PAXRecords[name]
		other, hasOther := b.PAXRecords[name]
		if !hasOne {
			one = absent
		}
		if !hasOther {
			other = absent
		}
		add("record "+clip(name), clip(one), clip(other))
	}
	return found
}

// told reports whether a PAX record is one of the fields that were compared already.
func told(record string) bool {
	switch record {
	case "path", "linkpath", "size", "uid", "gid", "uname", "gname", "mtime", "atime", "ctime":
		return true
	default:
		return false
	}
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "none"
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func kindOfEntry(flag byte) string {
	switch flag {
	case tar.TypeReg:
		return "file"
	case tar.TypeLink:
		return "hard link"
	case tar.TypeSymlink:
		return "symbolic link"
	case tar.TypeDir:
		return "folder"
	case tar.TypeChar, tar.TypeBlock:
		return "device"
	case tar.TypeFifo:
		return "named pipe"
	default:
		return fmt.Sprintf("type %q", strings.TrimSpace(string(rune(flag))))
	}
}
