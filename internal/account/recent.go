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
type Recent[T any] struct{ shared *recent }

// NewRecent returns what read gives, at most keep old, or else as [Recent.Ahead] says. An error is told to those who
// waited for that read, and not kept.
func NewRecent[T any](keep time.Duration, now func() time.Time, read func(ctx context.Context) (T, error)) *Recent[T] {
	return &Recent[T]{&recent{keep: keep, now: now, read: func(ctx context.Context) (any, error) { return read(ctx) }}}
}

// Ahead has those who ask get the value until it is within old, and who finds it older than
// what is kept has it read for those after him: nobody waits for what is asked for all the
// time. run runs a function beside the caller, and belongs to whoever waits for its end. An
// error of such a read is not told; who asks later reads, and is told his own.
func (r *Recent[T]) Ahead(within time.Duration, run func(func())) *Recent[T] {
	r.shared.within, r.shared.beside = within, run
	return r
}

// Get returns the value. Those who get the same value must not change it. Who comes first
// reads it for all, to the end, even if he is told to stop meanwhile; the others need not
// wait for it.
func (r *Recent[T]) Get(ctx context.Context) (T, error) { return typed[T](r.shared.get(ctx)) }

// typed gives what was read its type back.
func typed[T any](value any, err error) (T, error) {
	t, _ := value.(T) // nil beside an error
	return t, err
}

// recent is a [Recent] whose value may be anything, so that there is one code for all.
type recent struct {
	read func(ctx context.Context) (any, error)
	now  func() time.Time
	keep time.Duration
	// within and beside are those of Ahead. Zero and nil without it.
	within time.Duration
	beside func(func())

	mu      sync.Mutex
	value   any
	at      time.Time // when the read of value began; zero before the first
	reading *reading
}

// reading is a read that others wait for.
type reading struct {
	done  chan struct{}
	value any
	err   error
}

// readTimeout bounds a read: nobody who asks may end it for the others.
const readTimeout = 5 * time.Second

func (r *recent) get(ctx context.Context) (any, error) {
	r.mu.Lock()
	now := r.now()
	if r.fresh(now, r.keep) {
		defer r.mu.Unlock()
		return r.value, nil
	}
	if r.fresh(now, r.within) {
		value := r.value
		if r.reading == nil {
			current := r.begin()
			r.beside(func() { r.run(context.WithoutCancel(ctx), current, now) })
		}
		r.mu.Unlock()
		return value, nil
	}
	if current := r.reading; current != nil {
		r.mu.Unlock()
		select {
		case <-current.done:
			return current.value, current.err
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for a read: %w", context.Cause(ctx))
		}
	}
	current := r.begin()
	r.mu.Unlock()
	r.run(context.WithoutCancel(ctx), current, now)
	return current.value, current.err
}

// begin has others wait for a read, and is called with the lock held.
func (r *recent) begin() *reading {
	r.reading = &reading{done: make(chan struct{}), err: errAbandoned}
	return r.reading
}

// fresh reports whether the value is less than that old.
func (r *recent) fresh(now time.Time, age time.Duration) bool {
	return !r.at.IsZero() && now.Sub(r.at) < age && !now.Before(r.at)
}

// idle reports whether nobody reads, and there is nothing to give.
func (r *recent) idle() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reading == nil && !r.fresh(r.now(), max(r.keep, r.within))
}

// errAbandoned is what those are told who waited for a read that panicked.
var errAbandoned = errors.New("a read that was waited for did not end")

func (r *recent) run(ctx context.Context, current *reading, at time.Time) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	defer func() { // a panic is that of who runs the read, and must not keep the others
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
type Recents[K comparable, T any] struct{ shared *recents }

// NewRecents returns what read gives for a key, at most keep old. Of most keys what they
// gave is kept at the same time; others are read for each who asks.
func NewRecents[K comparable, T any](keep time.Duration, most int, now func() time.Time, read func(ctx context.Context, key K) (T, error)) *Recents[K, T] {
	untyped := func(ctx context.Context, key any) (any, error) {
		k, _ := key.(K) // Get puts none but these there
		return read(ctx, k)
	}
	return &Recents[K, T]{&recents{read: untyped, now: now, keep: keep, most: most, byKey: make(map[any]*recent)}}
}

// Ahead is [Recent.Ahead] for each key.
func (r *Recents[K, T]) Ahead(within time.Duration, run func(func())) *Recents[K, T] {
	r.shared.within, r.shared.beside = within, run
	return r
}

// Get is [Recent.Get] for a key.
func (r *Recents[K, T]) Get(ctx context.Context, key K) (T, error) {
	return typed[T](r.shared.get(ctx, key))
}

// Forget has everything read anew by those who ask from now on.
func (r *Recents[K, T]) Forget() { r.shared.forget() }

// recents is a [Recents] whose keys and values may be anything.
type recents struct {
	read func(ctx context.Context, key any) (any, error)
	now  func() time.Time
	keep time.Duration
	most int
	// within and beside are those of Ahead.
	within time.Duration
	beside func(func())

	mu    sync.Mutex
	byKey map[any]*recent
}

func (r *recents) get(ctx context.Context, key any) (any, error) {
	if shared := r.of(key); shared != nil {
		return shared.get(ctx)
	}
	return r.read(ctx, key)
}

// of returns the reads of a key, or nil where there are too many already.
func (r *recents) of(key any) *recent {
	r.mu.Lock()
	defer r.mu.Unlock()
	if shared, ok := r.byKey[key]; ok {
		return shared
	}
	for other, shared := range r.byKey {
		if shared.idle() {
			delete(r.byKey, other)
		}
	}
	if len(r.byKey) >= r.most {
		return nil
	}
	shared := &recent{
		keep: r.keep, within: r.within, beside: r.beside, now: r.now,
		read: func(ctx context.Context) (any, error) { return r.read(ctx, key) },
	}
	r.byKey[key] = shared
	return shared
}

func (r *recents) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.byKey)
}
