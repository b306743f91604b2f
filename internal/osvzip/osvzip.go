// Package osvzip reads the all.zip of an OSV feed, one JSON record an entry, without
// trusting it: it may be damaged, or made to harm whoever unpacks it.
package osvzip

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"unicode/utf8"
)

// Bounds of what is read, in bytes and counts. They are far above what OSV
// publishes and far below what would harm.
const (
	// MaxZip bounds the file.
	MaxZip = 4 << 30
	// MaxRecord bounds one record, decompressed.
	MaxRecord  = 64 << 20
	maxTotal   = 32 << 30 // of one zip, decompressed
	maxRecords = 5_000_000
	// maxRatio bounds how often an entry and the whole are larger than compressed.
	// OSV's records shrink to a seventh, the most repetitive to a fiftieth; deflate
	// reaches a thousandth.
	maxRatio = 200
	// smallEntry may have any ratio, in bytes.
	smallEntry = 1 << 20
	maxID      = 256
)

// ErrRefused says that data are not what a feed publishes, or less than before.
var ErrRefused = errors.New("refused")

// Archive is an open all.zip whose directory was found to be harmless.
type Archive struct {
	// Records are the files whose names end in .json, in the order of the directory.
	Records []*zip.File
	// Others are the names of all else that is in it.
	Others []string
	close  func() error
}

// Open opens a file and looks at its directory: names that lead out of a folder or
// occur twice, links, entries that share their bytes, and sizes beyond the bounds
// are refused.
func Open(file string) (*Archive, error) {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%w: expected a regular file", ErrRefused)
	case info.Size() > MaxZip:
		return nil, fmt.Errorf("%w: expected at most %d bytes, found %d", ErrRefused, int64(MaxZip), info.Size())
	}
	r, err := zip.OpenReader(file)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if err := check(r.File, info.Size()); err != nil {
		r.Close() //nolint:errcheck // the other error says more
		return nil, err
	}
	a := &Archive{Records: make([]*zip.File, 0, len(r.File)), close: r.Close}
	for _, f := range r.File {
		if f.Mode().IsRegular() && strings.HasSuffix(f.Name, ".json") {
			a.Records = append(a.Records, f)
		} else {
			a.Others = append(a.Others, f.Name)
		}
	}
	return a, nil
}

// Close closes the file; its records cannot be read any more.
func (a *Archive) Close() error { return a.close() }

// check looks at the directory of a zip before anything is read.
func check(files []*zip.File, size int64) error {
	if len(files) > maxRecords {
		return fmt.Errorf("%w: expected at most %d records, found %d", ErrRefused, maxRecords, len(files))
	}
	names := make(map[string]struct{}, len(files))
	var total, compressed uint64
	for _, f := range files {
		if err := checkEntry(f); err != nil {
			return err
		}
		if _, ok := names[f.Name]; ok {
			return fmt.Errorf("%w: two entries are named %q", ErrRefused, f.Name)
		}
		names[f.Name] = struct{}{}
		total += f.UncompressedSize64
		if compressed += f.CompressedSize64; f.CompressedSize64 > uint64(size) || compressed > uint64(size) { //nolint:gosec // a size
			return fmt.Errorf("%w: its entries claim more than its %d bytes: they are cut off, or share them", ErrRefused, size)
		}
	}
	if total > maxTotal {
		return fmt.Errorf("%w: expected at most %d bytes decompressed, found %d", ErrRefused, int64(maxTotal), total)
	}
	if total > smallEntry && total/maxRatio > compressed {
		return fmt.Errorf("%w: %d bytes decompress to %d: a zip bomb", ErrRefused, compressed, total)
	}
	return nil
}

func checkEntry(f *zip.File) error {
	switch mode := f.Mode(); {
	case !local(f.Name):
		return fmt.Errorf("%w: an entry named %q leads out of its folder", ErrRefused, shorten(f.Name))
	case !mode.IsRegular() && !mode.IsDir():
		return fmt.Errorf("%w: %s: expected a regular file, found %s", ErrRefused, shorten(f.Name), mode)
	case f.UncompressedSize64 > MaxRecord:
		return fmt.Errorf("%w: %s: expected at most %d bytes, found %d", ErrRefused, f.Name, MaxRecord, f.UncompressedSize64)
	case f.UncompressedSize64 > smallEntry && f.UncompressedSize64/maxRatio > f.CompressedSize64:
		return fmt.Errorf("%w: %s: %d bytes decompress to %d: a zip bomb", ErrRefused, f.Name, f.CompressedSize64, f.UncompressedSize64)
	}
	return nil
}

// local reports whether an entry would be unpacked where it should be. Nothing is
// unpacked here, but whoever made such a name meant harm, and an export repeats it.
func local(name string) bool {
	return utf8.ValidString(name) && !strings.ContainsAny(name, "\\\x00") && path.Clean("/"+name) == "/"+strings.TrimSuffix(name, "/")
}

func shorten(s string) string {
	if len(s) > maxID {
		return s[:maxID] + "…"
	}
	return s
}

// Read reads an entry of an [Archive], and compares it with its size and checksum.
func Read(f *zip.File) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var raw bytes.Buffer
	raw.Grow(int(f.UncompressedSize64) + bytes.MinRead) //nolint:gosec // at most MaxRecord
	if _, err := raw.ReadFrom(io.LimitReader(r, MaxRecord+1)); err != nil {
		return nil, err
	}
	if raw.Len() > MaxRecord {
		return nil, errors.New("larger than it says")
	}
	return raw.Bytes(), nil
}

// ValidID reports whether a string can be the id of an advisory, and so a file's
// name: ASCII letters, digits and ._:+- after a letter or digit, at most 256 bytes.
func ValidID(id string) bool {
	for i := range len(id) {
		c := id[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && (i == 0 || !strings.ContainsRune("._:+-", rune(c))) {
			return false
		}
	}
	return id != "" && len(id) <= maxID
}

// TooBroken tells a feed that is probably not what its publisher meant from one
// whose single broken records can be named and left out.
func TooBroken(broken, readable int) bool {
	total := broken + readable
	return broken*2 > total || broken > 10 && broken*100 > total
}
