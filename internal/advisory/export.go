package advisory

import (
	"archive/zip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Export writes the records back as <Ecosystem>/all.zip under dir, byte for byte as
// they were published: those of the ecosystems that are named, or all. It overwrites
// nothing.
func (db *Database) Export(dir string, ecosystems ...string) error {
	raw := db.section(sectionRaw)
	for _, feed := range db.meta.Feeds {
		if len(ecosystems) > 0 && !slices.Contains(ecosystems, feed.Ecosystem) {
			continue
		}
		if feed.RawOffset > uint64(len(raw)) || !filepath.IsLocal(feed.Ecosystem) {
			return badDatabase("its records of %s are damaged", feed.Ecosystem)
		}
		if err := exportFeed(filepath.Join(dir, feed.Ecosystem), feed, cursor{b: raw[feed.RawOffset:]}, db.Built()); err != nil {
			return fmt.Errorf("export %s: %w", feed.Ecosystem, err)
		}
	}
	return nil
}

func exportFeed(dir string, feed Feed, c cursor, built time.Time) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // public data
		return err
	}
	out, err := os.OpenFile(filepath.Join(dir, "all.zip"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // public data
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	z := zip.NewWriter(out)
	for range feed.Records {
		h := &zip.FileHeader{Name: c.string(), Method: uint16(c.uint()), CRC32: uint32(c.uint()), Modified: built} //nolint:gosec // as written
		h.UncompressedSize64 = c.uint()
		data := c.bytes()
		h.CompressedSize64 = uint64(len(data))
		if c.damaged {
			return badDatabase("its records are damaged")
		}
		w, err := z.CreateRaw(h)
		if err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
		if _, err := w.Write(data); err != nil {
			return fmt.Errorf("%s: %w", h.Name, err)
		}
	}
	if err := z.Close(); err != nil {
		return err
	}
	return out.Sync()
}
