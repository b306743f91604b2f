package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/ledger"
)

// doing is what is being done at a time.
type doing struct {
	progress []ledger.Progress
	queue    account.Queue
}

func (c *Console) readNow(ctx context.Context) (doing, error) {
	progress, err := c.cfg.Store.Progress(ctx)
	if err != nil {
		return doing{}, fmt.Errorf("read progress: %w", err)
	}
	queue, err := c.cfg.Store.Queue(ctx)
	if err != nil {
		return doing{}, fmt.Errorf("read queue: %w", err)
	}
	return doing{progress, queue}, nil
}

// readLive renders what a page that follows progress shows.
func (c *Console) readLive(ctx context.Context) ([]byte, error) {
	now, err := c.readNow(ctx)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := jobsLive(newQueue(now.queue), newJobs(now.progress, c.cfg.Now())).Render(ctx, &b); err != nil {
		return nil, fmt.Errorf("render progress: %w", err)
	}
	return b.Bytes(), nil
}

// live reads what is being done, once for all who follow it, and bounds how many they
// are.
type live struct {
	every  time.Duration
	places chan struct{}
	read   func(context.Context) ([]byte, error)
	// turn is held by who reads; the rest is read and written only with it.
	turn   chan struct{}
	last   []byte
	err    error
	readAt time.Time
	// now is the monotonic clock: what is shared is a moment of this process.
	now func() time.Time
}

func newLive(every time.Duration, most int, read func(context.Context) ([]byte, error)) *live {
	return &live{every: every, places: make(chan struct{}, most), read: read, turn: make(chan struct{}, 1), now: time.Now}
}

// latest returns what was read last, and reads it anew when that is too long ago.
func (l *live) latest(ctx context.Context) ([]byte, error) {
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-l.turn }()
	if !l.readAt.IsZero() && l.now().Sub(l.readAt) < l.every {
		return l.last, l.err
	}
	// Somebody else waits for it too, so it does not end with who began it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), readTimeout)
	defer cancel()
	l.last, l.err = l.read(ctx)
	l.readAt = l.now()
	return l.last, l.err
}

const (
	// heartbeat keeps proxies from taking a quiet answer for a dead one.
	heartbeat = 15 * time.Second
	// longestAnswer ends an answer, so that whoever may no longer look is asked who they
	// are again. Browsers come back by themselves.
	longestAnswer = 10 * time.Minute
	// writePatience is how long a client may take to take an event.
	writePatience = 10 * time.Second
)

// events tells how far jobs are, as server-sent events (HTML Standard, section 9.2),
// until the client goes or the server ends.
func (c *Console) events(w http.ResponseWriter, r *http.Request) {
	of, all, err := subjectOf(r)
	if err != nil {
		http.Error(w, "A digest was expected, such as sha256:…", http.StatusBadRequest)
		return
	}
	tell := func(ctx context.Context, s *stream) (bool, error) { return false, c.tell(ctx, s) }
	if !all {
		tell = func(ctx context.Context, s *stream) (bool, error) { return c.tellRequest(ctx, s, of) }
	}
	select {
	case c.live.places <- struct{}{}:
		defer func() { <-c.live.places }()
	default:
		w.Header().Set("Retry-After", "30")
		http.Error(w, "Too many follow already.", http.StatusServiceUnavailable)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	ctx, cancel := context.WithTimeout(r.Context(), longestAnswer)
	defer cancel()
	s := stream{w: w, control: http.NewResponseController(w)}
	tick := time.NewTicker(c.cfg.LiveEvery)
	defer tick.Stop()
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	// Whoever loses the connection waits as long as they would for the next event.
	err = s.send(fmt.Sprintf("retry: %d\n\n", max(1000, c.cfg.LiveEvery.Milliseconds())))
	for err == nil {
		var last bool
		if last, err = tell(ctx, &s); err != nil {
			break
		}
		if last {
			return
		}
		select {
		case <-tick.C:
		case <-beat.C:
			err = s.send(": still here\n\n")
		case <-c.closed:
			return
		case <-ctx.Done():
			return
		}
	}
	if r.Context().Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
		c.cfg.Log.Debug().Err(err).Msg("progress no longer followed")
	}
}

// tell sends what changed since the last event. A store that does not answer is told as
// an event of its own: the page then says that what it shows is old.
func (c *Console) tell(ctx context.Context, s *stream) error {
	body, err := c.live.latest(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return s.event("unknown", []byte(unknownProgress))
	}
	return s.event("jobs", body)
}

const unknownProgress = "The store cannot be read, so how far jobs are is unknown."

// stream is an answer that goes on.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	sent    bool
	last    []byte
}

// event sends what is not what was sent last.
func (s *stream) event(kind string, body []byte) error {
	if s.sent && bytes.Equal(body, s.last) {
		return nil
	}
	s.sent, s.last = true, body
	return s.send("event: " + kind + "\ndata: " + strings.NewReplacer("\r", "", "\n", "\ndata: ").Replace(string(body)) + "\n\n")
}

// send writes past server.write_timeout, which is meant for answers that end.
func (s *stream) send(text string) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(writePatience)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return fmt.Errorf("set write deadline: %w", err)
	}
	if _, err := s.w.Write([]byte(text)); err != nil {
		return fmt.Errorf("send event: %w", err)
	}
	if err := s.control.Flush(); err != nil {
		return fmt.Errorf("send event: %w", err)
	}
	return nil
}
