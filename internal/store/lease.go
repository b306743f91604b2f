package store

import (
	"context"
	"fmt"
	"time"
)

// KeepLease notes that the process of this name is alive, and hands the jobs of those
// that were not for the time given back to the queue. It returns how many. A job that
// is handed back runs again from its beginning, except one that was to be cancelled: it is.
func (s *Store) KeepLease(ctx context.Context, name string, dead time.Duration) (int, error) {
	var n int64
	err := s.change(ctx, func(tx *transaction) error {
		// The clock of the database is the only one that all processes share.
		var now int64
		if err := tx.QueryRowContext(ctx, s.engine.clock()).Scan(&now); err != nil {
			return fmt.Errorf("read the clock: %w", err)
		}
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO worker (name, alive_at) VALUES ($1, $2)
			ON CONFLICT (name) DO UPDATE SET alive_at = excluded.alive_at`, name, now); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM worker WHERE alive_at < $1`, now-dead.Microseconds()); err != nil {
			return err
		}
		result, err := tx.ExecContext(ctx, s.engine.releaseOrphans())
		if err != nil {
			return err
		}
		n, err = result.RowsAffected()
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("keep lease of %s: %w", name, err)
	}
	return int(n), nil
}

// EndLease forgets the process. Jobs that it still holds are nobody's from now on.
func (s *Store) EndLease(ctx context.Context, name string) error {
	if _, err := s.write.ExecContext(ctx, `DELETE FROM worker WHERE name = $1`, name); err != nil {
		return fmt.Errorf("end lease of %s: %w", name, err)
	}
	return nil
}
