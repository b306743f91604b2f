package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
)

const (
	// postgresConnectTimeout applies when the URL has no connect_timeout.
	postgresConnectTimeout = 10 * time.Second
	// migrationLock is the key of the advisory lock around migrations. Any number
	// does that nobody else uses; this one spells "tally" in ASCII.
	migrationLock = 0x74616c6c79
)

// postgresEngine is a PostgreSQL database, reached through one pool that River
// uses as well.
type postgresEngine struct {
	pool *pgxpool.Pool
	db   *sql.DB
}

func openPostgres(ctx context.Context, rawURL string, maxConnections int) (*postgresEngine, error) {
	cfg, err := pgxpool.ParseConfig(rawURL)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", scrub(err, rawURL))
	}
	cfg.MaxConns = int32(min(maxConnections, 1<<15)) //nolint:gosec // bounded just here
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = postgresConnectTimeout
	}
	if cfg.ConnConfig.RuntimeParams["application_name"] == "" {
		cfg.ConnConfig.RuntimeParams["application_name"] = "tallyman"
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("make PostgreSQL pool: %w", scrub(err, rawURL))
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("connect to PostgreSQL at %s: %w", cfg.ConnConfig.Host, scrub(err, rawURL))
	}
	return &postgresEngine{pool: pool, db: stdlib.OpenDBFromPool(pool)}, nil
}

// scrub takes the secrets of a database URL out of an error. pgx is careful not
// to repeat passwords, but that is not ours to promise. An error without any is
// returned as it is.
func scrub(err error, rawURL string) error {
	clean := err.Error()
	for _, secret := range secretsOf(rawURL) {
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret)} {
			clean = strings.ReplaceAll(clean, form, "[redacted]")
		}
	}
	if clean == err.Error() {
		return err
	}
	return errors.New(clean)
}

func secretsOf(rawURL string) []string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil // parseURL has refused it
	}
	var secrets []string
	if password, ok := u.User.Password(); ok && password != "" {
		secrets = append(secrets, password)
	}
	for key, values := range u.Query() {
		if !strings.Contains(strings.ToLower(key), "password") {
			continue
		}
		for _, v := range values {
			if v != "" {
				secrets = append(secrets, v)
			}
		}
	}
	return secrets
}

// tableExists resolves the name along search_path, as every statement here does.
func (e *postgresEngine) tableExists(ctx context.Context, table string) (bool, error) {
	var exists bool
	err := e.db.QueryRowContext(ctx, `SELECT to_regclass($1) IS NOT NULL`, table).Scan(&exists)
	return exists, err
}

// migrate holds an advisory lock, in a transaction on a connection outside the
// pool so that a pool of one does not wait for itself. Each step commits on its
// own: PostgreSQL lets nobody use a new enum value, which River's steps add,
// before it is committed. A process that dies half-way leaves whole steps.
func (e *postgresEngine) migrate(ctx context.Context, steps migration) (err error) {
	river, err := e.river()
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, e.pool.Config().ConnConfig)
	if err != nil {
		return fmt.Errorf("connect for the migration lock: %w", err)
	}
	// Ending the connection ends the transaction and the lock, whatever became
	// of ctx.
	defer func() {
		closeCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), postgresConnectTimeout)
		defer cancel()
		err = errors.Join(err, conn.Close(closeCtx))
	}()
	if _, err := conn.Exec(ctx, `BEGIN`); err != nil {
		return fmt.Errorf("begin the migration lock: %w", err)
	}
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(migrationLock)); err != nil {
		return fmt.Errorf("wait for the migration lock: %w", err)
	}
	return steps.run(
		func() error {
			return within(ctx, e.db, nil, func(tx *sql.Tx) error { return steps.ours(ctx, tx) })
		},
		func() error {
			if _, err := river.Migrate(ctx, steps.direction, steps.riverOpts()); err != nil {
				return fmt.Errorf("migrate the schema of the job queue: %w", err)
			}
			return nil
		})
}

func (e *postgresEngine) river() (*rivermigrate.Migrator[pgx.Tx], error) {
	return newRiverMigrator(riverpgxv5.New(e.pool))
}

func (e *postgresEngine) riverVersions(ctx context.Context) (have, know int, err error) {
	m, err := e.river()
	if err != nil {
		return 0, 0, err
	}
	return newestRiver(ctx, e.db, m.AllVersions(), e.tableExists)
}

func (e *postgresEngine) snapshot() *sql.TxOptions {
	return &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
}

func (e *postgresEngine) close() error {
	err := e.db.Close()
	e.pool.Close()
	return err
}
