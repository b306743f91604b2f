package advisory

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/tallyman-io/tallyman/internal/osvzip"
)

// namedBroken is how many broken records are named; all are counted.
const namedBroken = 20

// ErrRefused says that the data are not what a feed publishes, or less than before.
// The database stays as it is.
var ErrRefused = osvzip.ErrRefused

// ImportOptions say how to import.
type ImportOptions struct {
	// Force accepts fewer records than the database has.
	Force bool
	Now   func() time.Time
}

// Report is what an import did.
type Report struct {
	Meta   Meta
	Digest string
	// Broken names records that could not be read, with the reason; at most twenty.
	Broken []string
	// Identifiers counts the distinct advisories.
	Identifiers int
}

// Import makes the database file from dir, which holds <Ecosystem>/all.zip as OSV
// publishes them. The file appears, complete, or stays as it was. Data that are
// broken, or fewer by a tenth than what the database has, are refused.
func Import(ctx context.Context, dir, file string, options ImportOptions) (Report, error) {
	zips, err := findZips(dir)
	if err != nil {
		return Report{}, err
	}
	return ImportZips(ctx, zips, file, options)
}

// Zip is an all.zip and the ecosystem that it is of.
type Zip struct{ Ecosystem, Path string }

// ImportZips is [Import] of files that lie anywhere. Their order is that of the
// feeds in the database.
func ImportZips(ctx context.Context, zips []Zip, file string, options ImportOptions) (Report, error) {
	var before Meta
	if old, err := Open(file); err == nil {
		before = old.Meta()
		if err := old.Close(); err != nil {
			return Report{}, err
		}
	}
	raw, err := os.CreateTemp(filepath.Dir(file), ".tallyman-raw-*")
	if err != nil {
		return Report{}, fmt.Errorf("import: %w", err)
	}
	defer discard(raw)
	b := newBuilder(raw)
	report := Report{}
	for _, z := range zips {
		if err := b.addZip(ctx, z, options.Now(), &report); err != nil {
			return Report{}, fmt.Errorf("import %s: %w", z.Path, err)
		}
	}
	if !options.Force {
		if err := checkShrunken(before, b.meta); err != nil {
			return Report{}, err
		}
	}
	h, err := b.publish(file, options.Now())
	if err != nil {
		return Report{}, fmt.Errorf("import: %w", err)
	}
	report.Meta, report.Digest, report.Identifiers = b.meta, "sha256:"+hex.EncodeToString(h.digest[:]), len(b.ids)
	return report, nil
}

func findZips(dir string) ([]Zip, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	var zips []Zip
	for _, e := range entries {
		path := filepath.Join(dir, e.Name(), "all.zip")
		_, err := os.Stat(path)
		switch {
		case errors.Is(err, os.ErrNotExist), !e.IsDir() && e.Type()&os.ModeSymlink == 0:
			continue
		case err != nil:
			return nil, fmt.Errorf("import: %w", err)
		}
		zips = append(zips, Zip{e.Name(), path})
	}
	if len(zips) == 0 {
		return nil, fmt.Errorf("import %s: expected <Ecosystem>/all.zip in it, found none", dir)
	}
	return zips, nil
}

// checkShrunken compares each feed with what the database had: OSV withdraws
// records, it does not delete them.
func checkShrunken(before, after Meta) error {
	for _, old := range before.Feeds {
		i := slices.IndexFunc(after.Feeds, func(f Feed) bool { return f.Ecosystem == old.Ecosystem })
		found := 0
		if i >= 0 {
			found = after.Feeds[i].Records
		}
		if found*10 < old.Records*9 {
			return fmt.Errorf("import: %w: %s shrank from %d records to %d; --force accepts that", ErrRefused, old.Ecosystem, old.Records, found)
		}
	}
	return nil
}

// publish writes the file beside its place and moves it there.
func (b *builder) publish(file string, built time.Time) (header, error) {
	temp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+"-*")
	if err != nil {
		return header{}, err
	}
	defer discard(temp)
	h, err := b.write(temp, built)
	if err != nil {
		return header{}, err
	}
	if err := temp.Chmod(0o644); err != nil {
		return header{}, err
	}
	if err := temp.Sync(); err != nil {
		return header{}, err
	}
	if err := os.Rename(temp.Name(), file); err != nil {
		return header{}, err
	}
	return h, syncDir(filepath.Dir(file))
}

// syncDir makes a rename last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close() //nolint:errcheck // only read
	return d.Sync()
}

// discard closes and removes a temporary file; after a rename there is none.
func discard(f *os.File) {
	f.Close()           //nolint:errcheck // its content does not matter any more
	os.Remove(f.Name()) //nolint:errcheck // as above
}
