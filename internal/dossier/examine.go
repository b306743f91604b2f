package dossier

import (
	"context"
	"fmt"
	"time"

	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Examine verifies the papers in a dossier that was checked, image by image. The
// examinations name the repositories that the images came from.
func (f *File) Examine(ctx context.Context, m Manifest, trust evidence.Trust, now func() time.Time) ([]release.Examination, error) {
	l, err := f.Layout()
	if err != nil {
		return nil, fmt.Errorf("dossier %s: %w", f.name, err)
	}
	examiner, err := evidence.New(l, evidence.Config{Trust: trust, Listed: release.LayoutDisk, Now: now})
	if err != nil {
		return nil, err
	}
	all := make([]release.Examination, 0, len(m.Images))
	for _, image := range m.Images {
		examination, err := examiner.Examine(ctx, image.Repository, image.Digest)
		if err != nil {
			return nil, fmt.Errorf("dossier %s: %w", f.name, err)
		}
		all = append(all, examination)
	}
	return all, nil
}
