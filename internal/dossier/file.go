package dossier

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/tallyman-io/tallyman/internal/layout"
	"github.com/tallyman-io/tallyman/internal/release"
)

// File is a dossier that was opened. It is safe for concurrent use. It opens no
// connection, and unpacks nothing.
type File struct {
	name  string
	r     io.ReaderAt
	close func() error
	size  int64
	// body is where the table starts.
	body   int64
	table  table
	byName map[string]entry
}

// Open reads the table of contents of a file. The error is [ErrDamaged], [ErrVersion]
// or [ErrLimit], or the file could not be read. What the table covers is not looked at
// before [File.Check].
func Open(path string, limits Limits) (*File, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("expected a regular file, found %s", info.Mode().Type())
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("dossier %s: %w", path, err), file.Close())
	}
	f, err := read(path, file, info.Size(), limits)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	f.close = file.Close
	return f, nil
}

func read(name string, r io.ReaderAt, size int64, limits Limits) (*File, error) {
	failed := func(at int64, err error) error {
		if errors.Is(err, ErrVersion) || errors.Is(err, ErrLimit) {
			return fmt.Errorf("dossier %s: %s: %w", name, partTable, err)
		}
		return fmt.Errorf("dossier %s: %w", name, &DamageError{Problems: []Problem{{partTable, at, size - at, err}}})
	}
	magic := make([]byte, min(4, size))
	if err := readAt(r, magic, 0); err != nil {
		return nil, fmt.Errorf("dossier %s: %w", name, err)
	}
	t, at, err := readTable(r, size)
	if err != nil {
		if string(magic) != "\x28\xb5\x2f\xfd" {
			err = fmt.Errorf("expected a file compressed with Zstandard, which starts with 28b52ffd, found %x: %w", magic, err)
		}
		return nil, failed(max(at, size-tableFoot, 0), err)
	}
	if err := t.check(limits.withDefaults(), at); err != nil {
		return nil, failed(at, err)
	}
	f := &File{name: name, r: r, close: func() error { return nil }, size: size, body: at, table: t, byName: make(map[string]entry, len(t.Entries))}
	for _, e := range t.Entries {
		f.byName[e.Name] = e
	}
	return f, nil
}

// Close closes the file.
func (f *File) Close() error { return f.close() }

// Size is that of the file, in bytes.
func (f *File) Size() int64 { return f.size }

// Layout returns the image layout in the file, to read images and papers from. It is
// usable until the file is closed, and need not be closed itself.
func (f *File) Layout() (*layout.Layout, error) { return layout.From(f.name, files{f}) }

// files are those of a layout.
type files struct{ f *File }

// Open implements [layout.Files], as the methods after it do.
func (l files) Open(name string) (io.ReadCloser, int64, error) {
	e, ok := l.f.byName[name]
	if !ok {
		return nil, 0, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	decoder, err := newDecompressor(io.NewSectionReader(l.f.r, e.Offset, e.Packed))
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", name, err)
	}
	body := decoder.IOReadCloser()
	if _, err := io.CopyN(io.Discard, body, blockSize); err != nil {
		return nil, 0, errors.Join(fmt.Errorf("%s: tar header: %w", name, err), body.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{io.LimitReader(body, e.Size), body}, e.Size, nil
}

// Blobs lists the blobs.
func (l files) Blobs() ([]string, error) {
	var names []string
	for _, e := range l.f.table.Entries {
		if name, ok := strings.CutPrefix(e.Name, folderBlobs); ok {
			names = append(names, name)
		}
	}
	return names, nil
}

// Close leaves the file open.
func (l files) Close() error { return nil }

// content reads an entry that is not large.
func (f *File) content(name string) ([]byte, error) {
	body, size, err := files{f}.Open(name)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if size > maxDocument {
		return nil, fmt.Errorf("%w: expected at most %d bytes, found %d", ErrLimit, maxDocument, size)
	}
	return io.ReadAll(body)
}

func (f *File) blob(digest release.Digest) ([]byte, error) {
	b, err := f.content(blobPath(digest))
	if err == nil && digestOf(b) != digest {
		err = fmt.Errorf("expected content of that digest, found %s", digestOf(b))
	}
	return b, err
}

func blobPath(digest release.Digest) string {
	return folderBlobs + strings.TrimPrefix(string(digest), "sha256:")
}

// Progress is told what is being done, and how many bytes of it are. A nil one is told
// nothing.
type Progress func(what string, done, total int64)

func (p Progress) tell(what string, done, total int64) {
	if p != nil {
		p(what, done, total)
	}
}
