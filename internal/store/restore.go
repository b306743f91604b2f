package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Restore puts the rows of a backup into a database that has none, all of them or, when
// anything is wrong with the backup, none. What is due is queued. It returns how many
// rows there were.
func (l *Ledger) Restore(ctx context.Context, b *Backup, opts BackupOptions) (rows int64, err error) {
	know, err := newestVersion()
	if err != nil {
		return 0, fmt.Errorf("restore: %w", err)
	}
	if b.Header.Schema != know {
		advice := "restore it with a program of that version"
		if b.Header.Schema < know {
			advice = fmt.Sprintf("restore it with the program that made it (%s) into an empty database, which this one then brings up to date", clip(b.Header.Program))
		}
		return 0, fmt.Errorf("restore: expected a backup of schema version %d, found version %d: %s", know, b.Header.Schema, advice)
	}
	err = l.change(ctx, func(tx *transaction) error {
		if err := l.engine.lockMatching(ctx, tx, matchingAdvisories); err != nil {
			return err
		}
		if err := mustBeEmpty(ctx, tx); err != nil {
			return err
		}
		r := &restorer{l: l, tx: tx, from: b, opts: opts, rows: make(map[string]int64)}
		if err := r.restore(ctx); err != nil {
			return err
		}
		rows = r.total
		return r.wake(ctx)
	})
	if err != nil {
		return 0, fmt.Errorf("restore: %w", err)
	}
	return rows, nil
}

func mustBeEmpty(ctx context.Context, tx *transaction) error {
	var found []string
	for _, table := range tables() {
		n, _, err := scanOne[int64](ctx, tx, `SELECT count(*) FROM `+table)
		if err != nil {
			return fmt.Errorf("count the rows of table %s: %w", table, err)
		}
		if n > 0 {
			found = append(found, fmt.Sprintf("%d in %s", n, table))
		}
	}
	if len(found) > 0 {
		return fmt.Errorf("expected a database without rows, found %s", strings.Join(found, ", "))
	}
	return nil
}

// restorer reads a backup into one transaction.
type restorer struct {
	l     *Ledger
	tx    *transaction
	from  *Backup
	opts  BackupOptions
	rows  map[string]int64
	total int64
	// pending are rows of the table to insert, and about how many bytes they have.
	table   string
	columns []column
	pending [][]any
	bytes   int
}

// bytesAtOnce bounds the rows of one statement; one row may have more.
const bytesAtOnce = 4 << 20

func (r *restorer) restore(ctx context.Context) error {
	left := tables()
	for {
		line, err := r.from.next()
		if err != nil {
			return err
		}
		if line[0] == '[' {
			if err := r.row(ctx, line); err != nil {
				return fmt.Errorf("line %d: %w", r.from.line, err)
			}
			continue
		}
		if err := r.flush(ctx); err != nil {
			return err
		}
		if len(left) == 0 {
			return r.from.end(line, r.rows)
		}
		if err := r.begin(ctx, line, left[0]); err != nil {
			return fmt.Errorf("line %d: %w", r.from.line, err)
		}
		left = left[1:]
	}
}

// begin takes the line that announces the rows of a table.
func (r *restorer) begin(ctx context.Context, line []byte, expected string) error {
	announced, err := decodeLine[backupTable](line)
	if err != nil {
		return err
	}
	if announced.Table != expected {
		return fmt.Errorf("expected the rows of table %s, found those of %q", expected, clip(announced.Table))
	}
	columns, err := r.l.tableColumns(ctx, r.tx, expected)
	if err != nil {
		return err
	}
	shown := func(all []column) string {
		parts := make([]string, len(all))
		for i, c := range all {
			parts[i] = c.Name + " (" + string(c.Kind) + ")"
		}
		return strings.Join(parts, ", ")
	}
	if want, have := shown(columns), shown(announced.Columns); want != have {
		return fmt.Errorf("table %s: expected columns %s, found %s", expected, want, clip(have))
	}
	r.table, r.columns = expected, columns
	r.rows[expected] = 0
	r.opts.progress(expected, 0, 0)
	return nil
}

func (r *restorer) row(ctx context.Context, line []byte) error {
	if r.table == "" {
		return fmt.Errorf("expected a table before its rows, found a row")
	}
	values, err := decodeRow(line, r.columns)
	if err != nil {
		return fmt.Errorf("table %s: %w", r.table, err)
	}
	r.pending = append(r.pending, values)
	r.bytes += len(line)
	r.rows[r.table]++
	r.total++
	if r.rows[r.table]%progressEvery == 0 {
		r.opts.progress(r.table, r.rows[r.table], 0)
	}
	if len(r.pending) == batch || r.bytes >= bytesAtOnce {
		return r.flush(ctx)
	}
	return nil
}

func (r *restorer) flush(ctx context.Context) error {
	if len(r.pending) == 0 {
		return nil
	}
	err := bulk(ctx, r.tx, `INSERT INTO `+r.table+` (`+strings.Join(columnNames(r.columns), ", ")+`)`, "", r.pending)
	if err != nil {
		return fmt.Errorf("table %s: store the rows up to line %d: %w", r.table, r.from.line, err)
	}
	clear(r.pending)
	r.pending, r.bytes = r.pending[:0], 0
	return nil
}

// wake has the engine and the queue go on from what was restored.
func (r *restorer) wake(ctx context.Context) error {
	for _, table := range tables() {
		columns, err := r.l.tableColumns(ctx, r.tx, table)
		if err != nil {
			return err
		}
		counted := slices.ContainsFunc(columns, func(c column) bool { return c.Name == "id" && c.Kind == kindNumber })
		if err := r.l.engine.resume(ctx, r.tx, table, counted); err != nil {
			return fmt.Errorf("take in table %s: %w", table, err)
		}
	}
	repositories, err := watched(ctx, r.tx)
	if err != nil {
		return fmt.Errorf("read repositories: %w", err)
	}
	due, err := r.l.due(ctx, r.tx, repositories, r.opts.Evidence)
	if err != nil {
		return fmt.Errorf("find what is due: %w", err)
	}
	return r.l.queue.Enqueue(ctx, r.tx.Tx, due...)
}
