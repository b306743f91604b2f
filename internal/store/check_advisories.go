package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tallyman-io/tallyman/internal/advisory"
)

// advisoriesAtOnce bounds how many advisories are looked at together, with all their
// versions in memory.
const advisoriesAtOnce = 100

// lookAtAdvisories compares advisories with their versions, and these with what they
// contain.
func (u *Upkeep) lookAtAdvisories(ctx context.Context, tx *transaction, after cursor) ([]flaw, cursor, int, error) {
	all, err := readWritten(ctx, tx, after.key)
	if err != nil || len(all) == 0 {
		return nil, after, 0, err
	}
	known, err := collect(ctx, tx, func(rows *sql.Rows) (e [2]string, err error) {
		err = rows.Scan(&e[0], &e[1])
		return e, err
	}, `SELECT name, family FROM ecosystem`)
	if err != nil {
		return nil, after, 0, fmt.Errorf("read ecosystems: %w", err)
	}
	v := &advisoryViewer{u: u, ecosystems: make(map[string]string, len(known))}
	for _, e := range known {
		v.ecosystems[e[0]] = e[1]
	}
	for i := range all {
		v.look(&all[i])
	}
	return v.flaws, cursor{key: all[len(all)-1].key}, len(all), nil
}

// advisoryViewer finds the flaws of advisories.
type advisoryViewer struct {
	u          *Upkeep
	ecosystems map[string]string
	flaws      []flaw
}

// errLost: the content of a version was found damaged before, and given up.
var errLost = errors.New("lost")

func (v *advisoryViewer) look(a *writtenAdvisory) {
	where := a.feed + " " + a.name
	if len(a.versions) == 0 {
		v.flaws = append(v.flaws, flaw{Problem: Problem{"advisory", where, "a version of it", "none"}, heal: forgetDigest(a)})
		return
	}
	for i := range a.versions {
		v.span(a, i, where)
		record, err := v.record(a, i, where)
		if err != nil {
			continue
		}
		v.version(&a.versions[i], &record, where)
		v.entries(a, i, &record, where)
		if i == len(a.versions)-1 {
			v.columns(a, &record, where)
			v.names(a, &record, where)
		}
	}
}

// forgetDigest has the next fetch of the whole feed bring the record again.
func forgetDigest(a *writtenAdvisory) func(context.Context, *healer) error {
	return execute(`UPDATE advisory SET digest = '' WHERE id = $1`, a.key)
}

// counts reports whether the version of that number is the one that has to count.
func (a *writtenAdvisory) counts(i int) bool { return i == len(a.versions)-1 && !a.gone.Valid }

// span looks at when a version ended: as the next one began, or when the advisory was
// gone. The one that counts has not.
func (v *advisoryViewer) span(a *writtenAdvisory, i int, where string) {
	have := &a.versions[i]
	shown := func(until sql.NullInt64) string {
		if !until.Valid {
			return "a version that counts"
		}
		return "a version that ended at " + showMicros(until.Int64)
	}
	want := have.until
	switch {
	case a.counts(i):
		want = sql.NullInt64{}
	case have.until.Valid:
	case i < len(a.versions)-1:
		want = sql.NullInt64{Int64: a.versions[i+1].first, Valid: true}
	default:
		want = a.gone
	}
	v.flaws = differ(v.flaws, "version", where+" from "+showMicros(have.first), shown(want), shown(have.until),
		execute(`UPDATE advisory_version SET until = $1 WHERE id = $2`, want, have.key))
}

// record reads what a version contains. What is damaged is given up for the feed to
// bring it again; what it affected stays until then, for it is not known to be nothing.
func (v *advisoryViewer) record(a *writtenAdvisory, i int, where string) (advisory.Record, error) {
	have := &a.versions[i]
	at := where + " from " + showMicros(have.first)
	if have.digest == "" {
		if a.counts(i) {
			v.flaws = append(v.flaws, flaw{Problem: Problem{"content", at, "the record", "that it was lost; the next fetch of the whole feed brings it"}, heal: forgetDigest(a)})
		}
		return advisory.Record{}, errLost
	}
	raw, err := v.u.decompress(have.content)
	found := ""
	if err != nil {
		found = err.Error()
	} else if d := digestOf(raw); d != have.digest {
		found, err = d, errLost
	}
	if found != "" {
		v.flaws = append(v.flaws, flaw{Problem: Problem{"content", at, "content with digest " + have.digest, found}, heal: lose(a, have)})
		return advisory.Record{}, err
	}
	record, err := advisory.Parse(raw)
	if err != nil {
		v.flaws = append(v.flaws, flaw{Problem: Problem{"content", at, "a record of OSV", err.Error()}})
	}
	return record, err
}

// lose gives the content of a version up. What cannot be read back of the advisory's
// own columns becomes empty.
func lose(a *writtenAdvisory, have *writtenVersion) func(context.Context, *healer) error {
	return func(ctx context.Context, h *healer) error {
		if _, err := h.tx.ExecContext(ctx, `UPDATE advisory_version SET digest = '', content = $1 WHERE id = $2`, []byte{}, have.key); err != nil {
			return err
		}
		if a.versions[len(a.versions)-1].key != have.key {
			return nil
		}
		own, aliases, upstream := a.columns.own, a.columns.aliases, a.columns.upstream
		if _, err := advisory.ParseSeverity(own); err != nil {
			own = advisory.Severity{}.Encode()
		}
		for _, text := range []*string{&aliases, &upstream} {
			if _, err := fromJSON[[]string](*text); err != nil {
				*text = "[]"
			}
		}
		_, err := h.tx.ExecContext(ctx, `UPDATE advisory SET digest = '', own = $1, aliases = $2, upstream = $3 WHERE id = $4`, own, aliases, upstream, a.key)
		return err
	}
}

// version compares the columns of a version with its record.
func (v *advisoryViewer) version(have *writtenVersion, r *advisory.Record, where string) {
	published, modified, withdrawn := nullMicros(r.Published.Time), nullMicros(r.Modified.Time), nullMicros(r.Withdrawn.Time)
	v.flaws = differ(v.flaws, "version", where+" from "+showMicros(have.first),
		shownDates(published, modified, withdrawn), shownDates(have.published, have.modified, have.withdrawn),
		execute(`UPDATE advisory_version SET published = $1, modified = $2, withdrawn = $3 WHERE id = $4`, published, modified, withdrawn, have.key))
}

func shownDates(published, modified, withdrawn sql.NullInt64) string {
	parts := make([]string, 0, 3)
	for _, date := range []struct {
		name string
		at   sql.NullInt64
	}{{"published", published}, {"modified", modified}, {"withdrawn", withdrawn}} {
		if date.at.Valid {
			parts = append(parts, date.name+" "+showMicros(date.at.Int64))
		} else {
			parts = append(parts, "not "+date.name)
		}
	}
	return strings.Join(parts, ", ")
}

// entries compares what is compiled of a version with what its record compiles to.
func (v *advisoryViewer) entries(a *writtenAdvisory, i int, r *advisory.Record, where string) {
	have := &a.versions[i]
	at := where + " from " + showMicros(have.first)
	var want []writtenEntry
	for position, e := range r.Entries(a.feed) {
		want = append(want, writtenEntry{
			position: position, advisory: a.key, family: e.Family, subject: e.Name, ecosystem: e.Ecosystem,
			counts: a.counts(i) && !r.IsWithdrawn(), entry: e.Data,
		})
		if family := v.ecosystems[e.Ecosystem]; family != e.Family {
			v.flaws = append(v.flaws, flaw{Problem: Problem{"ecosystem", e.Ecosystem, "family " + e.Family, "family " + family}, heal: execute(
				`INSERT INTO ecosystem (name, family) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET family = excluded.family`, e.Ecosystem, e.Family)})
			v.ecosystems[e.Ecosystem] = e.Family // told once
		}
	}
	expected, found := firstDifference(want, have.affected)
	v.flaws = differ(v.flaws, "affected", at, expected, found, func(ctx context.Context, h *healer) error {
		if _, err := h.tx.ExecContext(ctx, `DELETE FROM affected WHERE version_id = $1`, have.key); err != nil {
			return err
		}
		rows := make([][]any, len(want))
		for i := range want {
			e := &want[i]
			rows[i] = []any{have.key, e.position, e.advisory, e.family, e.subject, e.ecosystem, e.counts, e.entry}
		}
		return bulk(ctx, h.tx, `INSERT INTO affected (version_id, position, advisory_id, family, subject, ecosystem, counts, entry)`, "", rows)
	})
}

// firstDifference shows where two lists of entries part: equal texts when they do not.
func firstDifference(want, found []writtenEntry) (expected, got string) {
	for i := range max(len(want), len(found)) {
		if i < len(want) && i < len(found) && want[i].equal(&found[i]) {
			continue
		}
		expected, got = "none more", "none more"
		if i < len(want) {
			expected = want[i].String()
		}
		if i < len(found) {
			got = found[i].String()
		}
		return expected, got
	}
	return "", ""
}

// columns compares an advisory with the record of its latest version.
func (v *advisoryViewer) columns(a *writtenAdvisory, r *advisory.Record, where string) {
	want := advisoryColumns{
		digest: a.versions[len(a.versions)-1].digest, published: nullMicros(r.Published.Time), modified: nullMicros(r.Modified.Time),
		withdrawn: nullMicros(r.Withdrawn.Time), summary: r.ShortSummary(), aliases: jsonText(orEmpty(r.Aliases)), upstream: jsonText(orEmpty(r.Upstream)),
		own: r.OwnSeverity().Encode(),
	}
	if a.gone.Valid {
		want.digest = "" // so that it is a change when the record comes back
	}
	heal := execute(`UPDATE advisory SET digest = $1, published = $2, modified = $3, withdrawn = $4, summary = $5, aliases = $6, upstream = $7, own = $8
		WHERE id = $9`, want.digest, want.published, want.modified, want.withdrawn, want.summary, want.aliases, want.upstream, want.own, a.key)
	have := a.columns
	for _, c := range []struct{ want, have string }{
		{"digest " + want.digest, "digest " + have.digest},
		{shownDates(want.published, want.modified, want.withdrawn), shownDates(have.published, have.modified, have.withdrawn)},
		{"summary " + want.summary, "summary " + have.summary},
		{"aliases " + want.aliases, "aliases " + have.aliases},
		{"upstream " + want.upstream, "upstream " + have.upstream},
		{"own severity " + want.own, "own severity " + have.own},
	} {
		v.flaws = differ(v.flaws, "advisory", where, c.want, c.have, heal)
	}
}

// names compares the names by which an advisory is found. One that is gone has none.
func (v *advisoryViewer) names(a *writtenAdvisory, r *advisory.Record, where string) {
	set := make(map[string]bool)
	rows := make(map[string][]any)
	if !a.gone.Valid {
		for _, row := range aliasRows(a.key, r) {
			name, upstream := row[0].(string), row[2].(bool) //nolint:forcetypeassert,errcheck // aliasRows makes them
			if _, known := rows[name]; !known {
				rows[name] = row
				set[shownAlias(name, upstream)] = true
			}
		}
	}
	want, have := slices.Sorted(maps.Keys(set)), slices.Sorted(slices.Values(a.names))
	v.flaws = differ(v.flaws, "names", where, jsonText(want), jsonText(have), func(ctx context.Context, h *healer) error {
		if _, err := h.tx.ExecContext(ctx, `DELETE FROM advisory_alias WHERE advisory_id = $1`, a.key); err != nil {
			return err
		}
		return bulk(ctx, h.tx, `INSERT INTO advisory_alias (name, advisory_id, upstream)`, "", slices.Collect(maps.Values(rows)))
	})
}

// lookAtSeverities compares the severities that count with those that are found out
// anew. That of an advisory which is gone is not kept up.
func (u *Upkeep) lookAtSeverities(ctx context.Context, tx *transaction, after cursor) ([]flaw, cursor, int, error) {
	all, err := collect(ctx, tx, scanRated, `SELECT id, name, own, severity, aliases, upstream FROM advisory
		WHERE id > $1 AND gone_at IS NULL ORDER BY id LIMIT $2`, after.key, batch)
	if err != nil || len(all) == 0 {
		return nil, after, 0, err
	}
	best, err := (&application{tx: tx}).worst(ctx, all)
	if err != nil {
		return nil, after, 0, err
	}
	var flaws []flaw
	for i := range all {
		r := &all[i]
		severity := r.own
		if severity.By == "" {
			severity = through(r, best)
		}
		flaws = differ(flaws, "severity", r.name, severity.Encode(), r.shown[0],
			execute(`UPDATE advisory SET severity = $1 WHERE id = $2`, severity.Encode(), r.key))
	}
	return flaws, cursor{key: all[len(all)-1].key}, len(all), nil
}
