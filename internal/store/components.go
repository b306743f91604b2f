package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/release"
)

// trendReleases is how many releases a trend has.
const trendReleases = 12

// Components returns all components, watched ones first, each group by name. Its parts
// all belong to one moment.
func (s *Store) Components(ctx context.Context) ([]account.Component, error) {
	var all []account.Component
	err := s.view(ctx, func(tx *transaction) (err error) {
		all, err = s.readComponents(ctx, tx, "TRUE")
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read components: %w", err)
	}
	return all, nil
}

// Component returns one component, or [account.ErrNotFound].
func (s *Store) Component(ctx context.Context, repository string) (account.Component, error) {
	var all []account.Component
	err := s.view(ctx, func(tx *transaction) (err error) {
		all, err = s.readComponents(ctx, tx, `r.name = $1`, repository)
		return err
	})
	if err == nil && len(all) == 0 {
		err = account.ErrNotFound
	}
	if err != nil {
		return account.Component{}, fmt.Errorf("read component %s: %w", repository, err)
	}
	return all[0], nil
}

// readComponents reads the components of the repositories r that a condition holds for.
func (s *Store) readComponents(ctx context.Context, tx *transaction, condition string, args ...any) ([]account.Component, error) {
	bare, err := collect(ctx, tx, scanComponent, `
		SELECT r.name, r.watched, r.look_every, r.look_at, r.look_outcome, r.look_cause, r.look_reason, r.complete_at
		FROM repository r WHERE `+condition+` ORDER BY r.watched DESC, r.name`, args...)
	if err != nil {
		return nil, fmt.Errorf("read repositories: %w", err)
	}
	counts, err := s.countVersions(ctx, tx, bare)
	if err != nil {
		return nil, fmt.Errorf("count versions: %w", err)
	}
	all := make([]account.Component, len(bare))
	var keys []releaseKey
	for i := range bare {
		c := &all[i]
		c.Component = bare[i]
		if c.Releases = counts[c.Repository]; c.Releases == 0 {
			continue
		}
		newest, err := newestKeys(ctx, tx, c.Repository, trendReleases)
		if err != nil {
			return nil, err
		}
		keys = append(keys, newest...)
	}
	trends, err := readKeys(ctx, tx, keys)
	if err != nil {
		return nil, err
	}
	var trend, latest []*account.Standing
	for i := range all {
		c := &all[i]
		n := 0
		for n < len(trends) && trends[n].Image.Repository == c.Repository {
			n++
		}
		c.Trend, trends = trends[:n], trends[n:]
		slices.Reverse(c.Trend)
		if n > 0 {
			c.Latest = &c.Trend[n-1]
			latest = append(latest, c.Latest)
			trend = append(trend, pointers(c.Trend[:n-1])...)
		}
	}
	if err := complete(ctx, tx, trend, false); err != nil {
		return nil, err
	}
	if err := complete(ctx, tx, latest, true); err != nil {
		return nil, err
	}
	for i := range all {
		if c := &all[i]; c.Latest != nil {
			c.Component.Latest = &c.Latest.Release
		}
	}
	return all, nil
}

// versionCount is how many versions of a repository stood after a look, in microseconds.
// Only another look changes that.
type versionCount struct {
	look int64
	n    int
}

// sameLook is for how long the time of a look may be that of another as well.
const sameLook = time.Second

// countVersions counts the versions that stand, by repository.
func (s *Store) countVersions(ctx context.Context, tx *transaction, components []release.Component) (map[string]int, error) {
	counts := make(map[string]int, len(components))
	looks := make(map[string]int64)
	for i := range components {
		c := &components[i]
		look := int64(0)
		if c.LastLook != nil {
			look = micros(c.LastLook.At)
		}
		if kept, ok := s.versions.get(c.Repository); ok && kept.look == look {
			counts[c.Repository] = kept.n
		} else {
			looks[c.Repository] = look
		}
	}
	for names := range slices.Chunk(slices.Sorted(maps.Keys(looks)), batch) {
		_, err := collect(ctx, tx, func(rows *sql.Rows) (struct{}, error) {
			var repository string
			var n int
			err := rows.Scan(&repository, &n)
			counts[repository] = n
			return struct{}{}, err
		}, `SELECT repository, count(*) FROM tag WHERE kind = 'version' AND gone_at IS NULL AND repository IN `+list(len(names), 0)+` GROUP BY repository`, anys(names)...)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if look := looks[name]; s.now().Sub(fromMicros(look)) > sameLook {
				s.versions.put(name, versionCount{look, counts[name]})
			}
		}
	}
	return counts, nil
}

// newestKeys returns the newest releases that stand, the newest first; pre-releases only
// where there is nothing else.
func newestKeys(ctx context.Context, tx *transaction, repository string, most int) ([]releaseKey, error) {
	for _, prerelease := range []string{"FALSE", "TRUE"} {
		newest, err := collect(ctx, tx, scanKey, `SELECT r.repository, r.version FROM release r
			WHERE r.repository = $1 AND r.prerelease = `+prerelease+` AND `+stands+` ORDER BY r.precedence DESC, r.version DESC LIMIT `+decimal(int64(most)), repository)
		if err != nil {
			return nil, fmt.Errorf("choose the newest releases of %s: %w", repository, err)
		}
		if len(newest) > 0 {
			return newest, nil
		}
	}
	return nil, nil
}

// Before returns the version before another of a repository that still stands, empty
// where there is none. Before a release comes a release, before a pre-release either.
func (s *Store) Before(ctx context.Context, repository, version string) (string, error) {
	among := ` AND r.prerelease = FALSE`
	if release.IsPrerelease(version) {
		among = ``
	}
	before, err := collect(ctx, s.read, scanKey, `SELECT r.repository, r.version FROM release r
		WHERE r.repository = $1 AND (r.precedence, r.version) < ($2, $3)`+among+` AND `+stands+` ORDER BY r.precedence DESC, r.version DESC LIMIT 1`,
		repository, release.Precedence(version), version)
	if err != nil {
		return "", fmt.Errorf("read the version before %s:%s: %w", repository, version, err)
	}
	if len(before) == 0 {
		return "", nil
	}
	return before[0].version, nil
}

// Releases returns releases with how they stand, those whose version is gone among them.
func (s *Store) Releases(ctx context.Context, q account.ReleaseQuery, p account.Page) (account.List[account.Standing], error) {
	var found account.List[account.Standing]
	err := s.view(ctx, func(tx *transaction) (err error) {
		found, err = readReleases(ctx, tx, q, p)
		return err
	})
	if err != nil {
		return found, fmt.Errorf("read releases: %w", err)
	}
	return found, nil
}

func readReleases(ctx context.Context, tx *transaction, q account.ReleaseQuery, p account.Page) (account.List[account.Standing], error) {
	none := account.List[account.Standing]{Total: -1}
	var where conditions
	if q.Repository != "" {
		if _, found, err := scanOne[int](ctx, tx, `SELECT 1 FROM repository WHERE name = $1`, q.Repository); err != nil || !found {
			if err == nil {
				err = fmt.Errorf("repository %s: %w", q.Repository, account.ErrNotFound)
			}
			return none, err
		}
		where.add(`r.repository = ?`, q.Repository)
	}
	if q.Result != "" {
		where.add(`coalesce(nullif(e.result, ''), 'unknown') = ?`, string(q.Result))
	}
	limit := limitOf(p)
	sort, reversed := strings.CutPrefix(q.Sort, "-")
	way := wayOf(reversed)
	var order string
	var next func(*account.Standing) string
	if q.Repository != "" && sort != "seen" {
		after, err := readBookmark(p.After, way.list("releases"), 1)
		if err != nil {
			return none, err
		}
		if len(after) > 0 {
			where.add(way.sql(`(r.precedence, r.version) < (?, ?)`), release.Precedence(after[0]), after[0])
		}
		order = `ORDER BY r.precedence DESC, r.version DESC`
		next = func(last *account.Standing) string { return bookmark(way.list("releases"), last.Version) }
	} else {
		after, err := readBookmark(p.After, way.list("seen"), 3)
		if err != nil {
			return none, err
		}
		if len(after) > 0 {
			at, err := readNumbers(bookmark("at", after[0]), "at", 1)
			if err != nil {
				return none, err
			}
			where.add(way.sql(seenBefore), at[0], after[1], after[2])
		}
		order = lastSeenFirst
		next = func(last *account.Standing) string {
			return bookmark(way.list("seen"), decimal(micros(last.FirstSeen)), last.Image.Repository, last.Version)
		}
	}
	text, args := where.text()
	items, err := chosen(ctx, tx, `release r`, text+way.sql(order)+fmt.Sprintf(` LIMIT %d`, limit+1), args...)
	if err != nil {
		return none, err
	}
	found := cut(items, limit, next)
	return found, complete(ctx, tx, pointers(found.Items), false)
}

// Judged returns the releases of an image, by its digest or that of one of its platforms,
// in all repositories. It returns none for a digest that nobody knows.
func (s *Store) Judged(ctx context.Context, digest release.Digest) ([]account.Standing, error) {
	var all []account.Standing
	err := s.view(ctx, func(tx *transaction) (err error) {
		all, err = chosen(ctx, tx, `(SELECT i.repository, i.digest FROM image i WHERE i.digest = $1
			UNION SELECT p.repository, p.image_digest FROM platform p WHERE p.digest = $2) AS found CROSS JOIN release r`,
			`WHERE r.repository = found.repository AND r.digest = found.digest
			ORDER BY r.repository, r.precedence DESC LIMIT $3`, string(digest), string(digest), account.MostItems)
		if err != nil {
			return err
		}
		return complete(ctx, tx, pointers(all), true)
	})
	if err != nil {
		return nil, fmt.Errorf("read the releases of %s: %w", digest, err)
	}
	return all, nil
}

// conditions are those of a query, all of which have to hold. Their values are written
// as ? and numbered in order.
type conditions struct {
	parts []string
	args  []any
}

func (c *conditions) add(condition string, args ...any) {
	for i := range args {
		condition = replaceOnce(condition, fmt.Sprintf("$%d", len(c.args)+i+1))
	}
	c.parts = append(c.parts, condition)
	c.args = append(c.args, args...)
}

func replaceOnce(condition, number string) string {
	for i := range len(condition) {
		if condition[i] == '?' {
			return condition[:i] + number + condition[i+1:]
		}
	}
	panic("a condition with fewer ? than values: " + condition)
}

func (c *conditions) text() (string, []any) {
	text := ""
	for i, part := range c.parts {
		if i == 0 {
			text = " WHERE "
		} else {
			text += " AND "
		}
		text += "(" + part + ")"
	}
	return text + " ", c.args
}
