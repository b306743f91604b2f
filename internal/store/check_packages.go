package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

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
	packages, err := collect(ctx, tx, scanPackage, `SELECT id, purl, family, subject, gap FROM package
		WHERE (family, subject, id) > ($1, $2, $3) ORDER BY family, subject, id LIMIT $4`, after.a, after.b, after.key, batch)
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
	last := &packages[len(packages)-1]
	return v.flaws, cursor{last.family, last.subject, last.key}, len(packages), nil
}

// findingViewer finds the flaws of the findings of packages.
type findingViewer struct {
	evaluator *advisory.Evaluator
	stands    map[int64]map[int64]standing // by package and advisory
	names     map[int64]string             // of advisories
	flaws     []flaw
}

func newFindingViewer(ctx context.Context, tx *transaction, packages []writtenPackage) (*findingViewer, error) {
	v := &findingViewer{evaluator: advisory.NewEvaluator(), stands: make(map[int64]map[int64]standing), names: make(map[int64]string)}
	keys := make([]any, len(packages))
	for i := range packages {
		keys[i] = packages[i].key
	}
	_, err := collect(ctx, tx, func(rows *sql.Rows) (none struct{}, err error) {
		var s standing
		var name, purl string
		var since int64
		var until sql.NullInt64
		if err = rows.Scan(&s.packageKey, &s.advisoryKey, &name, &purl, &since, &until, &s.ecosystem, &s.fixed, &s.why); err != nil {
			return none, err
		}
		v.names[s.advisoryKey] = name
		if !until.Valid {
			if v.stands[s.packageKey] == nil {
				v.stands[s.packageKey] = make(map[int64]standing)
			}
			v.stands[s.packageKey][s.advisoryKey] = s
		} else if until.Int64 < since {
			v.flaws = append(v.flaws, flaw{Problem: Problem{"finding", name + " of " + purl, "an end after " + showMicros(since), showMicros(until.Int64)}})
		}
		return none, nil
	}, `SELECT f.package_id, f.advisory_id, a.name, p.purl, f.since, f.until, f.ecosystem, f.fixed, f.why
		FROM finding f JOIN advisory a ON a.id = f.advisory_id JOIN package p ON p.id = f.package_id
		WHERE (f.until IS NULL OR f.until < f.since) AND f.package_id IN `+list(len(keys), 0)+` ORDER BY f.package_id, a.name, f.since`, keys...)
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
		v.flaws = append(v.flaws, flaw{
			Problem: Problem{"finding", v.names[key] + " of " + p.PURL, "none", "one: " + have.why},
			heal: func(ctx context.Context, h *healer) error {
				h.note(p, key, changeGone)
				_, err := h.tx.ExecContext(ctx, `UPDATE finding SET until = $1 WHERE package_id = $2 AND advisory_id = $3 AND until IS NULL`, h.at, p.key, key)
				return err
			},
		})
	}
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
	in, args := list(len(keys), 0), anys(keys)
	const have = `SELECT x.examination_id, x.package_id FROM exposure x WHERE x.examination_id IN `
	want := `SELECT d.examination_id, p.id FROM image_document d JOIN document_package dp ON dp.document_id = d.document_id
		JOIN package p ON p.id = dp.package_id WHERE ` + exposed + ` AND d.examination_id IN `
	var flaws []flaw
	for _, side := range []struct{ expected, found, more, less string }{
		{"an exposure", "none", want, have}, {"no exposure", "one", have, want},
	} {
		// The list occurs twice: as the values of one set of parameters.
		missing, err := collect(ctx, tx, func(rows *sql.Rows) (pair [2]int64, err error) {
			err = rows.Scan(&pair[0], &pair[1])
			return pair, err
		}, side.more+in+` EXCEPT `+side.less+list(len(keys), len(keys)), append(args, args...)...)
		if err != nil {
			return nil, after, 0, err
		}
		for _, pair := range missing {
			purl, _, err := scanOne[string](ctx, tx, `SELECT purl FROM package WHERE id = $1`, pair[1])
			if err != nil {
				return nil, after, 0, err
			}
			flaws = append(flaws, flaw{
				Problem: Problem{"exposure", where[pair[0]] + " to " + purl, side.expected, side.found},
				heal:    func(ctx context.Context, h *healer) error { return exposeImage(ctx, h.tx, pair[0]) },
				group:   where[pair[0]],
			})
		}
	}
	return flaws, cursor{key: keys[len(keys)-1]}, len(keys), nil
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

// lookAtDocuments compares a document with its digest, and what is kept of it with what
// reading it tells.
func (u *Upkeep) lookAtDocuments(ctx context.Context, tx *transaction, after cursor) ([]flaw, cursor, int, error) {
	d, found, err := readDocument(ctx, tx, after.key)
	if err != nil || !found {
		return nil, after, 0, err
	}
	next := cursor{key: d.key}
	if strings.HasPrefix(d.digest, lostPrefix) {
		var flaws []flaw
		if d.counts {
			flaws = append(flaws, flaw{Problem: Problem{
				"document", strings.TrimPrefix(d.digest, lostPrefix), "its content",
				"that it was lost; the next look at the papers of its images brings it",
			}})
		}
		return flaws, next, 1, nil
	}
	content, err := u.decompress(d.content)
	damage := ""
	if err != nil {
		damage = err.Error()
	} else if digest := digestOf(content); digest != d.digest {
		damage = digest
	}
	if damage != "" {
		return []flaw{{
			Problem: Problem{"document", d.digest, "content with this digest", damage},
			heal:    execute(`UPDATE document SET digest = $1 WHERE id = $2`, lostPrefix+d.digest, d.key),
		}}, next, 1, nil
	}
	known := &release.Document{Digest: release.Digest(d.digest), Content: content}
	if d.isSBOM {
		known.SBOM = u.cfg.ReadSBOM(ctx, content)
		if ctx.Err() != nil {
			return nil, after, 0, context.Cause(ctx)
		}
	}
	flaws, err := u.flawsOfDocument(ctx, tx, &d, summarised(known))
	return flaws, next, 1, err
}

// lostPrefix begins what stands for the digest of a document whose content is damaged:
// it is not taken for the document any more, and when its paper is looked at again it is
// stored anew. What it lists counts until then.
const lostPrefix = "lost:"

// writtenDocument is a row of table document.
type writtenDocument struct {
	key     int64
	digest  string
	columns string // shown
	content []byte
	// isSBOM and counts say what images take it for.
	isSBOM, counts bool
}

func readDocument(ctx context.Context, tx *transaction, after int64) (writtenDocument, bool, error) {
	all, err := collect(ctx, tx, func(rows *sql.Rows) (d writtenDocument, err error) {
		var p prepared
		var s release.SBOM
		var packages int
		var size int64
		var licences, ecosystems string
		err = rows.Scan(&d.key, &d.digest, &s.Format, &s.Version, &packages, &s.Unidentified, &licences, &ecosystems,
			&p.unmatchable, &p.whyNot, &s.Failure, &size, &d.content, &d.counts, &d.isSBOM)
		d.isSBOM = d.isSBOM || s.Format != "" || s.Failure != ""
		d.columns = shownDocument(&s, packages, licences, ecosystems, p.unmatchable, p.whyNot, size)
		return d, err
	}, `SELECT id, digest, format, version, packages, unidentified, licences, ecosystems, unmatchable, why_not, failure, size, content,
			EXISTS (SELECT 1 FROM image_document i WHERE i.document_id = d.id),
			EXISTS (SELECT 1 FROM image_document i WHERE i.document_id = d.id AND i.kind = 'sbom')
		FROM document d WHERE id > $1 ORDER BY id LIMIT 1`, after)
	if err != nil || len(all) == 0 {
		return writtenDocument{}, false, err
	}
	return all[0], true, nil
}

func shownDocument(s *release.SBOM, packages int, licences, ecosystems string, unmatchable int, whyNot string, size int64) string {
	return fmt.Sprintf("%s %s of %d bytes, packages %d, unidentified %d, unmatchable %d (%s), failure %q, ecosystems %s, licences %s",
		s.Format, s.Version, size, packages, s.Unidentified, unmatchable, whyNot, s.Failure, ecosystems, licences)
}

func (u *Upkeep) flawsOfDocument(ctx context.Context, tx *transaction, d *writtenDocument, want prepared) ([]flaw, error) {
	licences, ecosystems := jsonText(licencesOf(want.packages)), jsonText(want.ecosystems)
	s := &want.sbom
	size := int64(len(want.Content))
	flaws := differ(nil, "document", d.digest,
		shownDocument(s, len(s.Packages), licences, ecosystems, want.unmatchable, want.whyNot, size), d.columns,
		execute(`UPDATE document SET format = $1, version = $2, packages = $3, unidentified = $4, licences = $5, ecosystems = $6,
			unmatchable = $7, why_not = $8, failure = $9, size = $10 WHERE id = $11`,
			s.Format, s.Version, len(s.Packages), s.Unidentified, licences, ecosystems, want.unmatchable, want.whyNot, s.Failure, size, d.key))
	have := make(map[string]int, len(want.packages))
	if _, err := collect(ctx, tx, func(rows *sql.Rows) (none struct{}, err error) {
		var purl string
		var position int
		err = rows.Scan(&purl, &position)
		have[purl] = position
		return none, err
	}, `SELECT p.purl, dp.position FROM document_package dp JOIN package p ON p.id = dp.package_id WHERE dp.document_id = $1`, d.key); err != nil {
		return nil, err
	}
	expected, found := differenceOfLists(want.packages, have)
	return differ(flaws, "document", d.digest, expected, found, func(ctx context.Context, h *healer) error {
		if _, err := h.tx.ExecContext(ctx, `DELETE FROM document_package WHERE document_id = $1`, d.key); err != nil {
			return err
		}
		fresh, err := u.linkPackages(ctx, h.tx, d.key, want.packages, h.at)
		for purl, key := range fresh {
			h.fresh[purl] = key
		}
		return err
	}), nil
}

// differenceOfLists shows the first package that a document lists otherwise than is
// stored: equal texts when there is none.
func differenceOfLists(want []identified, have map[string]int) (expected, found string) {
	for i := range want {
		p := &want[i]
		position, listed := have[p.PURL]
		delete(have, p.PURL)
		if expected == "" && (!listed || position != p.position) {
			expected, found = fmt.Sprintf("%s at %d", p.PURL, p.position), "none"
			if listed {
				found = fmt.Sprintf("it at %d", position)
			}
		}
	}
	for purl := range have {
		if expected == "" {
			expected, found = "no more packages", purl
		}
	}
	return expected, found
}
