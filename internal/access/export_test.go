package access

import (
	"context"
	"errors"
)

// Settle waits until what was used so far is written down.
func (g *Guard) Settle(ctx context.Context) error {
	done := make(chan struct{})
	select {
	case g.touches.queue <- touch{"settle", func(context.Context) error { close(done); return nil }}:
	case <-ctx.Done():
		return errors.New("the queue is full")
	}
	<-done
	return nil
}

// TokenForm is what tokens look like.
const TokenForm = tokenForm
