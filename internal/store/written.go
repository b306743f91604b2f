package store

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"slices"
)

// writtenAdvisory is a row of table advisory, and all that hangs on it.
type writtenAdvisory struct {
	key        int64
	feed, name string
	columns    advisoryColumns
	gone       sql.NullInt64
	versions   []writtenVersion
	names      []string // of table advisory_alias, shown
}

// advisoryColumns are those that are derived from the version that counts.
type advisoryColumns struct {
	digest                         string
	published, modified, withdrawn sql.NullInt64
	summary, aliases, upstream     string
	own                            string
}

// writtenVersion is a row of table advisory_version.
type writtenVersion struct {
	key                            int64
	digest                         string
	published, modified, withdrawn sql.NullInt64
	first                          int64
	until                          sql.NullInt64
	content                        []byte
	affected                       []writtenEntry
}

// writtenEntry is a row of table affected.
type writtenEntry struct {
	position                   int
	advisory                   int64
	family, subject, ecosystem string
	counts                     bool
	entry                      []byte
}

func (e *writtenEntry) equal(o *writtenEntry) bool {
	return e.position == o.position && e.advisory == o.advisory && e.family == o.family && e.subject == o.subject &&
		e.ecosystem == o.ecosystem && e.counts == o.counts && bytes.Equal(e.entry, o.entry)
}

func (e *writtenEntry) String() string {
	return fmt.Sprintf("entry %d of advisory %d (%s %s in %s, counts %t, %s)", e.position, e.advisory, e.family, e.subject, e.ecosystem, e.counts, digestOf(e.entry)[:19])
}

func readWritten(ctx context.Context, tx *transaction, after int64) ([]writtenAdvisory, error) {
	all, err := collect(ctx, tx, func(rows *sql.Rows) (a writtenAdvisory, err error) {
		c := &a.columns
		err = rows.Scan(&a.key, &a.feed, &a.name, &c.digest, &c.published, &c.modified, &c.withdrawn, &a.gone, &c.summary, &c.aliases, &c.upstream, &c.own)
		return a, err
	}, `SELECT id, feed, name, digest, published, modified, withdrawn, gone_at, summary, aliases, upstream, own
		FROM advisory WHERE id > $1 ORDER BY id LIMIT $2`, after, advisoriesAtOnce)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	at := make(map[int64]*writtenAdvisory, len(all))
	keys := make([]any, len(all))
	for i := range all {
		at[all[i].key], keys[i] = &all[i], all[i].key
	}
	in := list(len(keys), 0)
	if err := readVersions(ctx, tx, in, keys, at); err != nil {
		return nil, fmt.Errorf("read versions of advisories: %w", err)
	}
	if err := readEntries(ctx, tx, in, keys, at); err != nil {
		return nil, fmt.Errorf("read what advisories affect: %w", err)
	}
	_, err = collect(ctx, tx, func(rows *sql.Rows) (none struct{}, err error) {
		var key int64
		var name string
		var upstream bool
		if err = rows.Scan(&key, &name, &upstream); err == nil {
			at[key].names = append(at[key].names, shownAlias(name, upstream))
		}
		return none, err
	}, `SELECT advisory_id, name, upstream FROM advisory_alias WHERE advisory_id IN `+in, keys...)
	if err != nil {
		return nil, fmt.Errorf("read names of advisories: %w", err)
	}
	return all, nil
}

func shownAlias(name string, upstream bool) string {
	if upstream {
		return "upstream " + name
	}
	return name
}

func readVersions(ctx context.Context, tx *transaction, in string, keys []any, at map[int64]*writtenAdvisory) error {
	_, err := collect(ctx, tx, func(rows *sql.Rows) (none struct{}, err error) {
		var v writtenVersion
		var of int64
		if err = rows.Scan(&v.key, &of, &v.digest, &v.published, &v.modified, &v.withdrawn, &v.first, &v.until, &v.content); err == nil {
			at[of].versions = append(at[of].versions, v)
		}
		return none, err
	}, `SELECT id, advisory_id, digest, published, modified, withdrawn, first_seen, until, content
		FROM advisory_version WHERE advisory_id IN `+in+` ORDER BY advisory_id, first_seen, id`, keys...)
	return err
}

// readEntries reads the entries by their versions: what they say of their advisory may
// be wrong.
func readEntries(ctx context.Context, tx *transaction, in string, keys []any, at map[int64]*writtenAdvisory) error {
	_, err := collect(ctx, tx, func(rows *sql.Rows) (none struct{}, err error) {
		var e writtenEntry
		var of, version int64
		if err = rows.Scan(&of, &version, &e.position, &e.advisory, &e.family, &e.subject, &e.ecosystem, &e.counts, &e.entry); err != nil {
			return none, err
		}
		versions := at[of].versions
		i := slices.IndexFunc(versions, func(v writtenVersion) bool { return v.key == version })
		versions[i].affected = append(versions[i].affected, e)
		return none, nil
	}, `SELECT v.advisory_id, f.version_id, f.position, f.advisory_id, f.family, f.subject, f.ecosystem, f.counts, f.entry
		FROM advisory_version v JOIN affected f ON f.version_id = v.id
		WHERE v.advisory_id IN `+in+` ORDER BY f.version_id, f.position`, keys...)
	return err
}
