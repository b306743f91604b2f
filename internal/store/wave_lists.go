package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/release"
)

// WaveDetail returns a wave with a part of each list of what it did, or
// [account.ErrNotFound].
func (s *Store) WaveDetail(ctx context.Context, id int64, p account.WavePages) (account.WaveDetail, error) {
	var d account.WaveDetail
	err := s.view(ctx, func(tx *transaction) (err error) {
		d.Wave, err = one(s.readWaves(ctx, tx, `WHERE w.id = $1`, id))
		return err
	})
	if err != nil {
		return d, fmt.Errorf("read wave %d: %w", id, err)
	}
	if d.Findings, err = s.WaveFindings(ctx, id, p.Findings); err != nil {
		return d, err
	}
	if d.Changes, err = s.WaveVerdicts(ctx, id, p.Verdicts); err != nil {
		return d, err
	}
	// That no other wave has any is not found out by looking at all that it touched. A cursor
	// is of such a wave, or is to be refused.
	if d.Cause == release.WaveEvidence || p.Evidence.After != "" {
		d.Evidence, err = s.WaveEvidence(ctx, id, p.Evidence)
	}
	return d, err
}

// waveList is a list of what a wave did, of which a part is read.
type waveList struct {
	// name is that of its cursors: they are of this wave alone.
	name  string
	total int
	limit int
	// after is where the part begins: the values that the list is sorted by.
	after []any
	// places are the same of the items that were read, one more than belong to the part.
	places [][]string
}

// newWaveList reads what part is asked for, and counts the whole that is selected of the
// wave. No item is before begin.
func (s *Store) newWaveList(ctx context.Context, of string, wave int64, p account.Page, from string, begin ...any) (l waveList, err error) {
	l = waveList{name: of + " of wave " + decimal(wave), limit: limitOf(p)}
	if l.after, err = readStart(p.After, l.name, begin...); err == nil {
		l.total, err = s.countOfWave(ctx, l.name, wave, from)
	}
	if err != nil {
		err = fmt.Errorf("count %s: %w", l.name, err)
	}
	return l, err
}

// countOfWave counts what is selected of a wave. That of a wave which has been judged does
// not change any more.
func (s *Store) countOfWave(ctx context.Context, name string, wave int64, from string) (int, error) {
	if total, ok := s.waveLists.get(name); ok {
		return total, nil
	}
	_, judged := s.waves.get(wave) // before it is counted
	total, _, err := scanOne[int](ctx, s.read, `SELECT count(*) `+from, wave)
	if err == nil && judged {
		s.waveLists.put(name, total)
	}
	return total, err
}

// args are those of a query for the items: the wave, where the part begins, and how many
// are read.
func (l *waveList) args(wave int64) []any {
	return append(append([]any{wave}, l.after...), l.limit+1)
}

// end returns how many items the part has, and the cursor of the next.
func (l *waveList) end() (n int, next string) {
	if len(l.places) <= l.limit {
		return len(l.places), ""
	}
	return l.limit, bookmark(l.name, l.places[l.limit-1]...)
}

// purlsAtMost bounds the packages that a change of a finding names.
const purlsAtMost = 20

// WaveFindings returns what a wave did to findings, one for each advisory and change,
// the worst first. Releases counts the images that ship one of the packages now.
func (s *Store) WaveFindings(ctx context.Context, wave int64, p account.Page) (account.List[release.FindingChange], error) {
	l, err := s.newWaveList(ctx, "findings", wave, p, `FROM (SELECT DISTINCT advisory_id, change FROM wave_finding WHERE wave_id = $1) AS c`, -1, "", 0)
	if err != nil {
		return account.List[release.FindingChange]{}, err
	}
	var changes []release.FindingChange
	err = s.view(ctx, func(tx *transaction) (err error) {
		changes, l.places, err = readChanges(ctx, tx, wave, ``, l.args(wave))
		return err
	})
	if err != nil {
		return account.List[release.FindingChange]{}, fmt.Errorf("read %s: %w", l.name, err)
	}
	n, next := l.end()
	return account.List[release.FindingChange]{Items: changes[:n], Next: next, Total: l.total}, nil
}

// readChanges reads what a wave did to findings, with the place of each in the list. The
// arguments are those of [waveList.args]; only is a further condition.
func readChanges(ctx context.Context, tx *transaction, wave int64, only string, args []any) (changes []release.FindingChange, places [][]string, err error) {
	// An advisory of two feeds has one name: the key tells them apart.
	const order = `CASE w.change WHEN 'new' THEN 0 WHEN 'gone' THEN 5 ELSE 10 END
			+ CASE substr(a.severity, 1, 2) WHEN 'cr' THEN 0 WHEN 'hi' THEN 1 WHEN 'me' THEN 2 WHEN 'lo' THEN 3 ELSE 4 END`
	var keys []int64
	changes, err = collect(ctx, tx, func(rows *sql.Rows) (f release.FindingChange, err error) {
		var row advisoryRow
		var rank int64
		if err = rows.Scan(&rank, &row.key, &f.Change, &row.name, &row.severity, &row.aliases); err != nil {
			return f, err
		}
		a, err := row.advisory()
		keys = append(keys, row.key)
		places = append(places, []string{decimal(rank), row.name, decimal(row.key)})
		f.ID, f.Aliases, f.Severity = a.ID, a.Aliases, a.Severity.Level.String()
		return f, err
	}, `SELECT `+order+`, w.advisory_id, w.change, a.name, a.severity, a.aliases
		FROM (SELECT DISTINCT advisory_id, change FROM wave_finding WHERE wave_id = $1`+only+`) w JOIN advisory a ON a.id = w.advisory_id
		WHERE (`+order+`, a.name, a.id) > (CAST($2 AS BIGINT), CAST($3 AS TEXT), CAST($4 AS BIGINT))
		ORDER BY 1, a.name, a.id LIMIT $5`, args...)
	if err != nil {
		return nil, nil, err
	}
	if err := countShippers(ctx, tx, wave, keys, changes); err != nil {
		return nil, nil, err
	}
	return changes, places, nameChanges(ctx, tx, wave, keys, changes)
}

// changed is an advisory in a wave, and what the wave changed.
type changed struct {
	advisory int64
	change   release.Change
}

// countShippers adds how many images ship the packages of the changes. The advisories are
// those of the changes.
func countShippers(ctx context.Context, tx *transaction, wave int64, advisories []int64, changes []release.FindingChange) error {
	at := make(map[changed]*release.FindingChange, len(changes))
	gone := make(map[bool][]any) // the advisories, by whether the change is that
	for i := range changes {
		at[changed{advisories[i], changes[i].Change}] = &changes[i]
		is := changes[i].Change == release.ChangeGone
		gone[is] = append(gone[is], advisories[i])
	}
	for is, of := range gone {
		shippers, which := `exposure x ON x.package_id = w.package_id`, `<>`
		if is { // a package without a finding has no exposure
			shippers, which = `document_package dp ON dp.package_id = w.package_id JOIN image_document x ON x.document_id = dp.document_id`, `=`
		}
		_, err := collect(ctx, tx, func(rows *sql.Rows) (struct{}, error) {
			var c changed
			var n int
			err := rows.Scan(&c.advisory, &c.change, &n)
			if f := at[c]; f != nil {
				f.Releases = n
			}
			return struct{}{}, err
		}, `SELECT w.advisory_id, w.change, count(DISTINCT x.examination_id) FROM wave_finding w JOIN `+shippers+`
			WHERE w.wave_id = $1 AND w.change `+which+` 'gone' AND w.advisory_id IN `+list(len(of), 1)+` GROUP BY w.advisory_id, w.change`, append([]any{wave}, of...)...)
		if err != nil {
			return fmt.Errorf("count who ships them: %w", err)
		}
	}
	return nil
}

// nameChanges adds the packages of the changes, and what fixes them.
func nameChanges(ctx context.Context, tx *transaction, wave int64, advisories []int64, changes []release.FindingChange) error {
	if len(changes) == 0 {
		return nil
	}
	at := make(map[changed]*release.FindingChange, len(changes))
	for i := range changes {
		at[changed{advisories[i], changes[i].Change}] = &changes[i]
	}
	_, err := collect(ctx, tx, func(rows *sql.Rows) (struct{}, error) {
		var c changed
		var purl string
		var text sql.NullString
		if err := rows.Scan(&c.advisory, &c.change, &purl, &text); err != nil {
			return struct{}{}, err
		}
		f := at[c]
		if f == nil {
			return struct{}{}, nil
		}
		f.PURLs = append(f.PURLs, purl)
		if !text.Valid {
			return struct{}{}, nil
		}
		fixed, err := fromJSON[[]string](text.String)
		for _, version := range fixed {
			if !slices.Contains(f.Fixed, version) {
				f.Fixed = append(f.Fixed, version)
			}
		}
		return struct{}{}, err
	}, `WITH named AS (SELECT w.advisory_id, w.change, w.package_id, p.purl, row_number() OVER (PARTITION BY w.advisory_id, w.change ORDER BY p.purl) AS place
			FROM wave_finding w JOIN package p ON p.id = w.package_id WHERE w.wave_id = $1 AND w.advisory_id IN `+list(len(advisories), 1)+`)
		SELECT n.advisory_id, n.change, n.purl, f.fixed FROM named n
		LEFT JOIN finding f ON f.package_id = n.package_id AND f.advisory_id = n.advisory_id AND f.until IS NULL
		WHERE n.place <= `+decimal(purlsAtMost)+` ORDER BY n.purl`, append([]any{wave}, anys(advisories)...)...)
	if err != nil {
		return fmt.Errorf("name their packages: %w", err)
	}
	return nil
}

// WaveVerdicts returns the results that a wave changed, fails first. The first verdict on
// an image has no Before.
func (s *Store) WaveVerdicts(ctx context.Context, wave int64, p account.Page) (account.List[release.VerdictChange], error) {
	const from = `
		FROM verdict v JOIN examination e ON e.id = v.examination_id
		LEFT JOIN verdict b ON b.examination_id = v.examination_id AND b.number = v.number - 1 AND b.number > 0
		WHERE v.wave_id = $1 AND v.number > 0 AND (b.result IS NULL OR b.result <> v.result)`
	const order = `CASE v.result WHEN 'fail' THEN 0 WHEN 'unknown' THEN 1 ELSE 2 END`
	l, err := s.newWaveList(ctx, "verdicts", wave, p, from, -1, "", "", 0)
	if err != nil {
		return account.List[release.VerdictChange]{}, err
	}
	changes, err := collect(ctx, s.read, func(rows *sql.Rows) (c release.VerdictChange, err error) {
		var rank, number int64
		var before, version sql.NullString
		var reasons string
		if err = rows.Scan(&rank, &c.Repository, &c.Digest, &number, &version, &before, &c.After, &reasons); err != nil {
			return c, err
		}
		l.places = append(l.places, []string{decimal(rank), c.Repository, string(c.Digest), decimal(number)})
		c.Version, c.Before = newest(version.String), before.String
		all, err := fromJSON[[]release.Reason](reasons)
		for _, r := range all {
			if r.Result != release.ResultPass {
				c.Reasons = append(c.Reasons, r.Message)
			}
		}
		return c, err
	}, `SELECT `+order+`, e.repository, e.digest, v.number,
			(SELECT string_agg(r.version, ' ') FROM release r WHERE r.repository = e.repository AND r.digest = e.digest),
			b.result, v.result, v.reasons `+from+`
			AND (`+order+`, e.repository, e.digest, v.number) > (CAST($2 AS BIGINT), CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS BIGINT))
		ORDER BY 1, e.repository, e.digest, v.number LIMIT $6`, l.args(wave)...)
	if err != nil {
		return account.List[release.VerdictChange]{}, fmt.Errorf("read %s: %w", l.name, err)
	}
	n, next := l.end()
	return account.List[release.VerdictChange]{Items: changes[:n], Next: next, Total: l.total}, nil
}

// WaveEvidence returns the changes of evidence that set off a wave, in the order in which
// they were found.
func (s *Store) WaveEvidence(ctx context.Context, wave int64, p account.Page) (account.List[release.EvidenceChange], error) {
	const from = `
		FROM wave w JOIN wave_image i ON i.wave_id = w.id JOIN examination e ON e.id = i.examination_id
		JOIN evidence_change c ON c.examination_id = e.id AND c.at = w.at AND c.before <> ''
		WHERE w.id = $1 AND w.cause = 'evidence'`
	l, err := s.newWaveList(ctx, "evidence", wave, p, from, 0)
	if err != nil {
		return account.List[release.EvidenceChange]{}, err
	}
	changes, err := collect(ctx, s.read, func(rows *sql.Rows) (c release.EvidenceChange, err error) {
		var key int64
		var version sql.NullString
		err = rows.Scan(&key, &c.Repository, &version, &c.Kind, &c.Before, &c.After, &c.Reason)
		l.places = append(l.places, []string{decimal(key)})
		c.Version = newest(version.String)
		return c, err
	}, `SELECT c.id, e.repository,
			(SELECT string_agg(r.version, ' ') FROM release r WHERE r.repository = e.repository AND r.digest = e.digest),
			c.kind, c.before, c.after, c.reason `+from+` AND c.id > $2 ORDER BY c.id LIMIT $3`, l.args(wave)...)
	if err != nil {
		return account.List[release.EvidenceChange]{}, fmt.Errorf("read %s: %w", l.name, err)
	}
	n, next := l.end()
	return account.List[release.EvidenceChange]{Items: changes[:n], Next: next, Total: l.total}, nil
}

// NewFindings returns findings that came up in releases that were there already, the waves
// in order of time, and within a wave the worst first.
func (s *Store) NewFindings(ctx context.Context, p account.Page) (account.List[account.NewFinding], error) {
	way := wayOf(p.Oldest)
	list := way.list("new findings")
	found := account.List[account.NewFinding]{Total: -1}
	start := int64(1) << 62
	if p.Oldest {
		start = 0
	}
	from, err := readStart(p.After, list, start, -1, "", 0)
	if old, oldErr := readNumbers(p.After, "new findings", 1); oldErr == nil && len(old) > 0 && !p.Oldest {
		// A cursor once named a wave that was done with.
		from, err = []any{old[0] - 1, -1, "", 0}, nil
	}
	if err == nil {
		err = s.view(ctx, func(tx *transaction) error { return readNews(ctx, tx, way, list, from, limitOf(p), &found) })
	}
	if err != nil {
		return account.List[account.NewFinding]{Total: -1}, fmt.Errorf("read new findings: %w", err)
	}
	return found, nil
}

// readNews reads new findings from a wave, and a place in it, on.
func readNews(ctx context.Context, tx *transaction, way way, list string, from []any, limit int, found *account.List[account.NewFinding]) error {
	// Of the first nothing may be left, of each of the others there is one at least; one
	// more than belong to the part tells that there is another.
	waves, err := collect(ctx, tx, func(rows *sql.Rows) (w account.NewFinding, err error) {
		var at int64
		err = rows.Scan(&w.Wave, &at)
		w.At = fromMicros(at)
		return w, err
	}, way.sql(`SELECT w.id, w.at FROM wave w WHERE w.cause = 'advisories' AND w.id <= $1
		AND EXISTS (SELECT 1 FROM wave_finding f WHERE f.wave_id = w.id AND f.change = 'new') ORDER BY w.id DESC LIMIT $2`), from[0], limit+2)
	if err != nil {
		return err
	}
	var last []string
	for _, w := range waves {
		if from[0] != any(w.Wave) {
			from = []any{w.Wave, -1, "", 0}
		}
		changes, places, err := readChanges(ctx, tx, w.Wave, ` AND change = 'new'`, append(from, limit+1-len(found.Items)))
		if err != nil {
			return fmt.Errorf("wave %d: %w", w.Wave, err)
		}
		for i := range changes {
			if len(found.Items) == limit {
				found.Next = bookmark(list, last...)
				return nil
			}
			w.FindingChange, last = changes[i], append([]string{decimal(w.Wave)}, places[i]...)
			found.Items = append(found.Items, w)
		}
	}
	return nil
}
