package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// integrity asks for indexes and constraints that do not hold what they promise. What
// else is damaged shows as an error when all rows are read.
func (e *postgresEngine) integrity(ctx context.Context, tx *transaction) ([]Problem, error) {
	return collect(ctx, tx, func(rows *sql.Rows) (p Problem, err error) {
		err = rows.Scan(&p.What, &p.Where, &p.Expected, &p.Found)
		return p, err
	}, `SELECT 'index', c.relname::text, 'one that is valid', 'one that is not: REINDEX INDEX ' || quote_ident(c.relname)
		FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
		WHERE c.relnamespace = current_schema()::regnamespace AND NOT (i.indisvalid AND i.indisready)
		UNION ALL
		SELECT 'constraint', k.conrelid::regclass::text || ' ' || k.conname, 'one that all rows were held to', 'one that was not validated'
		FROM pg_constraint k WHERE k.connamespace = current_schema()::regnamespace AND NOT k.convalidated`)
}

// references looks for rows whose foreign keys name nothing: with its triggers disabled,
// as some tools that copy databases do, PostgreSQL lets them in.
func (e *postgresEngine) references(ctx context.Context, tx *transaction) ([]Problem, error) {
	type key struct {
		table, parent    string
		columns, parents string
	}
	keys, err := collect(ctx, tx, func(rows *sql.Rows) (k key, err error) {
		err = rows.Scan(&k.table, &k.parent, &k.columns, &k.parents)
		return k, err
	}, `SELECT k.conrelid::regclass::text, k.confrelid::regclass::text,
			(SELECT string_agg(quote_ident(a.attname), ',' ORDER BY n) FROM unnest(k.conkey) WITH ORDINALITY u(number, n)
				JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number),
			(SELECT string_agg(quote_ident(a.attname), ',' ORDER BY n) FROM unnest(k.confkey) WITH ORDINALITY u(number, n)
				JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number)
		FROM pg_constraint k WHERE k.contype = 'f' AND k.connamespace = current_schema()::regnamespace ORDER BY k.conrelid::regclass::text, k.conname`)
	if err != nil {
		return nil, err
	}
	var problems []Problem
	for _, k := range keys {
		var on, set []string
		columns, parents := strings.Split(k.columns, ","), strings.Split(k.parents, ",")
		for i := range columns {
			on = append(on, "p."+parents[i]+" = c."+columns[i])
			set = append(set, "c."+columns[i]+" IS NOT NULL")
		}
		n, _, err := scanOne[int64](ctx, tx, fmt.Sprintf(`SELECT count(*) FROM %s c WHERE %s AND NOT EXISTS (SELECT 1 FROM %s p WHERE %s)`,
			k.table, strings.Join(set, " AND "), k.parent, strings.Join(on, " AND ")))
		if err != nil {
			return nil, err
		}
		if n > 0 {
			problems = append(problems, Problem{"reference", k.table + " (" + k.columns + ")", "rows of " + k.parent, fmt.Sprintf("none for %d of them", n)})
		}
	}
	return problems, nil
}

// argument is the text of an argument of a job j.
func (e *postgresEngine) argument(name string) string { return `(j.args->>'` + name + `')` }

// columns reads the columns of a table, in their order, and those of its primary key.
func (e *postgresEngine) columns(ctx context.Context, tx *transaction, table string) ([]column, error) {
	return collect(ctx, tx, func(rows *sql.Rows) (c column, err error) {
		var declared string
		if err = rows.Scan(&c.Name, &declared, &c.key); err != nil {
			return c, err
		}
		switch declared {
		case "text":
			c.Kind = kindText
		case "int4", "int8":
			c.Kind = kindNumber
		case "bool":
			c.Kind = kindTruth
		case "bytea":
			c.Kind = kindBytes
		default:
			err = fmt.Errorf("column %s.%s has type %s", table, c.Name, declared)
		}
		return c, err
	}, `SELECT a.attname::text, t.typname::text, coalesce(array_position(i.indkey::int2[], a.attnum), -1) + 1
		FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
		LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
		WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`, table)
}

// resume also has PostgreSQL look at what the table holds now: until it does by itself,
// it plans as if the table were empty.
func (e *postgresEngine) resume(ctx context.Context, tx *transaction, table string, counted bool) error {
	if counted {
		if _, err := tx.ExecContext(ctx, fmt.Sprintf(`SELECT setval(pg_get_serial_sequence('%[1]s', 'id'), max(id)) FROM %[1]s HAVING max(id) IS NOT NULL`, table)); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, `ANALYZE `+table)
	return err
}
