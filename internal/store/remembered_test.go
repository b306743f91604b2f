package store

import (
	"testing"
	"time"
)

func TestWhatIsRememberedIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.May, 1, 0, 0, 0, 0, time.UTC)
	const each, most = 4096, 1 << 19
	r := newRemembered[int](func() time.Time { return now }, most, func(all []int64) int { return len(all) })
	const documents = 3 * most / each
	for i := range documents {
		r.put(i, make([]int64, each))
		if _, ok := r.get(0); !ok {
			t.Fatalf("after %d: what is asked for all the time is forgotten", i+1)
		}
		if r.weight > most {
			t.Fatalf("after %d: %d kept, want at most %d", i+1, r.weight, most)
		}
	}
	if weight := len(r.byKey) * each; weight != r.weight || weight < most/2 {
		t.Errorf("kept: %d of %d each, and %d in all", len(r.byKey), each, r.weight)
	}
	if _, ok := r.get(documents - 1); !ok {
		t.Error("what is new is forgotten")
	}
	if _, ok := r.get(1); ok {
		t.Error("what is old is kept")
	}
	r.put(documents-1, nil)
	if weight := (len(r.byKey) - 1) * each; weight != r.weight {
		t.Errorf("after one was read anew: got %d, want %d", r.weight, weight)
	}
	now = now.Add(rememberedFor)
	if _, ok := r.get(0); ok {
		t.Error("what was read long ago is kept")
	}
}
