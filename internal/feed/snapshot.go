package feed

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tallyman-io/tallyman/internal/osvzip"
)

// namedBroken is how many broken records are named; all are counted.
const namedBroken = 20

// Snapshot is an all.zip that was checked as a whole and waits in a temporary file.
type Snapshot struct {
	file    *temporaryFile
	archive *osvzip.Archive
	records []*zip.File // those that can be read
	broken  int
	named   []string
	next    State
}

// Snapshot fetches the whole feed of an ecosystem. It returns [ErrNotModified] when
// the source still has the zip of known, and [ErrShrunken] when it has a tenth fewer
// records than known has.
func (c *Client) Snapshot(ctx context.Context, ecosystem string, known State) (*Snapshot, error) {
	if err := checkEcosystem(ecosystem); err != nil {
		return nil, err
	}
	file, err := c.temporaryFile()
	if err != nil {
		return nil, fmt.Errorf("feed %s: %w", ecosystem, err)
	}
	s := &Snapshot{file: file}
	if err := c.fill(ctx, s, path{ecosystem, "all.zip"}, known); err != nil {
		return nil, fmt.Errorf("feed %s: %w", ecosystem, errors.Join(err, s.Close()))
	}
	return s, nil
}

func (c *Client) fill(ctx context.Context, s *Snapshot, p path, known State) error {
	version, err := c.fetch(ctx, p, known.Zip, osvzip.MaxZip, fileSink{s.file.File})
	if errors.Is(err, errMissing) {
		return fmt.Errorf("%w: %w", ErrNoFeed, err)
	} else if err != nil {
		return err
	}
	now := c.config.Now()
	s.next = State{Zip: version, FullAt: now, SyncedAt: now}
	if err := s.check(ctx, now); err != nil {
		return fmt.Errorf("%s: %w", c.url(p), err)
	}
	if len(s.records)*10 < known.Records*9 {
		return fmt.Errorf("%s: %w: expected at least nine tenths of the %d records before, found %d", c.url(p), ErrShrunken, known.Records, len(s.records))
	}
	return nil
}

// checked is what was found of one entry.
type checked struct {
	broken   error
	modified time.Time
}

// check reads everything once, before anything is handed out.
func (s *Snapshot) check(ctx context.Context, now time.Time) (err error) {
	if s.archive, err = osvzip.Open(s.file.Name()); err != nil {
		return err
	}
	if len(s.archive.Others) > 0 {
		return fmt.Errorf("%w: expected <ID>.json alone, found %q", ErrRefused, s.archive.Others[0])
	}
	files := s.archive.Records
	if len(files) == 0 {
		return fmt.Errorf("%w: there is no record in it", ErrRefused)
	}
	results := make([]checked, len(files))
	group, ctx := errgroup.WithContext(ctx)
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		group.Go(func() (err error) {
			for i := w; i < len(files) && err == nil; i += workers {
				results[i], err = checkFile(ctx, files[i])
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	s.records = make([]*zip.File, 0, len(files))
	for i, r := range results {
		if r.broken != nil {
			if s.broken++; len(s.named) < namedBroken {
				s.named = append(s.named, fmt.Sprintf("%s: %v", files[i].Name, r.broken))
			}
			continue
		}
		s.records = append(s.records, files[i])
		if r.modified.After(s.next.Cursor) && !r.modified.After(now) {
			s.next.Cursor = r.modified
		}
	}
	s.next.Records = len(s.records)
	if osvzip.TooBroken(s.broken, len(s.records)) {
		return fmt.Errorf("%w: %d of %d records cannot be read, the first: %s", ErrRefused, s.broken, len(files), s.named[0])
	}
	return nil
}

// checkFile returns an error when the file was damaged on its way; a record that was
// broken before it was packed is only broken itself.
func checkFile(ctx context.Context, f *zip.File) (checked, error) {
	if err := context.Cause(ctx); err != nil {
		return checked{}, err
	}
	id := strings.TrimSuffix(f.Name, ".json")
	if !osvzip.ValidID(id) {
		return checked{}, fmt.Errorf("%w: expected <ID>.json alone, found %q", ErrRefused, f.Name)
	}
	raw, err := osvzip.Read(f)
	if err != nil {
		return checked{}, fmt.Errorf("%w: %s: %w", ErrRefused, f.Name, err)
	}
	modified, err := inspect(id, raw)
	return checked{err, modified}, nil
}

// inspect makes sure that a record is the one that its name says, and returns when
// it says that it was modified; zero when it does not.
func inspect(id string, raw []byte) (time.Time, error) {
	var head struct {
		ID       string          `json:"id"`
		Modified json.RawMessage `json:"modified"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return time.Time{}, err
	}
	if head.ID != id {
		return time.Time{}, fmt.Errorf("expected id %q, found %q", id, head.ID)
	}
	var modified time.Time
	if json.Unmarshal(head.Modified, &modified) != nil || modified.Year() <= 1 {
		return time.Time{}, nil
	}
	return modified.UTC(), nil
}

// Records counts the records that can be read.
func (s *Snapshot) Records() int { return len(s.records) }

// Broken counts the records that are left out because they cannot be read, and names
// the first twenty with the reason.
func (s *Snapshot) Broken() (int, []string) { return s.broken, s.named }

// Next is the state to keep once the records were applied.
func (s *Snapshot) Next() State { return s.next }

// Path is where the zip lies until Close or [Snapshot.Keep].
func (s *Snapshot) Path() string { return s.file.Name() }

// Each hands out the records in the order of the zip, and stops at the first error.
func (s *Snapshot) Each(ctx context.Context, do func(Record) error) error {
	for _, f := range s.records {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		raw, err := osvzip.Read(f)
		if err != nil {
			return fmt.Errorf("read back %s: %w", f.Name, err)
		}
		if err := do(Record{strings.TrimSuffix(f.Name, ".json"), raw, sha256.Sum256(raw)}); err != nil {
			return err
		}
	}
	return nil
}

// Keep moves the zip to a place in the same file system as the client's folder.
// Nothing can be read from the snapshot any more.
func (s *Snapshot) Keep(name string) error {
	err := errors.Join(s.file.Chmod(0o644), s.file.Sync(), s.closeArchive())
	if err == nil {
		err = os.Rename(s.file.Name(), name)
	}
	if err = errors.Join(err, s.Close()); err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	return nil
}

func (s *Snapshot) closeArchive() error {
	if s.archive == nil {
		return nil
	}
	archive := s.archive
	s.archive = nil
	return archive.Close()
}

// Close removes the temporary file.
func (s *Snapshot) Close() error { return errors.Join(s.closeArchive(), s.file.Close()) }
