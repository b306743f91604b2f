package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// BackupFile is [Ledger.Backup] into a file, which appears complete or not at all. It
// overwrites a file only by force.
func (l *Ledger) BackupFile(ctx context.Context, path string, force bool, opts BackupOptions) (rows int64, err error) {
	if err := mayWrite(path, force); err != nil {
		return 0, fmt.Errorf("back up: %w", err)
	}
	// Readable by nobody else: it holds what the database holds.
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return 0, fmt.Errorf("back up: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreMissing(os.Remove(file.Name())))
		}
	}()
	if rows, err = l.Backup(ctx, file, opts); err != nil {
		return 0, errors.Join(err, file.Close())
	}
	if err = errors.Join(file.Sync(), file.Close()); err != nil {
		return 0, fmt.Errorf("back up: write %s: %w", path, err)
	}
	if err = mayWrite(path, force); err != nil { // it took a while
		return 0, fmt.Errorf("back up: %w", err)
	}
	if err = os.Rename(file.Name(), path); err != nil {
		return 0, fmt.Errorf("back up: %w", err)
	}
	return rows, syncFolder(filepath.Dir(path))
}

func mayWrite(path string, force bool) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err //nolint:wrapcheck // it names the path
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s: expected no file or a regular one, found %s", path, info.Mode().Type())
	case !force:
		return fmt.Errorf("%s: %w", path, fs.ErrExist)
	}
	return nil
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// syncFolder makes a rename last through a power failure.
func syncFolder(path string) error {
	folder, err := os.Open(path) //nolint:gosec // where the operator wants the backup
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	if err := errors.Join(folder.Sync(), folder.Close()); err != nil {
		return fmt.Errorf("back up: write folder %s: %w", path, err)
	}
	return nil
}
