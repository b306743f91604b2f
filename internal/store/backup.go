package store

import (
	"bufio"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
)

// A backup is a text in lines, compressed with Zstandard. The first line is a
// [BackupHeader]. For each of our tables, in their order, follow a backupTable and the
// rows: JSON arrays with the values of its columns, bytes as base64, unknown values as
// null. The last line is a backupTrailer.

// backupFormat numbers the form of the lines.
const backupFormat = 1

// maxLine bounds a line of a backup, in bytes. A document is one line; what is taken
// from registries is far smaller.
const maxLine = 128 << 20

// BackupHeader says what a backup is of.
type BackupHeader struct {
	Format int `json:"tallyman_backup"`
	// Schema is the version of the schema that the rows are of.
	Schema int `json:"schema"`
	// Program is the version of the program that made it.
	Program string    `json:"program"`
	MadeAt  time.Time `json:"made_at"`
}

// backupTable announces the rows of a table.
type backupTable struct {
	Table   string   `json:"table"`
	Columns []column `json:"columns"`
}

// backupTrailer vouches for the lines before it.
type backupTrailer struct {
	// Rows counts those of each table.
	Rows map[string]int64 `json:"rows"`
	// SHA256 is of all bytes before this line, uncompressed.
	SHA256 string `json:"sha256"`
}

func (t backupTrailer) total() int64 {
	var n int64
	for _, rows := range t.Rows {
		n += rows
	}
	return n
}

// BackupOptions say how to back up and restore.
type BackupOptions struct {
	// Program is the version of this program.
	Program string
	// Progress is told how many rows of a table are through, when not nil. A total of 0
	// is not known.
	Progress func(table string, done, total int64)
	// Evidence is how long a look at papers counts: see [Ledger.EnqueueDue].
	Evidence time.Duration
}

func (o *BackupOptions) progress(table string, done, total int64) {
	if o.Progress != nil {
		o.Progress(table, done, total)
	}
}

// progressEvery is how many rows pass between two reports of progress.
const progressEvery = 1000

// Backup writes all of our tables, as they are at one moment, whatever changes them
// meanwhile. It returns how many rows these have. The jobs of the queue and the leases
// of processes are left out.
func (l *Ledger) Backup(ctx context.Context, w io.Writer, opts BackupOptions) (rows int64, err error) {
	compressed, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	if err != nil {
		return 0, fmt.Errorf("back up: set up compression: %w", err)
	}
	b := newBackupWriter(compressed)
	if err := l.view(ctx, func(tx *transaction) error { return l.backup(ctx, tx, b, opts) }); err != nil {
		return 0, fmt.Errorf("back up: %w", err)
	}
	if err := b.out.Flush(); err != nil {
		return 0, fmt.Errorf("back up: write: %w", err)
	}
	if err := compressed.Close(); err != nil {
		return 0, fmt.Errorf("back up: write: %w", err)
	}
	return b.trailer.total(), nil
}

// backupWriter writes lines and keeps the sum of them.
type backupWriter struct {
	out     *bufio.Writer
	sum     hash.Hash
	encoder *json.Encoder
	trailer backupTrailer
}

func newBackupWriter(w io.Writer) *backupWriter {
	b := &backupWriter{out: bufio.NewWriterSize(w, 1<<16), sum: sha256.New()}
	b.encoder = json.NewEncoder(b)
	b.encoder.SetEscapeHTML(false)
	b.trailer.Rows = make(map[string]int64)
	return b
}

// Write takes a line from the encoder.
func (b *backupWriter) Write(p []byte) (int, error) {
	if len(p) > maxLine {
		return 0, fmt.Errorf("expected a row of at most %d bytes, found %d", maxLine, len(p))
	}
	b.sum.Write(p)
	return b.out.Write(p) //nolint:wrapcheck // a writer
}

func (l *Ledger) backup(ctx context.Context, tx *transaction, b *backupWriter, opts BackupOptions) error {
	schema, err := newestVersion()
	if err != nil {
		return err
	}
	if err := b.encoder.Encode(BackupHeader{Format: backupFormat, Schema: schema, Program: opts.Program, MadeAt: l.now().UTC()}); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	for _, table := range tables() {
		if err := l.backupTable(ctx, tx, b, table, opts); err != nil {
			return fmt.Errorf("table %s: %w", table, err)
		}
	}
	b.trailer.SHA256 = hex.EncodeToString(b.sum.Sum(nil))
	if err := b.encoder.Encode(b.trailer); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

func (l *Ledger) backupTable(ctx context.Context, tx *transaction, b *backupWriter, table string, opts BackupOptions) error {
	columns, err := l.tableColumns(ctx, tx, table)
	if err != nil {
		return err
	}
	if err := b.encoder.Encode(backupTable{table, columns}); err != nil {
		return err
	}
	total, _, err := scanOne[int64](ctx, tx, `SELECT count(*) FROM `+table)
	if err != nil {
		return err
	}
	rows, err := tx.QueryContext(ctx, `SELECT `+strings.Join(columnNames(columns), ", ")+` FROM `+table+
		` ORDER BY `+strings.Join(primaryKey(columns), ", "))
	if err != nil {
		return err
	}
	defer rows.Close()
	r := newRowReader(columns)
	var n int64
	for ; rows.Next(); n++ {
		values, err := r.read(rows)
		if err != nil {
			return fmt.Errorf("row %d: %w", n+1, err)
		}
		if err := b.encoder.Encode(values); err != nil {
			return fmt.Errorf("row %d: %w", n+1, err)
		}
		if n%progressEvery == 0 {
			opts.progress(table, n, total)
		}
	}
	b.trailer.Rows[table] = n
	opts.progress(table, n, n)
	return rows.Err()
}

func columnNames(columns []column) []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.Name
	}
	return names
}

// rowReader reads the values of rows, whatever types the driver has for them.
type rowReader struct {
	columns []column
	into    []any
	values  []any
}

func newRowReader(columns []column) *rowReader {
	r := &rowReader{columns: columns, into: make([]any, len(columns)), values: make([]any, len(columns))}
	for i, c := range columns {
		switch c.Kind {
		case kindText:
			r.into[i] = new(sql.NullString)
		case kindNumber:
			r.into[i] = new(sql.NullInt64)
		case kindTruth:
			r.into[i] = new(sql.NullBool)
		case kindBytes:
			r.into[i] = new(any) // which tells empty bytes from none
		}
	}
	return r
}

// read returns values that are valid until the next call.
func (r *rowReader) read(rows *sql.Rows) ([]any, error) {
	if err := rows.Scan(r.into...); err != nil {
		return nil, err //nolint:wrapcheck // the caller knows the row
	}
	for i, into := range r.into {
		r.values[i] = nil
		switch v := into.(type) {
		case *sql.NullString:
			// JSON has no way to write other texts, and PostgreSQL none to keep them.
			if !utf8.ValidString(v.String) || strings.ContainsRune(v.String, 0) {
				return nil, fmt.Errorf("column %s: expected UTF-8 without NUL, found %q", r.columns[i].Name, clip(v.String))
			}
			if v.Valid {
				r.values[i] = v.String
			}
		case *sql.NullInt64:
			if v.Valid {
				r.values[i] = v.Int64
			}
		case *sql.NullBool:
			if v.Valid {
				r.values[i] = v.Bool
			}
		case *any:
			switch content := (*v).(type) {
			case []byte:
				if content == nil {
					content = []byte{} // null is another value
				}
				r.values[i] = content
			case string: // SQLite keeps what was put in
				r.values[i] = []byte(content)
			}
		}
	}
	return r.values, nil
}
