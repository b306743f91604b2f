package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/tallyman-io/tallyman/internal/grant"
)

// MakeSession keeps a new session and that somebody signed in, and ends the one that it
// takes the place of, if there is one. Sessions that are over, or were last used before
// unused, are removed on the way.
func (s *Store) MakeSession(ctx context.Context, n grant.Session, instead []byte, unused time.Time, e grant.Entry) error {
	err := s.change(ctx, func(tx *transaction) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM session WHERE hash = $1 OR expires_at <= $2 OR seen_at < $3`,
			notNull(instead), micros(s.now()), micros(unused)); err != nil {
			return err
		}
		token := sql.NullString{String: n.TokenID, Valid: n.TokenID != ""}
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO session (hash, token, subject, name, role, scopes, began_at, seen_at, expires_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			n.Hash, token, n.Subject, n.Name, n.Role.String(), grant.FormatScopes(n.Scopes), micros(n.Began), micros(n.Seen), micros(n.Expires)); err != nil {
			return err
		}
		return recordAudit(ctx, tx, &e)
	})
	if err != nil {
		return fmt.Errorf("make session: %w", err)
	}
	return nil
}

func notNull(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// Session returns the session of a hash, and false when there is none.
func (s *Store) Session(ctx context.Context, hash []byte) (grant.Session, bool, error) {
	now := micros(s.now())
	found, err := collect(ctx, s.read, func(rows *sql.Rows) (n grant.Session, err error) {
		var token sql.NullString
		var role, scopes string
		var began, seen, expires int64
		var tokenExpires, tokenRevoked sql.NullInt64
		if err = rows.Scan(&n.Hash, &token, &n.Subject, &n.Name, &role, &scopes, &began, &seen, &expires, &tokenExpires, &tokenRevoked); err != nil {
			return n, err
		}
		n.TokenID, n.Began, n.Seen, n.Expires = token.String, fromMicros(began), fromMicros(seen), fromMicros(expires)
		n.TokenEnded = tokenRevoked.Valid || tokenExpires.Valid && tokenExpires.Int64 <= now
		n.Role, n.Scopes, err = parseGrant(role, scopes)
		return n, err
	}, `SELECT s.hash, s.token, s.subject, s.name, s.role, s.scopes, s.began_at, s.seen_at, s.expires_at, t.expires_at, t.revoked_at
		FROM session s LEFT JOIN token t ON t.name_id = s.token WHERE s.hash = $1`, hash)
	if err != nil {
		return grant.Session{}, false, fmt.Errorf("read session: %w", err)
	}
	if len(found) == 0 {
		return grant.Session{}, false, nil
	}
	return found[0], true, nil
}

// EndSession ends a session, and keeps that somebody signed out. It returns false when
// there is no such session.
func (s *Store) EndSession(ctx context.Context, hash []byte, e grant.Entry) (ended bool, err error) {
	err = s.change(ctx, func(tx *transaction) error {
		result, err := tx.ExecContext(ctx, `DELETE FROM session WHERE hash = $1`, hash)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if err != nil || n == 0 {
			return err
		}
		ended = true
		return recordAudit(ctx, tx, &e)
	})
	if err != nil {
		return false, fmt.Errorf("end session: %w", err)
	}
	return ended, nil
}
