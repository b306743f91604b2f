package registry

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"
)

func TestAQueueForgetsHosts(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	q := newQueue(1, true, func() time.Time { return now })
	leave, err := q.enter(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	gaveUp := errors.New("gave up")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gaveUp)
	if _, err := q.enter(ctx, "a"); !errors.Is(err, gaveUp) {
		t.Errorf("while another has the only turn: got %v, want the end of the context", err)
	}
	q.heed("a", &http.Response{StatusCode: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"60"}}})
	leave()
	leave()
	if len(q.hosts) != 1 {
		t.Error("a host that rests was forgotten")
	}
	var resting *restingError
	if _, err := q.enter(t.Context(), "a"); !errors.As(err, &resting) || resting.left != time.Minute {
		t.Errorf("got %v, want rest for 1m0s", err)
	}
	now = now.Add(time.Minute)
	leave, err = q.enter(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	leave()
	if len(q.hosts) != 0 {
		t.Errorf("got %d hosts, want none", len(q.hosts))
	}
}
