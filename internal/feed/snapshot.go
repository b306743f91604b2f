package feed

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
)

// Bounds of a whole feed, in bytes and counts: far above what OSV publishes, and far
// below what would do harm.
const (
	maxZip     = 4 << 30
	maxTotal   = 32 << 30 // decompressed
	maxRecord  = 64 << 20
	maxRecords = 5_000_000
	// namedBroken is how many broken records are named; all are counted.
	namedBroken = 20
)

// Snapshot is a whole feed, in a file of its own until Close.
type Snapshot struct {
	file    *os.File
	entries []*zip.File
	broken  []string
	ids     map[string]bool
	next    State
}

// Snapshot fetches a whole feed and checks it as a whole: that it is complete, that
// every record is intact and of a size that a record may have, that no name leads out of
// its folder, and that there are not a tenth fewer records than are known. It returns
// ErrNotModified when it is the one that is known, and ErrNoFeed when there is none.
func (c *Client) Snapshot(ctx context.Context, ecosystem string, known State) (*Snapshot, error) {
	s, err := c.snapshot(ctx, ecosystem, known)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", ecosystem, err)
	}
	return s, nil
}

func (c *Client) snapshot(ctx context.Context, ecosystem string, known State) (_ *Snapshot, err error) {
	next := State{FullAt: c.cfg.Now()}
	// The list first: what changes after it is in the next delta, though it may be in the
	// zip as well.
	list, tag, err := c.list(ctx, ecosystem, "")
	if err != nil && !errors.Is(err, ErrNoDelta) {
		return nil, err
	}
	next.ListETag = tag
	for _, change := range list {
		if change.at.After(next.Cursor) {
			next.Cursor = change.at
		}
	}
	file, err := os.CreateTemp(c.cfg.Dir, "tallyman-feed-*.zip")
	if err != nil {
		return nil, fmt.Errorf("keep the feed: %w", err)
	}
	s := &Snapshot{file: file, ids: make(map[string]bool)}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	next.ETag, err = c.fetch(ctx, ecosystem, "all.zip", known.ETag, maxZip, func(in io.Reader) error {
		if err := file.Truncate(0); err != nil {
			return fmt.Errorf("keep the feed: %w", err)
		}
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("keep the feed: %w", err)
		}
		if _, err := io.Copy(file, in); err != nil {
			return fmt.Errorf("all.zip: %w", err)
		}
		return nil
	})
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %w", ErrNoFeed, err)
	case err != nil:
		return nil, err
	}
	if err := s.check(ctx); err != nil {
		return nil, fmt.Errorf("all.zip: %w", err)
	}
	next.Records = len(s.ids)
	if next.Records*10 < known.Records*9 {
		return nil, fmt.Errorf("all.zip: %w: it shrank from %d records to %d", ErrRefused, known.Records, next.Records)
	}
	s.next = next
	return s, nil
}

// check reads everything once.
func (s *Snapshot) check(ctx context.Context) error {
	size, err := s.file.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("read it back: %w", err)
	}
	r, err := zip.NewReader(s.file, size)
	if err != nil {
		return fmt.Errorf("%w: expected a complete zip file, found %d bytes that are none: %w", ErrRefused, size, err)
	}
	if s.entries, err = entriesOf(r.File); err != nil {
		return err
	}
	for _, f := range s.entries {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		raw, err := readEntry(f)
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrRefused, f.Name, err)
		}
		id, err := idOf(raw)
		if err != nil {
			s.broken = append(s.broken, f.Name+": "+err.Error())
			id = strings.TrimSuffix(path.Base(f.Name), ".json")
		}
		s.ids[id] = true
	}
	if n := len(s.broken); n*2 > len(s.entries) || n > 10 && n*100 > len(s.entries) {
		return fmt.Errorf("%w: %d of %d records cannot be read, the first: %s", ErrRefused, n, len(s.entries), s.broken[0])
	}
	return nil
}

// entriesOf looks at the directory of a zip before anything is read.
func entriesOf(files []*zip.File) ([]*zip.File, error) {
	if len(files) > maxRecords {
		return nil, fmt.Errorf("%w: expected at most %d records, found %d", ErrRefused, maxRecords, len(files))
	}
	var total uint64
	names := make(map[string]bool, len(files))
	var entries []*zip.File
	for _, f := range files {
		switch {
		case strings.ContainsAny(f.Name, "\\\x00") || path.Clean("/"+f.Name) != "/"+strings.TrimSuffix(f.Name, "/"):
			return nil, fmt.Errorf("%w: an entry named %q leads out of its folder", ErrRefused, shorten(f.Name))
		case names[f.Name]:
			return nil, fmt.Errorf("%w: two entries named %q", ErrRefused, shorten(f.Name))
		case f.UncompressedSize64 > maxRecord:
			return nil, fmt.Errorf("%w: %s: expected at most %d bytes, found %d", ErrRefused, shorten(f.Name), maxRecord, f.UncompressedSize64)
		}
		names[f.Name] = true
		if total += f.UncompressedSize64; total > maxTotal {
			return nil, fmt.Errorf("%w: expected at most %d bytes decompressed, found more", ErrRefused, int64(maxTotal))
		}
		if f.Mode().IsRegular() && strings.HasSuffix(f.Name, ".json") {
			entries = append(entries, f)
		}
	}
	return entries, nil
}

// readEntry reads an entry, whatever size its header claims, and checks its checksum.
func readEntry(f *zip.File) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller names it
	}
	defer r.Close() //nolint:errcheck // only read
	raw, err := io.ReadAll(io.LimitReader(r, maxRecord+1))
	if err != nil {
		return nil, err //nolint:wrapcheck // the caller names it
	}
	if len(raw) > maxRecord {
		return nil, fmt.Errorf("expected at most %d bytes, found more", maxRecord)
	}
	return raw, nil
}

// idOf returns the id of a record, and why it is none.
func idOf(raw []byte) (string, error) {
	var record struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(raw, &record); err != nil {
		return "", fmt.Errorf("expected a JSON object: %w", err)
	}
	if record.ID == "" {
		return "", errors.New("expected an id, found none")
	}
	return record.ID, nil
}

// Records counts the records.
func (s *Snapshot) Records() int { return len(s.ids) }

// Broken names records that cannot be read, with the reason: at most twenty of them,
// and how many there are.
func (s *Snapshot) Broken() ([]string, int) {
	return slices.Clone(s.broken[:min(len(s.broken), namedBroken)]), len(s.broken)
}

// Has reports whether the feed has a record of this id, also one that cannot be read.
func (s *Snapshot) Has(id string) bool { return s.ids[id] }

// Each hands out the records that can be read, in the order of the file. An error of
// each ends it.
func (s *Snapshot) Each(ctx context.Context, each func(Record) error) error {
	for _, f := range s.entries {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		raw, err := readEntry(f)
		if err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		id, err := idOf(raw)
		if err != nil {
			continue // counted by check
		}
		if err := each(Record{ID: id, Raw: raw}); err != nil {
			return err
		}
	}
	return nil
}

// Next is what to remember once all records are taken in.
func (s *Snapshot) Next() State { return s.next }

// WriteTo writes the file as it was fetched.
func (s *Snapshot) WriteTo(out io.Writer) (int64, error) {
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return 0, fmt.Errorf("read the feed: %w", err)
	}
	n, err := io.Copy(out, s.file)
	if err != nil {
		return n, fmt.Errorf("copy the feed: %w", err)
	}
	return n, nil
}

// Close removes the file.
func (s *Snapshot) Close() error {
	if err := errors.Join(s.file.Close(), os.Remove(s.file.Name())); err != nil {
		return fmt.Errorf("remove the feed's file: %w", err)
	}
	return nil
}
