package store

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// rememberedFor is for how long: what is remembered does not change by itself, but a
// worker may repair what the store says of it.
const rememberedFor = 5 * time.Minute

// remembered is what was read a short while ago of what does not change. It is safe for
// concurrent use.
type remembered[K cmp.Ordered, V any] struct {
	now func() time.Time
	// most bounds what all together weigh.
	most  int
	weigh func(V) int

	mu     sync.Mutex
	byKey  map[K]*memory[V]
	weight int
	uses   int
}

type memory[V any] struct {
	value V
	read  time.Time
	used  int // the higher, the later
}

// newRemembered remembers values that weigh no more than most, together.
func newRemembered[K cmp.Ordered, V any](now func() time.Time, most int, weigh func(V) int) *remembered[K, V] {
	return &remembered[K, V]{now: now, most: most, weigh: weigh, byKey: make(map[K]*memory[V])}
}

// get returns what is remembered. It must not be changed.
func (r *remembered[K, V]) get(key K) (value V, ok bool) {
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	m, ok := r.byKey[key]
	if !ok || now.Sub(m.read) >= rememberedFor {
		return value, false
	}
	r.uses++
	m.used = r.uses
	return m.value, true
}

// put takes in what was read, and forgets what was not used for longest.
func (r *remembered[K, V]) put(key K, value V) {
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(key)
	r.uses++
	r.byKey[key] = &memory[V]{value: value, read: now, used: r.uses}
	r.weight += r.weigh(value)
	if r.weight <= r.most {
		return
	}
	keys := make([]K, 0, len(r.byKey))
	for key := range r.byKey {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b K) int { return cmp.Compare(r.byKey[a].used, r.byKey[b].used) })
	for _, key := range keys {
		if r.weight <= r.most*3/4 {
			return
		}
		r.forget(key)
	}
}

func (r *remembered[K, V]) forget(key K) {
	if m, ok := r.byKey[key]; ok {
		r.weight -= r.weigh(m.value)
		delete(r.byKey, key)
	}
}
