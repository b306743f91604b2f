package store

import (
	"database/sql"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/store/storetest"
)

// A database from before the columns for reading has them filled when it is migrated.
func TestWhatIsKeptForReadingIsPutIntoADatabaseFromBefore(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s, l, q := openLedger(t, url)
		tally(t, s, l, q)
		const kept = `SELECT 'release ' || version, precedence, '' FROM release UNION ALL SELECT 'package ' || purl, folded, '' FROM package
			UNION ALL SELECT 'image ' || digest, NULL, states FROM examination ORDER BY 1`
		type row struct {
			Name, Text string
			Bytes      []byte
		}
		read := func() []row {
			all, err := collect(t.Context(), s.read, func(rows *sql.Rows) (r row, err error) {
				err = rows.Scan(&r.Name, &r.Bytes, &r.Text)
				return r, err
			}, kept)
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		want := read()
		for _, statement := range []string{
			`UPDATE release SET precedence = NULL`, `UPDATE package SET folded = NULL`, `UPDATE examination SET states = '{}'`,
		} {
			if err := s.Exec(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		if cmp.Equal(want, read()) {
			t.Fatal("the test is about nothing: nothing was taken away")
		}
		if err := within(t.Context(), s.write, nil, func(tx *sql.Tx) error { return fillAccounts(t.Context(), tx) }); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, read()); diff != "" {
			t.Errorf("what is kept for reading (-as it was written +as it was filled in):\n%s", diff)
		}
	})
}
