package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Coverage tells which ecosystems the store has advisories of, and the age of each
// feed that ever was complete.
func (l *Ledger) Coverage(ctx context.Context) (advisory.Coverage, []ledger.Feed, error) {
	c := advisory.Coverage{Families: map[string]bool{}, Ecosystems: map[string]bool{}}
	feeds, err := l.Feeds(ctx)
	if err != nil {
		return c, nil, err
	}
	for _, f := range feeds {
		c.Families[f.Ecosystem] = !f.SyncedAt.IsZero()
	}
	names, err := collect(ctx, l.read, func(rows *sql.Rows) (name string, err error) {
		err = rows.Scan(&name)
		return name, err
	}, `SELECT name FROM ecosystem`)
	if err != nil {
		return c, nil, fmt.Errorf("read ecosystems: %w", err)
	}
	for _, name := range names {
		c.Ecosystems[name] = true
	}
	return c, feeds, nil
}

// casesAtOnce bounds how many cases are read in one go.
const casesAtOnce = 1000

// Cases returns the cases of images that a wave touched, in a fixed order: some after
// the one given, or the first for a nil. It returns none when there are no more.
//
// Of a wave that only asks again, those are left out that another wave is about to have
// judged: what changes there has a better reason.
func (l *Ledger) Cases(ctx context.Context, wave int64, after *ledger.Case) ([]ledger.Case, error) {
	from := int64(0)
	if after != nil {
		from = after.Key
	}
	var cases []ledger.Case
	err := l.view(ctx, func(tx *transaction) (err error) {
		keys, err := collect(ctx, tx, func(rows *sql.Rows) (key int64, err error) {
			err = rows.Scan(&key)
			return key, err
		}, `SELECT i.examination_id FROM wave_image i JOIN wave w ON w.id = i.wave_id
			WHERE i.wave_id = $1 AND i.examination_id > $2 AND (w.cause <> 'policy' OR NOT EXISTS (
				SELECT 1 FROM wave_image o JOIN wave other ON other.id = o.wave_id
				WHERE o.examination_id = i.examination_id AND other.judged_at IS NULL AND other.cause <> 'policy'))
			ORDER BY i.examination_id LIMIT $3`, wave, from, casesAtOnce)
		if err != nil || len(keys) == 0 {
			return err
		}
		r := &caseReader{tx: tx, in: list(len(keys), 0), args: anys(keys), at: make(map[int64]int, len(keys))}
		if err := r.read(ctx); err != nil {
			return err
		}
		cases = r.cases
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what a wave touched: %w", err)
	}
	return cases, nil
}

// AllCases returns the cases of all images whose papers were looked at.
func (l *Ledger) AllCases(ctx context.Context) ([]ledger.Case, error) {
	var cases []ledger.Case
	err := l.view(ctx, func(tx *transaction) error {
		keys, err := collect(ctx, tx, func(rows *sql.Rows) (key int64, err error) {
			err = rows.Scan(&key)
			return key, err
		}, `SELECT id FROM examination WHERE at IS NOT NULL ORDER BY id`)
		if err != nil {
			return err
		}
		for chunk := range slices.Chunk(keys, casesAtOnce) {
			r := &caseReader{tx: tx, in: list(len(chunk), 0), args: anys(chunk), at: make(map[int64]int, len(chunk))}
			if err := r.read(ctx); err != nil {
				return err
			}
			cases = append(cases, r.cases...)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read cases: %w", err)
	}
	return cases, nil
}

// caseReader reads cases within one transaction.
type caseReader struct {
	tx    querier
	in    string
	args  []any
	cases []ledger.Case
	at    map[int64]int
}

func (r *caseReader) read(ctx context.Context) error {
	for _, step := range []struct {
		what string
		read func(context.Context) error
	}{
		{"images", r.images},
		{"versions", r.versions},
		{"platforms", r.platforms},
		{"evidence", r.evidence},
		{"documents", r.documents},
		{"packages", r.packages},
		{"verdicts", r.verdicts},
	} {
		if err := step.read(ctx); err != nil {
			return fmt.Errorf("read %s: %w", step.what, err)
		}
	}
	return nil
}

// each reads rows whose first column is the key of a case.
func (r *caseReader) each(ctx context.Context, query string, scan func(rows *sql.Rows, key *int64) (func(*ledger.Case), error)) error {
	rows, err := r.tx.QueryContext(ctx, query, r.args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var key int64
		put, err := scan(rows, &key)
		if err != nil {
			return err
		}
		if i, ok := r.at[key]; ok {
			put(&r.cases[i])
		}
	}
	return rows.Err()
}

func (r *caseReader) images(ctx context.Context) (err error) {
	r.cases, err = collect(ctx, r.tx, func(rows *sql.Rows) (c ledger.Case, err error) {
		var released int64
		err = rows.Scan(&c.Key, &c.Repository, &c.Digest, &released, &c.Facts)
		c.ReleasedAt = fromMicros(released)
		return c, err
	}, `SELECT id, repository, digest, released_at, facts FROM examination WHERE id IN `+r.in+` ORDER BY id`, r.args...)
	for i := range r.cases {
		r.at[r.cases[i].Key] = i
	}
	return err
}

func (r *caseReader) versions(ctx context.Context) error {
	err := r.each(ctx, `
		SELECT e.id, v.version, v.moved_at FROM examination e
		JOIN release v ON v.repository = e.repository AND v.digest = e.digest
		JOIN tag t ON t.repository = v.repository AND t.name = v.version AND t.gone_at IS NULL
		WHERE e.id IN `+r.in, func(rows *sql.Rows, key *int64) (func(*ledger.Case), error) {
		var version string
		var moved sql.NullInt64
		err := rows.Scan(key, &version, &moved)
		return func(c *ledger.Case) {
			c.Versions = append(c.Versions, version)
			if at := fromNullMicros(moved); at.After(c.MovedAt) {
				c.MovedAt = at
			}
		}, err
	})
	for i := range r.cases {
		slices.SortFunc(r.cases[i].Versions, func(a, b string) int { return release.CompareVersions(b, a) })
	}
	return err
}

func (r *caseReader) platforms(ctx context.Context) error {
	return r.each(ctx, `
		SELECT e.id, p.os, p.architecture, p.variant, p.digest, p.compressed_size FROM examination e
		JOIN platform p ON p.repository = e.repository AND p.image_digest = e.digest
		WHERE e.id IN `+r.in+` ORDER BY e.id, p.position`, func(rows *sql.Rows, key *int64) (func(*ledger.Case), error) {
		var p release.Platform
		err := rows.Scan(key, &p.OS, &p.Architecture, &p.Variant, &p.Digest, &p.CompressedSize)
		return func(c *ledger.Case) { c.Platforms = append(c.Platforms, p) }, err
	})
}

func (r *caseReader) evidence(ctx context.Context) error {
	return r.each(ctx, `
		SELECT examination_id, subject, kind, place, state, reason FROM evidence
		WHERE examination_id IN `+r.in+` ORDER BY examination_id, position`, func(rows *sql.Rows, key *int64) (func(*ledger.Case), error) {
		var e release.Evidence
		err := rows.Scan(key, &e.Subject, &e.Kind, &e.On, &e.State, &e.Reason)
		return func(c *ledger.Case) { c.Evidence = append(c.Evidence, e) }, err
	})
}

func (r *caseReader) documents(ctx context.Context) error {
	return r.each(ctx, `
		SELECT i.examination_id, i.subject, i.kind, i.verified, i.signer, d.digest, d.failure, d.packages, d.unidentified,
			d.unmatchable, d.why_not, d.licences, d.ecosystems
		FROM image_document i JOIN document d ON d.id = i.document_id
		WHERE i.examination_id IN `+r.in+` ORDER BY i.examination_id, i.subject, d.digest`,
		func(rows *sql.Rows, key *int64) (func(*ledger.Case), error) {
			var d ledger.Document
			var licences, ecosystems string
			err := rows.Scan(key, &d.Subject, &d.Kind, &d.Verified, &d.Signer, &d.Digest, &d.Failure, &d.Packages,
				&d.Unidentified, &d.Unmatchable, &d.WhyNot, &licences, &ecosystems)
			if err != nil {
				return nil, err
			}
			if d.Licences, err = fromJSON[[]string](licences); err != nil {
				return nil, err
			}
			d.Ecosystems, err = fromJSON[[]ledger.EcosystemCount](ecosystems)
			return func(c *ledger.Case) { c.Documents = append(c.Documents, d) }, err
		})
}

func (r *caseReader) packages(ctx context.Context) error {
	shipped := make(map[int64][]int64)
	if err := r.each(ctx, `SELECT examination_id, package_id FROM exposure WHERE examination_id IN `+r.in,
		func(rows *sql.Rows, key *int64) (func(*ledger.Case), error) {
			var p int64
			err := rows.Scan(key, &p)
			return func(*ledger.Case) { shipped[p] = append(shipped[p], *key) }, err
		}); err != nil {
		return err
	}
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(shipped)), batch) {
		packages, err := readCasePackages(ctx, r.tx, chunk)
		if err != nil {
			return err
		}
		for _, p := range packages {
			for _, key := range shipped[p.Key] {
				c := &r.cases[r.at[key]]
				c.Packages = append(c.Packages, p)
			}
		}
	}
	for i := range r.cases {
		slices.SortFunc(r.cases[i].Packages, func(a, b ledger.Package) int { return strings.Compare(a.PURL, b.PURL) })
	}
	return nil
}

// readCasePackages reads packages with the findings that stand, merged.
func readCasePackages(ctx context.Context, tx querier, keys []int64) ([]ledger.Package, error) {
	packages, err := collect(ctx, tx, func(rows *sql.Rows) (p ledger.Package, err error) {
		err = rows.Scan(&p.Key, &p.PURL, &p.Name, &p.Gap)
		return p, err
	}, `SELECT id, purl, name, gap FROM package WHERE id IN `+list(len(keys), 0), anys(keys)...)
	if err != nil {
		return nil, err
	}
	matches := make(map[int64][]advisory.Match)
	since := make(map[int64]map[string]int64)
	rows, err := tx.QueryContext(ctx, `
		SELECT f.package_id, f.since, f.ecosystem, f.fixed, f.why, a.id, a.name, a.modified, a.published, a.severity, a.summary, a.aliases
		FROM finding f JOIN advisory a ON a.id = f.advisory_id
		WHERE f.until IS NULL AND f.package_id IN `+list(len(keys), 0)+` ORDER BY f.package_id, a.name, a.id`, anys(keys)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var key, at int64
		var fixed string
		var m advisory.Match
		var row advisoryRow
		if err := rows.Scan(&key, &at, &m.Ecosystem, &fixed, &m.Why, &row.key, &row.name, &row.modified, &row.published,
			&row.severity, &row.summary, &row.aliases); err != nil {
			return nil, err
		}
		if m.Advisory, err = row.advisory(); err != nil {
			return nil, err
		}
		if m.Fixed, err = fromJSON[[]string](fixed); err != nil {
			return nil, err
		}
		matches[key] = append(matches[key], m)
		if since[key] == nil {
			since[key] = make(map[string]int64)
		}
		since[key][row.name] = at
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	for i := range packages {
		p := &packages[i]
		subject, _, _ := advisory.IdentifyPURL(p.PURL)
		p.Findings = mergeFindings(advisory.Result{Subject: subject, Matches: matches[p.Key]}, since[p.Key])
	}
	return packages, nil
}

func mergeFindings(result advisory.Result, since map[string]int64) []ledger.Finding {
	var findings []ledger.Finding
	for _, f := range result.Findings() {
		earliest := since[f.ID]
		for _, id := range f.IDs {
			earliest = min(earliest, since[id])
		}
		findings = append(findings, ledger.Finding{Finding: f, Since: fromMicros(earliest)})
	}
	return findings
}

func (r *caseReader) verdicts(ctx context.Context) error {
	return r.each(ctx, `
		SELECT v.examination_id, v.number, v.at, v.result, v.reasons, v.counts, v.policy, v.wave_id FROM verdict v
		WHERE v.examination_id IN `+r.in+` AND (v.number = 0 OR v.number =
			(SELECT max(number) FROM verdict l WHERE l.examination_id = v.examination_id))`,
		func(rows *sql.Rows, key *int64) (func(*ledger.Case), error) {
			v, err := scanVerdict(rows, key)
			return func(c *ledger.Case) {
				if v.Number == 0 {
					c.AtRelease = &v
				} else {
					c.Last = &v
				}
			}, err
		})
}

func scanVerdict(rows *sql.Rows, key *int64) (v ledger.Verdict, err error) {
	var at int64
	var reasons string
	var wave sql.NullInt64
	if err = rows.Scan(key, &v.Number, &at, &v.Result, &reasons, &v.Counts, &v.Policy, &wave); err != nil {
		return v, err
	}
	v.At, v.Wave = fromMicros(at), wave.Int64
	v.Reasons, err = fromJSON[[]release.Reason](reasons)
	return v, err
}
