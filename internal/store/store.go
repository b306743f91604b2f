package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Options tune a [Store]. The zero value is usable.
type Options struct {
	// MaxConnections bounds the connections to PostgreSQL; when zero, two for each
	// processor and one, and at most 20. SQLite always has one writer and a few readers.
	MaxConnections int
	// Now is the clock; time.Now when nil.
	Now func() time.Time
	// Queue is the schema of the job queue in the same database, for programs that run
	// jobs. The others leave it as it is, and need not have it.
	Queue QueueSchema
}

// QueueSchema is the schema of the job queue; jobschema.River implements it.
type QueueSchema interface {
	// KnownSQLite and KnownPostgres are the newest version that this program makes.
	KnownSQLite(db *sql.DB) (int, error)
	KnownPostgres(pool *pgxpool.Pool) (int, error)
	// MigrateSQLite and MigratePostgres bring the schema up to date, or remove it with
	// everything in it.
	MigrateSQLite(ctx context.Context, db *sql.DB, tx *sql.Tx, remove bool) error
	MigratePostgres(ctx context.Context, pool *pgxpool.Pool, remove bool) error
}

// fewConnections are two for each processor and one, and at most 20. With more, those who
// read wait for the processors instead of a connection, which takes as long and longer: each
// connection has to be made, and to plan every statement for itself.
func fewConnections() int { return min(2*runtime.GOMAXPROCS(0)+1, 20) }

// Store is an open database. Make it with [Open] and end it with [Store.Close].
type Store struct {
	now   func() time.Time
	queue QueueSchema // nil in programs that run no jobs
	// write serves everything that changes data, read the rest. On PostgreSQL
	// they are the same.
	write, read *sql.DB
	engine      engine
	contents    *contents
	versions    *remembered[string, versionCount]
	waves       *remembered[int64, waveCounts]
	// waveLists has how long the lists are of what a wave did, by their names.
	waveLists *remembered[string, int]
	shipped   *remembered[string, string]
}

// engine is what differs between SQLite and PostgreSQL.
type engine interface {
	// tableExists reports whether the schema in use has the table.
	tableExists(ctx context.Context, table string) (bool, error)
	// migrate runs the steps with no other process migrating meanwhile.
	migrate(ctx context.Context, steps migration) error
	// knownQueue is the newest version of the schema that this program makes.
	knownQueue(schema QueueSchema) (int, error)
	// lockMatching makes the transaction wait for those that it may not match beside.
	lockMatching(ctx context.Context, tx *transaction, as matching) error
	wrap(tx *sql.Tx) *transaction
	// clock is the query for the time of the database, in microseconds since 1970.
	clock() string
	// releaseOrphans is the statement that queues the jobs of no living worker again.
	releaseOrphans() string
	// snapshot are the options of a transaction whose reads agree with each other.
	snapshot() *sql.TxOptions
	// integrity and references have the engine look at what it keeps.
	integrity(ctx context.Context, tx *transaction) ([]Problem, error)
	references(ctx context.Context, tx *transaction) ([]Problem, error)
	// argument is an expression for an argument of a row j of River's jobs.
	argument(name string) string
	// array is an aggregate: the values of an expression as an array in JSON.
	array(expression string) string
	// among is a condition on a column: its value is among keys, the parameter of a number.
	// However many they are, the statement is the same.
	among(parameter int) string
	keys(all []int64) any
	// within is a condition on a column: its value is among the few that a query has. The
	// engine looks each of them up.
	within(query string) string
	// entries are, of each package, those of the documents that list it, in one direction
	// from one on: so many, or all there are, but for those that are behind the first so many
	// documents of all. Their order is of no matter.
	entries(ctx context.Context, tx *transaction, packages []int64, way way, from int64, most int) ([]entry, error)
	columns(ctx context.Context, tx *transaction, table string) ([]column, error)
	// resume has the engine take a table in that was filled: keys that it counts, if the
	// table has them, go on after those that the rows brought along.
	resume(ctx context.Context, tx *transaction, table string, counted bool) error
	close() error
}

// Open connects to the database at the URL, creates a SQLite file that is not
// there yet, and brings the schema up to date. It refuses a schema that is newer
// than this program. Errors never hold the password of the URL.
func Open(ctx context.Context, url string, opts Options) (*Store, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.MaxConnections == 0 {
		opts.MaxConnections = fewConnections()
	}
	s, err := connect(ctx, url, opts)
	if err != nil {
		return nil, err
	}
	if err := s.migrateUp(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func connect(ctx context.Context, url string, opts Options) (*Store, error) {
	t, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	s := &Store{
		now: opts.Now, queue: opts.Queue,
		contents:  newRemembered[string](opts.Now, keptContents, func(packages []int64) int { return len(packages) + keptName }),
		versions:  newRemembered[string](opts.Now, keptCounts, func(versionCount) int { return 1 }),
		waves:     newRemembered[int64](opts.Now, keptCounts, func(waveCounts) int { return 1 }),
		waveLists: newRemembered[string](opts.Now, keptCounts, func(int) int { return 1 }),
		shipped:   newRemembered[string](opts.Now, keptShipped, func(purls string) int { return len(purls) + keptName }),
	}
	if t.sqlitePath != "" {
		e, err := openSQLite(ctx, t.sqlitePath)
		if err != nil {
			return nil, err
		}
		s.engine, s.write, s.read = e, e.writer, e.readers
		return s, nil
	}
	e, err := openPostgres(ctx, t.postgresURL, opts.MaxConnections)
	if err != nil {
		return nil, err
	}
	s.engine, s.write, s.read = e, e.db, e.db
	return s, nil
}

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	if err := s.read.QueryRowContext(ctx, "SELECT 1").Scan(&one); err != nil {
		return fmt.Errorf("ping database: %w", err)
	}
	return nil
}

// Close ends all connections. Nothing may use the store any more.
func (s *Store) Close() error {
	if err := s.engine.close(); err != nil {
		return fmt.Errorf("close database: %w", err)
	}
	return nil
}

// SQLite returns the connection that writes, for a job queue in the same
// database, and false when the engine is another. The store goes on owning it.
func (s *Store) SQLite() (*sql.DB, bool) {
	e, ok := s.engine.(*sqliteEngine)
	if !ok {
		return nil, false
	}
	return e.writer, true
}

// Folder is where the file of a SQLite database lies, and empty on PostgreSQL. It can
// be written to where nothing else of a read-only system can.
func (s *Store) Folder() string {
	if e, ok := s.engine.(*sqliteEngine); ok {
		return filepath.Dir(e.path)
	}
	return ""
}

// Postgres returns the pool, for a job queue in the same database, and false when
// the engine is another. The store goes on owning it.
func (s *Store) Postgres() (*pgxpool.Pool, bool) {
	e, ok := s.engine.(*postgresEngine)
	if !ok {
		return nil, false
	}
	return e.pool, true
}

// change runs f in a transaction that may write, and commits when f returns nil.
func (s *Store) change(ctx context.Context, f func(tx *transaction) error) error {
	return within(ctx, s.write, nil, func(tx *sql.Tx) error { return f(s.engine.wrap(tx)) })
}

// view runs f in a transaction whose reads all see the same moment.
func (s *Store) view(ctx context.Context, f func(tx *transaction) error) error {
	return within(ctx, s.read, s.engine.snapshot(), func(tx *sql.Tx) error { return f(s.engine.wrap(tx)) })
}

// transaction takes statements as PostgreSQL has them. To SQLite, $1 is a name, and the
// driver looks up every name among all others: with hundreds of parameters that takes
// longer than the statement. There they become ?, which has none.
type transaction struct {
	*sql.Tx
	nameless bool
}

func (t *transaction) text(query string) string {
	if t.nameless {
		return withoutNames(query)
	}
	return query
}

// withoutNames turns $1, $2 and so on into ? where each occurs once and in order.
// Another query it returns as it is.
func withoutNames(query string) string {
	var b strings.Builder
	b.Grow(len(query))
	rest := query
	for next := 1; ; next++ {
		before, after, found := strings.Cut(rest, "$")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		digits := 0
		for digits < len(after) && after[digits] >= '0' && after[digits] <= '9' {
			digits++
		}
		if number, err := strconv.Atoi(after[:digits]); err != nil || number != next {
			return query
		}
		b.WriteByte('?')
		rest = after[digits:]
	}
}

// storable replaces what PostgreSQL refuses in text, on both engines alike: foreign text
// may have zero bytes, or be no UTF-8, and must not keep what it came with from being
// written down.
func storable(args []any) []any {
	copied := false
	for i, arg := range args {
		text, ok := arg.(string)
		if !ok || utf8.ValidString(text) && strings.IndexByte(text, 0) < 0 {
			continue
		}
		if !copied {
			args, copied = slices.Clone(args), true
		}
		args[i] = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
	}
	return args
}

// ExecContext is that of [sql.Tx].
func (t *transaction) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return t.Tx.ExecContext(ctx, t.text(query), storable(args)...)
}

// QueryContext is that of [sql.Tx].
func (t *transaction) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return t.Tx.QueryContext(ctx, t.text(query), storable(args)...)
}

// QueryRowContext is that of [sql.Tx].
func (t *transaction) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return t.Tx.QueryRowContext(ctx, t.text(query), storable(args)...)
}

func within(ctx context.Context, db *sql.DB, opts *sql.TxOptions, f func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, opts)
	if err != nil {
		return fmt.Errorf("begin transaction: %w", err)
	}
	if err := f(tx); err != nil {
		// The error that matters is that of f; a failed rollback ends the
		// connection, and with it the transaction.
		_ = tx.Rollback()
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit transaction: %w", err)
	}
	return nil
}

// micros is how times are stored: microseconds, the resolution of PostgreSQL.
func micros(t time.Time) int64 { return t.UnixMicro() }

func nullMicros(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMicro(), Valid: !t.IsZero()}
}

func fromMicros(us int64) time.Time { return time.UnixMicro(us).UTC() }

func fromNullMicros(us sql.NullInt64) time.Time {
	if !us.Valid {
		return time.Time{}
	}
	return fromMicros(us.Int64)
}
