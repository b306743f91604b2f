package access

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/time/rate"
)

func TestALimiterForgetsWhoWasNotSeenForLongest(t *testing.T) {
	t.Parallel()
	l := newLimiter(rate.Every(time.Hour), 1)
	now := time.Unix(1, 0)
	l.take("kept", now)
	l.take("forgotten", now)
	for i := range 3 * mostBuckets {
		l.take(fmt.Sprint(i), now)
		if i%1000 == 0 && l.take("kept", now) == 0 {
			t.Fatalf("after %d others: who keeps asking is forgotten", i)
		}
	}
	if len(l.buckets) != mostBuckets || l.order.Len() != mostBuckets {
		t.Errorf("got %d and %d buckets, want %d", len(l.buckets), l.order.Len(), mostBuckets)
	}
	if l.take("forgotten", now) != 0 {
		t.Error("who was not seen for longest is not forgotten")
	}
}

func TestLookingTakesNothing(t *testing.T) {
	t.Parallel()
	l, now := newLimiter(1, 1), time.Unix(1, 0)
	for range 3 {
		if wait := l.look("a", now); wait != 0 {
			t.Fatalf("look: got %s, want 0", wait)
		}
	}
	if wait := l.take("a", now); wait != 0 {
		t.Errorf("take: got %s, want 0", wait)
	}
	for range 3 {
		if wait := l.look("a", now); wait != time.Second {
			t.Errorf("look: got %s, want 1s", wait)
		}
	}
}
