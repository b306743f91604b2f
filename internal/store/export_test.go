package store

import (
	"context"
	"database/sql"
)

// MigrateDown removes everything that [Open] makes. It is no part of the API: a
// service never goes back, it is restored from a backup.
func (s *Store) MigrateDown(ctx context.Context) error { return s.migrateDown(ctx) }

// MigrateUp does what [Open] does, on an open store.
func (s *Store) MigrateUp(ctx context.Context) error { return s.migrateUp(ctx) }

// Exec runs a statement that no method of a Store would.
func (s *Store) Exec(ctx context.Context, statement string) error {
	_, err := s.write.ExecContext(ctx, statement)
	return err
}

// Objects lists the tables, indexes and types that are in the database.
func (s *Store) Objects(ctx context.Context) ([]string, error) {
	query := `SELECT type || ' ' || name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY 1`
	if _, ok := s.Postgres(); ok {
		query = `SELECT relkind::text || ' ' || relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace
			UNION ALL SELECT 'type ' || typname FROM pg_type WHERE typnamespace = current_schema()::regnamespace AND typtype = 'e'
			UNION ALL SELECT 'function ' || proname FROM pg_proc WHERE pronamespace = current_schema()::regnamespace
			ORDER BY 1`
	}
	return collect(ctx, s.write, scanString, query)
}

func scanString(rows *sql.Rows) (v string, err error) {
	err = rows.Scan(&v)
	return v, err
}

// Shippers are the keys of the images that ship packages of a name, and of those packages,
// the newest image first: as they are found from the packages on when rare, and else by
// looking through the images, in parts of so many.
func (s *Store) Shippers(ctx context.Context, name string, rare bool, part int) (all [][]int64, err error) {
	err = s.view(ctx, func(tx *transaction) error {
		packages, err := packagesNamed(ctx, tx, name)
		if err != nil || len(packages) == 0 {
			return err
		}
		find := func(ctx context.Context, tx *transaction, packages []int64, before int64, part int) ([]shipper, error) {
			found, enough, err := s.newestShippers(ctx, tx, packages, before, part)
			if !enough && err == nil {
				return rareShippers(ctx, tx, packages, before, part)
			}
			return found, err
		}
		if rare {
			find = rareShippers
		}
		for before := int64(1) << 62; ; {
			found, err := find(ctx, tx, keysOf(packages), before, part)
			if err != nil || len(found) == 0 {
				return err
			}
			for _, f := range found {
				all = append(all, append([]int64{f.image}, f.packages...))
				before = f.image
			}
		}
	})
	return all, err
}

// KeptContents are how many documents are remembered, and the packages that they list.
func (s *Store) KeptContents() (documents, packages int) {
	s.contents.mu.Lock()
	defer s.contents.mu.Unlock()
	return len(s.contents.byDigest), s.contents.size
}
