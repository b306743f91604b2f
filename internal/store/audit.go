package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/tallyman-io/tallyman/internal/grant"
)

// RecordAudit writes down what somebody did. What is stored by a method of this store is
// written down in the same transaction instead.
func (s *Store) RecordAudit(ctx context.Context, e grant.Entry) error {
	if err := s.change(ctx, func(tx *transaction) error { return recordAudit(ctx, tx, &e) }); err != nil {
		return fmt.Errorf("write the audit log: %w", err)
	}
	return nil
}

func recordAudit(ctx context.Context, tx *transaction, e *grant.Entry) error {
	if _, err := tx.ExecContext(ctx, `
		INSERT INTO audit (at, actor, actor_id, via, action, subject, detail, remote, request) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		micros(e.At), e.Actor, e.ActorID, e.Via, e.Action, e.Subject, e.Detail, e.Remote, e.Request); err != nil {
		return fmt.Errorf("write the audit log: %w", err)
	}
	return nil
}

// Audit returns at most limit entries of the audit log, 500 at most, the newest first:
// those written before the one with the key before, or the newest of all when that is 0.
func (s *Store) Audit(ctx context.Context, before int64, limit int) ([]grant.Entry, error) {
	all, err := collect(ctx, s.read, func(rows *sql.Rows) (e grant.Entry, err error) {
		var at int64
		err = rows.Scan(&e.Key, &at, &e.Actor, &e.ActorID, &e.Via, &e.Action, &e.Subject, &e.Detail, &e.Remote, &e.Request)
		e.At = fromMicros(at)
		return e, err
	}, `SELECT id, at, actor, actor_id, via, action, subject, detail, remote, request FROM audit WHERE id < $1 ORDER BY id DESC LIMIT $2`,
		pageEnd(before), pageSize(limit))
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	return all, nil
}
