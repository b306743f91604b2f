package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tallyman-io/tallyman/internal/release"
)

// Watch records which repositories are looked at, and how often. Those that are
// not listed keep what is known of them and are no longer watched.
func (s *Store) Watch(ctx context.Context, repositories []string, every time.Duration) error {
	return s.change(ctx, func(tx *transaction) error {
		if _, err := tx.ExecContext(ctx, `UPDATE repository SET watched = FALSE WHERE watched`); err != nil {
			return fmt.Errorf("unwatch all repositories: %w", err)
		}
		// Sorted, so that two processes that do this at once lock rows in one order.
		for _, name := range slices.Sorted(slices.Values(repositories)) {
			if _, err := tx.ExecContext(ctx, `
				INSERT INTO repository (name, watched, look_every) VALUES ($1, TRUE, $2)
				ON CONFLICT (name) DO UPDATE SET watched = TRUE, look_every = excluded.look_every`,
				name, every.Microseconds()); err != nil {
				return fmt.Errorf("watch repository %s: %w", name, err)
			}
		}
		return nil
	})
}

// Images returns the digests of the images that are known in a repository.
func (s *Store) Images(ctx context.Context, repository string) ([]release.Digest, error) {
	digests, err := collect(ctx, s.read, func(rows *sql.Rows) (d release.Digest, err error) {
		err = rows.Scan(&d)
		return d, err
	}, `SELECT digest FROM image WHERE repository = $1 ORDER BY digest`, repository)
	if err != nil {
		return nil, fmt.Errorf("read images of %s: %w", repository, err)
	}
	return digests, nil
}

// RecordLook writes down a look and what it saw, all or nothing, and returns the
// tags that name another digest than before, by name. Only a complete look can
// tell that a tag is gone; any other adds to what is known and takes nothing away.
func (s *Store) RecordLook(ctx context.Context, look release.Look, seen release.Sighting) ([]release.Move, error) {
	return s.recordLook(ctx, look, seen, func(*transaction, *recorder) error { return nil })
}

// recordLook calls then within the transaction, after everything is written.
func (s *Store) recordLook(ctx context.Context, look release.Look, seen release.Sighting, then func(*transaction, *recorder) error) ([]release.Move, error) {
	r := &recorder{look: look}
	err := s.change(ctx, func(tx *transaction) error {
		*r = recorder{tx: tx, look: look}
		// First, because it locks the row: two looks at one repository follow each
		// other on PostgreSQL too.
		if err := r.repository(ctx); err != nil {
			return err
		}
		for _, image := range seen.Images {
			if err := r.image(ctx, image); err != nil {
				return fmt.Errorf("record image %s: %w", image.Digest, err)
			}
		}
		if err := r.tags(ctx, seen.Tags); err != nil {
			return err
		}
		return then(tx, r)
	})
	if err != nil {
		return nil, fmt.Errorf("record look at %s: %w", look.Repository, err)
	}
	return r.moves, nil
}

// recorder writes one look within one transaction.
type recorder struct {
	tx    *transaction
	look  release.Look
	moves []release.Move
	// released are the digests that version tags name since this look.
	released []release.Digest
}

func (r *recorder) exec(ctx context.Context, query string, args ...any) (int64, error) {
	res, err := r.tx.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (r *recorder) repository(ctx context.Context) error {
	complete := sql.NullInt64{Int64: micros(r.look.At), Valid: r.look.Outcome == release.OutcomeComplete}
	_, err := r.exec(ctx, `
		INSERT INTO repository (name, watched, look_at, look_outcome, look_cause, look_reason, complete_at)
		VALUES ($1, TRUE, $2, $3, $4, $5, $6)
		ON CONFLICT (name) DO UPDATE SET
			look_at      = excluded.look_at,
			look_outcome = excluded.look_outcome,
			look_cause   = excluded.look_cause,
			look_reason  = excluded.look_reason,
			complete_at  = coalesce(excluded.complete_at, repository.complete_at)`,
		r.look.Repository, micros(r.look.At), string(r.look.Outcome), string(r.look.Cause), r.look.Reason, complete)
	return err
}

func (r *recorder) image(ctx context.Context, image release.Image) error {
	n, err := r.exec(ctx, `
		INSERT INTO image (repository, digest, media_type, revision, created_at, first_seen)
		VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING`,
		r.look.Repository, string(image.Digest), image.MediaType, image.Revision, nullMicros(image.Created), micros(r.look.At))
	if err != nil || n == 0 {
		return err // n == 0: known already, and a digest never changes its meaning
	}
	for i, p := range image.Platforms {
		if _, err := r.exec(ctx, `
			INSERT INTO platform (repository, image_digest, position, os, architecture, variant, digest, compressed_size, layers)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			r.look.Repository, string(image.Digest), i, p.OS, p.Architecture, p.Variant, string(p.Digest), p.CompressedSize,
			jsonList(p.Layers)); err != nil {
			return fmt.Errorf("platform %s: %w", p, err)
		}
	}
	return nil
}

// span is the newest row of a tag's history.
type span struct {
	name       string
	digest     release.Digest
	generation int
	gone       bool
}

func (r *recorder) tags(ctx context.Context, seen map[string]release.Digest) error {
	spans, err := r.latestSpans(ctx)
	if err != nil {
		return fmt.Errorf("read tags: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		last, known := spans[name]
		if err := r.tag(ctx, name, seen[name], last, known); err != nil {
			return fmt.Errorf("record tag %s: %w", name, err)
		}
	}
	if r.look.Outcome != release.OutcomeComplete {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(spans)) {
		if _, ok := seen[name]; ok || spans[name].gone {
			continue
		}
		if err := r.end(ctx, spans[name]); err != nil {
			return fmt.Errorf("record tag %s as gone: %w", name, err)
		}
	}
	return nil
}

func (r *recorder) latestSpans(ctx context.Context) (map[string]span, error) {
	all, err := collect(ctx, r.tx, func(rows *sql.Rows) (s span, err error) {
		err = rows.Scan(&s.name, &s.digest, &s.generation, &s.gone)
		return s, err
	}, `SELECT name, digest, generation, gone_at IS NOT NULL FROM tag
		WHERE repository = $1 ORDER BY name, generation`, r.look.Repository)
	if err != nil {
		return nil, err
	}
	latest := make(map[string]span, len(all))
	for _, s := range all {
		latest[s.name] = s
	}
	return latest, nil
}

func (r *recorder) tag(ctx context.Context, name string, digest release.Digest, last span, known bool) error {
	switch {
	case known && last.digest == digest && !last.gone:
		return nil
	case known && last.digest == digest:
		// Deleted and pushed again as it was: the same span goes on.
		_, err := r.exec(ctx, `UPDATE tag SET gone_at = NULL WHERE repository = $1 AND name = $2 AND generation = $3`,
			r.look.Repository, name, last.generation)
		return err
	case known && !last.gone:
		if err := r.end(ctx, last); err != nil {
			return err
		}
	}
	kind := release.KindOfTag(name)
	if _, err := r.exec(ctx, `
		INSERT INTO tag (repository, name, generation, kind, digest, first_seen) VALUES ($1, $2, $3, $4, $5, $6)`,
		r.look.Repository, name, last.generation+1, string(kind), string(digest), micros(r.look.At)); err != nil {
		return err
	}
	if known {
		r.moves = append(r.moves, release.Move{Repository: r.look.Repository, Tag: name, From: last.digest, To: digest, At: r.look.At})
	}
	if kind != release.TagVersion {
		return nil
	}
	r.released = append(r.released, digest)
	return r.release(ctx, name, digest)
}

func (r *recorder) end(ctx context.Context, s span) error {
	_, err := r.exec(ctx, `UPDATE tag SET gone_at = $4 WHERE repository = $1 AND name = $2 AND generation = $3`,
		r.look.Repository, s.name, s.generation, micros(r.look.At))
	return err
}

func (r *recorder) release(ctx context.Context, version string, digest release.Digest) error {
	_, err := r.exec(ctx, `
		INSERT INTO release (repository, version, digest, first_seen, precedence, prerelease) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (repository, version) DO UPDATE SET digest = excluded.digest, moved_at = excluded.first_seen`,
		r.look.Repository, version, string(digest), micros(r.look.At), release.Precedence(version), release.IsPrerelease(version))
	return err
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// collect reads every row of a query.
func collect[T any](ctx context.Context, q querier, scan func(*sql.Rows) (T, error), query string, args ...any) (all []T, err error) {
	err = each(ctx, q, func(rows *sql.Rows) error {
		v, err := scan(rows)
		if err == nil {
			all = append(all, v)
		}
		return err
	}, query, args)
	return all, err
}

// each calls read for every row of a query, until it fails. It is apart from [collect] so
// that there is one code for all.
func each(ctx context.Context, q querier, read func(*sql.Rows) error, query string, args []any) (err error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := rows.Close(); err == nil {
			err = cerr
		}
	}()
	for rows.Next() {
		if err := read(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
