package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"

	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

// RecordExamination writes down a look through the papers of an image, stores the
// documents and the packages that are new, and matches these. When anything changed,
// the image is judged again. All of it happens, or nothing.
//
// What could not be found out takes nothing away: documents that a look before found
// stay, and so does a verified SBOM, whose subject is a digest, when its paper is gone.
func (l *Ledger) RecordExamination(ctx context.Context, found ledger.Examined) error {
	ex := &found.Examination
	var fresh map[string]int64
	// What takes time and no database is done before, outside the transaction.
	ready := make([]prepared, len(found.Documents))
	for i := range found.Documents {
		ready[i] = l.prepare(&found.Documents[i])
	}
	err := l.change(ctx, func(tx *transaction) error {
		r := &examiner{l: l, tx: tx, found: found, documents: ready, at: micros(ex.At)}
		if err := r.record(ctx); err != nil {
			return err
		}
		fresh = r.fresh
		return nil
	})
	if err != nil {
		return fmt.Errorf("record papers of %s@%s: %w", ex.Repository, ex.Digest, err)
	}
	l.packages.add(fresh)
	return nil
}

// examiner writes one examination within one transaction.
type examiner struct {
	l     *Ledger
	tx    *transaction
	found ledger.Examined
	// documents are those of found, in its order.
	documents []prepared
	at        int64
	key       int64
	first     bool
	fresh     map[string]int64
}

func (r *examiner) record(ctx context.Context) error {
	if err := r.l.engine.lockMatching(ctx, r.tx, matchingPackages); err != nil {
		return err
	}
	if err := r.examination(ctx); err != nil {
		return err
	}
	changed, err := r.evidence(ctx)
	if err != nil {
		return err
	}
	linked, err := r.recordDocuments(ctx)
	if err != nil {
		return err
	}
	if linked {
		if err := exposeImage(ctx, r.tx, r.key); err != nil {
			return err
		}
	}
	if !r.first && !changed && !linked {
		return nil
	}
	return r.wave(ctx)
}

// wave has the image judged. It is a wave of its own: what happens to one image is
// told at once.
func (r *examiner) wave(ctx context.Context) error {
	cause := release.WaveEvidence
	if r.first {
		cause = release.WaveRelease
	}
	ex := &r.found.Examination
	origin := ex.Repository + "@" + string(ex.Digest)
	wave, err := r.l.openWave(ctx, r.tx, cause, origin, r.at)
	if err != nil {
		return err
	}
	if err := addToWave(ctx, r.tx, wave, []int64{r.key}); err != nil {
		return err
	}
	return r.l.sealWave(ctx, r.tx, cause, origin)
}

func (r *examiner) examination(ctx context.Context) error {
	ex := &r.found.Examination
	complete := len(ex.Gaps) == 0
	var before sql.NullInt64
	// The image may have been built long before it was first seen: what was known at
	// release is what was known then.
	if err := r.tx.QueryRowContext(ctx, `
		INSERT INTO examination (repository, digest, released_at)
		SELECT repository, digest, CASE WHEN created_at < first_seen THEN created_at ELSE first_seen END
		FROM image WHERE repository = $1 AND digest = $2
		ON CONFLICT (repository, digest) DO UPDATE SET released_at = examination.released_at
		RETURNING id, at`, ex.Repository, string(ex.Digest)).Scan(&r.key, &before); err != nil {
		return fmt.Errorf("store the examination: %w", err)
	}
	r.first = !before.Valid
	if _, err := r.tx.ExecContext(ctx, `
		UPDATE examination SET at = $2, facts = $3, complete_at = coalesce(complete_at, $4), build = coalesce(nullif($5, ''), build) WHERE id = $1`,
		r.key, r.at, r.found.Facts, sql.NullInt64{Int64: r.at, Valid: complete}, buildText(r.found.Build)); err != nil {
		return fmt.Errorf("store the examination: %w", err)
	}
	return nil
}

// piece is a row of table evidence.
type piece struct {
	subject, kind, place, state, reason string
	since                               int64
	knownState                          string
	knownAt                             sql.NullInt64
}

// evidence stores the states, and reports whether one changed.
func (r *examiner) evidence(ctx context.Context) (bool, error) {
	rows, err := collect(ctx, r.tx, func(rows *sql.Rows) (p piece, err error) {
		err = rows.Scan(&p.subject, &p.kind, &p.place, &p.state, &p.reason, &p.since, &p.knownState, &p.knownAt)
		return p, err
	}, `SELECT subject, kind, place, state, reason, since, known_state, known_at FROM evidence WHERE examination_id = $1 ORDER BY position`, r.key)
	if err != nil {
		return false, fmt.Errorf("read evidence: %w", err)
	}
	before := make(map[[2]string]piece, len(rows))
	for _, p := range rows {
		before[[2]string{p.subject, p.kind}] = p
	}
	var pieces, changes [][]any
	all := slices.Concat(r.found.Examination.Evidence, r.unseen(rows))
	if _, err := r.tx.ExecContext(ctx, `UPDATE examination SET states = $2 WHERE id = $1`, r.key, statesOf(r.found.Examination.Digest, all)); err != nil {
		return false, fmt.Errorf("store the states of evidence: %w", err)
	}
	for i, e := range all {
		old := before[[2]string{string(e.Subject), string(e.Kind)}]
		now := piece{since: old.since, knownState: old.knownState, knownAt: old.knownAt}
		if old.state != string(e.State) {
			now.since = r.at
			changes = append(changes, []any{r.key, r.at, string(e.Subject), string(e.Kind), old.state, string(e.State), e.Reason})
		}
		if e.State != release.StateUnknown {
			now.knownState, now.knownAt = string(e.State), sql.NullInt64{Int64: r.at, Valid: true}
		}
		pieces = append(pieces, []any{
			r.key, string(e.Subject), string(e.Kind), i, e.On, string(e.State), e.Reason, now.since,
			now.knownState, now.knownAt, jsonText(papersOf(e)),
		})
	}
	if err := bulk(ctx, r.tx, `INSERT INTO evidence (examination_id, subject, kind, position, place, state, reason, since, known_state, known_at, papers)`,
		`ON CONFLICT (examination_id, subject, kind) DO UPDATE SET position = excluded.position, place = excluded.place,
			state = excluded.state, reason = excluded.reason, since = excluded.since, known_state = excluded.known_state,
			known_at = excluded.known_at, papers = excluded.papers`, pieces); err != nil {
		return false, fmt.Errorf("store evidence: %w", err)
	}
	if err := bulk(ctx, r.tx, `INSERT INTO evidence_change (examination_id, at, subject, kind, before, after, reason)`, "", changes); err != nil {
		return false, fmt.Errorf("store changes of evidence: %w", err)
	}
	return len(changes) > 0, nil
}

// unseen are the pieces that were known and that this look says nothing of, because it
// could not even read which platforms there are: they are unknown as well.
func (r *examiner) unseen(known []piece) []release.Evidence {
	var unseen []release.Evidence
	for _, p := range known {
		if _, ok := r.found.Examination.Of(release.PaperKind(p.kind), release.Digest(p.subject)); ok {
			continue
		}
		reason := "this look did not get to it"
		if gaps := r.found.Examination.Gaps; len(gaps) > 0 {
			reason = gaps[0].Reason
		}
		unseen = append(unseen, release.Evidence{
			Kind: release.PaperKind(p.kind), Subject: release.Digest(p.subject), On: p.place, State: release.StateUnknown, Reason: reason,
		})
	}
	return unseen
}

func papersOf(e release.Evidence) []ledger.Paper {
	papers := make([]ledger.Paper, 0, len(e.Papers))
	for i := range e.Papers {
		p := &e.Papers[i]
		s := ledger.Paper{
			State: p.State, Reason: p.Reason, Unsigned: p.Unsigned, PredicateType: p.PredicateType, Found: p.Found,
			Manifest: p.Manifest, Blob: p.Blob, Signer: p.Signer.String(), SignedAt: p.SignedAt, LogIndex: p.LogIndex,
		}
		if p.Document != nil {
			s.Document = release.Digest(digestOf(p.Document))
		}
		papers = append(papers, s)
	}
	return papers
}

// buildText is what is kept of a build. What provenance said of a digest stays true
// when the paper is gone: the digest does not change.
func buildText(b *release.Build) string {
	if b == nil {
		return ""
	}
	return jsonText(b)
}

// link is a row of table image_document.
type link struct {
	subject  string
	document int64
	kind     string
	verified bool
	signer   string
	uploaded string
}

// recordDocuments stores the documents and which of them count for the image, and reports
// whether that changed.
func (r *examiner) recordDocuments(ctx context.Context) (bool, error) {
	before, err := collect(ctx, r.tx, func(rows *sql.Rows) (k link, err error) {
		err = rows.Scan(&k.subject, &k.document, &k.kind, &k.verified, &k.signer, &k.uploaded)
		return k, err
	}, `SELECT subject, document_id, kind, verified, signer, uploaded FROM image_document WHERE examination_id = $1`, r.key)
	if err != nil {
		return false, fmt.Errorf("read documents: %w", err)
	}
	var found []link
	for i := range r.documents {
		d := r.documents[i].Document
		key, err := r.document(ctx, &r.documents[i])
		if err != nil {
			return false, fmt.Errorf("store document %s: %w", d.Digest, err)
		}
		found = append(found, link{string(d.Subject), key, string(d.Kind), d.Verified, d.Signer, d.Uploaded})
	}
	after := r.choose(before, found)
	if maps.Equal(linkSet(before), linkSet(after)) {
		return false, nil
	}
	if _, err := r.tx.ExecContext(ctx, `DELETE FROM image_document WHERE examination_id = $1`, r.key); err != nil {
		return false, fmt.Errorf("clear documents: %w", err)
	}
	rows := make([][]any, 0, len(after))
	for _, k := range after {
		rows = append(rows, []any{r.key, k.subject, k.document, k.kind, k.verified, k.signer, k.uploaded})
	}
	if err := bulk(ctx, r.tx, `INSERT INTO image_document (examination_id, subject, document_id, kind, verified, signer, uploaded)`,
		`ON CONFLICT DO NOTHING`, rows); err != nil {
		return false, fmt.Errorf("store which documents count: %w", err)
	}
	return true, nil
}

func linkSet(links []link) map[link]bool {
	set := make(map[link]bool, len(links))
	for _, k := range links {
		set[k] = true
	}
	return set
}

// choose returns the documents that count. For each manifest and kind these are the
// verified ones that were found, else the verified ones from before where they may
// still count, else the unsigned ones.
func (r *examiner) choose(before, found []link) []link {
	type place struct{ subject, kind string }
	places := make(map[place]bool)
	for _, k := range slices.Concat(before, found) {
		places[place{k.subject, k.kind}] = true
	}
	var chosen []link
	for p := range places {
		at := func(links []link, verified bool) []link {
			var some []link
			for _, k := range links {
				if k.subject == p.subject && k.kind == p.kind && k.verified == verified {
					some = append(some, k)
				}
			}
			return some
		}
		some := at(found, true)
		if len(some) == 0 && r.keeps(p.subject, p.kind) {
			some = at(before, true)
		}
		if len(some) == 0 {
			some = at(found, false)
		}
		if len(some) == 0 && r.state(p.subject, p.kind) == release.StateUnknown {
			some = at(before, false)
		}
		chosen = append(chosen, some...)
	}
	return chosen
}

// keeps reports whether a verified document counts although its paper was not found
// again. An SBOM describes a digest, which does not change. What a VEX document says is
// for its author to take back.
func (r *examiner) keeps(subject, kind string) bool {
	return kind == string(release.PaperSBOM) || r.state(subject, kind) == release.StateUnknown
}

func (r *examiner) state(subject, kind string) release.State {
	piece, ok := r.found.Examination.Of(release.PaperKind(kind), release.Digest(subject))
	if !ok {
		return release.StateUnknown
	}
	return piece.State
}

// prepared is a document ready to be stored.
type prepared struct {
	*release.Document
	sbom       release.SBOM
	packages   []identified // each purl once
	ecosystems []ledger.EcosystemCount
	// unmatchable counts packages that no advisory can speak of; whyNot tells of one.
	unmatchable int
	whyNot      string
	content     []byte
}

func (l *Ledger) prepare(d *release.Document) prepared {
	p := summarised(d)
	p.content = l.compress(d.Content)
	return p
}

// summarised is a document with what is found out about it.
func summarised(d *release.Document) prepared {
	p := prepared{Document: d}
	if d.SBOM != nil {
		p.sbom = *d.SBOM
	}
	p.packages = distinct(p.sbom.Packages)
	p.ecosystems, p.unmatchable, p.whyNot = summarise(p.packages)
	return p
}

// document stores a document unless it is, and returns its key.
func (r *examiner) document(ctx context.Context, d *prepared) (int64, error) {
	key, known, err := scanOne[int64](ctx, r.tx, `SELECT id FROM document WHERE digest = $1`, string(d.Digest))
	if err != nil || known {
		return key, err
	}
	if err := r.tx.QueryRowContext(ctx, `
		INSERT INTO document (digest, format, version, packages, unidentified, licences, ecosystems, unmatchable, why_not, failure, size, content)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		ON CONFLICT (digest) DO UPDATE SET size = excluded.size RETURNING id`,
		string(d.Digest), d.sbom.Format, d.sbom.Version, len(d.sbom.Packages), d.sbom.Unidentified, jsonText(licencesOf(d.packages)),
		jsonText(d.ecosystems), d.unmatchable, d.whyNot, d.sbom.Failure, len(d.Content), d.content).Scan(&key); err != nil {
		return 0, err
	}
	fresh, err := r.l.linkPackages(ctx, r.tx, key, d.packages, r.at)
	if err != nil {
		return 0, err
	}
	if r.fresh == nil {
		r.fresh = fresh
	} else {
		maps.Copy(r.fresh, fresh)
	}
	return key, nil
}

// linkPackages stores which packages a document lists; fresh is as of addPackages.
func (l *Ledger) linkPackages(ctx context.Context, tx *transaction, document int64, packages []identified, at int64) (fresh map[string]int64, err error) {
	keys, fresh, err := l.addPackages(ctx, tx, packages, at)
	if err != nil {
		return nil, err
	}
	rows := make([][]any, 0, len(packages))
	for i := range packages {
		p := &packages[i]
		rows = append(rows, []any{document, keys[p.PURL], p.position})
	}
	// In the order of the index, not of the document.
	slices.SortFunc(rows, func(a, b []any) int { return cmp.Compare(a[1].(int64), b[1].(int64)) }) //nolint:errcheck,forcetypeassert // put there above
	return fresh, bulk(ctx, tx, `INSERT INTO document_package (document_id, package_id, position)`, `ON CONFLICT DO NOTHING`, rows)
}

// distinct returns the packages with different purls, in order.
func distinct(packages []release.Package) []identified {
	seen := make(map[string]bool, len(packages))
	some := make([]identified, 0, len(packages))
	for position, p := range packages {
		if !seen[p.PURL] {
			seen[p.PURL] = true
			i := identify(p)
			i.position = position
			some = append(some, i)
		}
	}
	return some
}

func licencesOf(packages []identified) []string {
	s := summaryOf(packages)
	if all := s.Licences(); all != nil {
		return all
	}
	return []string{}
}

// summarise counts packages by ecosystem, and those that no advisory can speak of.
func summarise(packages []identified) (ecosystems []ledger.EcosystemCount, unmatchable int, why string) {
	s := summaryOf(packages)
	return append([]ledger.EcosystemCount{}, s.Ecosystems...), s.Unmatchable, s.WhyNot
}

func summaryOf(packages []identified) ledger.Summary {
	var s ledger.Summary
	for i := range packages {
		p := &packages[i]
		s.Add(p.PURL, p.subject, p.carrier, p.gap, p.Licences)
	}
	return s
}

// scanOne reads one value, and false when there is no row.
func scanOne[T any](ctx context.Context, q querier, query string, args ...any) (value T, found bool, err error) {
	all, err := collect(ctx, q, func(rows *sql.Rows) (v T, err error) {
		err = rows.Scan(&v)
		return v, err
	}, query, args...)
	if err != nil || len(all) == 0 {
		return value, false, err
	}
	return all[0], true, nil
}
