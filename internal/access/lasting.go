package access

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// recheckEvery is how often it is asked whether a lasting answer may go on.
const recheckEvery = 15 * time.Second

// errEnded ends a lasting answer.
var errEnded = errors.New("access has ended")

// serveLasting serves an answer that goes on, until whoever it is for may not have it any
// more. To look at it is no use of a session: who only leaves a page open is signed out in
// the end.
func (g *Guard) serveLasting(w http.ResponseWriter, r *http.Request, route *Route) {
	ctx, end := context.WithCancelCause(r.Context())
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		g.watch(ctx, end, r, route)
	}()
	defer func() {
		end(nil)
		<-watched
	}()
	route.Handler.ServeHTTP(w, r.WithContext(ctx))
}

func (g *Guard) watch(ctx context.Context, end context.CancelCauseFunc, r *http.Request, route *Route) {
	tick := time.NewTicker(g.cfg.RecheckEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		p, err := g.identify(r.WithContext(ctx), nil)
		var bad *badTokenError
		// A store that does not answer says nothing of who it is.
		if errors.As(err, &bad) || err == nil && !p.May(route.Role, route.Scope) {
			end(errEnded)
			return
		}
	}
}
