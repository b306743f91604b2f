package jobs

import (
	"context"
	"fmt"
	"time"
)

// leases keeps the lease of this process, and hands the jobs of processes that died
// back to the queue. River on its own waits as long as the longest job may take.
type leases struct {
	cfg    Config
	name   string
	cancel context.CancelFunc
	ended  chan struct{}
}

// heartbeats is how often a lease is kept within its time.
const heartbeats = 5

func newLeases(cfg Config, name string) *leases {
	return &leases{cfg: cfg, name: name, ended: make(chan struct{})}
}

// start takes the lease, and keeps it until stop.
func (l *leases) start(ctx context.Context) error {
	if err := l.keep(ctx); err != nil {
		return err
	}
	ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(l.ended)
		tick := time.NewTicker(l.cfg.Lease / heartbeats)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				// A database that is away for a while is no reason to stop; when it is
				// back, so is the lease.
				if err := l.keep(ctx); err != nil && ctx.Err() == nil {
					l.cfg.Log.Warn().Err(err).Msg("lease not kept")
				}
			}
		}
	}()
	return nil
}

func (l *leases) keep(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.cfg.Lease)
	defer cancel()
	n, err := l.cfg.Store.KeepLease(ctx, l.name, l.cfg.Lease)
	if err != nil {
		return fmt.Errorf("keep lease: %w", err)
	}
	if n > 0 {
		l.cfg.Log.Warn().Int("jobs", n).Msg("jobs of a process that died are queued again")
	}
	return nil
}

// stop ends the lease. It waits for whoever keeps it.
func (l *leases) stop(ctx context.Context) error {
	l.cancel()
	select {
	case <-l.ended:
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelGrace)
	defer cancel()
	if err := l.cfg.Store.EndLease(ctx, l.name); err != nil {
		return fmt.Errorf("end lease: %w", err)
	}
	return nil
}
