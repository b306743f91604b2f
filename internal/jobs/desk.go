package jobs

import (
	"context"
	"time"
)

// desk takes what people ask for, so that they need not wait for what is due.
type desk struct {
	cfg    Config
	cancel context.CancelFunc
	ended  chan struct{}
}

const (
	// deskEvery is how often it is looked for requests.
	deskEvery = 2 * time.Second
	// deskTimeout bounds one look.
	deskTimeout = 10 * time.Second
)

func newDesk(cfg Config) *desk { return &desk{cfg: cfg} }

// open takes requests until shut.
func (d *desk) open(ctx context.Context) {
	ctx, d.cancel = context.WithCancel(context.WithoutCancel(ctx))
	d.ended = make(chan struct{})
	go func() {
		defer close(d.ended)
		tick := time.NewTicker(deskEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if err := d.take(ctx); err != nil && ctx.Err() == nil {
					d.cfg.Log.Warn().Err(err).Msg("requests not taken")
				}
			}
		}
	}()
}

func (d *desk) take(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, deskTimeout)
	defer cancel()
	return d.cfg.Tally.TakeRequests(ctx)
}

// shut ends it, and waits for it. It does nothing when it was not opened.
func (d *desk) shut() {
	if d.cancel == nil {
		return
	}
	d.cancel()
	<-d.ended
}
