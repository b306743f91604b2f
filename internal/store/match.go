package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/release"
)

// What a wave did to a finding.
const (
	changeNew     = "new"
	changeGone    = "gone"
	changeChanged = "changed"
)

// findingKey is a finding that stands.
type findingKey struct{ packageKey, advisoryKey int64 }

// standing is what is stored of a finding that stands.
type standing struct {
	findingKey
	ecosystem, fixed, why string
}

// match matches the packages that changed advisories name, or named, with those
// advisories. It returns what it did to findings.
func (a *application) match(ctx context.Context) (map[findingKey]string, error) {
	done := make(map[findingKey]string)
	for names := range slices.Chunk(slices.Collect(maps.Keys(a.subjects)), batch) {
		packages, err := readNamed(ctx, a.tx, names)
		if err != nil || len(packages) == 0 {
			if err != nil {
				return nil, err
			}
			continue
		}
		var alive []named
		for n := range packages {
			alive = append(alive, n)
		}
		candidates, err := readCandidates(ctx, a.tx, alive, currently())
		if err != nil {
			return nil, err
		}
		if err := a.matchNamed(ctx, packages, candidates, done); err != nil {
			return nil, err
		}
	}
	return done, a.markRated(ctx, done)
}

// readNamed reads the packages that have one of the names.
func readNamed(ctx context.Context, tx *transaction, names []named) (map[named][]identified, error) {
	args := make([]any, 0, 2*len(names))
	for _, n := range names {
		args = append(args, n.family, n.subject)
	}
	packages := make(map[named][]identified)
	rows, err := collect(ctx, tx, func(rows *sql.Rows) (identified, error) {
		var key int64
		var p release.Package
		var gap string
		if err := rows.Scan(&key, &p.PURL, &gap); err != nil {
			return identified{}, err
		}
		i := identify(p)
		i.key, i.gap = key, gap
		return i, nil
	}, `SELECT id, purl, gap FROM package WHERE (family, subject) IN (VALUES `+pairs(len(names), 0)+`)`, args...)
	if err != nil {
		return nil, fmt.Errorf("read packages: %w", err)
	}
	for _, p := range rows {
		n := named{p.subject.Family, p.subject.Name}
		packages[n] = append(packages[n], p)
	}
	return packages, nil
}

// matchNamed brings the findings of packages up to date with candidates, as far as
// changed advisories go.
func (a *application) matchNamed(ctx context.Context, packages map[named][]identified, candidates map[named]namedCandidates, done map[findingKey]string) error {
	var keys []int64
	for _, all := range packages {
		for i := range all {
			keys = append(keys, all[i].key)
		}
	}
	before, err := a.readStanding(ctx, keys)
	if err != nil {
		return err
	}
	evaluator := advisory.NewEvaluator()
	var fresh [][]any
	for n, all := range packages {
		of := candidates[n]
		for i := range all {
			p := &all[i]
			result, err := evaluator.Evaluate(p.subject, a.relevant(of, p.gap != ""))
			if err != nil {
				return fmt.Errorf("%s: %w", p.PURL, err)
			}
			if result.Unknown != p.gap {
				if err := setGap(ctx, a.tx, p.key, result.Unknown); err != nil {
					return err
				}
				// Its images have to be judged again, though no finding changed.
				done[findingKey{p.key, 0}] = changeChanged
			}
			for _, m := range result.Matches {
				row, change := a.compare(p.key, of.keys[m.Advisory.ID], m, before)
				if change != "" {
					done[findingKey{p.key, of.keys[m.Advisory.ID]}] = change
					fresh = append(fresh, row)
				}
			}
		}
	}
	if err := a.end(ctx, before, done); err != nil {
		return err
	}
	return a.write(ctx, fresh, done)
}

// relevant returns the candidates of changed advisories, or all of them.
func (a *application) relevant(of namedCandidates, all bool) []advisory.Candidate {
	if all {
		return of.candidates
	}
	return slices.DeleteFunc(slices.Clone(of.candidates), func(c advisory.Candidate) bool { _, changed := a.changed[of.keys[c.Advisory.ID]]; return !changed })
}

// readStanding reads the findings of changed advisories that stand for packages.
func (a *application) readStanding(ctx context.Context, keys []int64) (map[findingKey]standing, error) {
	all := make(map[findingKey]standing)
	for chunk := range slices.Chunk(keys, batch) {
		found, err := collect(ctx, a.tx, func(rows *sql.Rows) (s standing, err error) {
			err = rows.Scan(&s.packageKey, &s.advisoryKey, &s.ecosystem, &s.fixed, &s.why)
			return s, err
		}, `SELECT package_id, advisory_id, ecosystem, fixed, why FROM finding
			WHERE until IS NULL AND package_id IN `+list(len(chunk), 0), anys(chunk)...)
		if err != nil {
			return nil, fmt.Errorf("read findings: %w", err)
		}
		for _, s := range found {
			if _, changed := a.changed[s.advisoryKey]; changed {
				all[s.findingKey] = s
			}
		}
	}
	return all, nil
}

// compare takes the finding of a match out of those before, and tells how it differs.
func (a *application) compare(packageKey, advisoryKey int64, m advisory.Match, before map[findingKey]standing) ([]any, string) {
	row := findingRow(packageKey, advisoryKey, a.at, m)
	key := findingKey{packageKey, advisoryKey}
	old, stood := before[key]
	delete(before, key)
	_, changed := a.changed[advisoryKey]
	switch {
	case !changed:
		return nil, "" // it stands already
	case !stood:
		return row, changeNew
	case old.ecosystem == m.Ecosystem && old.fixed == row[4] && old.why == m.Why:
		return nil, ""
	default:
		return row, changeChanged
	}
}

// end ends the findings that are no more.
func (a *application) end(ctx context.Context, gone map[findingKey]standing, done map[findingKey]string) error {
	for key := range gone {
		done[key] = changeGone
		if _, err := a.tx.ExecContext(ctx, `UPDATE finding SET until = $3 WHERE package_id = $1 AND advisory_id = $2 AND until IS NULL`,
			key.packageKey, key.advisoryKey, a.at); err != nil {
			return fmt.Errorf("end a finding: %w", err)
		}
	}
	return nil
}

// write stores new findings, and what changed of others.
func (a *application) write(ctx context.Context, rows [][]any, done map[findingKey]string) error {
	var fresh [][]any
	for _, row := range rows {
		if done[findingKey{row[0].(int64), row[1].(int64)}] == changeNew { //nolint:errcheck,forcetypeassert // findingRow makes them
			fresh = append(fresh, row)
			continue
		}
		if _, err := a.tx.ExecContext(ctx, `UPDATE finding SET ecosystem = $3, fixed = $4, why = $5
			WHERE package_id = $1 AND advisory_id = $2 AND until IS NULL`, row[0], row[1], row[3], row[4], row[5]); err != nil {
			return fmt.Errorf("change a finding: %w", err)
		}
	}
	return insertFindings(ctx, a.tx, fresh)
}

// markRated adds the findings of advisories that were rated otherwise.
func (a *application) markRated(ctx context.Context, done map[findingKey]string) error {
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(a.rated)), batch) {
		found, err := collect(ctx, a.tx, func(rows *sql.Rows) (k findingKey, err error) {
			err = rows.Scan(&k.packageKey, &k.advisoryKey)
			return k, err
		}, `SELECT package_id, advisory_id FROM finding WHERE until IS NULL AND advisory_id IN `+list(len(chunk), 0), anys(chunk)...)
		if err != nil {
			return fmt.Errorf("read findings: %w", err)
		}
		for _, k := range found {
			if done[k] == "" {
				done[k] = changeChanged
			}
		}
	}
	return nil
}
