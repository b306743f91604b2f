package ledger

import (
	"time"

	"github.com/tallyman-io/tallyman/internal/release"
)

// Progress is how far a job is.
type Progress struct {
	Step    release.Step
	Subject string
	Done    int64
	// Total is 0 while nobody knows.
	Total int64
	Note  string
	// Ended says that it runs no more; Failure why it did not end well.
	Ended   bool
	Failure string
	// The store sets the times.
	StartedAt, UpdatedAt time.Time
}
