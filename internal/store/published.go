package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/advisory"
)

// AdvisoryData returns what is known of the advisory data.
func (s *Store) AdvisoryData(ctx context.Context) (account.Data, error) {
	feeds, err := s.Feeds(ctx)
	if err != nil {
		return account.Data{}, err
	}
	d := account.Data{Feeds: feeds}
	for i := range feeds {
		switch {
		case feeds[i].SyncedAt.IsZero():
			d.Oldest = feeds[i].SyncedAt
			return d, nil
		case d.Oldest.IsZero() || feeds[i].SyncedAt.Before(d.Oldest):
			d.Oldest = feeds[i].SyncedAt
		}
	}
	return d, nil
}

const publishedAdvisory = `
	SELECT a.id, a.feed, a.name, a.aliases, a.summary, a.severity, a.published, a.modified, a.withdrawn, a.first_seen, a.gone_at FROM advisory a `

// keyed is an advisory with the store's key.
type keyed struct {
	key int64
	account.Advisory
}

func scanAdvisory(rows *sql.Rows) (k keyed, err error) {
	var aliases, severity string
	var published, modified, withdrawn, gone sql.NullInt64
	var first int64
	if err = rows.Scan(&k.key, &k.Ecosystem, &k.ID, &aliases, &k.Summary, &severity, &published, &modified, &withdrawn, &first, &gone); err != nil {
		return k, err
	}
	k.Published, k.Modified, k.Withdrawn = fromNullMicros(published), fromNullMicros(modified), fromNullMicros(withdrawn)
	k.FirstSeen, k.GoneAt, k.Packages, k.Images = fromMicros(first), fromNullMicros(gone), -1, -1
	if k.Aliases, err = fromJSON[[]string](aliases); err != nil {
		return k, err
	}
	rated, err := advisory.ParseSeverity(severity)
	k.Severity = severityOf(rated)
	return k, err
}

// readAdvisories reads advisories, and counts what they are found in.
func readAdvisories(ctx context.Context, tx *transaction, tail string, args ...any) ([]account.Advisory, error) {
	all, err := readKeyed(ctx, tx, tail, args...)
	if err != nil {
		return nil, err
	}
	return withoutKeys(all), nil
}

func withoutKeys(all []keyed) []account.Advisory {
	advisories := make([]account.Advisory, len(all))
	for i := range all {
		advisories[i] = all[i].Advisory
	}
	return advisories
}

func readKeyed(ctx context.Context, tx *transaction, tail string, args ...any) ([]keyed, error) {
	all, err := collect(ctx, tx, scanAdvisory, publishedAdvisory+tail, args...)
	if err != nil {
		return nil, fmt.Errorf("read advisories: %w", err)
	}
	if len(all) == 0 {
		return nil, nil
	}
	at := make(map[int64]*account.Advisory, len(all))
	for i := range all {
		at[all[i].key] = &all[i].Advisory
		all[i].Packages, all[i].Images = 0, 0
	}
	keys := sortedKeys(at)
	_, err = collect(ctx, tx, func(rows *sql.Rows) (struct{}, error) {
		var key int64
		var packages, images int
		err := rows.Scan(&key, &packages, &images)
		at[key].Packages, at[key].Images = packages, images
		return struct{}{}, err
	}, `SELECT f.advisory_id, count(DISTINCT f.package_id), count(DISTINCT x.examination_id) FROM finding f
		LEFT JOIN exposure x ON x.package_id = f.package_id
		WHERE f.until IS NULL AND f.advisory_id IN `+list(len(keys), 0)+` GROUP BY f.advisory_id`, anys(keys)...)
	if err != nil {
		return nil, fmt.Errorf("count what advisories are found in: %w", err)
	}
	return all, nil
}

// Advisories returns advisories of all feeds.
func (s *Store) Advisories(ctx context.Context, q account.AdvisoryQuery, p account.Page) (account.List[account.Advisory], error) {
	found := account.List[account.Advisory]{Total: -1}
	err := s.view(ctx, func(tx *transaction) error {
		part, err := listAdvisories(ctx, tx, q, p)
		found.Items, found.Next = withoutKeys(part.Items), part.Next
		return err
	})
	if err != nil {
		return found, fmt.Errorf("read advisories: %w", err)
	}
	return found, nil
}

func listAdvisories(ctx context.Context, tx *transaction, q account.AdvisoryQuery, p account.Page) (account.List[keyed], error) {
	var where conditions
	if q.Ecosystem != "" {
		where.add(`a.feed = ?`, q.Ecosystem)
	}
	if q.Severity != "" {
		where.add(`a.severity LIKE ? ESCAPE '\'`, escaped(q.Severity)+" %")
	}
	if q.Found {
		where.add(`EXISTS (SELECT 1 FROM finding f WHERE f.advisory_id = a.id AND f.until IS NULL)`)
	}
	limit := limitOf(p)
	sort, reversed := strings.CutPrefix(q.Sort, "-")
	way := wayOf(reversed)
	var order string
	var next func(*keyed) string
	if sort == "id" {
		list := way.list("advisories by id")
		way = wayOf(!reversed) // the word alone is A to Z
		after, err := readBookmark(p.After, list, 2)
		if err != nil {
			return account.List[keyed]{}, err
		}
		if len(after) > 0 {
			where.add(way.sql(`(a.name, a.feed) < (?, ?)`), after[0], after[1])
		}
		order = `ORDER BY a.name DESC, a.feed DESC`
		next = func(last *keyed) string { return bookmark(list, last.ID, last.Ecosystem) }
	} else {
		column, at := "modified", func(k *keyed) int64 { return orZero(k.Modified) }
		if sort == "published" {
			column, at = "published", func(k *keyed) int64 { return orZero(k.Published) }
		}
		list := way.list("advisories " + column)
		after, err := readNumbers(p.After, list, 2)
		if err != nil {
			return account.List[keyed]{}, err
		}
		where.add(`a.` + column + ` IS NOT NULL`)
		if len(after) > 0 {
			where.add(way.sql(`(a.`+column+`, a.id) < (?, ?)`), after[0], after[1])
		}
		order = `ORDER BY a.` + column + ` DESC, a.id DESC`
		next = func(last *keyed) string { return bookmark(list, decimal(at(last)), decimal(last.key)) }
	}
	text, args := where.text()
	all, err := readKeyed(ctx, tx, text+way.sql(order)+fmt.Sprintf(` LIMIT %d`, limit+1), args...)
	if err != nil {
		return account.List[keyed]{}, err
	}
	return cut(all, limit, next), nil
}

// Advisory returns an advisory by its id, or else by an alias, or
// [account.ErrNotFound].
func (s *Store) Advisory(ctx context.Context, id string) (account.AdvisoryDetail, error) {
	var d account.AdvisoryDetail
	err := s.view(ctx, func(tx *transaction) error {
		keys, err := advisoriesNamed(ctx, tx, id)
		if err != nil {
			return err
		}
		if len(keys) == 0 {
			return account.ErrNotFound
		}
		all, err := readKeyed(ctx, tx, `WHERE a.id IN `+list(len(keys), 1)+` ORDER BY CASE WHEN a.name = $1 THEN 0 ELSE 1 END, a.gone_at DESC, a.name`,
			append([]any{id}, anys(keys)...)...)
		if err != nil {
			return err
		}
		d.Advisory = all[0].Advisory
		return addVersions(ctx, tx, all[0].key, &d)
	})
	if err != nil {
		return account.AdvisoryDetail{}, fmt.Errorf("read advisory %s: %w", id, err)
	}
	return d, nil
}

func addVersions(ctx context.Context, tx *transaction, key int64, d *account.AdvisoryDetail) error {
	var content []byte
	var err error
	d.Versions, err = collect(ctx, tx, func(rows *sql.Rows) (v account.AdvisoryVersion, err error) {
		var first int64
		var modified, withdrawn, until sql.NullInt64
		var raw []byte
		err = rows.Scan(&first, &modified, &withdrawn, &until, &raw)
		v.FirstSeen, v.Modified, v.Withdrawn, v.Until = fromMicros(first), fromNullMicros(modified), fromNullMicros(withdrawn), fromNullMicros(until)
		if content == nil {
			content = raw
		}
		return v, err
	}, `SELECT first_seen, modified, withdrawn, until, content FROM advisory_version WHERE advisory_id = $1 ORDER BY id DESC LIMIT 100`, key)
	if err != nil || content == nil {
		return err
	}
	d.Raw, err = expand(content)
	return err
}

// AdvisoryReleases returns the releases that ship a package which an advisory is found
// in, or [account.ErrNotFound] when nobody knows the advisory.
func (s *Store) AdvisoryReleases(ctx context.Context, id string, p account.Page) (account.List[account.Hit], error) {
	var found account.Found
	err := s.view(ctx, func(tx *transaction) error {
		keys, err := advisoriesNamed(ctx, tx, id)
		if err != nil {
			return err
		}
		if len(keys) == 0 {
			return account.ErrNotFound
		}
		found, err = s.affectedReleases(ctx, tx, keys, p)
		return err
	})
	if err != nil {
		return account.List[account.Hit]{}, fmt.Errorf("read the releases of advisory %s: %w", id, err)
	}
	return found.List, nil
}

// Repairs returns the critical vulnerabilities of the newest releases of a component, of
// which [account.RepairsOf] count, the latest known first: from when they were known in a
// release to the first release without them. Pre-releases do not count.
func (s *Store) Repairs(ctx context.Context, repository string) ([]account.Repair, error) {
	var repairs []account.Repair
	err := s.view(ctx, func(tx *transaction) error {
		keys, err := newestKeys(ctx, tx, repository, account.RepairsOf)
		if err != nil || len(keys) == 0 {
			return err
		}
		releases, err := readMilestones(ctx, tx, keys)
		if err != nil {
			return err
		}
		criticals, err := readCriticals(ctx, tx, releases)
		repairs = repairsOf(releases, criticals)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the repairs of %s: %w", repository, err)
	}
	return repairs, nil
}

// milestone is what it takes to follow vulnerabilities through a release.
type milestone struct {
	version    string
	image      int64 // the key of its image, 0 when its papers were not looked at
	releasedAt time.Time
}

// readMilestones reads releases in the opposite order of their keys.
func readMilestones(ctx context.Context, tx *transaction, keys []releaseKey) ([]milestone, error) {
	all := make([]milestone, len(keys))
	place := make(map[string]int, len(keys))
	args := []any{keys[0].repository}
	for i, k := range keys {
		place[k.version] = len(keys) - 1 - i
		args = append(args, k.version)
	}
	err := each(ctx, tx, func(rows *sql.Rows) error {
		var version string
		var key, released, created sql.NullInt64
		var seen int64
		if err := rows.Scan(&version, &key, &released, &created, &seen); err != nil {
			return err
		}
		all[place[version]] = milestone{version, key.Int64, releasedAt(released, created, seen)}
		return nil
	}, `SELECT r.version, e.id, e.released_at, i.created_at, i.first_seen FROM release r `+standingJoins+`
		WHERE r.repository = $1 AND r.version IN `+list(len(keys), 1), args)
	if err != nil {
		return nil, fmt.Errorf("read releases: %w", err)
	}
	return all, nil
}

// readCriticals reads the critical findings of releases, by the key of the image. An
// image whose papers were not looked at is not in it.
func readCriticals(ctx context.Context, tx *transaction, releases []milestone) (map[int64][]account.Finding, error) {
	criticals := make(map[int64][]account.Finding)
	released := make(map[int64]time.Time)
	var keys []int64
	for _, r := range releases {
		if r.image != 0 && criticals[r.image] == nil {
			criticals[r.image], released[r.image] = []account.Finding{}, r.releasedAt
			keys = append(keys, r.image)
		}
	}
	if len(keys) == 0 {
		return criticals, nil
	}
	type shipped struct {
		image int64
		matched
	}
	rows, err := collect(ctx, tx, func(rows *sql.Rows) (r shipped, err error) {
		r.matched, err = scanMatchedBehind(rows, &r.image)
		return r, err
		// PostgreSQL would begin with all critical advisories.
	}, `WITH x AS MATERIALIZED (SELECT examination_id, package_id FROM exposure WHERE examination_id IN `+list(len(keys), 0)+`)
		SELECT x.examination_id, p.id, p.purl, p.name, p.version, f.since, f.until, f.ecosystem, f.fixed, f.why,
			a.name, a.modified, a.published, a.severity, a.summary, a.aliases
		FROM x JOIN finding f ON f.package_id = x.package_id AND f.until IS NULL
		JOIN advisory a ON a.id = f.advisory_id AND substr(a.severity, 1, 2) = 'cr' JOIN package p ON p.id = f.package_id
		ORDER BY x.examination_id, p.id, a.name, a.id, f.since`, anys(keys)...)
	if err != nil {
		return nil, fmt.Errorf("read critical findings: %w", err)
	}
	for len(rows) > 0 {
		var same []matched
		for n := 0; n < len(rows) && rows[n].image == rows[0].image && rows[n].key == rows[0].key; n++ {
			same = append(same, rows[n].matched)
		}
		image := rows[0].image
		criticals[image] = append(criticals[image], findingsOf(same, released[image], image, nil)...)
		rows = rows[len(same):]
	}
	return criticals, nil
}

// repairsOf follows each vulnerability through releases, which are in order of version.
// A release of which nothing is known neither has nor repairs any.
func repairsOf(releases []milestone, criticals map[int64][]account.Finding) []account.Repair {
	var all []account.Repair
	open := make(map[string]int) // by id, the place in all
	for _, r := range releases {
		findings, known := criticals[r.image]
		if !known {
			continue
		}
		has := make(map[string]bool)
		for j := range findings {
			f := &findings[j]
			has[f.ID] = true
			if _, ok := open[f.ID]; ok {
				continue
			}
			at := r.releasedAt
			if f.Published.After(at) {
				at = f.Published
			}
			open[f.ID] = len(all)
			all = append(all, account.Repair{ID: f.ID, From: r.version, KnownAt: at})
		}
		for id, at := range open {
			if !has[id] {
				all[at].In, all[at].FixedAt = r.version, r.releasedAt
				delete(open, id)
			}
		}
	}
	sortRepairs(all)
	return all
}

// sortRepairs puts the latest first.
func sortRepairs(all []account.Repair) {
	sort.SliceStable(all, func(i, j int) bool {
		a, b := &all[i], &all[j]
		return cmp.Or(b.KnownAt.Compare(a.KnownAt), cmp.Compare(a.ID, b.ID)) < 0
	})
}

// orZero is a time in microseconds, 0 when it is not known.
func orZero(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return micros(t)
}
