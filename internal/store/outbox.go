package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

// send puts messages on their way. One that is there already is left as it is.
func (l *Ledger) send(ctx context.Context, tx *transaction, messages []ledger.Message, now int64) error {
	for i := range messages {
		m := &messages[i]
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO outbox (id, notice, target, body, created_at, next_at) VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT DO NOTHING`,
			m.ID, m.Notice, m.Target, m.Body, now); err != nil {
			return fmt.Errorf("store a message: %w", err)
		}
		if err := l.queue.Enqueue(ctx, tx.Tx, release.Task{Step: release.StepNotify, Delivery: m.ID}); err != nil {
			return err
		}
	}
	return nil
}

// Message returns a message, and false when there is none of that id.
func (s *Store) Message(ctx context.Context, id string) (ledger.Message, bool, error) {
	found, err := collect(ctx, s.read, func(rows *sql.Rows) (m ledger.Message, err error) {
		var created, next int64
		err = rows.Scan(&m.ID, &m.Notice, &m.Target, &m.Body, &created, &m.Attempts, &next, &m.Done)
		m.CreatedAt, m.NextAt = fromMicros(created), fromMicros(next)
		return m, err
	}, `SELECT id, notice, target, body, created_at, attempts, next_at, delivered_at IS NOT NULL OR dead_at IS NOT NULL FROM outbox WHERE id = $1`, id)
	if err != nil {
		return ledger.Message{}, false, fmt.Errorf("read message %s: %w", id, err)
	}
	if len(found) == 0 {
		return ledger.Message{}, false, nil
	}
	return found[0], true, nil
}

// RecordAttempt writes down an attempt.
func (l *Ledger) RecordAttempt(ctx context.Context, a ledger.Attempt) error {
	now := micros(l.now())
	ended := func(is bool) sql.NullInt64 { return sql.NullInt64{Int64: now, Valid: is} }
	next := now
	if !a.NextAt.IsZero() {
		next = micros(a.NextAt)
	}
	if _, err := l.write.ExecContext(ctx, `
		UPDATE outbox SET attempts = attempts + 1, next_at = $2, delivered_at = $3, dead_at = $4, reason = $5 WHERE id = $1`,
		a.ID, next, ended(a.Delivered), ended(a.Dead), a.Reason); err != nil {
		return fmt.Errorf("record attempt at message %s: %w", a.ID, err)
	}
	return nil
}
