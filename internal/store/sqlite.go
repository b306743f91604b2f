package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// sqliteBusyTimeout is how long a statement waits for the lock that another
	// process holds. Transactions here take milliseconds.
	sqliteBusyTimeout = 10 * time.Second
	// A few: what takes long must not keep what is short, and each has memory of its own.
	sqliteReaders = 3
)

// sqliteEngine is a database in a file. SQLite lets one transaction write at a
// time, so there is one connection for writing; callers queue for it in Go, fair
// and without polling. In WAL mode readers wait for nobody.
type sqliteEngine struct {
	path            string
	writer, readers *sql.DB
}

func openSQLite(ctx context.Context, path string) (*sqliteEngine, error) {
	if err := checkSQLitePath(path); err != nil {
		return nil, err
	}
	writer, err := sql.Open("sqlite", sqliteDSN(path,
		"journal_mode(WAL)",
		// With WAL, NORMAL loses no consistency, and at most the last moments
		// before a power failure: https://sqlite.org/pragma.html#pragma_synchronous
		"synchronous(NORMAL)",
		"foreign_keys(1)",
		// In KiB when negative. What a wave touches lies all over the file.
		"cache_size(-16384)",
		// In pages of 4 KiB. Pages that many transactions touch are folded back once.
		"wal_autocheckpoint(4000)"))
	if err != nil {
		return nil, fmt.Errorf("open SQLite file %s: %w", path, err)
	}
	writer.SetMaxOpenConns(1)
	e := &sqliteEngine{path: path, writer: writer}
	if err := e.reach(ctx); err != nil {
		return nil, errors.Join(err, writer.Close())
	}
	e.readers, err = openKeeping(sqliteDSN(path, "query_only(1)",
		// In KiB when negative. Each write of another connection empties it, and nobody can
		// read while its memory is given back: that of all readers fits into the 4 MiB that
		// modernc.org/memory keeps. The operating system has the file in memory anyway.
		"cache_size(-512)"))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open SQLite file %s for reading: %w", path, err), writer.Close())
	}
	e.readers.SetMaxOpenConns(sqliteReaders)
	e.readers.SetMaxIdleConns(sqliteReaders)
	return e, nil
}

// sqliteDSN names the file as a URI, so that no character of the path is special.
// Write transactions begin IMMEDIATE: a transaction that first reads and then
// writes would otherwise fail, without waiting, when another wrote in between.
func sqliteDSN(path string, pragmas ...string) string {
	q := url.Values{"_txlock": {"immediate"}}
	q.Add("_pragma", fmt.Sprintf("busy_timeout(%d)", sqliteBusyTimeout.Milliseconds()))
	// The root file system is read-only: a large sort has no temporary file to spill to.
	q.Add("_pragma", "temp_store(MEMORY)")
	for _, p := range pragmas {
		if p == "query_only(1)" {
			q.Set("_txlock", "deferred")
		}
		q.Add("_pragma", p)
	}
	u := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(path), RawQuery: q.Encode()}
	return u.String()
}

// checkSQLitePath finds the mistakes for which SQLite's own message, "unable to
// open database file", is no help. It does not open the file: closing it again
// would drop the locks of other connections in this process (POSIX advisory
// locks; https://sqlite.org/howtocorrupt.html, section 2.2).
func checkSQLitePath(path string) error {
	dir := filepath.Dir(path)
	switch info, err := os.Stat(dir); {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("open SQLite file %s: folder %s does not exist", path, dir)
	case err != nil:
		return fmt.Errorf("open SQLite file %s: %w", path, err)
	case !info.IsDir():
		return fmt.Errorf("open SQLite file %s: %s is not a folder", path, dir)
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return fmt.Errorf("open SQLite file %s: expected a file, found a folder", path)
	}
	return nil
}

// reach makes the first connection. Turning a new file to WAL takes an exclusive
// lock that does not honour busy_timeout, so when web and worker start together
// one of them may have to try again.
func (e *sqliteEngine) reach(ctx context.Context) error {
	const pause = 10 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, sqliteBusyTimeout)
	defer cancel()
	for {
		err := e.writer.PingContext(ctx)
		if err == nil {
			return nil
		}
		if sqliteCode(err) != sqlite3.SQLITE_BUSY {
			return e.explain(err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("open SQLite file %s: locked by another process: %w", e.path, err)
		case <-time.After(pause):
		}
	}
}

func (e *sqliteEngine) explain(err error) error {
	switch sqliteCode(err) {
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		return fmt.Errorf("open SQLite file %s: user %d must be able to write the file and its folder: %w", e.path, os.Geteuid(), err)
	case sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("open SQLite file %s: expected an SQLite database, found another kind of file: %w", e.path, err)
	default:
		return fmt.Errorf("open SQLite file %s: %w", e.path, err)
	}
}

// sqliteCode returns the primary result code of an error, 0 if it has none.
func sqliteCode(err error) int {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return 0
	}
	return e.Code() & 0xff // https://sqlite.org/rescode.html, "Result Codes versus Extended Result Codes"
}

func (e *sqliteEngine) tableExists(ctx context.Context, table string) (bool, error) {
	var n int
	err := e.writer.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = $1`, table).Scan(&n)
	return n > 0, err
}

// migrate does everything in one transaction. BEGIN IMMEDIATE is the lock: a
// second process waits, and then finds nothing left to do.
func (e *sqliteEngine) migrate(ctx context.Context, steps migration) error {
	steps.words = strings.NewReplacer("{{id}}", "INTEGER PRIMARY KEY", "{{clustered}}", "WITHOUT ROWID")
	err := within(ctx, e.writer, nil, func(tx *sql.Tx) error {
		return steps.run(
			func() error { return steps.ours(ctx, tx) },
			func() error {
				return steps.queue.MigrateSQLite(ctx, e.writer, tx, steps.remove)
			})
	})
	if sqliteCode(err) == sqlite3.SQLITE_READONLY {
		return e.explain(err)
	}
	return err
}

func (e *sqliteEngine) knownQueue(schema QueueSchema) (int, error) {
	return schema.KnownSQLite(e.writer) //nolint:wrapcheck // it says what failed
}

func (e *sqliteEngine) snapshot() *sql.TxOptions { return nil }

// close ends the readers first, so that the writer is the last connection and
// folds the write-ahead log back into the file.
func (e *sqliteEngine) close() error {
	return errors.Join(e.readers.Close(), e.writer.Close())
}

// lockMatching does nothing: the transaction that writes is the only one.
func (e *sqliteEngine) lockMatching(context.Context, *transaction, matching) error { return nil }

func (e *sqliteEngine) wrap(tx *sql.Tx) *transaction { return &transaction{Tx: tx, nameless: true} }

func (e *sqliteEngine) clock() string { return `SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER)` }

// releaseOrphans reads the table of River: who holds a job is the last of attempted_by,
// and one that was to be cancelled says so in its metadata.
func (e *sqliteEngine) releaseOrphans() string {
	return `
		UPDATE river_job SET
			state = CASE WHEN json_extract(metadata, '$.cancel_attempted_at') IS NULL THEN 'available' ELSE 'cancelled' END,
			finalized_at = CASE WHEN json_extract(metadata, '$.cancel_attempted_at') IS NOT NULL THEN datetime('now', 'subsec') END
		WHERE state = 'running' AND coalesce(json_extract(attempted_by, '$[#-1]'), '') NOT IN (SELECT name FROM worker)`
}

func (e *sqliteEngine) array(expression string) string { return `json_group_array(` + expression + `)` }

// entries has those of a package as one text: thousands of rows take longer to hand over
// than to find.
func (e *sqliteEngine) entries(ctx context.Context, tx *transaction, packages []int64, way way, from int64, most int) ([]entry, error) {
	var all []entry
	_, err := collect(ctx, tx, func(rows *sql.Rows) (struct{}, error) {
		var pkg int64
		var text sql.NullString
		if err := rows.Scan(&pkg, &text); err != nil || !text.Valid {
			return struct{}{}, err
		}
		for document := range strings.SplitSeq(text.String, ",") {
			key, err := strconv.ParseInt(document, 10, 64)
			if err != nil {
				return struct{}{}, fmt.Errorf("documents of package %d: %w", pkg, err)
			}
			all = append(all, entry{key, pkg})
		}
		return struct{}{}, nil
	}, way.sql(`SELECT p.value, (SELECT group_concat(d.document_id) FROM (SELECT l.document_id FROM document_package l
		WHERE l.package_id = p.value AND l.document_id <= $1 ORDER BY l.document_id DESC LIMIT $2) AS d) FROM json_each($3) AS p`), from, most, e.keys(packages))
	return all, err
}

func (e *sqliteEngine) among(parameter int) string {
	return `IN (SELECT value FROM json_each($` + decimal(int64(parameter)) + `))`
}

func (e *sqliteEngine) within(query string) string { return `IN (` + query + `)` }

func (e *sqliteEngine) keys(all []int64) any {
	b := make([]byte, 0, 8*len(all)+2)
	b = append(b, '[')
	for i, key := range all {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, key, 10)
	}
	return string(append(b, ']'))
}
