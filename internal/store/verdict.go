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
