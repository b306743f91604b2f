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
type remembered[K comparable, V any] struct {
	memories

	weigh func(V) int
}

// newRemembered remembers values that weigh no more than most, together.
func newRemembered[K comparable, V any](now func() time.Time, most int, weigh func(V) int) *remembered[K, V] {
	return &remembered[K, V]{memories: memories{now: now, most: most, byKey: make(map[any]*memory)}, weigh: weigh}
}

// get returns what is remembered. It must not be changed.
func (r *remembered[K, V]) get(key K) (value V, ok bool) {
	kept, ok := r.recall(key)
	if ok {
		value, ok = kept.(V)
	}
	return value, ok
}

// put takes in what was read, and forgets what was not used for longest.
func (r *remembered[K, V]) put(key K, value V) { r.keep(key, value, r.weigh(value)) }

// memories are those of a [remembered], whose keys and values may be anything, so that
// there is one code for all.
type memories struct {
	now  func() time.Time
	most int // bounds what all together weigh

	mu     sync.Mutex
	byKey  map[any]*memory
	weight int
	uses   int
}

type memory struct {
	key    any
	value  any
	weight int
	read   time.Time
	used   int // the higher, the later
}

func (r *memories) recall(key any) (any, bool) {
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	m, ok := r.byKey[key]
	if !ok || now.Sub(m.read) >= rememberedFor {
		return nil, false
	}
	r.uses++
	m.used = r.uses
	return m.value, true
}

func (r *memories) keep(key, value any, weight int) {
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(key)
	r.uses++
	r.byKey[key] = &memory{key: key, value: value, weight: weight, read: now, used: r.uses}
	r.weight += weight
	if r.weight <= r.most {
		return
	}
	all := make([]*memory, 0, len(r.byKey))
	for _, m := range r.byKey {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b *memory) int { return cmp.Compare(a.used, b.used) })
	for _, m := range all {
		if r.weight <= r.most*3/4 {
			return
		}
		r.forget(m.key)
	}
}

func (r *memories) forget(key any) {
	if m, ok := r.byKey[key]; ok {
		r.weight -= m.weight
		delete(r.byKey, key)
	}
}
