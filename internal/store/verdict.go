package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

// RecordVerdicts writes down verdicts that a wave led to. One that is as the one before
// is passed over. It returns those that were written.
func (l *Ledger) RecordVerdicts(ctx context.Context, wave int64, judged []ledger.Judged) error {
	err := l.change(ctx, func(tx *transaction) error {
		for i := range judged {
			if err := recordVerdict(ctx, tx, wave, &judged[i]); err != nil {
				return fmt.Errorf("%s@%s: %w", judged[i].Case.Repository, judged[i].Case.Digest, err)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("record verdicts: %w", err)
	}
	return nil
}

func recordVerdict(ctx context.Context, tx *transaction, wave int64, j *ledger.Judged) error {
	const insert = `
		INSERT INTO verdict (examination_id, number, at, result, reasons, counts, policy, wave_id)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (examination_id, number) DO UPDATE SET at = excluded.at, result = excluded.result,
			reasons = excluded.reasons, counts = excluded.counts, policy = excluded.policy`
	if v := j.AtRelease; v != nil {
		if _, err := tx.ExecContext(ctx, insert, j.Case.Key, 0, micros(v.At), string(v.Result), jsonText(v.Reasons),
			j.AtReleaseCounts, v.Policy, nil); err != nil {
			return err
		}
	}
	if err := recordStatements(ctx, tx, j); err != nil {
		return err
	}
	if j.Same() {
		return nil
	}
	if _, err := tx.ExecContext(ctx, `UPDATE examination SET result = $2 WHERE id = $1`, j.Case.Key, string(j.Now.Result)); err != nil {
		return err
	}
	// Counted here, not from the case: two workers may judge an image at the same time.
	_, err := tx.ExecContext(ctx, `
		INSERT INTO verdict (examination_id, number, at, result, reasons, counts, policy, wave_id)
		SELECT CAST($1 AS BIGINT), coalesce(max(number), 0) + 1, CAST($2 AS BIGINT), CAST($3 AS TEXT), CAST($4 AS TEXT),
			CAST($5 AS TEXT), CAST($6 AS TEXT), CAST($7 AS BIGINT) FROM verdict WHERE examination_id = $1`,
		j.Case.Key, micros(j.Now.At), string(j.Now.Result), jsonText(j.Now.Reasons), j.Counts, j.Now.Policy, wave)
	return err
}

func recordStatements(ctx context.Context, tx *transaction, j *ledger.Judged) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM statement WHERE examination_id = $1`, j.Case.Key); err != nil {
		return err
	}
	rows := make([][]any, 0, len(j.Statements))
	for i := range j.Statements {
		s := &j.Statements[i]
		rows = append(rows, []any{
			j.Case.Key, s.Package, s.Finding, s.Status, s.Justification, s.Impact, s.Action, s.Author, s.Origin, nullMicros(s.At), s.Suppresses,
		})
	}
	return bulk(ctx, tx, `INSERT INTO statement (examination_id, package_id, finding, status, justification, impact, action, author, origin, at, suppresses)`,
		`ON CONFLICT DO NOTHING`, rows)
}

// Wave returns a wave.
func (s *Store) Wave(ctx context.Context, id int64) (ledger.Wave, error) {
	waves, err := collect(ctx, s.read, func(rows *sql.Rows) (w ledger.Wave, err error) {
		var at int64
		err = rows.Scan(&w.ID, &w.Cause, &w.Origin, &at, &w.Judged)
		w.At = fromMicros(at)
		return w, err
	}, `SELECT id, cause, origin, at, judged_at IS NOT NULL FROM wave WHERE id = $1`, id)
	if err == nil && len(waves) == 0 {
		err = ledger.ErrNoWave
	}
	if err != nil {
		return ledger.Wave{}, fmt.Errorf("read wave %d: %w", id, err)
	}
	return waves[0], nil
}

// newest returns the release that people mean of versions divided by spaces, or nothing.
func newest(versions string) string {
	version, _ := release.Latest(strings.Fields(versions))
	return version
}

// purlsAtMost bounds the packages that a change of a finding names.
const purlsAtMost = 20

// WaveFindings returns what a wave did to findings, one for each advisory and change,
// the worst first, at most limit of them, and how many there are. Releases counts the
// images that ship one of the packages now.
func (s *Store) WaveFindings(ctx context.Context, wave int64, limit int) ([]release.FindingChange, int, error) {
	var changes []release.FindingChange
	var total int
	err := s.view(ctx, func(tx *transaction) (err error) {
		if total, _, err = scanOne[int](ctx, tx, `
			SELECT count(*) FROM (SELECT DISTINCT advisory_id, change FROM wave_finding WHERE wave_id = $1) AS c`, wave); err != nil {
			return err
		}
		var keys []int64
		changes, err = collect(ctx, tx, func(rows *sql.Rows) (f release.FindingChange, err error) {
			var row advisoryRow
			if err = rows.Scan(&row.key, &f.Change, &row.name, &row.severity, &row.aliases); err != nil {
				return f, err
			}
			a, err := row.advisory()
			keys = append(keys, row.key)
			f.ID, f.Aliases, f.Severity = a.ID, a.Aliases, a.Severity.Level.String()
			return f, err
		}, `SELECT w.advisory_id, w.change, a.name, a.severity, a.aliases
			FROM (SELECT DISTINCT advisory_id, change FROM wave_finding WHERE wave_id = $1) w JOIN advisory a ON a.id = w.advisory_id
			ORDER BY CASE w.change WHEN 'new' THEN 0 WHEN 'gone' THEN 1 ELSE 2 END,
				CASE substr(a.severity, 1, 2) WHEN 'cr' THEN 0 WHEN 'hi' THEN 1 WHEN 'me' THEN 2 WHEN 'lo' THEN 3 ELSE 4 END, a.name
			LIMIT $2`, wave, limit)
		if err != nil {
			return err
		}
		if err := countShippers(ctx, tx, wave, keys, changes); err != nil {
			return err
		}
		return nameChanges(ctx, tx, wave, keys, changes)
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read what wave %d did: %w", wave, err)
	}
	return changes, total, nil
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

// WaveVerdicts returns the results that a wave changed, fails first, at most limit of
// them, and how many there are. The first verdict on an image has no Before.
func (s *Store) WaveVerdicts(ctx context.Context, wave int64, limit int) ([]release.VerdictChange, int, error) {
	const from = `
		FROM verdict v JOIN examination e ON e.id = v.examination_id
		LEFT JOIN verdict b ON b.examination_id = v.examination_id AND b.number = v.number - 1 AND b.number > 0
		WHERE v.wave_id = $1 AND v.number > 0 AND (b.result IS NULL OR b.result <> v.result)`
	total, _, err := scanOne[int](ctx, s.read, `SELECT count(*) `+from, wave)
	if err != nil {
		return nil, 0, fmt.Errorf("count verdicts of wave %d: %w", wave, err)
	}
	changes, err := collect(ctx, s.read, func(rows *sql.Rows) (c release.VerdictChange, err error) {
		var before, version sql.NullString
		var reasons string
		if err = rows.Scan(&c.Repository, &c.Digest, &version, &before, &c.After, &reasons); err != nil {
			return c, err
		}
		c.Version, c.Before = newest(version.String), before.String
		all, err := fromJSON[[]release.Reason](reasons)
		for _, r := range all {
			if r.Result != release.ResultPass {
				c.Reasons = append(c.Reasons, r.Message)
			}
		}
		return c, err
	}, `SELECT e.repository, e.digest,
			(SELECT string_agg(r.version, ' ') FROM release r WHERE r.repository = e.repository AND r.digest = e.digest),
			b.result, v.result, v.reasons `+from+`
		ORDER BY CASE v.result WHEN 'fail' THEN 0 WHEN 'unknown' THEN 1 ELSE 2 END, e.repository, e.digest LIMIT $2`, wave, limit)
	if err != nil {
		return nil, 0, fmt.Errorf("read verdicts of wave %d: %w", wave, err)
	}
	return changes, total, nil
}

// WaveEvidence returns the changes of evidence that set off a wave.
func (s *Store) WaveEvidence(ctx context.Context, wave int64) ([]release.EvidenceChange, error) {
	changes, err := collect(ctx, s.read, func(rows *sql.Rows) (c release.EvidenceChange, err error) {
		var version sql.NullString
		err = rows.Scan(&c.Repository, &version, &c.Kind, &c.Before, &c.After, &c.Reason)
		c.Version = newest(version.String)
		return c, err
	}, `SELECT e.repository,
			(SELECT string_agg(r.version, ' ') FROM release r WHERE r.repository = e.repository AND r.digest = e.digest),
			c.kind, c.before, c.after, c.reason
		FROM wave w JOIN wave_image i ON i.wave_id = w.id JOIN examination e ON e.id = i.examination_id
		JOIN evidence_change c ON c.examination_id = e.id AND c.at = w.at AND c.before <> ''
		WHERE w.id = $1 AND w.cause = 'evidence' ORDER BY c.id`, wave)
	if err != nil {
		return nil, fmt.Errorf("read evidence of wave %d: %w", wave, err)
	}
	return changes, nil
}

// CloseWave marks a wave as judged and puts its messages on their way. It does nothing
// for a wave that was closed before, and reports whether it did something.
func (l *Ledger) CloseWave(ctx context.Context, wave int64, messages []ledger.Message) (bool, error) {
	closed := false
	err := l.change(ctx, func(tx *transaction) error {
		now := micros(l.now())
		result, err := tx.ExecContext(ctx, `UPDATE wave SET judged_at = $2 WHERE id = $1 AND judged_at IS NULL`, wave, now)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if err != nil || n == 0 {
			return err
		}
		closed = true
		return l.send(ctx, tx, messages, now)
	})
	if err != nil {
		return false, fmt.Errorf("close wave %d: %w", wave, err)
	}
	return closed, nil
}

// FindingsAsOf returns what advisories said of the packages of a case at a time: see
// asOf. Only packages with findings are returned, or whose version cannot be compared.
func (l *Ledger) FindingsAsOf(ctx context.Context, c *ledger.Case, at time.Time) ([]ledger.Package, error) {
	var found []ledger.Package
	err := l.view(ctx, func(tx *transaction) error {
		packages, err := collect(ctx, tx, func(rows *sql.Rows) (identified, error) {
			var p release.Package
			var key int64
			err := rows.Scan(&key, &p.PURL, &p.Name)
			i := identify(p)
			i.key = key
			return i, err
		}, `SELECT DISTINCT p.id, p.purl, p.name
			FROM image_document d JOIN document_package dp ON dp.document_id = d.document_id JOIN package p ON p.id = dp.package_id
			WHERE d.examination_id = $1 AND p.family <> ''
				AND EXISTS (SELECT 1 FROM affected f WHERE f.family = p.family AND f.subject = p.subject)
			ORDER BY p.purl`, c.Key)
		if err != nil {
			return err
		}
		found, err = evaluateAsOf(ctx, tx, packages, micros(at))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("find what was known of %s@%s at %s: %w", c.Repository, c.Digest, at.Format(time.RFC3339), err)
	}
	return found, nil
}

func evaluateAsOf(ctx context.Context, tx querier, packages []identified, at int64) ([]ledger.Package, error) {
	var found []ledger.Package
	evaluator := advisory.NewEvaluator()
	for chunk := range slices.Chunk(packages, batch) {
		names := make([]named, len(chunk))
		for i := range chunk {
			names[i] = named{chunk[i].subject.Family, chunk[i].subject.Name}
		}
		candidates, err := readCandidates(ctx, tx, names, asOf(at))
		if err != nil {
			return nil, err
		}
		for i := range chunk {
			p := &chunk[i]
			result, err := evaluator.Evaluate(p.subject, candidates[names[i]].candidates)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", p.PURL, err)
			}
			if len(result.Matches) == 0 && result.Unknown == "" {
				continue
			}
			of := ledger.Package{Key: p.key, PURL: p.PURL, Name: p.Name, Gap: result.Unknown}
			since := make(map[string]int64)
			for _, m := range result.Matches {
				since[m.Advisory.ID] = min(at, max(m.Advisory.Published.UnixMicro(), 0))
			}
			of.Findings = mergeFindings(result, since)
			found = append(found, of)
		}
	}
	return found, nil
}

// DocumentContent returns the bytes of a document, as they were found.
func (l *Ledger) DocumentContent(ctx context.Context, digest release.Digest) ([]byte, error) {
	content, found, err := scanOne[[]byte](ctx, l.read, `SELECT content FROM document WHERE digest = $1`, string(digest))
	if err == nil && !found {
		err = errors.New("expected it in the store, found none")
	}
	if err == nil {
		content, err = l.decompress(content)
	}
	if err != nil {
		return nil, fmt.Errorf("read document %s: %w", digest, err)
	}
	return content, nil
}

// Places returns where the SBOMs that count for an image have a package.
func (l *Ledger) Places(ctx context.Context, c *ledger.Case, purl string) ([]ledger.Place, error) {
	places, err := collect(ctx, l.read, func(rows *sql.Rows) (p ledger.Place, err error) {
		err = rows.Scan(&p.Document, &p.Subject, &p.Position)
		return p, err
	}, `SELECT d.digest, i.subject, dp.position FROM image_document i JOIN document d ON d.id = i.document_id
		JOIN document_package dp ON dp.document_id = d.id JOIN package p ON p.id = dp.package_id
		WHERE i.examination_id = $1 AND p.purl = $2 ORDER BY i.subject, d.digest`, c.Key, purl)
	if err != nil {
		return nil, fmt.Errorf("find %s in %s@%s: %w", purl, c.Repository, c.Digest, err)
	}
	return places, nil
}
