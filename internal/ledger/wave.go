package ledger

import (
	"errors"
	"time"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Wave is what is known of a wave of changes.
type Wave struct {
	ID     int64
	Cause  release.WaveCause
	Origin string
	At     time.Time
	// Judged says that all that it touched was judged before.
	Judged bool
}

// FindingChange is what a wave did to a finding: "new", "gone" or "changed".
type FindingChange struct {
	PURL     string
	Advisory advisory.Advisory
	Change   string
	Fixed    []string
	// Images counts those that ship the package now.
	Images int
}

// EvidenceChange is a state that a look at papers found changed.
type EvidenceChange struct {
	Repository string
	Digest     release.Digest
	Place      string
	Kind       release.PaperKind
	Before     release.State
	After      release.State
	Reason     string
}

// ErrNoWave: there is no such wave. Its images may have gone meanwhile.
var ErrNoWave = errors.New("no such wave")
