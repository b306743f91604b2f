package account

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Recent is one read for all who ask within a moment: what many look at is read once,
// however many they are. It is safe for concurrent use.
type Recent[T any] struct {
	read func(ctx context.Context) (T, error)
	now  func() time.Time
	keep time.Duration

	mu      sync.Mutex
	value   T
	at      time.Time // when the read of value began; zero before the first
	reading *reading[T]
}

// reading is a read that others wait for.
type reading[T any] struct {
	done  chan struct{}
	value T
	err   error
}

// readTimeout bounds a read: nobody who asks may end it for the others.
const readTimeout = 5 * time.Second

// NewRecent returns what read gives, at most keep old. An error is told to those who
// waited for that read, and not kept.
func NewRecent[T any](keep time.Duration, now func() time.Time, read func(ctx context.Context) (T, error)) *Recent[T] {
	return &Recent[T]{read: read, now: now, keep: keep}
}

// Get returns the value. Those who get the same value must not change it. Who comes first
// reads it for all, to the end, even if he is told to stop meanwhile; the others need not
// wait for it.
func (r *Recent[T]) Get(ctx context.Context) (T, error) {
	r.mu.Lock()
	now := r.now()
	if r.fresh(now) {
		defer r.mu.Unlock()
		return r.value, nil
	}
	if current := r.reading; current != nil {
		r.mu.Unlock()
		select {
		case <-current.done:
			return current.value, current.err
		case <-ctx.Done():
			var none T
			return none, fmt.Errorf("wait for a read: %w", context.Cause(ctx))
		}
	}
	current := &reading[T]{done: make(chan struct{}), err: errAbandoned}
	r.reading = current
	r.mu.Unlock()
	r.run(context.WithoutCancel(ctx), current, now)
	return current.value, current.err
}

func (r *Recent[T]) fresh(now time.Time) bool {
	return !r.at.IsZero() && now.Sub(r.at) < r.keep && !now.Before(r.at)
}

// idle reports whether nobody reads, and there is nothing to give.
func (r *Recent[T]) idle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reading == nil && !r.fresh(r.now())
}

// errAbandoned is what those are told who waited for a read that panicked.
var errAbandoned = errors.New("a read that was waited for did not end")

func (r *Recent[T]) run(ctx context.Context, current *reading[T], at time.Time) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	defer func() { // a panic is that of who reads, and must not keep the others
		r.mu.Lock()
		defer r.mu.Unlock()
		r.reading = nil
		if current.err == nil {
			r.value, r.at = current.value, at
		}
		close(current.done)
	}()
	current.value, current.err = r.read(ctx)
}

// Recents is a [Recent] for each key that is asked for within a moment. What was asked
// for before is forgotten. It is safe for concurrent use.
type Recents[K comparable, T any] struct {
	read func(ctx context.Context, key K) (T, error)
	now  func() time.Time
	keep time.Duration
	most int

	mu    sync.Mutex
	byKey map[K]*Recent[T]
}

// NewRecents returns what read gives for a key, at most keep old. Of most keys what they
// gave is kept at the same time; others are read for each who asks.
func NewRecents[K comparable, T any](keep time.Duration, most int, now func() time.Time, read func(ctx context.Context, key K) (T, error)) *Recents[K, T] {
	return &Recents[K, T]{read: read, now: now, keep: keep, most: most, byKey: make(map[K]*Recent[T])}
}

// Get is [Recent.Get] for a key.
func (r *Recents[K, T]) Get(ctx context.Context, key K) (T, error) {
	recent := r.of(key)
	if recent == nil {
		return r.read(ctx, key)
	}
	return recent.Get(ctx)
}

// of returns the reads of a key, or nil where there are too many already.
func (r *Recents[K, T]) of(key K) *Recent[T] {
	r.mu.Lock()
	defer r.mu.Unlock()
	if recent, ok := r.byKey[key]; ok {
		return recent
	}
	for other, recent := range r.byKey {
		if recent.idle() {
			delete(r.byKey, other)
		}
	}
	if len(r.byKey) >= r.most {
		return nil
	}
	recent := NewRecent(r.keep, r.now, func(ctx context.Context) (T, error) { return r.read(ctx, key) })
	r.byKey[key] = recent
	return recent
}

// Forget has everything read anew by those who ask from now on.
func (r *Recents[K, T]) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.byKey)
}
