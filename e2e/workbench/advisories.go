package workbench

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/tallyman-io/tallyman/internal/advisory"
)

// Advisories packs the small set of advisories that the repository carries as a feed, and
// returns its URL.
func (b *Bench) Advisories(repository string) (string, error) {
	feed := filepath.Join(b.Dir, "advisories")
	return "file://" + feed, packFeed(repository, feed, time.Time{})
}

// AdvisoryDatabase makes an advisory database of those of the set that were published by a day,
// or of all of them for the zero time, and returns the file. It says that it was imported
// at the time given.
func (b *Bench) AdvisoryDatabase(ctx context.Context, repository string, until, imported time.Time) (string, error) {
	dir, err := os.MkdirTemp(b.Dir, "database-*")
	if err != nil {
		return "", err
	}
	if err := packFeed(repository, filepath.Join(dir, "feed"), until); err != nil {
		return "", err
	}
	file := filepath.Join(dir, "advisories.db")
	_, err = advisory.Import(ctx, filepath.Join(dir, "feed"), file, advisory.ImportOptions{Now: func() time.Time { return imported }})
	return file, err
}

// packFeed packs those that were published by a day, or all of them.
func packFeed(repository, feed string, until time.Time) error {
	files, err := filepath.Glob(filepath.Join(repository, "e2e", "advisories", "*", "*.json"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("pack advisories: expected some in e2e/advisories, found %d: %w", len(files), err)
	}
	byEcosystem := make(map[string][]string)
	for _, file := range files {
		if published, err := publishedAt(file); err != nil || !until.IsZero() && published.After(until) {
			if err != nil {
				return fmt.Errorf("pack advisories: %w", err)
			}
			continue
		}
		ecosystem := filepath.Base(filepath.Dir(file))
		byEcosystem[ecosystem] = append(byEcosystem[ecosystem], file)
	}
	for ecosystem, files := range byEcosystem {
		if err := pack(filepath.Join(feed, ecosystem), files); err != nil {
			return fmt.Errorf("pack advisories of %s: %w", ecosystem, err)
		}
	}
	return nil
}

func publishedAt(file string) (time.Time, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return time.Time{}, err
	}
	var record struct{ Published time.Time }
	if err := json.Unmarshal(content, &record); err != nil {
		return time.Time{}, fmt.Errorf("%s: %w", filepath.Base(file), err)
	}
	return record.Published, nil
}

// pack writes files into all.zip of a folder.
func pack(dir string, files []string) (err error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	out, err := os.Create(filepath.Join(dir, "all.zip"))
	if err != nil {
		return err
	}
	w := zip.NewWriter(out)
	defer func() { err = errors.Join(err, w.Close(), out.Close()) }()
	for _, file := range files {
		entry, err := w.Create(filepath.Base(file))
		if err != nil {
			return err
		}
		in, err := os.Open(file)
		if err != nil {
			return err
		}
		if _, err := io.Copy(entry, in); err != nil {
			return errors.Join(err, in.Close())
		}
		if err := in.Close(); err != nil {
			return err
		}
	}
	return nil
}
