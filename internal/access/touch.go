package access

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	// touchEvery is how exact the time is at which something was used last.
	touchEvery = time.Minute
	// mostTouches bounds what waits to be written down; what is more is written down
	// with the next request.
	mostTouches  = 256
	touchTimeout = 15 * time.Second
)

// touches writes down when tokens and sessions were used, behind the requests: SQLite
// lets one transaction write at a time, and a page must not wait for that.
type touches struct {
	store interface {
		TouchToken(ctx context.Context, id string, at time.Time) error
		TouchSession(ctx context.Context, hash []byte, at time.Time) error
	}
	log   zerolog.Logger
	queue chan touch
	ended chan struct{}

	mu sync.Mutex
	// waiting are the keys of what is in the queue.
	waiting map[string]bool
	closed  bool
}

type touch struct {
	key  string
	what func(context.Context) error
}

func newTouches(ctx context.Context, s Store, log zerolog.Logger) *touches {
	t := &touches{store: s, log: log, queue: make(chan touch, mostTouches), ended: make(chan struct{}), waiting: make(map[string]bool)}
	go t.run(ctx)
	return t
}

func (t *touches) run(ctx context.Context) {
	defer close(t.ended)
	for next := range t.queue {
		bounded, cancel := context.WithTimeout(ctx, touchTimeout)
		err := next.what(bounded)
		cancel()
		if err != nil {
			t.log.Warn().Err(err).Msg("use not written down")
		}
		t.mu.Lock()
		delete(t.waiting, next.key)
		t.mu.Unlock()
	}
}

func (t *touches) token(id string, at time.Time) {
	t.add(touch{"token " + id, func(ctx context.Context) error { return t.store.TouchToken(ctx, id, at) }})
}

func (t *touches) session(hash []byte, at time.Time) {
	t.add(touch{"session " + string(hash), func(ctx context.Context) error { return t.store.TouchSession(ctx, hash, at) }})
}

func (t *touches) add(next touch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || t.waiting[next.key] {
		return
	}
	select {
	case t.queue <- next:
		t.waiting[next.key] = true
	default:
	}
}

// close waits until all is written down, or ctx ends.
func (t *touches) close(ctx context.Context) error {
	t.mu.Lock()
	if !t.closed {
		t.closed = true
		close(t.queue)
	}
	t.mu.Unlock()
	select {
	case <-t.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("write down who was there: %w", context.Cause(ctx))
	}
}
