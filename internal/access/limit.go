package access

import (
	"container/list"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// mostBuckets bounds the memory of a limiter to some 2 MB. Who makes requests from more
// addresses than this has as many buckets anyway.
const mostBuckets = 10_000

// limiter has a token bucket for each key. It is safe for concurrent use.
type limiter struct {
	rate  rate.Limit
	burst int

	mu sync.Mutex
	// order has the key that was used last at its front.
	order   *list.List
	buckets map[string]*list.Element
}

type bucket struct {
	key string
	*rate.Limiter
}

func newLimiter(r rate.Limit, burst int) *limiter {
	return &limiter{rate: r, burst: burst, order: list.New(), buckets: make(map[string]*list.Element)}
}

// of returns the bucket of a key, a full one when there is none, or none any more.
func (l *limiter) of(key string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.buckets[key]; ok {
		l.order.MoveToFront(e)
		return e.Value.(*bucket).Limiter //nolint:errcheck,forcetypeassert // the list holds nothing else
	}
	if l.order.Len() >= mostBuckets {
		oldest := l.order.Back()
		delete(l.buckets, l.order.Remove(oldest).(*bucket).key) //nolint:errcheck,forcetypeassert // the list holds nothing else
	}
	b := &bucket{key, rate.NewLimiter(l.rate, l.burst)}
	l.buckets[key] = l.order.PushFront(b)
	return b.Limiter
}

// take takes a token, or says how long until there is one.
func (l *limiter) take(key string, now time.Time) (wait time.Duration) {
	r := l.of(key).ReserveN(now, 1)
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

// look says how long until there is a token, and takes none.
func (l *limiter) look(key string, now time.Time) (wait time.Duration) {
	r := l.of(key).ReserveN(now, 1)
	wait = r.DelayFrom(now)
	r.CancelAt(now)
	return wait
}

// addressKey is the key of an address. A network of IPv6 is one client: whoever has one
// address of a /64 has all of them.
func addressKey(remote string) string {
	addr, err := netip.ParseAddr(remote)
	if err != nil || addr.Is4() {
		return remote
	}
	prefix, err := addr.Prefix(64)
	if err != nil {
		return remote
	}
	return prefix.String()
}
