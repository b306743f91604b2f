package sbom

import (
	"errors"
	"fmt"
	"io"

	"github.com/tallyman-io/tallyman/internal/release"
)

// Entry reads one package of a document: that of a position, counted from 0 among those
// that have a purl, as [Read] yields them.
func Entry(r io.Reader, position int) (release.Package, error) {
	found := errors.New("found")
	var entry release.Package
	n := 0
	_, err := Read(r, func(p release.Package) error {
		if n == position {
			entry = p
			return found
		}
		n++
		return nil
	})
	switch {
	case errors.Is(err, found):
		return entry, nil
	case err != nil:
		return release.Package{}, err
	default:
		return release.Package{}, fmt.Errorf("expected a package at position %d, found %d packages", position, n)
	}
}
