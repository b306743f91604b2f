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

// writtenPackage is a row of table package.
type writtenPackage struct {
	identified

	family, subject, gap string // as stored
}

func scanPackage(rows *sql.Rows) (p writtenPackage, err error) {
	var key int64
	var purl string
	if err = rows.Scan(&key, &purl, &p.family, &p.subject, &p.gap); err == nil {
		p.identified = identify(release.Package{PURL: purl})
		p.key = key
	}
	return p, err
}

// lookAtPackages compares what advisories would call packages with what this program
// says.
func (u *Upkeep) lookAtPackages(ctx context.Context, tx *transaction, after cursor) ([]flaw, cursor, int, error) {
	packages, err := collect(ctx, tx, scanPackage, `SELECT id, purl, family, subject, gap FROM package WHERE id > $1 ORDER BY id LIMIT $2`, after.key, batch)
	if err != nil || len(packages) == 0 {
		return nil, after, 0, err
	}
	var flaws []flaw
	for i := range packages {
		p := &packages[i]
		want := p.identified.subject
		flaws = differ(flaws, "package", p.PURL, shownName(want.Family, want.Name), shownName(p.family, p.subject),
			execute(`UPDATE package SET family = $1, subject = $2 WHERE id = $3`, want.Family, want.Name, p.key))
	}
	return flaws, cursor{key: packages[len(packages)-1].key}, len(packages), nil
}

func shownName(family, subject string) string {
	if family == "" && subject == "" {
		return "no name"
	}
	return fmt.Sprintf("name %q in %q", subject, family)
}

// lookAtFindings compares the findings that stand, and what cannot be told, with a fresh
// match.
func (u *Upkeep) lookAtFindings(ctx context.Context, tx *transaction, after cursor) ([]flaw, cursor, int, error) {
	// The first condition is the one that the index has.
	packages, err := collect(ctx, tx, scanPackage, `SELECT id, purl, family, subject, gap FROM package
		WHERE (family, subject) >= ($1, $2) AND (family, subject, id) > ($3, $4, $5) ORDER BY family, subject, id LIMIT $6`,
		after.a, after.b, after.a, after.b, after.key, batch)
	if err != nil || len(packages) == 0 {
		return nil, after, 0, err
	}
	var names []named
	asked := make(map[named]bool)
	for i := range packages {
		p := &packages[i]
		if n := (named{p.identified.subject.Family, p.identified.subject.Name}); p.matchable() && !asked[n] {
			asked[n] = true
			names = append(names, n)
		}
	}
	var candidates map[named]namedCandidates
	if len(names) > 0 {
		if candidates, err = readCandidates(ctx, tx, names, currently()); err != nil {
			return nil, after, 0, err
		}
	}
	v, err := newFindingViewer(ctx, tx, packages)
	if err != nil {
		return nil, after, 0, err
	}
	for i := range packages {
		v.look(&packages[i], candidates)
	}
	if err := v.name(ctx, tx); err != nil {
		return nil, after, 0, err
	}
	last := &packages[len(packages)-1]
	return v.flaws, cursor{last.family, last.subject, last.key}, len(packages), nil
}

// findingViewer finds the flaws of the findings of packages.
type findingViewer struct {
	evaluator *advisory.Evaluator
	stands    map[int64]map[int64]standing // by package and advisory
	flaws     []flaw
	// unnamed has the advisories whose names the flaws at these indexes are to begin with.
	unnamed map[int]int64
}

func newFindingViewer(ctx context.Context, tx *transaction, packages []writtenPackage) (*findingViewer, error) {
	v := &findingViewer{evaluator: advisory.NewEvaluator(), stands: make(map[int64]map[int64]standing), unnamed: make(map[int]int64)}
	keys, purls := make([]any, len(packages)), make(map[int64]string, len(packages))
	for i := range packages {
		keys[i], purls[packages[i].key] = packages[i].key, packages[i].PURL
	}
	_, err := collect(ctx, tx, func(rows *sql.Rows) (none struct{}, err error) {
		var s standing
		var since int64
		var until sql.NullInt64
		if err = rows.Scan(&s.packageKey, &s.advisoryKey, &since, &until, &s.ecosystem, &s.fixed, &s.why); err != nil {
			return none, err
		}
		if !until.Valid {
			if v.stands[s.packageKey] == nil {
				v.stands[s.packageKey] = make(map[int64]standing)
			}
			v.stands[s.packageKey][s.advisoryKey] = s
		} else if until.Int64 < since {
			v.unnamed[len(v.flaws)] = s.advisoryKey
			v.flaws = append(v.flaws, flaw{Problem: Problem{"finding", " of " + purls[s.packageKey], "an end after " + showMicros(since), showMicros(until.Int64)}})
		}
		return none, nil
	}, `SELECT package_id, advisory_id, since, until, ecosystem, fixed, why FROM finding
		WHERE (until IS NULL OR until < since) AND package_id IN `+list(len(keys), 0)+` ORDER BY package_id, advisory_id, since`, keys...)
	if err != nil {
		return nil, fmt.Errorf("read findings: %w", err)
	}
	return v, nil
}

func (v *findingViewer) look(p *writtenPackage, candidates map[named]namedCandidates) {
	result := advisory.Result{Unknown: p.identified.gap}
	of := candidates[named{p.identified.subject.Family, p.identified.subject.Name}]
	if p.matchable() {
		var err error
		if result, err = v.evaluator.Evaluate(p.identified.subject, of.candidates); err != nil {
			v.flaws = append(v.flaws, flaw{Problem: Problem{"finding", p.PURL, "advisories to match it with", err.Error()}})
			return
		}
	}
	v.flaws = differ(v.flaws, "package", p.PURL, "gap "+result.Unknown, "gap "+p.gap, func(ctx context.Context, h *healer) error {
		h.note(p, 0, changeChanged)
		return setGap(ctx, h.tx, p.key, result.Unknown)
	})
	stands := v.stands[p.key]
	for _, m := range result.Matches {
		key := of.keys[m.Advisory.ID]
		have, stood := stands[key]
		delete(stands, key)
		v.compare(p, key, m, have, stood)
	}
	for key, have := range stands {
		v.unnamed[len(v.flaws)] = key
		v.flaws = append(v.flaws, flaw{
			Problem: Problem{"finding", " of " + p.PURL, "none", "one: " + have.why},
			heal: func(ctx context.Context, h *healer) error {
				h.note(p, key, changeGone)
				_, err := h.tx.ExecContext(ctx, `UPDATE finding SET until = $1 WHERE package_id = $2 AND advisory_id = $3 AND until IS NULL`, h.at, p.key, key)
				return err
			},
		})
	}
}

// name puts the names of advisories where they are missing.
func (v *findingViewer) name(ctx context.Context, tx *transaction) error {
	keys := slices.Sorted(maps.Values(v.unnamed))
	names := make(map[int64]string)
	for chunk := range slices.Chunk(slices.Compact(keys), batch) {
		if _, err := collect(ctx, tx, func(rows *sql.Rows) (none struct{}, err error) {
			var key int64
			var name string
			err = rows.Scan(&key, &name)
			names[key] = name
			return none, err
		}, `SELECT id, name FROM advisory WHERE id IN `+list(len(chunk), 0), anys(chunk)...); err != nil {
			return fmt.Errorf("read advisories: %w", err)
		}
	}
	for i, key := range v.unnamed {
		v.flaws[i].Where = names[key] + v.flaws[i].Where
	}
	return nil
}

func (v *findingViewer) compare(p *writtenPackage, key int64, m advisory.Match, have standing, stood bool) {
	row := func(at int64) []any { return findingRow(p.key, key, at, m) }
	fixed, _ := row(0)[4].(string)
	where := m.Advisory.ID + " of " + p.PURL
	if !stood {
		v.flaws = append(v.flaws, flaw{Problem: Problem{"finding", where, "one: " + m.Why, "none"}, heal: func(ctx context.Context, h *healer) error {
			h.note(p, key, changeNew)
			return insertFindings(ctx, h.tx, [][]any{row(h.at)})
		}})
		return
	}
	shown := func(ecosystem, fixed, why string) string {
		return fmt.Sprintf("%s, fixed in %s: %s", ecosystem, fixed, why)
	}
	v.flaws = differ(v.flaws, "finding", where, shown(m.Ecosystem, fixed, m.Why), shown(have.ecosystem, have.fixed, have.why),
		func(ctx context.Context, h *healer) error {
			h.note(p, key, changeChanged)
			_, err := h.tx.ExecContext(ctx, `UPDATE finding SET ecosystem = $1, fixed = $2, why = $3
				WHERE package_id = $4 AND advisory_id = $5 AND until IS NULL`, m.Ecosystem, fixed, m.Why, p.key, key)
			return err
		})
}

// examinationsAtOnce bounds the images whose exposures are in memory.
const examinationsAtOnce = 25

// lookAtExposures compares exposures with what documents and findings make them.
func (u *Upkeep) lookAtExposures(ctx context.Context, tx *transaction, after cursor) ([]flaw, cursor, int, error) {
	keys, where, err := readExaminations(ctx, tx, after.key, examinationsAtOnce)
	if err != nil || len(keys) == 0 {
		return nil, after, 0, err
	}
	read := func(query string) (map[exposure]bool, error) {
		set := make(map[exposure]bool)
		_, err := collect(ctx, tx, func(rows *sql.Rows) (none struct{}, err error) {
			var x exposure
			err = rows.Scan(&x.examination, &x.packageKey)
			set[x] = true
			return none, err
		}, query+list(len(keys), 0), anys(keys)...)
		return set, err
	}
	have, err := read(`SELECT examination_id, package_id FROM exposure WHERE examination_id IN `)
	if err != nil {
		return nil, after, 0, err
	}
	want, err := read(`SELECT d.examination_id, p.id FROM image_document d JOIN document_package dp ON dp.document_id = d.document_id
		JOIN package p ON p.id = dp.package_id WHERE ` + exposed + ` AND d.examination_id IN `)
	if err != nil {
		return nil, after, 0, err
	}
	var flaws []flaw
	for x := range want {
		if !have[x] {
			flaws = append(flaws, x.flaw(where, "an exposure", "none"))
		}
		delete(have, x)
	}
	for x := range have {
		flaws = append(flaws, x.flaw(where, "no exposure", "one"))
	}
	return flaws, cursor{key: keys[len(keys)-1]}, len(keys), nil
}

// exposure is a row of table exposure.
type exposure struct{ examination, packageKey int64 }

func (x exposure) flaw(where map[int64]string, expected, found string) flaw {
	return flaw{
		Problem: Problem{"exposure", fmt.Sprintf("%s to package %d", where[x.examination], x.packageKey), expected, found},
		heal:    func(ctx context.Context, h *healer) error { return exposeImage(ctx, h.tx, x.examination) },
		group:   where[x.examination],
	}
}

// readExaminations reads keys of examinations and what these are of.
func readExaminations(ctx context.Context, tx *transaction, after int64, limit int) ([]int64, map[int64]string, error) {
	where := make(map[int64]string)
	keys, err := collect(ctx, tx, func(rows *sql.Rows) (key int64, err error) {
		var repository, digest string
		err = rows.Scan(&key, &repository, &digest)
		where[key] = repository + "@" + digest
		return key, err
	}, `SELECT id, repository, digest FROM examination WHERE id > $1 ORDER BY id LIMIT $2`, after, limit)
	return keys, where, err
}
