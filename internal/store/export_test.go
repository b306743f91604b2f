package store

import (
	"context"
	"database/sql"
	"slices"
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
// in the order of the pages of so many that they are found in, the oldest first or last.
func (s *Store) Shippers(ctx context.Context, name string, oldest bool, page int) (all [][]int64, err error) {
	err = s.view(ctx, func(tx *transaction) error {
		packages, err := s.packagesNamed(ctx, tx, name)
		if err != nil || len(packages) == 0 {
			return err
		}
		way := wayOf(oldest)
		for from := way.start(); ; {
			found, err := s.shippers(ctx, tx, keysOf(packages), way, from, page)
			if err != nil || len(found) == 0 {
				return err
			}
			for _, f := range found {
				all = append(all, append([]int64{f.image}, f.packages...))
				from = f.place
			}
		}
	})
	return all, err
}

// AllShippers are what [Store.Shippers] finds, read at once and sorted out here.
func (s *Store) AllShippers(ctx context.Context, name string) (all [][]int64, err error) {
	err = s.view(ctx, func(tx *transaction) error {
		packages, err := s.packagesNamed(ctx, tx, name)
		if err != nil || len(packages) == 0 {
			return err
		}
		type row struct{ document, image, pkg int64 }
		rows, err := collect(ctx, tx, func(rows *sql.Rows) (r row, err error) {
			err = rows.Scan(&r.document, &r.image, &r.pkg)
			return r, err
		}, `SELECT DISTINCT d.document_id, d.examination_id, dp.package_id FROM image_document d JOIN document_package dp ON dp.document_id = d.document_id
			WHERE dp.package_id IN `+list(len(packages), 0)+` ORDER BY 1 DESC, 2 DESC, 3`, anys(keysOf(packages))...)
		if err != nil {
			return err
		}
		at := make(map[int64]int) // the place of an image
		for _, r := range rows {
			if _, ok := at[r.image]; !ok {
				at[r.image] = len(all)
				all = append(all, []int64{r.image})
			}
			all[at[r.image]] = append(all[at[r.image]], r.pkg)
		}
		for _, shipper := range all {
			slices.Sort(shipper[1:])
		}
		for i := range all {
			all[i] = append(all[i][:1], slices.Compact(all[i][1:])...)
		}
		return nil
	})
	return all, err
}

// KeptContents are how many documents are remembered, and the packages that they list.
func (s *Store) KeptContents() (documents, packages int) {
	s.contents.mu.Lock()
	defer s.contents.mu.Unlock()
	return len(s.contents.byKey), s.contents.weight
}
