package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/advisory"
)

// Findings returns the findings of an image, those that stand and those that are gone;
// key is that of a [account.Standing].
func (s *Store) Findings(ctx context.Context, key int64, q account.FindingQuery, p account.Page) (account.List[account.Finding], error) {
	var all []account.Finding
	err := s.view(ctx, func(tx *transaction) (err error) {
		all, err = s.readFindings(ctx, tx, key)
		return err
	})
	var found account.List[account.Finding]
	if err == nil {
		all = slices.DeleteFunc(all, func(f account.Finding) bool { return !wantedFinding(&f, q) })
		sortFindings(all, q.Sort)
		found, err = slice(all, "findings", p)
	}
	if err != nil {
		return found, fmt.Errorf("read findings: %w", err)
	}
	return found, nil
}

func wantedFinding(f *account.Finding, q account.FindingQuery) bool {
	switch q.Show {
	case "open":
		if f.Suppressed() || f.Occurrence == account.Gone {
			return false
		}
	case "suppressed":
		if !f.Suppressed() {
			return false
		}
	case "gone":
		if f.Occurrence != account.Gone {
			return false
		}
	}
	if q.Severity != "" && f.Severity.Level != q.Severity {
		return false
	}
	if q.Text == "" {
		return true
	}
	for _, text := range slices.Concat([]string{f.Package, f.PURL}, f.IDs, f.Aliases) {
		if strings.Contains(strings.ToLower(text), strings.ToLower(q.Text)) {
			return true
		}
	}
	return false
}

func sortFindings(all []account.Finding, by string) {
	name, reverse := strings.CutPrefix(by, "-")
	level := func(f *account.Finding) int { return rankOf(f.Severity.Level) }
	sort.SliceStable(all, func(i, j int) bool {
		a, b := &all[i], &all[j]
		var c int
		switch name {
		case "package":
			c = cmp.Or(cmp.Compare(a.Package, b.Package), cmp.Compare(a.PURL, b.PURL))
		case "id":
			c = cmp.Compare(a.ID, b.ID)
		case "known":
			c = a.Known.Compare(b.Known)
		default:
			c = cmp.Or(cmp.Compare(level(b), level(a)), cmp.Compare(b.Severity.Score, a.Severity.Score))
		}
		if reverse {
			c = -c
		}
		return cmp.Or(c, cmp.Compare(a.PURL, b.PURL), cmp.Compare(a.ID, b.ID)) < 0
	})
}

// rankOf puts levels in order, the worst highest.
func rankOf(level string) int {
	l, err := advisory.ParseLevel(level)
	if err != nil {
		return -1
	}
	return int(l)
}

// readFindings reads the findings of an image.
func (s *Store) readFindings(ctx context.Context, tx *transaction, key int64) ([]account.Finding, error) {
	released, found, err := scanOne[int64](ctx, tx, `SELECT released_at FROM examination WHERE id = $1`, key)
	if err != nil || !found {
		return nil, fmt.Errorf("image %d: %w", key, cmp.Or(err, account.ErrNotFound))
	}
	all, err := s.readFindingsOfTwo(ctx, tx, key, 0, map[int64]time.Time{key: fromMicros(released)})
	return all[0], err
}

// readFindingsOfTwo reads the findings of two images, which have most of them in common,
// and of which is known when they were released.
func (s *Store) readFindingsOfTwo(ctx context.Context, tx *transaction, one, other int64, released map[int64]time.Time) (of [2][]account.Finding, err error) {
	exposures, err := readExposures(ctx, tx, one, other)
	if err != nil {
		return of, err
	}
	rows, err := collect(ctx, tx, func(rows *sql.Rows) (matched, error) { return scanMatchedBehind(rows) }, `
		SELECT p.id, p.purl, p.name, p.version, f.since, f.until, f.ecosystem, f.fixed, f.why,
			a.name, a.modified, a.published, a.severity, a.summary, a.aliases
		FROM finding f JOIN package p ON p.id = f.package_id JOIN advisory a ON a.id = f.advisory_id
		WHERE f.package_id `+s.engine.among(1)+` ORDER BY p.id, a.name, a.id, f.since`, s.engine.keys(sortedKeys(exposures)))
	if err != nil {
		return of, err
	}
	statements, err := readStatements(ctx, tx, one, other)
	if err != nil {
		return of, err
	}
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].key == rows[0].key {
			n++
		}
		for i, key := range []int64{one, other} { // no image has key 0
			if slices.Contains(exposures[rows[0].key], key) {
				of[i] = append(of[i], findingsOf(rows[:n], released[key], key, statements)...)
			}
		}
		rows = rows[n:]
	}
	return of, nil
}

// readExposures reads the packages with findings that two images ship, and who of them
// does. What stands is known for each image; what is gone is little, and has an index.
func readExposures(ctx context.Context, tx *transaction, one, other int64) (map[int64][]int64, error) {
	exposures := make(map[int64][]int64)
	_, err := collect(ctx, tx, func(rows *sql.Rows) (struct{}, error) {
		var image, pkg int64
		err := rows.Scan(&image, &pkg)
		exposures[pkg] = append(exposures[pkg], image)
		return struct{}{}, err
	}, `SELECT x.examination_id, x.package_id FROM exposure x WHERE x.examination_id IN ($1, $2)
		UNION SELECT d.examination_id, dp.package_id FROM image_document d CROSS JOIN document_package dp CROSS JOIN finding g
		WHERE d.examination_id IN ($3, $4) AND dp.document_id = d.document_id AND g.package_id = dp.package_id AND g.until IS NOT NULL`, one, other, one, other)
	if err != nil {
		return nil, fmt.Errorf("read which packages have findings: %w", err)
	}
	return exposures, nil
}

// matched is a row of table finding, with its package and its advisory.
type matched struct {
	key                 int64
	purl, name, version string
	since, until        time.Time
	match               advisory.Match
}

// scanMatchedBehind reads what stands before the row as well.
func scanMatchedBehind(rows *sql.Rows, before ...any) (m matched, err error) {
	var since int64
	var until sql.NullInt64
	var fixed string
	var row advisoryRow
	if err = rows.Scan(append(before, &m.key, &m.purl, &m.name, &m.version, &since, &until, &m.match.Ecosystem, &fixed, &m.match.Why,
		&row.name, &row.modified, &row.published, &row.severity, &row.summary, &row.aliases)...); err != nil {
		return m, err
	}
	m.since, m.until = fromMicros(since), fromNullMicros(until)
	if m.match.Advisory, err = row.advisory(); err != nil {
		return m, err
	}
	m.match.Fixed, err = fromJSON[[]string](fixed)
	return m, err
}

// findingsOf merges what was matched with one package: what stands, and, apart from it,
// what is gone and did not come back. The statements are those on all images.
func findingsOf(rows []matched, released time.Time, image int64, statements map[statementKey]*account.Statement) []account.Finding {
	subject, _, _ := advisory.IdentifyPURL(rows[0].purl)
	var standing, gone []advisory.Match
	last := make(map[string]matched) // by advisory
	first := make(map[string]time.Time)
	for _, m := range rows {
		id := m.match.Advisory.ID
		if at, ok := first[id]; !ok || m.since.Before(at) {
			first[id] = m.since
		}
		if before, ok := last[id]; !ok || before.until.Before(m.until) || m.until.IsZero() {
			last[id] = m
		}
	}
	for _, m := range rows {
		id := m.match.Advisory.ID
		if kept := last[id]; !kept.since.Equal(m.since) || !kept.until.Equal(m.until) {
			continue
		}
		if m.until.IsZero() {
			standing = append(standing, m.match)
		} else {
			gone = append(gone, m.match)
		}
	}
	var all []account.Finding
	for i, matches := range [][]advisory.Match{standing, gone} {
		result := advisory.Result{Subject: subject, Matches: matches}
		for _, merged := range result.Findings() {
			f := accountOf(&merged, &rows[0])
			for _, id := range merged.IDs {
				f.Known = earliest(f.Known, first[id])
				f.Published = earliest(f.Published, last[id].match.Advisory.Published)
				if until := last[id].until; until.After(f.GoneAt) {
					f.GoneAt = until
				}
			}
			switch {
			case i == 1:
				f.Occurrence = account.Gone
			case !f.Published.IsZero() && f.Published.After(released):
				f.Occurrence = account.Since
			default:
				f.Occurrence = account.Then
			}
			if i == 0 {
				f.Statement = statements[statementKey{image, rows[0].key, f.ID}]
			}
			all = append(all, f)
		}
	}
	return all
}

// earliest is the earlier of two times that are known.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func accountOf(f *advisory.Finding, m *matched) account.Finding {
	return account.Finding{
		ID: f.ID, IDs: f.IDs, Aliases: f.Aliases, Summary: f.Summary, Severity: severityOf(f.Severity),
		PURL: m.purl, Package: m.name, PackageVersion: m.version, Ecosystem: f.Ecosystem, Fixed: f.Fixed, Why: f.Why,
	}
}

func severityOf(s advisory.Severity) account.Severity {
	return account.Severity{Level: s.Level.String(), Score: float64(s.Tenths) / 10, By: s.By, Through: s.Through}
}

type statementKey struct {
	image, packageKey int64
	finding           string
}

// readStatements reads the statements on two images.
func readStatements(ctx context.Context, tx *transaction, one, other int64) (map[statementKey]*account.Statement, error) {
	statements := make(map[statementKey]*account.Statement)
	_, err := collect(ctx, tx, func(rows *sql.Rows) (struct{}, error) {
		var k statementKey
		s := new(account.Statement)
		var at sql.NullInt64
		err := rows.Scan(&k.image, &k.packageKey, &k.finding, &s.Status, &s.Justification, &s.Impact, &s.Action, &s.Author, &s.Origin, &at, &s.Suppresses)
		s.At = fromNullMicros(at)
		statements[k] = s
		return struct{}{}, err
	}, `SELECT examination_id, package_id, finding, status, justification, impact, action, author, origin, at, suppresses
		FROM statement WHERE examination_id IN ($1, $2)`, one, other)
	if err != nil {
		return nil, fmt.Errorf("read statements: %w", err)
	}
	return statements, nil
}
