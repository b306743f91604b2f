package account

import (
	"slices"

	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

// ProgressOf returns the jobs of a list that are about an image: looks at its papers, its
// dossier, and looks at its repository. The list is left as it is.
func ProgressOf(all []ledger.Progress, repository string, digest release.Digest) []ledger.Progress {
	image := repository + "@" + string(digest)
	return slices.DeleteFunc(slices.Clone(all), func(p ledger.Progress) bool { return p.Subject != image && p.Subject != repository })
}
