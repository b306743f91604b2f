package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/tallyman-io/tallyman/internal/release"
)

// tagSpan is a row of table tag.
type tagSpan struct {
	name, kind, digest string
	generation         int
	first              int64
	gone               sql.NullInt64
}

// versionTag is a row of table release.
type versionTag struct {
	version, digest string
	first           int64
	moved           sql.NullInt64
}

func (v versionTag) String() string {
	moved := "never moved"
	if v.moved.Valid {
		moved = "moved at " + showMicros(v.moved.Int64)
	}
	return fmt.Sprintf("%s since %s, %s", v.digest, showMicros(v.first), moved)
}

func showMicros(us int64) string { return fromMicros(us).Format("2006-01-02T15:04:05.000000Z07:00") }

// lookAtTags looks at the history of the tags of a repository, and at its releases,
// which are derived from it.
func (u *Upkeep) lookAtTags(ctx context.Context, tx *transaction, after cursor) ([]flaw, cursor, int, error) {
	repository, found, err := scanOne[string](ctx, tx, `SELECT name FROM repository WHERE name > $1 ORDER BY name LIMIT 1`, after.a)
	if err != nil || !found {
		return nil, after, 0, err
	}
	spans, err := collect(ctx, tx, func(rows *sql.Rows) (s tagSpan, err error) {
		err = rows.Scan(&s.name, &s.kind, &s.digest, &s.generation, &s.first, &s.gone)
		return s, err
	}, `SELECT name, kind, digest, generation, first_seen, gone_at FROM tag WHERE repository = $1 ORDER BY name, generation`, repository)
	if err != nil {
		return nil, after, 0, err
	}
	rows, err := collect(ctx, tx, func(rows *sql.Rows) (v versionTag, err error) {
		err = rows.Scan(&v.version, &v.digest, &v.first, &v.moved)
		return v, err
	}, `SELECT version, digest, first_seen, moved_at FROM release WHERE repository = $1`, repository)
	if err != nil {
		return nil, after, 0, err
	}
	releases := make(map[string]versionTag, len(rows))
	for _, v := range rows {
		releases[v.version] = v
	}
	var flaws []flaw
	for len(spans) > 0 {
		n := 1
		for n < len(spans) && spans[n].name == spans[0].name {
			n++
		}
		flaws = append(flaws, flawsOfTag(repository, spans[:n], releases)...)
		spans = spans[n:]
	}
	for version, v := range releases {
		flaws = append(flaws, flaw{
			Problem: Problem{"release", repository + ":" + version, "a version tag of this name", "none, and the release " + v.String()},
			heal:    execute(`DELETE FROM release WHERE repository = $1 AND version = $2`, repository, version),
		})
	}
	return flaws, cursor{a: repository}, 1, nil
}

// flawsOfTag looks at the spans of one tag, and takes its release out of releases.
func flawsOfTag(repository string, spans []tagSpan, releases map[string]versionTag) []flaw {
	name := spans[0].name
	where := repository + ":" + name
	stored, known := releases[name]
	delete(releases, name)
	var flaws []flaw
	whole := true
	kind := release.KindOfTag(name)
	for i, s := range spans {
		at := fmt.Sprintf("%s, generation %d", where, s.generation)
		flaws = differ(flaws, "tag", at, "kind "+string(kind), "kind "+s.kind,
			execute(`UPDATE tag SET kind = $1 WHERE repository = $2 AND name = $3`, string(kind), repository, name))
		if s.generation != i+1 {
			whole = false
			flaws = append(flaws, flaw{Problem: Problem{"tag", at, fmt.Sprintf("generation %d", i+1), fmt.Sprintf("generation %d", s.generation)}})
		}
		if i < len(spans)-1 && !s.gone.Valid {
			flaws = append(flaws, flaw{Problem: Problem{"tag", at, "a span that has ended, as another follows", "one that stands"}})
		}
		if s.gone.Valid && s.gone.Int64 < s.first {
			flaws = append(flaws, flaw{Problem: Problem{"tag", at, "an end after its beginning at " + showMicros(s.first), "one at " + showMicros(s.gone.Int64)}})
		}
	}
	if kind != release.TagVersion || !whole {
		return flaws
	}
	last := spans[len(spans)-1]
	want := versionTag{version: name, digest: last.digest, first: spans[0].first}
	if len(spans) > 1 {
		want.moved = sql.NullInt64{Int64: last.first, Valid: true}
	}
	found := "none"
	if known {
		found = stored.String()
	}
	return differ(flaws, "release", where, want.String(), found, execute(`
		INSERT INTO release (repository, version, digest, first_seen, moved_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (repository, version) DO UPDATE SET digest = excluded.digest, first_seen = excluded.first_seen, moved_at = excluded.moved_at`,
		repository, name, want.digest, want.first, want.moved))
}
