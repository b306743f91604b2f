package store

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
)

// dump has all rows of our tables as a backup writes them, sorted.
func dump(tb testing.TB, l *Ledger) map[string][]string {
	tb.Helper()
	all := make(map[string][]string)
	var table string
	for _, line := range strings.Split(strings.TrimSpace(plain(tb, backup(tb, l))), "\n")[1:] {
		var announced backupTable
		if line[0] == '{' {
			if err := json.Unmarshal([]byte(line), &announced); err != nil {
				tb.Fatal(err)
			}
			table = announced.Table
			continue
		}
		all[table] = append(all[table], line)
	}
	for _, rows := range all {
		slices.Sort(rows)
	}
	return all
}

func backup(tb testing.TB, l *Ledger) []byte {
	tb.Helper()
	var b bytes.Buffer
	if _, err := l.Backup(tb.Context(), &b, BackupOptions{Program: "v1"}); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func plain(tb testing.TB, compressed []byte) string {
	tb.Helper()
	d, err := zstd.NewReader(bytes.NewReader(compressed))
	if err != nil {
		tb.Fatal(err)
	}
	defer d.Close()
	text, err := io.ReadAll(d)
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// testLine bounds the lines of backups that tests read.
const testLine = 1 << 20

func restore(tb testing.TB, l *Ledger, compressed []byte) error {
	tb.Helper()
	b, err := readBackup(bytes.NewReader(compressed), testLine)
	if err != nil {
		return err
	}
	defer b.Close()
	_, err = l.Restore(tb.Context(), b, BackupOptions{})
	return err
}

func rowsIn(tb testing.TB, s *Store) int64 {
	tb.Helper()
	var n int64
	for _, table := range append(tables(), "river_job") {
		some, _, err := scanOne[int64](tb.Context(), s.read, `SELECT count(*) FROM `+table)
		if err != nil {
			tb.Fatal(err)
		}
		n += some
	}
	return n
}

func TestEveryTableOfOursIsBackedUp(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s, _, _ := openLedger(t, url)
		query := `SELECT name FROM sqlite_schema WHERE type = 'table'`
		if _, ok := s.Postgres(); ok {
			query = `SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace`
		}
		names, err := collect(t.Context(), s.read, scanString, query)
		if err != nil {
			t.Fatal(err)
		}
		names = slices.DeleteFunc(names, func(name string) bool {
			switch name {
			case "tallyman_migration", "worker", "session", "request", "dossier", "dossier_part": // of one database, or of the moment
				return true
			}
			return strings.HasPrefix(name, "river_") || strings.HasPrefix(name, "sqlite_")
		})
		slices.Sort(names)
		if diff := cmp.Diff(slices.Sorted(slices.Values(tables())), names); diff != "" {
			t.Errorf("tables (-backed up +in the database):\n%s", diff)
		}
	})
}

func TestABackupIsRestoredOnEitherEngine(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, from string) {
		s, l, q := openLedger(t, from)
		tally(t, s, l, q)
		if err := s.Exec(t.Context(), `UPDATE advisory_version SET digest = '', content = '' WHERE until IS NOT NULL`); err != nil {
			t.Fatal(err) // content that was lost is empty
		}
		want := dump(t, l)
		for _, table := range tables() {
			if len(want[table]) == 0 && table != "progress" {
				t.Errorf("the test is about no row of table %s", table)
			}
		}
		compressed := backup(t, l)
		storetest.Each(t, func(t *testing.T, to string) {
			restored, keeper, queue := openLedger(t, to)
			if err := restore(t, keeper, compressed); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, dump(t, keeper)); diff != "" {
				t.Errorf("rows (-backed up +restored):\n%s", diff)
			}
			if len(queue.all) == 0 || queue.all[0].Step != release.StepIngest {
				t.Errorf("tasks: got %v, want looks at papers", queue.all)
			}
			if got := check(t, upkeep(t, keeper)); len(got) > 0 {
				t.Errorf("check after restore:\n%s", shownProblems(got))
			}
			// What comes next gets keys of its own.
			f := storetest.NewFleet(9, 60, 30)
			see(t, restored, f, 50, 52, day)
			image, _ := f.Image(benchRepository, 50, day)
			ingest(t, keeper, image, storetest.SPDX("release", f.Packages(9000)), day)
			publish(t, keeper, day, storetest.Advisory("GO-9", f.Modules[0], "9.0.0", day, critical))
			settle(t, keeper, queue)
			if got := check(t, upkeep(t, keeper)); len(got) > 0 {
				t.Errorf("check after more came:\n%s", shownProblems(got))
			}
		})
	})
}

func TestRestoreRefusesADatabaseThatHasRows(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s, l, q := openLedger(t, url)
		tally(t, s, l, q)
		before := dump(t, l)
		err := restore(t, l, backup(t, l))
		if err == nil || !strings.Contains(err.Error(), "expected a database without rows, found 1 in repository, 6 in image, ") {
			t.Errorf("got error %v, want one that names tables", err)
		}
		if diff := cmp.Diff(before, dump(t, l)); diff != "" {
			t.Errorf("rows (-before +after):\n%s", diff)
		}
	})
}

func TestRestoreRefusesWhatIsNoWholeBackupAndLeavesNothing(t *testing.T) {
	t.Parallel()
	source, l, q := openLedger(t, storetest.SQLite(t))
	tally(t, source, l, q)
	whole := backup(t, l)
	text := plain(t, whole)
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	schema, err := newestVersion()
	if err != nil {
		t.Fatal(err)
	}
	edit := func(old, replacement string) []byte {
		if !strings.Contains(text, old) {
			t.Fatalf("the backup has no %s", old)
		}
		return compress(t, strings.Replace(text, old, replacement, 1))
	}
	flipped := slices.Clone(whole)
	flipped[len(flipped)*2/3] ^= 4
	tests := map[string]struct {
		backup []byte
		want   string
	}{
		"empty":                    {nil, "not a usable backup"},
		"other file":               {[]byte(strings.Repeat("hello ", 100)), "not a usable backup"},
		"another text":             {compress(t, "hello\n"), "line 1: expected a JSON object"},
		"another object":           {compress(t, "{\"a\":1}\n"), "expected the header of a backup"},
		"newer format":             {edit(`"tallyman_backup":1`, `"tallyman_backup":2`), "expected format 1, found 2, made by program v1"},
		"newer schema":             {edit(fmt.Sprintf(`"schema":%d`, schema), `"schema":99`), "found version 99"},
		"older schema":             {edit(fmt.Sprintf(`"schema":%d`, schema), `"schema":1`), "found version 1: restore it with the program that made it (v1)"},
		"cut off in the middle":    {whole[:len(whole)/2], "not a usable backup"},
		"cut off at a line":        {compress(t, strings.Join(lines[:len(lines)/2], "")), "expected a line with sums at its end"},
		"no sums":                  {compress(t, strings.Join(lines[:len(lines)-1], "")), "expected a line with sums at its end"},
		"bit flipped":              {flipped, "not a usable backup"},
		"value changed":            {edit(`"latest"`, `"lattst"`), "expected SHA-256 "},
		"row removed":              {compress(t, strings.Join(slices.Delete(slices.Clone(lines), len(lines)-2, len(lines)-1), "")), "expected "},
		"more after the end":       {compress(t, text+"{}\n"), "found more"},
		"another frame":            {append(slices.Clone(whole), compress(t, "[]\n")...), "found more"},
		"rubbish after the end":    {append(slices.Clone(whole), "rubbish"...), "not a usable backup"},
		"unknown table":            {edit(`{"table":"image"`, `{"table":"river_job"`), `expected the rows of table image, found those of "river_job"`},
		"table with an injection":  {edit(`{"table":"image"`, `{"table":"image; DROP TABLE tag"`), `expected the rows of table image, found those of "image; DROP TABLE tag"`},
		"unknown column":           {edit(`{"name":"revision","kind":"text"}`, `{"name":"secret","kind":"text"}`), "table image: expected columns "},
		"column of another kind":   {edit(`{"name":"revision","kind":"text"}`, `{"name":"revision","kind":"bytes"}`), "table image: expected columns "},
		"unknown field":            {edit(`{"table":"image"`, `{"more":1,"table":"image"`), "unknown field"},
		"row before a table":       {compress(t, lines[0]+"[1]\n"), "expected a table before its rows"},
		"row with another width":   {compress(t, lines[0]+lines[1]+"[1]\n"), "table repository: not a usable backup: expected 8 values, found 1"},
		"value of another kind":    {compress(t, lines[0]+lines[1]+strings.Replace(lines[2], `"`+benchRepository+`"`, "7", 1)), "column name: expected a text, found 7"},
		"row that breaks a rule":   {compress(t, lines[0]+lines[1]+strings.Replace(lines[2], `"complete"`, `"perhaps"`, 1)+lines[3]), "table repository: store the rows up to line 4"},
		"row twice":                {compress(t, lines[0]+lines[1]+lines[2]+lines[2]+lines[3]), "table repository: store the rows up to line 5"},
		"line without an end":      {compress(t, lines[0]+lines[1]+"["+strings.Repeat("1,", testLine/2)), "expected at most "},
		"table a second time":      {compress(t, lines[0]+lines[1]+lines[2]+lines[1]), "expected the rows of table image"},
		"deep nesting":             {compress(t, lines[0]+lines[1]+strings.Repeat("[", testLine/2)+"\n"), "not a usable backup"},
		"huge window":              {[]byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xf8, 0x01, 0x00, 0x00}, "not a usable backup"},
		"header alone, other rows": {compress(t, lines[0]+"{}\n"), "expected the rows of table repository"},
	}
	storetest.Each(t, func(t *testing.T, url string) {
		s, l, q := openLedger(t, url)
		for name, tt := range tests {
			err := restore(t, l, tt.backup)
			if err == nil || !strings.Contains(err.Error(), tt.want) || len(err.Error()) > 2000 {
				t.Errorf("%s: got error %v, want one with %q", name, err, tt.want)
			}
			if n := rowsIn(t, s); n != 0 || len(q.all) != 0 {
				t.Fatalf("%s: left %d rows and %d tasks behind", name, n, len(q.all))
			}
		}
		if err := restore(t, l, whole); err != nil {
			t.Errorf("the whole backup: %v", err)
		}
	})
}

func compress(tb testing.TB, text string) []byte {
	tb.Helper()
	e, err := zstd.NewWriter(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return e.EncodeAll([]byte(text), nil)
}

func TestABackupIsOfOneMoment(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s, l, q := openLedger(t, url)
		tally(t, s, l, q)
		want := dump(t, l)
		// While it runs, more comes: at its first table, and after it.
		changed := 0
		var b bytes.Buffer
		if _, err := l.Backup(t.Context(), &b, BackupOptions{Progress: func(table string, _, _ int64) {
			if table == "image" || table == "package" {
				changed++
				publish(t, l, day, storetest.Advisory(fmt.Sprintf("GO-10%d", changed), "stdlib", "9.0.0", day, critical))
			}
		}}); err != nil {
			t.Fatal(err)
		}
		_, keeper, _ := openLedger(t, storetest.SQLite(t))
		if err := restore(t, keeper, b.Bytes()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, dump(t, keeper)); changed == 0 || diff != "" {
			t.Errorf("%d changes; rows (-before +backed up):\n%s", changed, diff)
		}
	})
}

func TestABackupFileIsCompleteOrNotThere(t *testing.T) {
	t.Parallel()
	s, l, q := openLedger(t, storetest.SQLite(t))
	tally(t, s, l, q)
	dir := t.TempDir()
	path := filepath.Join(dir, "tally.backup")
	if _, err := l.BackupFile(t.Context(), path, false, BackupOptions{}); err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.BackupFile(t.Context(), path, false, BackupOptions{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a file: got error %v, want that it exists", err)
	}
	// A text that PostgreSQL cannot keep ends the backup half-way.
	if err := s.Exec(t.Context(), `UPDATE verdict SET policy = CAST(x'ff' AS TEXT)`); err != nil {
		t.Fatal(err)
	}
	if _, err := l.BackupFile(t.Context(), path, true, BackupOptions{}); err == nil || !strings.Contains(err.Error(), "table verdict: row 1: column policy: expected UTF-8") {
		t.Errorf("got error %v, want one about table verdict", err)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(first, now) {
		t.Errorf("after a failure: the file is not as it was (error %v)", err)
	}
	if err := s.Exec(t.Context(), `UPDATE verdict SET policy = 'p'`); err != nil {
		t.Fatal(err)
	}
	if _, err := l.BackupFile(t.Context(), path, true, BackupOptions{}); err != nil {
		t.Errorf("by force: %v", err)
	}
	if _, err := l.BackupFile(t.Context(), dir, true, BackupOptions{}); err == nil || !strings.Contains(err.Error(), "expected no file or a regular one") {
		t.Errorf("over a folder: got error %v", err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 1 || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v and mode %v, want the backup alone, readable by its owner", files, info.Mode())
	}
}

// FuzzReadBackup reads lines as restoring does, without the database behind it.
func FuzzReadBackup(f *testing.F) {
	f.Add([]byte(`{"tallyman_backup":1,"schema":2,"program":"v1","made_at":"2026-01-01T00:00:00Z"}
{"table":"outbox","columns":[{"name":"attempts","kind":"number"},{"name":"body","kind":"bytes"},{"name":"id","kind":"text"},{"name":"sent","kind":"truth"}]}
[3,"e30A/w==","m1",true]
[null,null,null,null]
{"rows":{"outbox":2},"sha256":"5c6e93a2"}
`))
	f.Fuzz(func(t *testing.T, text []byte) {
		b := &Backup{in: bufio.NewReaderSize(bytes.NewReader(text), 64), sum: sha256.New(), most: 1000}
		if err := b.readHeader(); err != nil {
			return
		}
		var columns []column
		for {
			line, err := b.next()
			if err != nil {
				return
			}
			if len(line) > b.most {
				t.Fatalf("line %d has %d bytes, expected at most %d", b.line, len(line), b.most)
			}
			if line[0] == '{' {
				if announced, err := decodeLine[backupTable](line); err == nil {
					columns = announced.Columns
				} else if err := b.end(line, nil); err == nil {
					t.Fatal("took a backup without tables")
				}
				continue
			}
			values, err := decodeRow(line, columns)
			if err == nil && len(values) != len(columns) {
				t.Fatalf("got %d values of %d columns", len(values), len(columns))
			}
			for i, v := range values {
				holdToKind(t, v, columns[i].Kind)
			}
		}
	})
}

func holdToKind(t *testing.T, value any, k kind) {
	t.Helper()
	ok := value == nil
	switch value.(type) {
	case string:
		ok = k == kindText
	case int64:
		ok = k == kindNumber
	case bool:
		ok = k == kindTruth
	case []byte:
		ok = k == kindBytes
	}
	if !ok {
		t.Errorf("a %s came as %T", k, value)
	}
}
