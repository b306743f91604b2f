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
	file   *temporaryFile
	broken map[string]bool // names of entries
	named  []string
	next   State
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
	if s.Records()*10 < known.Records*9 {
		return fmt.Errorf("%s: %w: expected at least nine tenths of the %d records before, found %d", c.url(p), ErrShrunken, known.Records, s.Records())
	}
	return nil
}

// checked is what was found of one entry.
type checked struct {
	broken   error
	modified time.Time
}

// check reads everything once, before anything is handed out.
func (s *Snapshot) check(ctx context.Context, now time.Time) error {
	archive, err := osvzip.Open(s.file.Name())
	if err != nil {
		return err
	}
	defer archive.Close() //nolint:errcheck // only read
	if len(archive.Others) > 0 {
		return fmt.Errorf("%w: expected <ID>.json alone, found %q", ErrRefused, archive.Others[0])
	}
	if len(archive.Records) == 0 {
		return fmt.Errorf("%w: there is no record in it", ErrRefused)
	}
	results, err := checkFiles(ctx, archive.Records)
	if err != nil {
		return err
	}
	s.broken = make(map[string]bool)
	for i, r := range results {
		if name := archive.Records[i].Name; r.broken != nil {
			if s.broken[name] = true; len(s.named) < namedBroken {
				s.named = append(s.named, fmt.Sprintf("%s: %v", name, r.broken))
			}
			continue
		}
		s.next.Records++
		if r.modified.After(s.next.Cursor) && !r.modified.After(now) {
			s.next.Cursor = r.modified
		}
	}
	if osvzip.TooBroken(len(s.broken), s.Records()) {
		return fmt.Errorf("%w: %d of %d records cannot be read, the first: %s", ErrRefused, len(s.broken), len(results), s.named[0])
	}
	return nil
}

// checkFiles reads all files, on all processors.
func checkFiles(ctx context.Context, files []*zip.File) ([]checked, error) {
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
	return results, group.Wait()
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
func (s *Snapshot) Records() int { return s.next.Records }

// Broken counts the records that are left out because they cannot be read, and names
// the first twenty with the reason.
func (s *Snapshot) Broken() (int, []string) { return len(s.broken), s.named }

// Next is the state to keep once the records were applied.
func (s *Snapshot) Next() State { return s.next }

// Path is where the zip lies until Close or [Snapshot.Keep].
func (s *Snapshot) Path() string { return s.file.Name() }

// Each hands out the records in the order of the zip, and stops at the first error.
func (s *Snapshot) Each(ctx context.Context, do func(Record) error) error {
	archive, err := osvzip.Open(s.file.Name())
	if err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	defer archive.Close() //nolint:errcheck // only read
	for _, f := range archive.Records {
		if s.broken[f.Name] {
			continue
		}
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
	err := errors.Join(s.file.Chmod(0o644), s.file.Sync())
	if err == nil {
		err = os.Rename(s.file.Name(), name)
	}
	if err = errors.Join(err, s.Close()); err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	return nil
}

// Close removes the temporary file.
func (s *Snapshot) Close() error { return s.file.Close() }
