package store

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/grant"
)

// pageAtMost bounds a page of tokens or of the audit log: the most that is shown of a list
// at once, and one more to tell whether there are any.
const pageAtMost = account.MostItems + 1

// touchEvery is how often it is written down that a token or a session was used.
const touchEvery = time.Minute

// MakeToken keeps a new token, and that it was made.
func (s *Store) MakeToken(ctx context.Context, t grant.Token, e grant.Entry) error {
	err := s.change(ctx, func(tx *transaction) error {
		if _, err := insertToken(ctx, tx, &t); err != nil {
			return err
		}
		return recordAudit(ctx, tx, &e)
	})
	if err != nil {
		return fmt.Errorf("make token %s: %w", t.ID, err)
	}
	return nil
}

// MakeFirstToken keeps a token, and that it was made, when there never was one. It
// reports whether it did: of many processes that try at the same time, one does.
func (s *Store) MakeFirstToken(ctx context.Context, t grant.Token, e grant.Entry) (made bool, err error) {
	// The common start finds one, and need not wait for who writes.
	if _, some, err := scanOne[int64](ctx, s.read, `SELECT id FROM token LIMIT 1`); err != nil || some {
		return false, err
	}
	t.Bootstrap = true
	err = s.change(ctx, func(tx *transaction) error {
		_, some, err := scanOne[int64](ctx, tx, `SELECT id FROM token LIMIT 1`)
		if err != nil || some {
			return err
		}
		// The unique index holds apart those that both saw none.
		n, err := insertToken(ctx, tx, &t)
		if err != nil || n == 0 {
			return err
		}
		made = true
		return recordAudit(ctx, tx, &e)
	})
	if err != nil {
		return false, fmt.Errorf("make the first token: %w", err)
	}
	return made, nil
}

// insertToken returns 0 when there is a token to begin with already.
func insertToken(ctx context.Context, tx *transaction, t *grant.Token) (int64, error) {
	result, err := tx.ExecContext(ctx, `
		INSERT INTO token (name_id, hash, name, role, scopes, made_by, made_at, expires_at, bootstrap)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (bootstrap) WHERE bootstrap DO NOTHING`,
		t.ID, t.Hash, t.Name, t.Role.String(), grant.FormatScopes(t.Scopes), t.MadeBy, micros(t.Made), micros(t.Expires), t.Bootstrap)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

const tokenColumns = `id, name_id, hash, name, role, scopes, made_by, made_at, expires_at, used_at, revoked_at, bootstrap` //nolint:gosec // names of columns

func scanToken(rows *sql.Rows) (t grant.Token, err error) {
	var role, scopes string
	var made, expires int64
	var used, revoked sql.NullInt64
	if err = rows.Scan(&t.Key, &t.ID, &t.Hash, &t.Name, &role, &scopes, &t.MadeBy, &made, &expires, &used, &revoked, &t.Bootstrap); err != nil {
		return t, err
	}
	t.Made, t.Expires, t.LastUsed, t.Revoked = fromMicros(made), fromMicros(expires), fromNullMicros(used), fromNullMicros(revoked)
	t.Role, t.Scopes, err = parseGrant(role, scopes)
	return t, err
}

func parseGrant(role, scopes string) (grant.Role, []grant.Scope, error) {
	r, err := grant.ParseRole(role)
	if err != nil {
		return grant.None, nil, err
	}
	all, err := grant.ParseScopes(scopes)
	return r, all, err
}

// Token returns the token of an id, and false when there is none.
func (s *Store) Token(ctx context.Context, id string) (grant.Token, bool, error) {
	found, err := collect(ctx, s.read, scanToken, `SELECT `+tokenColumns+` FROM token WHERE name_id = $1`, id)
	if err != nil {
		return grant.Token{}, false, fmt.Errorf("read token: %w", err)
	}
	if len(found) == 0 {
		return grant.Token{}, false, nil
	}
	return found[0], true, nil
}

// Tokens returns a part of the tokens, 501 at most, in the order in which they were made.
// Revoked and expired ones are among them.
func (s *Store) Tokens(ctx context.Context, p grant.Page) ([]grant.Token, error) {
	part, args := partOf(p)
	all, err := collect(ctx, s.read, scanToken, `SELECT `+tokenColumns+` FROM token`+part, args...)
	if err != nil {
		return nil, fmt.Errorf("read tokens: %w", err)
	}
	return all, nil
}

// partOf chooses a part of a table whose key counts up.
func partOf(p grant.Page) (tail string, args []any) {
	if p.Limit <= 0 {
		p.Limit = pageAtMost
	}
	if p.After <= 0 && !p.Oldest {
		p.After = math.MaxInt64
	}
	return wayOf(p.Oldest).sql(` WHERE id < $1 ORDER BY id DESC LIMIT $2`), []any{p.After, min(p.Limit, pageAtMost)}
}

// RevokeToken ends a token and all its sessions, and keeps that it was revoked. It
// returns false, and changes nothing, when there is no such token, or it is revoked.
func (s *Store) RevokeToken(ctx context.Context, id string, e grant.Entry) (revoked bool, err error) {
	err = s.change(ctx, func(tx *transaction) error {
		result, err := tx.ExecContext(ctx, `UPDATE token SET revoked_at = $1 WHERE name_id = $2 AND revoked_at IS NULL`, micros(s.now()), id)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if err != nil || n == 0 {
			return err
		}
		revoked = true
		if _, err := tx.ExecContext(ctx, `DELETE FROM session WHERE token = $1`, id); err != nil {
			return err
		}
		return recordAudit(ctx, tx, &e)
	})
	if err != nil {
		return false, fmt.Errorf("revoke token: %w", err)
	}
	return revoked, nil
}

// TouchToken notes that a token was used, at most once a minute.
func (s *Store) TouchToken(ctx context.Context, id string, at time.Time) error {
	return s.touch(ctx, "token", `UPDATE token SET used_at = $1 WHERE name_id = $2 AND (used_at IS NULL OR used_at <= $3)`, id, at)
}

// TouchSession notes that a session was used, at most once a minute.
func (s *Store) TouchSession(ctx context.Context, hash []byte, at time.Time) error {
	return s.touch(ctx, "session", `UPDATE session SET seen_at = $1 WHERE hash = $2 AND seen_at <= $3`, hash, at)
}

func (s *Store) touch(ctx context.Context, what, statement string, key any, at time.Time) error {
	err := s.change(ctx, func(tx *transaction) error {
		_, err := tx.ExecContext(ctx, statement, micros(at), key, micros(at.Add(-touchEvery)))
		return err
	})
	if err != nil {
		return fmt.Errorf("note the use of a %s: %w", what, err)
	}
	return nil
}
