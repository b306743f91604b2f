package store

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
)

func TestReadersKeepTheStatementsThatTheyPrepared(t *testing.T) {
	t.Parallel()
	db, err := openKeeping(sqliteDSN(filepath.Join(t.TempDir(), "t.db")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	kept := func() (texts map[string]bool) {
		t.Helper()
		if err := conn.Raw(func(c any) error {
			k, ok := c.(*keepingConn)
			if !ok {
				return fmt.Errorf("got %T", c)
			}
			texts = make(map[string]bool)
			for text := range k.kept {
				texts[text] = true
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return texts
	}
	read := func(query string, args ...any) int {
		t.Helper()
		var n int
		if err := conn.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
		return n
	}

	const echo = `SELECT ?`
	for _, want := range []int{1, 2} { // what was bound before is not seen
		if got := read(echo, want); got != want {
			t.Errorf("got %d, want %d", got, want)
		}
	}
	if got := kept(); len(got) != 1 || !got[echo] {
		t.Errorf("kept: got %v, want the one statement", got)
	}

	// The same text, while the rows of it are read.
	const values = `SELECT value FROM json_each('[1, 2, 3]') WHERE value > ?`
	each := func(above int, do func(n int)) {
		t.Helper()
		rows, err := conn.QueryContext(t.Context(), values, above)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var n int
			if err := rows.Scan(&n); err != nil {
				t.Fatal(err)
			}
			do(n)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	sum := 0
	each(0, func(n int) { each(n, func(m int) { sum += 10*n + m }) })
	if want := 12 + 13 + 23; sum != want {
		t.Errorf("nested reads: got %d, want %d", sum, want)
	}

	if err := conn.QueryRowContext(t.Context(), `SELECT nothing FROM nowhere`).Scan(new(int)); err == nil {
		t.Error("a statement that cannot be prepared: got no error")
	}
	for i := range keptStatements {
		read(fmt.Sprintf(`SELECT %d`, i))
	}
	if got := kept(); len(got) != keptStatements || got[echo] || !got[fmt.Sprintf(`SELECT %d`, keptStatements-1)] {
		t.Errorf("kept after %d others: %d, the first among them: %t; want the last %d", keptStatements, len(got), got[echo], keptStatements)
	}
}

func TestReadersSeeASchemaThatChanges(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "t.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	for i, change := range []string{`CREATE TABLE scratch (a INTEGER)`, `INSERT INTO scratch VALUES (1)`, `ALTER TABLE scratch ADD COLUMN b INTEGER`, `DROP TABLE scratch`} {
		if _, err := s.write.ExecContext(t.Context(), change); err != nil {
			t.Fatalf("%s: %v", change, err)
		}
		columns, err := columnsOf(t, s)
		if want := 1 + i/2; i < 3 && (err != nil || columns != want) || i == 3 && err == nil {
			t.Errorf("%s: got %d columns, %v; want %d, and an error of what is gone", change, columns, err, want)
		}
	}
}

func columnsOf(t *testing.T, s *Store) (int, error) {
	t.Helper()
	rows, err := s.read.QueryContext(t.Context(), `SELECT * FROM scratch`)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	return len(columns), errors.Join(err, rows.Err())
}
