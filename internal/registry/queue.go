package registry

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/tallyman-io/tallyman/internal/retry"
)

// queue lets a number of requests at a time go to one host, and none while the
// host has asked to be left alone.
type queue struct {
	// most is the number of requests.
	most int
	// restful says that a host's Retry-After holds for every request to it.
	restful bool
	now     func() time.Time

	mu    sync.Mutex
	hosts map[string]*line
}

// line is what a queue knows of a host. It is forgotten when nothing waits and
// nothing rests.
type line struct {
	slots chan struct{}
	users int
	// until is when the rest ends that status asked for.
	until  time.Time
	status int
}

func newQueue(most int, restful bool, now func() time.Time) *queue {
	return &queue{most: most, restful: restful, now: now, hosts: make(map[string]*line)}
}

// restingError says that a request was not made, because the host asked to be
// left alone.
type restingError struct {
	host   string
	status int // of the answer that asked
	left   time.Duration
}

func (e *restingError) Error() string {
	return fmt.Sprintf("%s asked another request to come back later", e.host)
}

// enter waits for the turn of a request, and returns what ends it.
func (q *queue) enter(ctx context.Context, host string) (leave func(), err error) {
	q.mu.Lock()
	l := q.hosts[host]
	if l == nil {
		l = &line{slots: make(chan struct{}, q.most)}
		q.hosts[host] = l
	}
	l.users++
	q.mu.Unlock()
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		q.gone(host, l)
		return nil, context.Cause(ctx)
	}
	// Looked at last: the host may have asked for rest while this one waited.
	if left, status := q.rests(l); left > 0 {
		<-l.slots
		q.gone(host, l)
		return nil, &restingError{host, status, left}
	}
	return sync.OnceFunc(func() {
		<-l.slots
		q.gone(host, l)
	}), nil
}

func (q *queue) rests(l *line) (left time.Duration, status int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return l.until.Sub(q.now()), l.status
}

func (q *queue) gone(host string, l *line) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l.users--
	if l.users == 0 && !l.until.After(q.now()) {
		delete(q.hosts, host)
	}
}

// heed notes what the answer of a host asks of those that come after.
func (q *queue) heed(host string, resp *http.Response) {
	if !q.restful || resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusServiceUnavailable {
		return
	}
	now := q.now()
	after, err := retry.ParseAfter(resp.Header.Get("Retry-After"), now)
	if err != nil {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if l := q.hosts[host]; l != nil {
		l.until, l.status = now.Add(after), resp.StatusCode
	}
}
