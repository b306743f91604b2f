package ledger

import (
	"errors"
	"time"

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

// ErrNoWave says that there is no such wave. Its images may have gone meanwhile.
var ErrNoWave = errors.New("no such wave")
