// Package jobschema has the schema of the job queue, River's, for whoever runs jobs. The
// store takes it as a value: web reads the store and does not carry River.
package jobschema

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
)

// River is the schema of River. The zero value is ready.
type River struct{}

// KnownSQLite is the newest version of the schema that this program makes on SQLite.
func (River) KnownSQLite(db *sql.DB) (int, error) { return known(riversqlite.New(db)) }

// KnownPostgres is the same on PostgreSQL.
func (River) KnownPostgres(pool *pgxpool.Pool) (int, error) { return known(riverpgxv5.New(pool)) }

func known[TTx any](driver riverdriver.Driver[TTx]) (int, error) {
	m, err := migrator(driver)
	if err != nil {
		return 0, err
	}
	all := m.AllVersions()
	return all[len(all)-1].Version, nil
}

// MigrateSQLite brings the schema up to date within a transaction, or removes it with
// everything in it.
func (River) MigrateSQLite(ctx context.Context, db *sql.DB, tx *sql.Tx, remove bool) error {
	m, err := migrator(riversqlite.New(db))
	if err != nil {
		return err
	}
	//nolint:staticcheck // deprecated for migrations that PostgreSQL cannot batch; SQLite can
	if _, err := m.MigrateTx(ctx, tx, direction(remove), options(remove)); err != nil {
		return fmt.Errorf("migrate the schema of the job queue: %w", err)
	}
	return nil
}

// MigratePostgres brings the schema up to date, or removes it with everything in it. Each
// step commits on its own: PostgreSQL lets nobody use a new enum value, which some add,
// before it is committed.
func (River) MigratePostgres(ctx context.Context, pool *pgxpool.Pool, remove bool) error {
	m, err := migrator(riverpgxv5.New(pool))
	if err != nil {
		return err
	}
	if _, err := m.Migrate(ctx, direction(remove), options(remove)); err != nil {
		return fmt.Errorf("migrate the schema of the job queue: %w", err)
	}
	return nil
}

func migrator[TTx any](driver riverdriver.Driver[TTx]) (*rivermigrate.Migrator[TTx], error) {
	m, err := rivermigrate.New(driver, &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, fmt.Errorf("set up migrations of the job queue: %w", err)
	}
	return m, nil
}

func direction(remove bool) rivermigrate.Direction {
	if remove {
		return rivermigrate.DirectionDown
	}
	return rivermigrate.DirectionUp
}

func options(remove bool) *rivermigrate.MigrateOpts {
	if remove {
		return &rivermigrate.MigrateOpts{TargetVersion: -1} // all of them
	}
	return nil
}
