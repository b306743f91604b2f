package advisory

import (
	"archive/zip"
	"context"
	"fmt"
	"hash/crc32"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tallyman-io/tallyman/internal/osvzip"
)

// addZip adds the records of one zip file.
func (b *builder) addZip(ctx context.Context, z Zip, now time.Time, report *Report) error {
	archive, err := osvzip.Open(z.Path)
	if err != nil {
		return err
	}
	defer archive.Close() //nolint:errcheck // only read
	b.byID = make(map[string]uint32)
	feed := Feed{Ecosystem: z.Ecosystem, RawOffset: b.rawSize}
	records := archive.Records
	const batch = 64 // parsed records take many times their size
	for len(records) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(batch, len(records))
		for i, p := range prepareAll(z.Ecosystem, records[:n]) {
			if err := b.addRecord(&feed, records[i], p, now, report); err != nil {
				return err
			}
		}
		records = records[n:]
	}
	if osvzip.TooBroken(feed.Broken, feed.Records) {
		return fmt.Errorf("%w: %d of %d records cannot be read, the first: %s", ErrRefused, feed.Broken, feed.Broken+feed.Records, firstBroken(report, z.Ecosystem))
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

func firstBroken(report *Report, ecosystem string) string {
	for _, b := range report.Broken {
		if strings.HasPrefix(b, ecosystem+"/") {
			return b
		}
	}
	return ""
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
	raw, err := osvzip.Read(f)
	if err != nil {
		return prepared{err: err}
	}
	return prepare(ecosystem, raw, crc32.ChecksumIEEE(raw))
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
	n, err := b.rawOut.Write(w.b)
	if err != nil {
		return fmt.Errorf("keep %s: %w", f.Name, err)
	}
	copied, err := b.rawOut.ReadFrom(r)
	if err != nil {
		return fmt.Errorf("keep %s: %w", f.Name, err)
	}
	b.rawSize += uint64(n) + uint64(copied) //nolint:gosec // lengths
	return nil
}
