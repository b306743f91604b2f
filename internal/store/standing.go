package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

// standingRelease is a release r with its image i and what is known of it, e.
const standingRelease = standingColumns + ` FROM release r ` + standingJoins

const standingColumns = `
	SELECT r.repository, r.version, r.digest, r.first_seen, r.moved_at, i.media_type, i.revision, i.created_at, i.first_seen,
		e.id, e.released_at, e.at, e.build, e.states,
		CASE WHEN EXISTS (SELECT 1 FROM tag t WHERE t.repository = r.repository AND t.name = r.version AND t.gone_at IS NULL) THEN NULL
			ELSE (SELECT max(g.gone_at) FROM tag g WHERE g.repository = r.repository AND g.name = r.version) END`

const standingJoins = `
	JOIN image i ON i.repository = r.repository AND i.digest = r.digest
	LEFT JOIN examination e ON e.repository = r.repository AND e.digest = r.digest `

// stands is the condition on a release r that its version stands.
const stands = ` EXISTS (SELECT 1 FROM tag t WHERE t.repository = r.repository AND t.name = r.version AND t.gone_at IS NULL) `

// scanStandings returns what scans one release after the other. Nearly all have the same
// states, so releases that do share one map, which nobody changes.
func scanStandings() func(rows *sql.Rows) (account.Standing, error) {
	var text string
	var states map[release.PaperKind]release.State
	return func(rows *sql.Rows) (account.Standing, error) {
		s, now, err := scanStanding(rows)
		if err != nil || !now.Valid {
			return s, err
		}
		if states == nil || now.String != text {
			if states, err = fromJSON[map[release.PaperKind]release.State](now.String); err != nil {
				return s, fmt.Errorf("states of %s@%s: %w", s.Image.Repository, s.Image.Digest, err)
			}
			text = now.String
		}
		s.Evidence = states
		return s, nil
	}
}

// scanStanding scans a release, and its states as they are kept.
func scanStanding(rows *sql.Rows) (s account.Standing, states sql.NullString, err error) {
	var first, seen int64
	var moved, created, key, released, at, gone sql.NullInt64
	var build sql.NullString
	if err = rows.Scan(&s.Image.Repository, &s.Version, &s.Image.Digest, &first, &moved, &s.Image.MediaType, &s.Image.Revision, &created, &seen,
		&key, &released, &at, &build, &states, &gone); err != nil {
		return s, states, err
	}
	s.FirstSeen, s.MovedAt, s.Image.Created = fromMicros(first), fromNullMicros(moved), fromNullMicros(created)
	s.Key, s.ExaminedAt, s.GoneAt = key.Int64, fromNullMicros(at), fromNullMicros(gone)
	s.ReleasedAt = releasedAt(released, created, seen)
	if build.String != "" {
		b, err := fromJSON[release.Build](build.String)
		if err != nil {
			return s, states, fmt.Errorf("build of %s@%s: %w", s.Image.Repository, s.Image.Digest, err)
		}
		s.Build = &b
	}
	return s, states, nil
}

// releasedAt is when an image was released: as its papers say, or else when it was made or
// first seen, whichever is earlier.
func releasedAt(released, created sql.NullInt64, seen int64) time.Time {
	switch {
	case released.Valid:
		return fromMicros(released.Int64)
	case created.Valid && created.Int64 < seen:
		return fromMicros(created.Int64)
	default:
		return fromMicros(seen)
	}
}

// standings reads releases: tail is what follows [standingRelease].
func standings(ctx context.Context, tx *transaction, tail string, args ...any) ([]account.Standing, error) {
	all, err := collect(ctx, tx, scanStandings(), standingRelease+tail, args...)
	if err != nil {
		return nil, fmt.Errorf("read releases: %w", err)
	}
	return all, nil
}

// releaseKey is what a row of table release is known by.
type releaseKey struct{ repository, version string }

func scanKey(rows *sql.Rows) (k releaseKey, err error) {
	err = rows.Scan(&k.repository, &k.version)
	return k, err
}

// chosen reads the releases r of from in the order of tail, which chooses them. What is
// told of them is read afterwards, of those alone: many may have to be sorted to choose a
// few.
func chosen(ctx context.Context, tx *transaction, from, tail string, args ...any) ([]account.Standing, error) {
	keys, err := collect(ctx, tx, scanKey, `SELECT r.repository, r.version FROM `+from+`
		LEFT JOIN examination e ON e.repository = r.repository AND e.digest = r.digest `+tail, args...)
	if err != nil {
		return nil, fmt.Errorf("choose releases: %w", err)
	}
	return readKeys(ctx, tx, keys)
}

// readKeys reads releases in the order of their keys.
func readKeys(ctx context.Context, tx *transaction, keys []releaseKey) ([]account.Standing, error) {
	all := make([]account.Standing, 0, len(keys))
	for chunk := range slices.Chunk(keys, batch/2) {
		place := make(map[releaseKey]int, len(chunk))
		values := make([]any, 0, 2*len(chunk))
		for i, k := range chunk {
			place[k] = i
			values = append(values, k.repository, k.version)
		}
		// SQLite takes the tables of a CROSS JOIN in this order. Of a long IN (VALUES …) it
		// prefers to scan the table.
		part, err := collect(ctx, tx, scanStandings(), `WITH k (repository, version) AS (VALUES `+pairs(len(chunk), 0)+`)`+standingColumns+
			` FROM k CROSS JOIN release r `+standingJoins+` WHERE r.repository = k.repository AND r.version = k.version`, values...)
		if err != nil {
			return nil, fmt.Errorf("read releases: %w", err)
		}
		of := func(s *account.Standing) int { return place[releaseKey{s.Image.Repository, s.Version}] }
		sort.Slice(part, func(i, j int) bool { return of(&part[i]) < of(&part[j]) })
		all = append(all, part...)
	}
	return all, nil
}

// complete adds what lies in other tables: platforms, and verdicts, with their reasons
// where the whole is asked for.
func complete(ctx context.Context, tx *transaction, all []*account.Standing, whole bool) error {
	for chunk := range slices.Chunk(all, batch/2) {
		if err := addPlatforms(ctx, tx, chunk); err != nil {
			return fmt.Errorf("read platforms: %w", err)
		}
		at := make(map[int64][]*account.Standing, len(chunk))
		for _, s := range chunk {
			if s.Key != 0 {
				at[s.Key] = append(at[s.Key], s)
			}
		}
		if len(at) == 0 {
			continue
		}
		if err := addVerdicts(ctx, tx, at, whole); err != nil {
			return fmt.Errorf("read verdicts: %w", err)
		}
	}
	return nil
}

// pointers are those to the items of a list.
func pointers(all []account.Standing) []*account.Standing {
	list := make([]*account.Standing, len(all))
	for i := range all {
		list[i] = &all[i]
	}
	return list
}

func addPlatforms(ctx context.Context, tx *transaction, all []*account.Standing) error {
	type image struct{ repository, digest string }
	at := make(map[image][]*account.Standing, len(all))
	var args []any
	for _, s := range all {
		i := image{s.Image.Repository, string(s.Image.Digest)}
		if at[i] == nil {
			args = append(args, i.repository, i.digest)
		}
		at[i] = append(at[i], s)
	}
	type row struct {
		image
		release.Platform
	}
	rows, err := collect(ctx, tx, func(rows *sql.Rows) (r row, err error) {
		err = rows.Scan(&r.repository, &r.digest, &r.OS, &r.Architecture, &r.Variant, &r.Digest, &r.CompressedSize)
		return r, err
	}, `WITH k (repository, digest) AS (VALUES `+pairs(len(args)/2, 0)+`)
		SELECT p.repository, p.image_digest, p.os, p.architecture, p.variant, p.digest, p.compressed_size
		FROM k CROSS JOIN platform p WHERE p.repository = k.repository AND p.image_digest = k.digest
		ORDER BY p.repository, p.image_digest, p.position`, args...)
	if err != nil {
		return err
	}
	for i := range rows {
		for _, s := range at[rows[i].image] {
			s.Image.Platforms = append(s.Image.Platforms, rows[i].Platform)
		}
	}
	return nil
}

// verdictColumns are those of a verdict v and its wave w that [scanAccount] reads, and
// countColumns the same without reasons.
const (
	verdictColumns = `v.examination_id, v.number, v.at, v.result, v.reasons, v.counts, v.policy, v.wave_id, w.cause, w.origin`
	countColumns   = `v.examination_id, v.number, v.at, v.result, '', v.counts, v.policy, v.wave_id, NULL, NULL`
)

func scanAccount(rows *sql.Rows, key *int64) (v account.Verdict, err error) {
	var at int64
	var reasons, counts string
	var wave sql.NullInt64
	var cause, origin sql.NullString
	if err = rows.Scan(key, &v.Number, &at, &v.Result, &reasons, &counts, &v.Policy, &wave, &cause, &origin); err != nil {
		return v, err
	}
	v.At, v.Wave, v.Cause, v.Origin = fromMicros(at), wave.Int64, release.WaveCause(cause.String), origin.String
	if v.Counts, err = ledger.ParseCounts(counts); err != nil {
		return v, err
	}
	if reasons != "" {
		v.Reasons, err = fromJSON[[]release.Reason](reasons)
	}
	return v, err
}

func addVerdicts(ctx context.Context, tx *transaction, at map[int64][]*account.Standing, reasons bool) error {
	keys := sortedKeys(at)
	columns := `SELECT ` + countColumns + ` FROM verdict v`
	if reasons {
		columns = `SELECT ` + verdictColumns + ` FROM verdict v LEFT JOIN wave w ON w.id = v.wave_id`
	}
	type row struct {
		key int64
		account.Verdict
	}
	rows, err := collect(ctx, tx, func(rows *sql.Rows) (r row, err error) {
		r.Verdict, err = scanAccount(rows, &r.key)
		return r, err
	}, columns+` WHERE v.examination_id IN `+list(len(keys), 0)+` AND (v.number = 0 OR v.number =
			(SELECT max(number) FROM verdict l WHERE l.examination_id = v.examination_id))`, anys(keys)...)
	if err != nil {
		return err
	}
	for i := range rows {
		v := &rows[i].Verdict
		for _, s := range at[rows[i].key] {
			if v.Number == 0 {
				s.AtRelease = v
			} else {
				s.Now = v
			}
		}
	}
	return nil
}

// statesOf is what is known of each kind for the image as a whole, as table examination
// keeps it.
func statesOf(digest release.Digest, pieces []release.Evidence) string {
	examination := release.Examination{Digest: digest, Evidence: pieces}
	states := make(map[release.PaperKind]release.State)
	for _, kind := range release.PaperKinds() {
		states[kind], _ = examination.State(kind)
	}
	return jsonText(states)
}

func sortedKeys[T any](m map[int64]T) []int64 {
	keys := make([]int64, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
