package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// ErrNotThere says that no tally is kept in the database.
var ErrNotThere = errors.New("no tally is kept there")

// Attach is [Open] for those who look at a database as it is: it creates nothing, and
// refuses a schema that is another than this program's, older or newer.
func Attach(ctx context.Context, url string, opts Options) (*Store, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.MaxConnections == 0 {
		opts.MaxConnections = fewConnections()
	}
	t, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	if t.sqlitePath != "" {
		if _, err := os.Stat(t.sqlitePath); errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("open SQLite file %s: %w: the file does not exist", t.sqlitePath, ErrNotThere)
		}
	}
	s, err := connect(ctx, url, opts)
	if err != nil {
		return nil, err
	}
	if err := s.sameSchema(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) sameSchema(ctx context.Context) error {
	know, err := newestVersion()
	if err != nil {
		return err
	}
	have, err := s.schemaVersion(ctx)
	if err != nil {
		return err
	}
	riverHave, riverKnow, err := s.queueVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the schema version of the job queue: %w", err)
	}
	switch {
	case have == 0:
		return fmt.Errorf("%w: the database has none of its tables", ErrNotThere)
	case have != know:
		return differentSchema("schema", have, know)
	case riverHave != riverKnow:
		return differentSchema("job queue schema", riverHave, riverKnow)
	}
	return nil
}

func differentSchema(what string, have, know int) error {
	advice := "use the program that made it, or a newer one"
	if have < know {
		advice = "use the program that made it, or have this one's service bring it up to date first"
	}
	return fmt.Errorf("database has %s version %d, expected version %d: %s", what, have, know, advice)
}

// newestVersion is the version of our schema that this program makes.
func newestVersion() (int, error) {
	all, err := versions()
	if err != nil {
		return 0, err
	}
	return all[len(all)-1].number, nil
}
