package store

import (
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
			for text := range k.byText {
				texts[text] = true
			}
			if len(texts) != k.order.Len() {
				return fmt.Errorf("%d by text, %d in order", len(texts), k.order.Len())
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

	outer, err := conn.QueryContext(t.Context(), `SELECT value FROM json_each('[1, 2, 3]') WHERE value > ?`, 0)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for outer.Next() {
		var n int
		if err := outer.Scan(&n); err != nil {
			t.Fatal(err)
		}
		// The same text, while the rows of it are read.
		sum += n * read(`SELECT count(*) FROM (SELECT value FROM json_each('[1, 2, 3]') WHERE value > ?)`, 0)
		inner, err := conn.QueryContext(t.Context(), `SELECT value FROM json_each('[1, 2, 3]') WHERE value > ?`, 2)
		if err != nil {
			t.Fatal(err)
		}
		for inner.Next() {
			sum += 100
		}
		if err := inner.Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := outer.Err(); err != nil || sum != 3*(1+2+3)+3*100 {
		t.Errorf("nested reads: got %d, %v; want %d", sum, err, 3*(1+2+3)+3*100)
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
		rows, err := s.read.QueryContext(t.Context(), `SELECT * FROM scratch`)
		if i == 3 {
			if err == nil {
				t.Errorf("%s: the table is still read: %v", change, rows.Close())
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", change, err)
		}
		columns, err := rows.Columns()
		if want := 1 + i/2; err != nil || len(columns) != want {
			t.Errorf("%s: got columns %v, %v; want %d", change, columns, err, want)
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
