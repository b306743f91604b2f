package registry

import (
	"context"
	"testing"
	"time"
)

// Impatient makes the publisher note its waits instead of waiting.
func (p *Publisher) Impatient(t *testing.T) *[]time.Duration {
	t.Helper()
	var waits []time.Duration
	p.pause = func(_ context.Context, d time.Duration) error {
		waits = append(waits, d)
		return nil
	}
	return &waits
}
