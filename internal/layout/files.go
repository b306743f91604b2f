package layout

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
)

const (
	fileVersion = "oci-layout"
	fileIndex   = "index.json"
	folderBlobs = "blobs/sha256"

	// maxFiles bounds the files of a tar, and the blobs of a folder that are looked
	// through for referrers.
	maxFiles = 20_000
)

// Files are the files of a layout, by slashed names such as index.json. An
// implementation is safe for concurrent use.
type Files interface {
	// Open returns a regular file with its size in bytes. One that is not there is an
	// error that is [fs.ErrNotExist].
	Open(name string) (io.ReadCloser, int64, error)
	// Blobs lists the names in the folder blobs/sha256.
	Blobs() ([]string, error)
	Close() error
}

var errNotRegular = errors.New("expected a regular file")

// folder is a folder that nothing leads out of.
type folder struct{ root *os.Root }

// Open implements [Files].
func (f folder) Open(name string) (io.ReadCloser, int64, error) {
	// Without O_NONBLOCK a named pipe would be waited for.
	file, err := f.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w, found %s", name, errNotRegular, info.Mode().Type())
	}
	if err != nil {
		return nil, 0, errors.Join(err, file.Close())
	}
	return file, info.Size(), nil
}

// Blobs implements [Files].
func (f folder) Blobs() ([]string, error) {
	dir, err := f.root.Open(folderBlobs)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	defer dir.Close() //nolint:errcheck // it was only read from
	names, err := dir.Readdirnames(maxFiles + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return names, nil
}

// Close implements [Files].
func (f folder) Close() error { return f.root.Close() }

// archive is a tar file. Nothing of it is unpacked: its files are read where they
// stand.
type archive struct {
	file  *os.File
	parts map[string]section
}

type section struct{ offset, size int64 }

func openArchive(name string) (*archive, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	a := &archive{file: file, parts: make(map[string]section)}
	if err := a.list(); err != nil {
		return nil, errors.Join(fmt.Errorf("tar: %w", err), file.Close())
	}
	return a, nil
}

// list notes where the files stand. Of a name that comes twice the last counts, as
// when a tar is unpacked.
func (a *archive) list() error {
	reader := tar.NewReader(a.file)
	for n := 0; ; n++ {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if n == maxFiles {
			return fmt.Errorf("expected at most %d files", maxFiles)
		}
		name := strings.TrimPrefix(path.Clean("/"+header.Name), "/")
		if header.Typeflag != tar.TypeReg {
			delete(a.parts, name)
			continue
		}
		// The reader stands at the content: it reads headers in whole blocks and
		// skips content by seeking.
		offset, err := a.file.Seek(0, io.SeekCurrent)
		if err != nil {
			return err
		}
		a.parts[name] = section{offset, header.Size}
	}
}

// Open implements [Files].
func (a *archive) Open(name string) (io.ReadCloser, int64, error) {
	part, ok := a.parts[name]
	if !ok {
		return nil, 0, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return io.NopCloser(io.NewSectionReader(a.file, part.offset, part.size)), part.size, nil
}

// Blobs implements [Files].
func (a *archive) Blobs() ([]string, error) {
	names := make([]string, 0, len(a.parts))
	for name := range a.parts {
		if dir, base := path.Split(name); dir == folderBlobs+"/" {
			names = append(names, base)
		}
	}
	return names, nil
}

// Close implements [Files].
func (a *archive) Close() error { return a.file.Close() }
