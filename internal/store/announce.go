package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/grant"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Watched returns the repositories that are looked at.
func (s *Store) Watched(ctx context.Context) ([]string, error) {
	all, err := collect(ctx, s.read, func(rows *sql.Rows) (name string, err error) {
		err = rows.Scan(&name)
		return name, err
	}, `SELECT name FROM repository WHERE watched ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("read watched repositories: %w", err)
	}
	return all, nil
}

// Announce asks for a look at each of the repositories, and keeps for each that it was
// asked for: e, with the repository as its subject. Those that somebody waits for already,
// and those that are not watched, are left out; so the same message again changes nothing.
func (s *Store) Announce(ctx context.Context, a account.Announcement, e grant.Entry) error {
	err := s.change(ctx, func(tx *transaction) error {
		for _, repository := range a.Repositories {
			result, err := tx.ExecContext(ctx, `INSERT INTO request (step, repository, digest, asked_by, asked_at)
				SELECT $1, name, '', $2, $3 FROM repository WHERE name = $4 AND watched AND NOT EXISTS (
					SELECT 1 FROM request WHERE step = $1 AND repository = $4 AND taken_at IS NULL)`,
				string(release.StepDiscover), a.By, micros(s.now()), repository)
			if err != nil {
				return err
			}
			n, err := result.RowsAffected()
			if err != nil {
				return err
			}
			if e.Subject = repository; n > 0 {
				if err := recordAudit(ctx, tx, &e); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("ask for what %s announced: %w", a.By, err)
	}
	return nil
}
