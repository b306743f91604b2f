package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/release"
)

// identified is a package as advisories would know it.
type identified struct {
	release.Package
	key int64
	// position is where a document has it.
	position int
	subject  advisory.Subject
	// gap is why no advisory can speak of it. Empty for a carrier, which is none.
	gap     string
	carrier bool
}

func identify(p release.Package) identified {
	i := identified{Package: p}
	i.subject, i.carrier, i.gap = advisory.IdentifyPURL(p.PURL)
	return i
}

// matchable reports whether advisories can speak of the package.
func (i *identified) matchable() bool { return i.gap == "" && !i.carrier }

// addPackages makes sure that the packages are stored, and returns their keys. Those
// that were not are matched against the advisories. fresh are keys that may be
// remembered once tx is committed.
func (l *Ledger) addPackages(ctx context.Context, tx *transaction, packages []identified, at int64) (keys, fresh map[string]int64, err error) {
	keys, others := l.packages.split(packages)
	if len(others) == 0 {
		return keys, nil, nil
	}
	fresh = make(map[string]int64, len(others))
	purls := slices.Sorted(maps.Keys(others))
	if err := readPackageKeys(ctx, tx, purls, fresh); err != nil {
		return nil, nil, err
	}
	var created []identified
	missing := slices.DeleteFunc(purls, func(purl string) bool { _, ok := fresh[purl]; return ok })
	for chunk := range slices.Chunk(missing, batch) {
		inserted, err := insertPackages(ctx, tx, chunk, others, at)
		if err != nil {
			return nil, nil, err
		}
		if len(inserted) < len(chunk) { // somebody else was faster, and matches them
			if err := readPackageKeys(ctx, tx, chunk, fresh); err != nil {
				return nil, nil, err
			}
		}
		for _, p := range inserted {
			fresh[p.PURL] = p.key
		}
		created = append(created, inserted...)
	}
	if err := l.matchPackages(ctx, tx, created, at); err != nil {
		return nil, nil, fmt.Errorf("match packages: %w", err)
	}
	maps.Copy(keys, fresh)
	return keys, fresh, nil
}

func readPackageKeys(ctx context.Context, tx *transaction, purls []string, into map[string]int64) error {
	for chunk := range slices.Chunk(purls, batch) {
		rows, err := collect(ctx, tx, func(rows *sql.Rows) (p identified, err error) {
			err = rows.Scan(&p.key, &p.PURL)
			return p, err
		}, `SELECT id, purl FROM package WHERE purl IN `+list(len(chunk), 0), anys(chunk)...)
		if err != nil {
			return fmt.Errorf("read packages: %w", err)
		}
		for _, p := range rows {
			into[p.PURL] = p.key
		}
	}
	return nil
}

// insertPackages stores packages and returns those that were not there. The purls are
// in order: two transactions that store the same ones wait for each other in turn.
func insertPackages(ctx context.Context, tx *transaction, purls []string, packages map[string]*identified, at int64) ([]identified, error) {
	args := make([]any, 0, 9*len(purls))
	for _, purl := range purls {
		p := packages[purl]
		args = append(args, purl, p.Name, p.Version, p.subject.Family, p.subject.Name, p.gap, at, jsonList(p.Licences), folded(p.Name))
	}
	inserted, err := collect(ctx, tx, func(rows *sql.Rows) (p identified, _ error) {
		var key int64
		var purl string
		if err := rows.Scan(&key, &purl); err != nil {
			return p, err
		}
		asked, ok := packages[purl]
		if !ok {
			return p, fmt.Errorf("found %q, which is none of those to be stored", purl)
		}
		p = *asked
		p.key = key
		return p, nil
	}, `INSERT INTO package (purl, name, version, family, subject, gap, first_seen, licences, folded) VALUES `+tuples(len(purls), 9)+
		` ON CONFLICT (purl) DO NOTHING RETURNING id, purl`, args...)
	if err != nil {
		return nil, fmt.Errorf("store packages: %w", err)
	}
	return inserted, nil
}

// folded is a name as it is looked for.
func folded(name string) []byte { return []byte(strings.ToLower(name)) }

// named is a package in the words of advisories.
type named struct{ family, subject string }

// matchPackages matches packages that no finding is known of.
func (l *Ledger) matchPackages(ctx context.Context, tx *transaction, packages []identified, at int64) error {
	packages = slices.DeleteFunc(packages, func(p identified) bool { return !p.matchable() })
	bySubject := make(map[named][]identified)
	for _, p := range packages {
		n := named{p.subject.Family, p.subject.Name}
		bySubject[n] = append(bySubject[n], p)
	}
	evaluator := advisory.NewEvaluator()
	var findings [][]any
	for names := range slices.Chunk(slices.Collect(maps.Keys(bySubject)), batch) {
		candidates, err := readCandidates(ctx, tx, names, currently())
		if err != nil {
			return err
		}
		for n, all := range candidates {
			for _, p := range bySubject[n] {
				result, err := evaluator.Evaluate(p.subject, all.candidates)
				if err != nil {
					return fmt.Errorf("%s: %w", p.PURL, err)
				}
				for _, m := range result.Matches {
					findings = append(findings, findingRow(p.key, all.keys[m.Advisory.ID], at, m))
				}
				if result.Unknown != "" {
					if err := setGap(ctx, tx, p.key, result.Unknown); err != nil {
						return err
					}
				}
			}
		}
	}
	return insertFindings(ctx, tx, findings)
}

func findingRow(packageKey, advisoryKey, at int64, m advisory.Match) []any {
	fixed := m.Fixed
	if fixed == nil {
		fixed = []string{}
	}
	return []any{packageKey, advisoryKey, at, m.Ecosystem, jsonText(fixed), m.Why}
}

func insertFindings(ctx context.Context, tx *transaction, rows [][]any) error {
	if err := bulk(ctx, tx, `INSERT INTO finding (package_id, advisory_id, since, ecosystem, fixed, why)`,
		`ON CONFLICT (package_id, advisory_id, since) DO UPDATE SET until = NULL,
			ecosystem = excluded.ecosystem, fixed = excluded.fixed, why = excluded.why`, rows); err != nil {
		return fmt.Errorf("store findings: %w", err)
	}
	return nil
}

func setGap(ctx context.Context, tx *transaction, key int64, gap string) error {
	if _, err := tx.ExecContext(ctx, `UPDATE package SET gap = $2 WHERE id = $1`, key, gap); err != nil {
		return fmt.Errorf("store what cannot be told: %w", err)
	}
	return nil
}

// named candidates are all that advisories say of one name, and the keys of the
// advisories.
type namedCandidates struct {
	candidates []advisory.Candidate
	keys       map[string]int64
}

// moment is a condition on affected f, its version v and its advisory a.
type moment struct {
	where string
	args  []any
}

// currently is what the advisories say now.
func currently() moment { return moment{where: "f.counts"} }

// asOf is what the advisories said at a time: by the version that was seen then, or,
// of an advisory that was seen later, by its first version if that had been published.
// One without a date counts: it must not hide.
func asOf(at int64) moment {
	return moment{where: `(v.withdrawn IS NULL OR v.withdrawn > $1) AND (
		v.first_seen <= $1 AND (v.until IS NULL OR v.until > $1)
		OR a.first_seen > $1 AND v.first_seen = a.first_seen AND coalesce(v.published, v.modified, $1) <= $1)`, args: []any{at}}
}

// readCandidates reads the entries of names at a moment. Their order is always the same,
// and so is which of several reasons an evaluation gives.
func readCandidates(ctx context.Context, tx querier, names []named, when moment) (map[named]namedCandidates, error) {
	args := slices.Clone(when.args)
	for _, n := range names {
		args = append(args, n.family, n.subject)
	}
	versions := ""
	if len(when.args) > 0 {
		versions = `JOIN advisory_version v ON v.id = f.version_id`
	}
	all := make(map[named]namedCandidates, len(names))
	rows, err := tx.QueryContext(ctx, `
		SELECT f.family, f.subject, f.ecosystem, f.entry, a.id, a.name, a.modified, a.published, a.severity, a.summary, a.aliases
		FROM affected f JOIN advisory a ON a.id = f.advisory_id `+versions+`
		WHERE (f.family, f.subject) IN (VALUES `+pairs(len(names), len(when.args))+`) AND `+when.where+`
		ORDER BY a.name, f.version_id, f.position`, args...)
	if err != nil {
		return nil, fmt.Errorf("read what advisories say: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var n named
		var c advisory.Candidate
		var row advisoryRow
		if err := rows.Scan(&n.family, &n.subject, &c.Ecosystem, &c.Data, &row.key, &row.name, &row.modified, &row.published,
			&row.severity, &row.summary, &row.aliases); err != nil {
			return nil, fmt.Errorf("read what advisories say: %w", err)
		}
		if c.Advisory, err = row.advisory(); err != nil {
			return nil, err
		}
		of, ok := all[n]
		if !ok {
			of.keys = make(map[string]int64)
		}
		of.candidates = append(of.candidates, c)
		of.keys[row.name] = row.key
		all[n] = of
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read what advisories say: %w", err)
	}
	return all, nil
}

// pairs returns "($3, $4), ($5, $6)" for two pairs after the first two values.
func pairs(n, after int) string {
	b := make([]byte, 0, 12*n)
	for i := range n {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, "($%d,$%d)", after+2*i+1, after+2*i+2)
	}
	return string(b)
}

// advisoryRow is what findings need of a row of table advisory.
type advisoryRow struct {
	key                 int64
	name                string
	modified, published sql.NullInt64
	severity            string
	summary             string
	aliases             string
}

func (r *advisoryRow) advisory() (advisory.Advisory, error) {
	a := advisory.Advisory{
		ID: r.name, Modified: fromNullMicros(r.modified), Published: fromNullMicros(r.published), Summary: r.summary,
	}
	var err error
	if a.Severity, err = advisory.ParseSeverity(r.severity); err != nil {
		return a, fmt.Errorf("advisory %s: %w", r.name, err)
	}
	if r.aliases != "[]" {
		if a.Aliases, err = fromJSON[[]string](r.aliases); err != nil {
			return a, fmt.Errorf("advisory %s: %w", r.name, err)
		}
	}
	return a, nil
}
