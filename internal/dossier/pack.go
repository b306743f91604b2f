package dossier

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/retry"
)

// packer writes a file, entry by entry in the order of their names, beside the place
// where it is to be.
type packer struct {
	file       *os.File
	compressor *zstd.Encoder
	table      table
	at         int64
	// wait is between attempts to read what goes into an entry.
	wait retry.Wait
}

func newPacker(path string, wait retry.Wait) (*packer, error) {
	compressor, err := newCompressor()
	if err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return nil, err
	}
	return &packer{file: file, compressor: compressor, table: table{Schema: tableSchema, Entries: []entry{}}, wait: wait}, nil
}

// add writes an entry of size bytes. What a registry did not give is asked for again,
// and what was written of the entry by then is cut off.
func (p *packer) add(ctx context.Context, name string, size int64, open opener) error {
	head, err := header(name, size)
	if err != nil {
		return err
	}
	var written frame
	err = retry.Do(ctx, p.wait, func() error {
		written, err = p.frame(func(w io.Writer) error {
			if _, err := w.Write(head); err != nil {
				return err
			}
			body, err := open(ctx)
			if err != nil {
				return err
			}
			n, err := io.Copy(w, body)
			if err := errors.Join(err, body.Close()); err != nil {
				return err
			}
			if n != size {
				return fmt.Errorf("expected %d bytes, found %d", size, n)
			}
			_, err = w.Write(make([]byte, padding(size)))
			return err
		})
		return err
	}, passing)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	p.table.Entries = append(p.table.Entries, entry{Name: name, Size: size, frame: written})
	p.at += written.Packed
	return nil
}

// passing tells what a registry may give when it is asked again.
func passing(err error) (time.Duration, bool) {
	const longest = time.Minute
	var failed *registry.Error
	if !errors.As(err, &failed) {
		return 0, false
	}
	return min(failed.RetryAfter, longest), failed.Cause == release.CauseThrottled || failed.Cause == release.CauseUnavailable
}

func bytesOf(b []byte) opener {
	return func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
}

// frame writes a frame behind what is there.
func (p *packer) frame(content func(io.Writer) error) (frame, error) {
	if err := p.file.Truncate(p.at); err != nil {
		return frame{}, err
	}
	out := &counted{w: bufio.NewWriterSize(io.NewOffsetWriter(p.file, p.at), 1<<16), hash: sha256.New()}
	p.compressor.Reset(out)
	// An io.Writer and no more: what a compressor reads by itself it cuts into other
	// blocks than what is written to it.
	if err := content(struct{ io.Writer }{p.compressor}); err != nil {
		return frame{}, err
	}
	if err := p.compressor.Close(); err != nil {
		return frame{}, err
	}
	if err := out.w.Flush(); err != nil {
		return frame{}, err
	}
	return frame{Offset: p.at, Packed: out.n, SHA256: hex.EncodeToString(out.hash.Sum(nil))}, nil
}

type counted struct {
	w    *bufio.Writer
	hash hash.Hash
	n    int64
}

// Write implements [io.Writer].
func (c *counted) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.hash.Write(b[:n])
	c.n += int64(n)
	return n, err
}

// end ends the archive, and writes the table of contents.
func (p *packer) end() error {
	end, err := p.frame(func(w io.Writer) error {
		// Two blocks of zeros (POSIX.1, pax, "ustar Interchange Format").
		_, err := w.Write(make([]byte, 2*blockSize))
		return err
	})
	if err != nil {
		return err
	}
	p.table.End = end
	p.at += end.Packed
	b, err := p.table.frame()
	if err != nil {
		return err
	}
	if _, err := p.file.WriteAt(b, p.at); err != nil {
		return err
	}
	p.at += int64(len(b))
	return nil
}

// finish gives the file its name. The file is there whole, or as it was.
func (p *packer) finish(path string) error {
	if err := p.file.Sync(); err != nil {
		return err
	}
	if err := p.file.Chmod(0o644); err != nil {
		return err
	}
	if err := p.file.Close(); err != nil {
		return err
	}
	return os.Rename(p.file.Name(), path)
}

// discard takes away what was written.
func (p *packer) discard() error {
	err := p.file.Close()
	if errors.Is(err, os.ErrClosed) {
		err = nil
	}
	return errors.Join(err, os.Remove(p.file.Name()))
}
