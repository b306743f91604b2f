package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/tallyman-io/tallyman/internal/retry"
)

// maxBody bounds the answer to one request, in bytes. Manifests may have 4 MiB
// (distribution specification, "Pushing Manifests"); a page of tags and an image
// configuration stay far below this.
const maxBody = 8 << 20

// bounded gives every request its turn and its own time limit and every answer a
// size limit, and notes Retry-After, which go-containerregistry does not pass on.
type bounded struct {
	inner   http.RoundTripper
	queue   *queue
	timeout time.Duration
	now     func() time.Time
}

// RoundTrip implements [http.RoundTripper]. The time limit covers reading the body,
// not the wait for the turn.
func (b *bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	leave, err := b.queue.enter(req.Context(), req.URL.Host)
	if err != nil {
		return nil, err
	}
	timeout := b.timeout + patienceOf(req.Context())
	ctx, cancel := context.WithTimeoutCause(req.Context(), timeout,
		fmt.Errorf("no answer within %s: %w", timeout, context.DeadlineExceeded))
	// The turn ends with the context: when the body is closed, or its time is up.
	context.AfterFunc(ctx, leave)
	resp, err := b.inner.RoundTrip(req.WithContext(ctx))
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		cancel()
		return nil, err
	}
	b.queue.heed(req.URL.Host, resp)
	if t, ok := req.Context().Value(throttleKey{}).(*throttle); ok {
		t.note(resp.Header.Get("Retry-After"), b.now())
	}
	limit := limitOf(req.Context())
	if req.Method == http.MethodGet && resp.ContentLength > limit {
		cancel()
		return nil, errors.Join(tooLarge(limit), resp.Body.Close())
	}
	resp.Body = &body{inner: resp.Body, left: limit, limit: limit, cancel: cancel}
	return resp, nil
}

// ErrTooLarge says that an answer has more bytes than it may.
var ErrTooLarge = errors.New("too large")

func tooLarge(limit int64) error { return invalidf("%w: more than %d bytes", ErrTooLarge, limit) }

type limitKey struct{}

// withLimit lets the answers to an operation have another size than [maxBody].
func withLimit(ctx context.Context, limit int64) context.Context {
	return context.WithValue(ctx, limitKey{}, limit)
}

func limitOf(ctx context.Context) int64 {
	if limit, ok := ctx.Value(limitKey{}).(int64); ok {
		return limit
	}
	return maxBody
}

type body struct {
	inner  io.ReadCloser
	left   int64
	limit  int64
	cancel context.CancelFunc
}

func (b *body) Read(p []byte) (int, error) {
	if b.left <= 0 {
		// At the limit the body may just have ended.
		var one [1]byte
		n, err := b.inner.Read(one[:])
		if n > 0 {
			return 0, tooLarge(b.limit)
		}
		return 0, err
	}
	n, err := b.inner.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

func (b *body) Close() error {
	defer b.cancel()
	return b.inner.Close()
}

type throttleKey struct{}

// throttle collects what the answers to one operation ask for. It is shared by
// the requests of the operation, which may run at the same time.
type throttle struct{ wait atomic.Int64 }

func withThrottle(ctx context.Context) (context.Context, *throttle) {
	t := &throttle{}
	return context.WithValue(ctx, throttleKey{}, t), t
}

func (t *throttle) note(header string, now time.Time) {
	if d, err := retry.ParseAfter(header, now); err == nil {
		t.wait.Store(int64(d))
	}
}

func (t *throttle) retryAfter() time.Duration { return time.Duration(t.wait.Load()) }
