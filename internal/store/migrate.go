package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/tallyman-io/tallyman/internal/release"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// version is one numbered step of our schema.
type version struct {
	number   int
	up, down string
}

// versions reads the embedded steps, oldest first. A file that is misnamed or
// lacks its pair is a mistake of ours that every test meets.
func versions() ([]version, error) {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	byNumber := map[int]*version{}
	for _, name := range names {
		base := strings.TrimPrefix(name, "migrations/")
		digits, _, _ := strings.Cut(base, "_")
		number, err := strconv.Atoi(digits)
		if err != nil {
			return nil, fmt.Errorf("migration %s: expected a number and an underscore first", base)
		}
		text, err := migrationFiles.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read migration %s: %w", base, err)
		}
		v := byNumber[number]
		if v == nil {
			v = &version{number: number}
			byNumber[number] = v
		}
		if strings.HasSuffix(base, ".up.sql") {
			v.up = string(text)
		} else {
			v.down = string(text)
		}
	}
	var all []version
	for _, v := range byNumber {
		if v.up == "" || v.down == "" {
			return nil, fmt.Errorf("migration %d: expected an up and a down file", v.number)
		}
		all = append(all, *v)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].number < all[j].number })
	return all, nil
}

// migration moves the schemas of both the tally and the job queue, the whole way
// in one direction.
type migration struct {
	// remove takes everything back instead.
	remove   bool
	versions []version
	// queue is the schema of the job queue, nil to leave it as it is.
	queue QueueSchema
	// words are what an engine puts for the {{words}} of a step.
	words *strings.Replacer
	now   int64
}

// run does our steps and the queue's in an order that removing reverses.
func (m migration) run(ours, queue func() error) error {
	if m.queue == nil {
		return ours()
	}
	first, second := ours, queue
	if m.remove {
		first, second = queue, ours
	}
	if err := first(); err != nil {
		return err
	}
	return second()
}

// ours moves the schema of the tally in one transaction.
func (m migration) ours(ctx context.Context, tx *sql.Tx) error {
	if _, err := tx.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS tallyman_migration (
		version    INTEGER NOT NULL PRIMARY KEY,
		applied_at BIGINT  NOT NULL
	)`); err != nil {
		return fmt.Errorf("create the table of migrations: %w", err)
	}
	var have int
	if err := tx.QueryRowContext(ctx, `SELECT coalesce(max(version), 0) FROM tallyman_migration`).Scan(&have); err != nil {
		return fmt.Errorf("read the schema version: %w", err)
	}
	if m.remove {
		return m.down(ctx, tx, have)
	}
	return m.up(ctx, tx, have)
}

func (m migration) up(ctx context.Context, tx *sql.Tx, have int) error {
	for _, v := range m.versions {
		if v.number <= have {
			continue
		}
		if _, err := tx.ExecContext(ctx, m.words.Replace(v.up)); err != nil {
			return fmt.Errorf("migrate the schema up to version %d: %w", v.number, err)
		}
		if v.number == accountsVersion {
			if err := fillAccounts(ctx, tx); err != nil {
				return fmt.Errorf("migrate the schema up to version %d: %w", v.number, err)
			}
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO tallyman_migration (version, applied_at) VALUES ($1, $2)`, v.number, m.now); err != nil {
			return fmt.Errorf("record schema version %d: %w", v.number, err)
		}
	}
	return nil
}

// accountsVersion is the version of the schema that puts releases and names in order.
const accountsVersion = 3

// fillAccounts puts in what no statement of SQL could, of releases and packages that are
// there already.
func fillAccounts(ctx context.Context, tx *sql.Tx) error {
	releases, err := collect(ctx, tx, func(rows *sql.Rows) (r [2]string, err error) {
		err = rows.Scan(&r[0], &r[1])
		return r, err
	}, `SELECT repository, version FROM release`)
	if err != nil {
		return fmt.Errorf("read releases: %w", err)
	}
	for _, r := range releases {
		if _, err := tx.ExecContext(ctx, `UPDATE release SET precedence = $1, prerelease = $2 WHERE repository = $3 AND version = $4`,
			release.Precedence(r[1]), release.IsPrerelease(r[1]), r[0], r[1]); err != nil {
			return fmt.Errorf("put %s of %s in order: %w", r[1], r[0], err)
		}
	}
	if err := fillStates(ctx, tx); err != nil {
		return err
	}
	names, err := collect(ctx, tx, func(rows *sql.Rows) (name string, err error) {
		err = rows.Scan(&name)
		return name, err
	}, `SELECT DISTINCT name FROM package`)
	if err != nil {
		return fmt.Errorf("read packages: %w", err)
	}
	for _, name := range names {
		if _, err := tx.ExecContext(ctx, `UPDATE package SET folded = $1 WHERE name = $2`, folded(name), name); err != nil {
			return fmt.Errorf("put package %s in order: %w", name, err)
		}
	}
	return nil
}

func fillStates(ctx context.Context, tx *sql.Tx) error {
	type row struct {
		key    int64
		digest release.Digest
		release.Evidence
	}
	rows, err := collect(ctx, tx, func(rows *sql.Rows) (r row, err error) {
		err = rows.Scan(&r.key, &r.digest, &r.Subject, &r.Kind, &r.On, &r.State)
		return r, err
	}, `SELECT e.id, e.digest, p.subject, p.kind, p.place, p.state FROM examination e JOIN evidence p ON p.examination_id = e.id ORDER BY e.id, p.position`)
	if err != nil {
		return fmt.Errorf("read evidence: %w", err)
	}
	for len(rows) > 0 {
		var pieces []release.Evidence
		n := 0
		for n < len(rows) && rows[n].key == rows[0].key {
			pieces = append(pieces, rows[n].Evidence)
			n++
		}
		if _, err := tx.ExecContext(ctx, `UPDATE examination SET states = $1 WHERE id = $2`, statesOf(rows[0].digest, pieces), rows[0].key); err != nil {
			return fmt.Errorf("store the states of image %s: %w", rows[0].digest, err)
		}
		rows = rows[n:]
	}
	return nil
}

func (m migration) down(ctx context.Context, tx *sql.Tx, have int) error {
	for _, v := range slices.Backward(m.versions) {
		if v.number > have {
			continue
		}
		if _, err := tx.ExecContext(ctx, m.words.Replace(v.down)); err != nil {
			return fmt.Errorf("migrate the schema down from version %d: %w", v.number, err)
		}
	}
	if _, err := tx.ExecContext(ctx, `DROP TABLE tallyman_migration`); err != nil {
		return fmt.Errorf("drop the table of migrations: %w", err)
	}
	return nil
}

// migrateUp brings the schema up to date. When it already is, which is the
// common start, that is found out without a lock.
func (s *Store) migrateUp(ctx context.Context) error {
	all, err := versions()
	if err != nil {
		return err
	}
	have, err := s.schemaVersion(ctx)
	if err != nil {
		return err
	}
	know := all[len(all)-1].number
	riverHave, riverKnow, err := s.queueVersions(ctx)
	if err != nil {
		return fmt.Errorf("read the schema version of the job queue: %w", err)
	}
	switch {
	case have > know:
		return fmt.Errorf("database has schema version %d, this program knows versions up to %d: run the program that made it, or a newer one", have, know)
	case riverHave > riverKnow:
		return fmt.Errorf("database has job queue schema version %d, this program knows versions up to %d: run the program that made it, or a newer one", riverHave, riverKnow)
	case have == know && riverHave == riverKnow:
		return nil
	}
	return s.engine.migrate(ctx, migration{versions: all, queue: s.queue, now: micros(s.now())})
}

// migrateDown removes both schemas and all data.
func (s *Store) migrateDown(ctx context.Context) error {
	all, err := versions()
	if err != nil {
		return err
	}
	return s.engine.migrate(ctx, migration{remove: true, versions: all, queue: s.queue, now: micros(s.now())})
}

// schemaVersion returns the version of our schema, 0 for an empty database.
func (s *Store) schemaVersion(ctx context.Context) (int, error) {
	exists, err := s.engine.tableExists(ctx, "tallyman_migration")
	if err != nil {
		return 0, fmt.Errorf("look for the table of migrations: %w", err)
	}
	if !exists {
		return 0, nil
	}
	var have int
	if err := s.write.QueryRowContext(ctx, `SELECT coalesce(max(version), 0) FROM tallyman_migration`).Scan(&have); err != nil {
		return 0, fmt.Errorf("read the schema version: %w", err)
	}
	return have, nil
}

// queueVersions returns the newest version of the schema of the job queue that the
// database has, 0 when it has none, and that this program knows. Both are 0 in a program
// that runs no jobs. The table is asked, not the schema, which would fail on a version
// that it does not know, so that the failure can be explained.
func (s *Store) queueVersions(ctx context.Context) (have, know int, err error) {
	if s.queue == nil {
		return 0, 0, nil
	}
	if know, err = s.engine.knownQueue(s.queue); err != nil {
		return 0, 0, err
	}
	exists, err := s.engine.tableExists(ctx, "river_migration")
	if err != nil || !exists {
		return 0, know, err
	}
	err = s.write.QueryRowContext(ctx, `SELECT coalesce(max(version), 0) FROM river_migration`).Scan(&have)
	return have, know, err
}
