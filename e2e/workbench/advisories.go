package workbench

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Advisories packs the small set of advisories that the repository carries as a feed, and
// returns its URL.
func (b *Bench) Advisories(repository string) (string, error) {
	files, err := filepath.Glob(filepath.Join(repository, "e2e", "advisories", "*", "*.json"))
	if err != nil || len(files) == 0 {
		return "", fmt.Errorf("pack advisories: expected some in e2e/advisories, found %d: %w", len(files), err)
	}
	byEcosystem := make(map[string][]string)
	for _, file := range files {
		ecosystem := filepath.Base(filepath.Dir(file))
		byEcosystem[ecosystem] = append(byEcosystem[ecosystem], file)
	}
	feed := filepath.Join(b.Dir, "advisories")
	for ecosystem, files := range byEcosystem {
		if err := pack(filepath.Join(feed, ecosystem), files); err != nil {
			return "", fmt.Errorf("pack advisories of %s: %w", ecosystem, err)
		}
	}
	return "file://" + feed, nil
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
