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

// Audit returns a part of the audit log, 500 entries at most, in the order in which they
// were written.
func (s *Store) Audit(ctx context.Context, p grant.Page) ([]grant.Entry, error) {
	part, args := partOf(p)
	all, err := collect(ctx, s.read, func(rows *sql.Rows) (e grant.Entry, err error) {
		var at int64
		err = rows.Scan(&e.Key, &at, &e.Actor, &e.ActorID, &e.Via, &e.Action, &e.Subject, &e.Detail, &e.Remote, &e.Request)
		e.At = fromMicros(at)
		return e, err
	}, `SELECT id, at, actor, actor_id, via, action, subject, detail, remote, request FROM audit`+part, args...)
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	return all, nil
}
