package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// problemsAtOnce bounds what the engine tells of itself.
const problemsAtOnce = 100

// integrity has SQLite read the whole file (https://sqlite.org/pragma.html#pragma_integrity_check).
func (e *sqliteEngine) integrity(ctx context.Context, tx *transaction) ([]Problem, error) {
	rows, err := tx.QueryContext(ctx, fmt.Sprintf(`PRAGMA integrity_check(%d)`, problemsAtOnce))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var problems []Problem
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return problems, err
		}
		if line != "ok" {
			problems = append(problems, Problem{"file", e.path, "an intact SQLite database", line})
		}
	}
	return problems, rows.Err() // it may end at what it found
}

func (e *sqliteEngine) references(ctx context.Context, tx *transaction) ([]Problem, error) {
	type orphan struct {
		table, parent string
		row           sql.NullInt64
	}
	rows, err := tx.QueryContext(ctx, `PRAGMA foreign_key_check`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var problems []Problem
	for rows.Next() && len(problems) < problemsAtOnce {
		var o orphan
		var number int
		if err := rows.Scan(&o.table, &o.row, &o.parent, &number); err != nil {
			return nil, err
		}
		where := o.table
		if o.row.Valid { // tables that are their primary key have none
			where = fmt.Sprintf("%s row %d", o.table, o.row.Int64)
		}
		problems = append(problems, Problem{"reference", where, "the row of " + o.parent + " that it names", "none"})
	}
	return problems, rows.Err()
}

// argument is the text of an argument of a job j.
func (e *sqliteEngine) argument(name string) string { return `json_extract(j.args, '$.` + name + `')` }

// columns reads the columns of a table, in their order, and those of its primary key.
func (e *sqliteEngine) columns(ctx context.Context, tx *transaction, table string) ([]column, error) {
	return collect(ctx, tx, func(rows *sql.Rows) (c column, err error) {
		var declared string
		if err = rows.Scan(&c.Name, &declared, &c.key); err != nil {
			return c, err
		}
		switch strings.ToUpper(declared) {
		case "TEXT":
			c.Kind = kindText
		case "INTEGER", "BIGINT":
			c.Kind = kindNumber
		case "BOOLEAN":
			c.Kind = kindTruth
		case "BYTEA":
			c.Kind = kindBytes
		default:
			err = fmt.Errorf("column %s.%s has type %s", table, c.Name, declared)
		}
		return c, err
	}, `SELECT name, type, pk FROM pragma_table_info($1) ORDER BY cid`, table)
}

// resume does nothing: the next key of a table is one more than its highest.
func (e *sqliteEngine) resume(context.Context, *transaction, string, bool) error { return nil }
