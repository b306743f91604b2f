package advisory

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// addZip adds the records of one zip file.
func (b *builder) addZip(ctx context.Context, z feedZip, now time.Time, report *Report) error {
	r, err := zip.OpenReader(z.path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	defer r.Close() //nolint:errcheck // only read
	if err := checkEntries(r.File); err != nil {
		return err
	}
	b.byID = make(map[string]uint32)
	feed := Feed{Ecosystem: z.ecosystem, RawOffset: b.rawSize}
	records := recordFiles(r.File)
	const batch = 256
	for len(records) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(batch, len(records))
		for i, p := range prepareAll(z.ecosystem, records[:n]) {
			if err := b.addRecord(&feed, records[i], p, now, report); err != nil {
				return err
			}
		}
		records = records[n:]
	}
	if tooBroken(feed) {
		return fmt.Errorf("%w: %d of %d records cannot be read, the first: %s", ErrRefused, feed.Broken, feed.Broken+feed.Records, firstBroken(report, z.ecosystem))
	}
	b.meta.Feeds = append(b.meta.Feeds, feed)
	return nil
}

func (b *builder) addRecord(feed *Feed, f *zip.File, p prepared, now time.Time, report *Report) error {
	if p.err != nil {
		if feed.Broken++; len(report.Broken) < namedBroken || feed.Broken == 1 {
			report.Broken = append(report.Broken, fmt.Sprintf("%s/%s: %v", feed.Ecosystem, f.Name, p.err))
		}
		return nil
	}
	feed.Records++
	if p.draft.withdrawn {
		feed.Withdrawn++
	}
	// A date to come tells nothing of how old the data are.
	if p.draft.newest.After(feed.Newest) && !p.draft.newest.After(now.Add(24*time.Hour)) {
		feed.Newest = p.draft.newest
	}
	b.add(p)
	return b.keepRaw(f)
}

// tooBroken refuses a file that is probably not what its publisher meant; single
// broken records are named and left out.
func tooBroken(f Feed) bool {
	total := f.Broken + f.Records
	return f.Broken*2 > total || f.Broken > 10 && f.Broken*100 > total
}

func firstBroken(report *Report, ecosystem string) string {
	for _, b := range report.Broken {
		if strings.HasPrefix(b, ecosystem+"/") {
			return b
		}
	}
	return ""
}

// checkEntries looks at the directory of a zip before anything is read.
func checkEntries(files []*zip.File) error {
	if len(files) > maxRecords {
		return fmt.Errorf("%w: expected at most %d records, found %d", ErrRefused, maxRecords, len(files))
	}
	var total uint64
	for _, f := range files {
		if !localName(f.Name) {
			return fmt.Errorf("%w: an entry named %q leads out of its folder", ErrRefused, shorten(f.Name))
		}
		if f.UncompressedSize64 > maxRecord {
			return fmt.Errorf("%w: %s: expected at most %d bytes, found %d", ErrRefused, f.Name, maxRecord, f.UncompressedSize64)
		}
		if total += f.UncompressedSize64; total > maxTotal {
			return fmt.Errorf("%w: expected at most %d bytes decompressed, found more", ErrRefused, int64(maxTotal))
		}
	}
	return nil
}

// localName reports whether an entry would be unpacked where it should be. Nothing
// is unpacked here, but whoever made such a name meant harm, and an export repeats it.
func localName(name string) bool {
	return !strings.ContainsAny(name, "\\\x00") && path.Clean("/"+name) == "/"+strings.TrimSuffix(name, "/")
}

func recordFiles(files []*zip.File) []*zip.File {
	records := make([]*zip.File, 0, len(files))
	for _, f := range files {
		if f.Mode().IsRegular() && strings.HasSuffix(f.Name, ".json") {
			records = append(records, f)
		}
	}
	return records
}

// prepareAll reads records on all processors and keeps their order.
func prepareAll(ecosystem string, files []*zip.File) []prepared {
	out := make([]prepared, len(files))
	var group errgroup.Group
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		group.Go(func() error {
			for i := w; i < len(files); i += workers {
				out[i] = prepareFile(ecosystem, files[i])
			}
			return nil
		})
	}
	group.Wait() //nolint:errcheck // none returns an error
	return out
}

func prepareFile(ecosystem string, f *zip.File) prepared {
	raw, err := readFile(f)
	if err != nil {
		return prepared{err: err}
	}
	return prepare(ecosystem, raw, crc32.ChecksumIEEE(raw))
}

// readFile reads an entry, whatever size its header claims.
func readFile(f *zip.File) ([]byte, error) {
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	raw, err := io.ReadAll(io.LimitReader(r, maxRecord+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxRecord {
		return nil, errors.New("larger than it says")
	}
	return raw, nil
}

// keepRaw copies a record as it is compressed, for [Database.Export].
func (b *builder) keepRaw(f *zip.File) error {
	r, err := f.OpenRaw()
	if err != nil {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	var w writer
	w.string(f.Name)
	w.uint(uint64(f.Method))
	w.uint(uint64(f.CRC32))
	w.uint(f.UncompressedSize64)
	w.uint(f.CompressedSize64)
	n, err := b.raw.Write(w.b)
	if err != nil {
		return fmt.Errorf("keep %s: %w", f.Name, err)
	}
	copied, err := io.Copy(b.raw, r)
	if err != nil {
		return fmt.Errorf("keep %s: %w", f.Name, err)
	}
	b.rawSize += uint64(n) + uint64(copied) //nolint:gosec // lengths
	return nil
}
