package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

// ApplyAdvisories takes in records that a feed publishes, and matches the packages
// that they name, or named before, anew. Records that are as they were are passed
// over. What it touches joins the open wave of the feed, which [Ledger.FinishSync]
// closes. All of it happens, or nothing.
func (l *Ledger) ApplyAdvisories(ctx context.Context, ecosystem string, records []ledger.Published) (ledger.Applied, error) {
	var applied ledger.Applied
	err := l.change(ctx, func(tx *transaction) (err error) {
		applied, err = l.applyAdvisories(ctx, tx, ecosystem, records)
		return err
	})
	if err != nil {
		return ledger.Applied{}, fmt.Errorf("apply advisories of %s: %w", ecosystem, err)
	}
	return applied, nil
}

// Sync is [Ledger.ApplyAdvisories] and [Ledger.FinishSync] in one.
func (l *Ledger) Sync(ctx context.Context, changes ledger.Changes) (ledger.Applied, error) {
	var applied ledger.Applied
	err := l.change(ctx, func(tx *transaction) (err error) {
		if applied, err = l.applyAdvisories(ctx, tx, changes.Feed.Ecosystem, changes.Records); err != nil {
			return err
		}
		return l.finishSync(ctx, tx, changes.Feed)
	})
	if err != nil {
		return ledger.Applied{}, fmt.Errorf("apply advisories of %s: %w", changes.Feed.Ecosystem, err)
	}
	return applied, nil
}

// FinishSync remembers how a fetch ended and has what it touched judged.
func (l *Ledger) FinishSync(ctx context.Context, feed ledger.Feed) error {
	err := l.change(ctx, func(tx *transaction) error { return l.finishSync(ctx, tx, feed) })
	if err != nil {
		return fmt.Errorf("finish sync of %s: %w", feed.Ecosystem, err)
	}
	return nil
}

func (l *Ledger) finishSync(ctx context.Context, tx *transaction, feed ledger.Feed) error {
	if _, err := tx.ExecContext(ctx, `
		INSERT INTO feed (ecosystem, source, state, records, newest, synced_at, tried_at, reason)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
		ON CONFLICT (ecosystem) DO UPDATE SET source = excluded.source, state = excluded.state, records = excluded.records,
			newest = coalesce(excluded.newest, feed.newest), synced_at = coalesce(excluded.synced_at, feed.synced_at),
			tried_at = excluded.tried_at, reason = excluded.reason`,
		feed.Ecosystem, feed.Source, feed.State, feed.Records, nullMicros(feed.Newest), nullMicros(feed.SyncedAt),
		micros(feed.TriedAt), feed.Reason); err != nil {
		return fmt.Errorf("store the feed: %w", err)
	}
	return l.sealWave(ctx, tx, release.WaveAdvisories, feed.Ecosystem)
}

// Feeds returns what is known of all feeds, by ecosystem.
func (s *Store) Feeds(ctx context.Context) ([]ledger.Feed, error) {
	feeds, err := collect(ctx, s.read, func(rows *sql.Rows) (f ledger.Feed, err error) {
		var newest, synced sql.NullInt64
		var tried int64
		err = rows.Scan(&f.Ecosystem, &f.Source, &f.State, &f.Records, &newest, &synced, &tried, &f.Reason)
		f.Newest, f.SyncedAt, f.TriedAt = fromNullMicros(newest), fromNullMicros(synced), fromMicros(tried)
		return f, err
	}, `SELECT ecosystem, source, state, records, newest, synced_at, tried_at, reason FROM feed ORDER BY ecosystem`)
	if err != nil {
		return nil, fmt.Errorf("read feeds: %w", err)
	}
	return feeds, nil
}

// DropAdvisories takes in that a feed no longer has records of these ids. OSV withdraws
// records and does not delete them, but a mirror may lose some; what is gone from the
// feed is found no more, and its history stays.
func (l *Ledger) DropAdvisories(ctx context.Context, ecosystem string, ids []string) (ledger.Applied, error) {
	var applied ledger.Applied
	err := l.change(ctx, func(tx *transaction) (err error) {
		applied, err = l.apply(ctx, tx, ecosystem, func(a *application) error {
			for chunk := range slices.Chunk(ids, batch) {
				if err := a.drop(ctx, chunk); err != nil {
					return err
				}
			}
			return nil
		})
		return err
	})
	if err != nil {
		return ledger.Applied{}, fmt.Errorf("drop advisories of %s: %w", ecosystem, err)
	}
	return applied, nil
}

func (a *application) drop(ctx context.Context, ids []string) error {
	gone, err := collect(ctx, a.tx, func(rows *sql.Rows) (s stored, err error) {
		err = rows.Scan(&s.key, &s.digest, &s.shown[0], &s.shown[1])
		return s, err
	}, `SELECT id, digest, severity, aliases FROM advisory WHERE feed = $1 AND gone_at IS NULL AND name IN `+list(len(ids), 1),
		append([]any{a.ecosystem}, anys(ids)...)...)
	if err != nil {
		return fmt.Errorf("read advisories: %w", err)
	}
	for _, s := range gone {
		if err := a.endVersion(ctx, s.key); err != nil {
			return err
		}
		// Without a digest: when the same record comes back it is a change.
		if _, err := a.tx.ExecContext(ctx, `UPDATE advisory SET gone_at = $2, digest = '' WHERE id = $1`, s.key, a.at); err != nil {
			return fmt.Errorf("store that an advisory is gone: %w", err)
		}
		a.changed[s.key] = s
		a.rating[s.key] = true
	}
	return nil
}

// stored is an advisory as the store has it.
type stored struct {
	key    int64
	digest string
	// shown is its severity and its aliases, as stored.
	shown [2]string
}

// application is one call of applyAdvisories.
type application struct {
	l         *Ledger
	tx        *transaction
	ecosystem string
	at        int64
	// changed has the keys of advisories that are new or not as they were, and what they
	// showed before. subjects are what they name or named.
	changed  map[int64]stored
	subjects map[named]bool
	// rating has changed advisories on whose severity that of others may hang, around
	// those whose severity is to be found out, rated those that show another severity or
	// other aliases than before.
	rating, around, rated map[int64]bool
}

func (l *Ledger) applyAdvisories(ctx context.Context, tx *transaction, ecosystem string, records []ledger.Published) (ledger.Applied, error) {
	return l.apply(ctx, tx, ecosystem, func(a *application) error {
		for chunk := range slices.Chunk(records, batch) {
			if err := a.store(ctx, chunk); err != nil {
				return err
			}
		}
		return nil
	})
}

// apply has advisories changed, and then brings everything up to date that hangs on
// them.
func (l *Ledger) apply(ctx context.Context, tx *transaction, ecosystem string, change func(*application) error) (ledger.Applied, error) {
	if err := l.engine.lockMatching(ctx, tx, matchingAdvisories); err != nil {
		return ledger.Applied{}, err
	}
	a := &application{
		l: l, tx: tx, ecosystem: ecosystem, at: micros(l.now()),
		changed: make(map[int64]stored), subjects: make(map[named]bool),
		rating: make(map[int64]bool), around: make(map[int64]bool), rated: make(map[int64]bool),
	}
	if err := change(a); err != nil {
		return ledger.Applied{}, err
	}
	applied := ledger.Applied{Changed: len(a.changed)}
	if len(a.changed) == 0 {
		return applied, nil
	}
	if err := a.rate(ctx); err != nil {
		return ledger.Applied{}, fmt.Errorf("rate: %w", err)
	}
	touched, err := a.match(ctx)
	if err != nil {
		return ledger.Applied{}, fmt.Errorf("match: %w", err)
	}
	applied.Packages = len(touched)
	applied.Wave, applied.Images, err = l.touch(ctx, tx, ecosystem, touched, a.at)
	return applied, err
}

func digestOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// incoming is a record that is not as it was, on its way into the store.
type incoming struct {
	*ledger.Published
	digest       string
	before       stored
	known        bool
	key, version int64
}

// store writes the records that are not as they were.
func (a *application) store(ctx context.Context, records []ledger.Published) error {
	all, err := a.differing(ctx, records)
	if err != nil {
		return err
	}
	if err := a.storeAdvisories(ctx, all); err != nil {
		return fmt.Errorf("store advisories: %w", err)
	}
	if err := a.storeVersions(ctx, all); err != nil {
		return fmt.Errorf("store versions: %w", err)
	}
	var affected, aliases [][]any
	ecosystems := make(map[string]string)
	for _, r := range all {
		if _, ok := a.changed[r.key]; !ok {
			a.changed[r.key] = r.before
		}
		if r.known || r.Record.OwnSeverity().By != "" {
			a.rating[r.key] = true
		} else {
			a.around[r.key] = true // nobody's severity hangs on it
		}
		for position, e := range r.Record.Entries(a.ecosystem) {
			a.subjects[named{e.Family, e.Name}] = true
			ecosystems[e.Ecosystem] = e.Family
			affected = append(affected, []any{r.version, position, r.key, e.Family, e.Name, e.Ecosystem, !r.Record.IsWithdrawn(), e.Data})
		}
		aliases = append(aliases, aliasRows(r.key, &r.Record)...)
	}
	if err := bulk(ctx, a.tx, `INSERT INTO affected (version_id, position, advisory_id, family, subject, ecosystem, counts, entry)`, "", affected); err != nil {
		return fmt.Errorf("store what is affected: %w", err)
	}
	if err := bulk(ctx, a.tx, `INSERT INTO advisory_alias (name, advisory_id, upstream)`, "ON CONFLICT DO NOTHING", aliases); err != nil {
		return fmt.Errorf("store aliases: %w", err)
	}
	var rows [][]any
	for name, family := range ecosystems {
		rows = append(rows, []any{name, family})
	}
	if err := bulk(ctx, a.tx, `INSERT INTO ecosystem (name, family)`, "ON CONFLICT DO NOTHING", rows); err != nil {
		return fmt.Errorf("store ecosystems: %w", err)
	}
	return nil
}

// differing returns the records that are not as the store has them, by id. Of several
// with one id the last counts.
func (a *application) differing(ctx context.Context, records []ledger.Published) ([]*incoming, error) {
	known, err := a.readKnown(ctx, records)
	if err != nil {
		return nil, err
	}
	last := make(map[string]*incoming, len(records))
	for i := range records {
		r := &incoming{Published: &records[i], digest: digestOf(records[i].Raw)}
		r.before, r.known = known[r.Record.ID]
		last[r.Record.ID] = r
	}
	all := make([]*incoming, 0, len(last))
	for _, id := range slices.Sorted(maps.Keys(last)) {
		if r := last[id]; !r.known || r.before.digest != r.digest {
			all = append(all, r)
		}
	}
	return all, nil
}

func aliasRows(key int64, r *advisory.Record) [][]any {
	rows := [][]any{{r.ID, key, false}}
	for _, alias := range r.Aliases {
		rows = append(rows, []any{alias, key, false})
	}
	for _, up := range r.Upstream {
		if up != r.ID && !slices.Contains(r.Aliases, up) {
			rows = append(rows, []any{up, key, true})
		}
	}
	return rows
}

// readKnown reads what the store has of the records.
func (a *application) readKnown(ctx context.Context, records []ledger.Published) (map[string]stored, error) {
	args := []any{a.ecosystem}
	for i := range records {
		args = append(args, records[i].Record.ID)
	}
	known := make(map[string]stored, len(records))
	rows, err := a.tx.QueryContext(ctx, `SELECT id, name, digest, severity, aliases FROM advisory WHERE feed = $1 AND name IN `+list(len(records), 1), args...)
	if err != nil {
		return nil, fmt.Errorf("read advisories: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var s stored
		var name string
		if err := rows.Scan(&s.key, &name, &s.digest, &s.shown[0], &s.shown[1]); err != nil {
			return nil, fmt.Errorf("read advisories: %w", err)
		}
		known[name] = s
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read advisories: %w", err)
	}
	return known, nil
}

// storeAdvisories writes what the advisories are now. The versions that counted before
// end.
func (a *application) storeAdvisories(ctx context.Context, all []*incoming) error {
	if len(all) == 0 {
		return nil
	}
	byID := make(map[string]*incoming, len(all))
	args := make([]any, 0, 12*len(all))
	for _, r := range all {
		byID[r.Record.ID] = r
		if r.known {
			if err := a.endVersion(ctx, r.before.key); err != nil {
				return err
			}
		}
		d, own := &r.Record, r.Record.OwnSeverity().Encode()
		args = append(args, a.ecosystem, d.ID, r.digest, nullMicros(d.Published.Time), nullMicros(d.Modified.Time), nullMicros(d.Withdrawn.Time),
			a.at, d.ShortSummary(), jsonText(orEmpty(d.Aliases)), jsonText(orEmpty(d.Upstream)), own, own)
	}
	return a.returning(ctx, func(id string, key int64) { byID[id].key = key }, `
		INSERT INTO advisory (feed, name, digest, published, modified, withdrawn, first_seen, summary, aliases, upstream, own, severity)
		VALUES `+tuples(len(all), 12)+`
		ON CONFLICT (feed, name) DO UPDATE SET digest = excluded.digest, published = excluded.published, modified = excluded.modified,
			withdrawn = excluded.withdrawn, gone_at = NULL, summary = excluded.summary, aliases = excluded.aliases,
			upstream = excluded.upstream, own = excluded.own, severity = excluded.severity
		RETURNING name, id`, args...)
}

// storeVersions writes the versions of the advisories that count from now on.
func (a *application) storeVersions(ctx context.Context, all []*incoming) error {
	if len(all) == 0 {
		return nil
	}
	byDigest := make(map[string]*incoming, len(all))
	args := make([]any, 0, 7*len(all))
	for _, r := range all {
		d := &r.Record
		byDigest[r.digest] = r
		args = append(args, r.key, r.digest, nullMicros(d.Published.Time), nullMicros(d.Modified.Time), nullMicros(d.Withdrawn.Time),
			a.at, a.l.compress(r.Raw))
	}
	return a.returning(ctx, func(digest string, key int64) { byDigest[digest].version = key }, `
		INSERT INTO advisory_version (advisory_id, digest, published, modified, withdrawn, first_seen, content)
		VALUES `+tuples(len(all), 7)+` RETURNING digest, id`, args...)
}

// returning runs a statement that returns a name and a key for each row.
func (a *application) returning(ctx context.Context, put func(name string, key int64), query string, args ...any) error {
	rows, err := a.tx.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var key int64
		if err := rows.Scan(&name, &key); err != nil {
			return err
		}
		put(name, key)
	}
	return rows.Err()
}

func orEmpty(names []string) []string {
	if names == nil {
		return []string{}
	}
	return names
}

// endVersion ends the version of an advisory that counts.
func (a *application) endVersion(ctx context.Context, key int64) error {
	if err := a.addNeighbours(ctx, []int64{key}); err != nil {
		return err
	}
	names, err := collect(ctx, a.tx, func(rows *sql.Rows) (n named, err error) {
		err = rows.Scan(&n.family, &n.subject)
		return n, err
	}, `UPDATE affected SET counts = FALSE
		WHERE version_id IN (SELECT id FROM advisory_version WHERE advisory_id = $1 AND until IS NULL)
		RETURNING family, subject`, key)
	if err != nil {
		return fmt.Errorf("end what it affected: %w", err)
	}
	for _, n := range names {
		a.subjects[n] = true
	}
	if _, err := a.tx.ExecContext(ctx, `UPDATE advisory_version SET until = $2 WHERE advisory_id = $1 AND until IS NULL`, key, a.at); err != nil {
		return fmt.Errorf("end the version before: %w", err)
	}
	if _, err := a.tx.ExecContext(ctx, `DELETE FROM advisory_alias WHERE advisory_id = $1`, key); err != nil {
		return fmt.Errorf("end its names: %w", err)
	}
	return nil
}
