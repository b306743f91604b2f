package store

import (
	"fmt"
	"testing"
	"time"
)

func TestWhatIsRememberedOfDocumentsIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.May, 1, 0, 0, 0, 0, time.UTC)
	c := &contents{now: func() time.Time { return now }, byDigest: make(map[string]*content)}
	const each = 4096
	for i := range 3 * keptContents / each {
		digest := fmt.Sprint(i)
		c.keep(map[int64]string{int64(i): digest}, map[string][]int64{digest: make([]int64, each)}, now)
		c.byDigest["0"].used = c.uses + 1 // asked for all the time
		if c.size > keptContents {
			t.Fatalf("after %d documents: %d keys kept, want at most %d", i+1, c.size, keptContents)
		}
	}
	if size := len(c.byDigest) * each; size != c.size || size < keptContents/2 {
		t.Errorf("kept: %d documents and %d keys", len(c.byDigest), c.size)
	}
	newest := fmt.Sprint(3*keptContents/each - 1)
	if c.byDigest["0"] == nil || c.byDigest[newest] == nil || c.byDigest["1"] != nil {
		t.Error("want what is asked for and what is new kept, and what is old forgotten")
	}
}
