package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

// standingRelease is a release r with its image i and what is known of it, e.
const standingRelease = `
	SELECT r.repository, r.version, r.digest, r.first_seen, r.moved_at, i.media_type, i.revision, i.created_at, i.first_seen,
		e.id, e.released_at, e.at, e.build,
		(SELECT max(g.gone_at) FROM tag g WHERE g.repository = r.repository AND g.name = r.version
			AND NOT EXISTS (SELECT 1 FROM tag t WHERE t.repository = r.repository AND t.name = r.version AND t.gone_at IS NULL))
	FROM release r JOIN image i ON i.repository = r.repository AND i.digest = r.digest
	LEFT JOIN examination e ON e.repository = r.repository AND e.digest = r.digest `

// stands is the condition on a release r that its version stands.
const stands = ` EXISTS (SELECT 1 FROM tag t WHERE t.repository = r.repository AND t.name = r.version AND t.gone_at IS NULL) `

func scanStanding(rows *sql.Rows) (s account.Standing, err error) {
	var first, seen int64
	var moved, created, key, released, at, gone sql.NullInt64
	var build sql.NullString
	if err = rows.Scan(&s.Image.Repository, &s.Version, &s.Image.Digest, &first, &moved, &s.Image.MediaType, &s.Image.Revision, &created, &seen,
		&key, &released, &at, &build, &gone); err != nil {
		return s, err
	}
	s.FirstSeen, s.MovedAt, s.Image.Created = fromMicros(first), fromNullMicros(moved), fromNullMicros(created)
	s.Key, s.ExaminedAt, s.GoneAt = key.Int64, fromNullMicros(at), fromNullMicros(gone)
	switch {
	case released.Valid:
		s.ReleasedAt = fromMicros(released.Int64)
	case created.Valid && created.Int64 < seen:
		s.ReleasedAt = s.Image.Created
	default:
		s.ReleasedAt = fromMicros(seen)
	}
	if build.String != "" {
		b, err := fromJSON[release.Build](build.String)
		if err != nil {
			return s, fmt.Errorf("build of %s@%s: %w", s.Image.Repository, s.Image.Digest, err)
		}
		s.Build = &b
	}
	return s, nil
}

// standings reads releases: tail is what follows [standingRelease].
func standings(ctx context.Context, tx *transaction, tail string, args ...any) ([]account.Standing, error) {
	all, err := collect(ctx, tx, scanStanding, standingRelease+tail, args...)
	if err != nil {
		return nil, fmt.Errorf("read releases: %w", err)
	}
	return all, nil
}

// complete adds what lies in other tables: platforms, verdicts and, where evidence is
// asked for, the state of each kind.
func complete(ctx context.Context, tx *transaction, all []*account.Standing, evidence bool) error {
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
		if err := addVerdicts(ctx, tx, at); err != nil {
			return fmt.Errorf("read verdicts: %w", err)
		}
		if !evidence {
			continue
		}
		if err := addStates(ctx, tx, at); err != nil {
			return fmt.Errorf("read evidence: %w", err)
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
	}, `SELECT repository, image_digest, os, architecture, variant, digest, compressed_size FROM platform
		WHERE (repository, image_digest) IN (VALUES `+pairs(len(args)/2, 0)+`) ORDER BY repository, image_digest, position`, args...)
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

// verdictColumns are those of a verdict v and its wave w that [scanAccount] reads.
const verdictColumns = `v.examination_id, v.number, v.at, v.result, v.reasons, v.counts, v.policy, v.wave_id, w.cause, w.origin`

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
	v.Reasons, err = fromJSON[[]release.Reason](reasons)
	return v, err
}

func addVerdicts(ctx context.Context, tx *transaction, at map[int64][]*account.Standing) error {
	keys := sortedKeys(at)
	type row struct {
		key int64
		account.Verdict
	}
	rows, err := collect(ctx, tx, func(rows *sql.Rows) (r row, err error) {
		r.Verdict, err = scanAccount(rows, &r.key)
		return r, err
	}, `SELECT `+verdictColumns+` FROM verdict v LEFT JOIN wave w ON w.id = v.wave_id
		WHERE v.examination_id IN `+list(len(keys), 0)+` AND (v.number = 0 OR v.number =
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

func addStates(ctx context.Context, tx *transaction, at map[int64][]*account.Standing) error {
	keys := sortedKeys(at)
	type row struct {
		key int64
		release.Evidence
	}
	rows, err := collect(ctx, tx, func(rows *sql.Rows) (r row, err error) {
		err = rows.Scan(&r.key, &r.Subject, &r.Kind, &r.On, &r.State)
		return r, err
	}, `SELECT examination_id, subject, kind, place, state FROM evidence
		WHERE examination_id IN `+list(len(keys), 0)+` ORDER BY examination_id, position`, anys(keys)...)
	if err != nil {
		return err
	}
	pieces := make(map[int64][]release.Evidence)
	for i := range rows {
		pieces[rows[i].key] = append(pieces[rows[i].key], rows[i].Evidence)
	}
	for key, list := range at {
		states := statesOf(list[0].Image.Digest, pieces[key])
		for _, s := range list {
			s.Evidence = states
		}
	}
	return nil
}

// statesOf is what is known of each kind for the image as a whole.
func statesOf(digest release.Digest, pieces []release.Evidence) map[release.PaperKind]release.State {
	states := make(map[release.PaperKind]release.State)
	if len(pieces) == 0 {
		return states
	}
	examination := release.Examination{Digest: digest, Evidence: pieces}
	for _, kind := range release.PaperKinds() {
		states[kind], _ = examination.State(kind)
	}
	return states
}

func sortedKeys[T any](m map[int64]T) []int64 {
	keys := make([]int64, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
