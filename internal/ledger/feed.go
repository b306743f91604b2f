package ledger

import (
	"time"

	"github.com/tallyman-io/tallyman/internal/advisory"
)

// Feed is what is known of the advisories of an ecosystem.
type Feed struct {
	Ecosystem string
	Source    string
	// State is what the next fetch has to know; only who fetches understands it.
	State   string
	Records int
	// Newest is when a record last changed, by its own word. Zero when none says.
	Newest time.Time
	// SyncedAt is when a fetch last ended well, TriedAt when one last ended.
	SyncedAt time.Time
	TriedAt  time.Time
	// Reason is why the latest fetch did not end well. Empty when it did.
	Reason string
}

// Published is a record of a feed.
type Published struct {
	Raw    []byte
	Record advisory.Record
}

// Changes are records of a feed, and what to remember of the feed once they are in.
type Changes struct {
	Records []Published
	Feed    Feed
}

// Applied counts what a change to advisories did.
type Applied struct {
	// Changed counts the advisories that are new, or not as they were.
	Changed int
	// Packages counts those whose findings changed, Images those that ship them.
	Packages int
	Images   int
	// Wave is what it set off; 0 when it touched no image.
	Wave int64
}
