package account

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Recent is one read for all who ask within a moment: what everybody sees first is read
// once, however many look at it. It is safe for concurrent use.
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

// Get returns the value. Those who get the same value must not change it.
func (r *Recent[T]) Get(ctx context.Context) (T, error) {
	r.mu.Lock()
	now := r.now()
	if !r.at.IsZero() && now.Sub(r.at) < r.keep && !now.Before(r.at) {
		defer r.mu.Unlock()
		return r.value, nil
	}
	current := r.reading
	if current == nil {
		current = &reading[T]{done: make(chan struct{})}
		r.reading = current
		go r.run(context.WithoutCancel(ctx), current, now)
	}
	r.mu.Unlock()
	select {
	case <-current.done:
		return current.value, current.err
	case <-ctx.Done():
		var none T
		return none, fmt.Errorf("wait for a read: %w", context.Cause(ctx))
	}
}

// run is waited for by whoever asked, or ends with its own time.
func (r *Recent[T]) run(ctx context.Context, current *reading[T], at time.Time) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	current.value, current.err = r.read(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reading = nil
	if current.err == nil {
		r.value, r.at = current.value, at
	}
	close(current.done)
}
