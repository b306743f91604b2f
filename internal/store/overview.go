package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/tallyman-io/tallyman/internal/release"
)

// Overview returns all components, watched ones first, each group by name. Its
// parts all belong to one moment.
func (s *Store) Overview(ctx context.Context) ([]release.Component, error) {
	var components []release.Component
	err := s.view(ctx, func(tx *transaction) (err error) {
		components, err = collect(ctx, tx, scanComponent, `
			SELECT name, watched, look_every, look_at, look_outcome, look_cause, look_reason, complete_at
			FROM repository ORDER BY watched DESC, name`)
		if err != nil {
			return fmt.Errorf("read repositories: %w", err)
		}
		standing, err := standingVersions(ctx, tx)
		if err != nil {
			return fmt.Errorf("read versions: %w", err)
		}
		for i := range components {
			c := &components[i]
			versions := standing[c.Repository]
			c.Releases = len(versions)
			latest, ok := release.Latest(versions)
			if !ok {
				continue
			}
			if c.Latest, err = readRelease(ctx, tx, c.Repository, latest); err != nil {
				return fmt.Errorf("read release %s of %s: %w", latest, c.Repository, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read overview: %w", err)
	}
	return components, nil
}

// Tags returns the whole history of the tags of a repository, by name and then
// oldest first.
func (s *Store) Tags(ctx context.Context, repository string) ([]release.Tag, error) {
	tags, err := collect(ctx, s.read, func(rows *sql.Rows) (release.Tag, error) {
		t := release.Tag{Repository: repository}
		var first int64
		var gone sql.NullInt64
		err := rows.Scan(&t.Name, &t.Digest, &t.Generation, &first, &gone)
		t.FirstSeen, t.GoneAt = fromMicros(first), fromNullMicros(gone)
		return t, err
	}, `SELECT name, digest, generation, first_seen, gone_at FROM tag
		WHERE repository = $1 ORDER BY name, generation`, repository)
	if err != nil {
		return nil, fmt.Errorf("read tags of %s: %w", repository, err)
	}
	return tags, nil
}

func scanComponent(rows *sql.Rows) (release.Component, error) {
	var (
		c                release.Component
		every            int64
		lookAt, complete sql.NullInt64
		outcome          sql.NullString
		look             release.Look
	)
	if err := rows.Scan(&c.Repository, &c.Watched, &every, &lookAt, &outcome, &look.Cause, &look.Reason, &complete); err != nil {
		return c, err
	}
	c.LookEvery = time.Duration(every) * time.Microsecond
	c.LastComplete = fromNullMicros(complete)
	if lookAt.Valid {
		look.Repository, look.At, look.Outcome = c.Repository, fromMicros(lookAt.Int64), release.Outcome(outcome.String)
		c.LastLook = &look
	}
	return c, nil
}

// standingVersions returns the version tags that stand, by repository. They are
// put in order in Go: no database knows how to compare semantic versions.
func standingVersions(ctx context.Context, tx *transaction) (map[string][]string, error) {
	type row struct{ repository, version string }
	rows, err := collect(ctx, tx, func(rows *sql.Rows) (r row, err error) {
		err = rows.Scan(&r.repository, &r.version)
		return r, err
	}, `SELECT repository, name FROM tag WHERE kind = $1 AND gone_at IS NULL`, string(release.TagVersion))
	if err != nil {
		return nil, err
	}
	versions := map[string][]string{}
	for _, r := range rows {
		versions[r.repository] = append(versions[r.repository], r.version)
	}
	return versions, nil
}

func readRelease(ctx context.Context, tx *transaction, repository, version string) (*release.Release, error) {
	r := release.Release{Version: version, Image: release.Image{Repository: repository}}
	var (
		first          int64
		created, moved sql.NullInt64
	)
	if err := tx.QueryRowContext(ctx, `
		SELECT r.digest, r.first_seen, r.moved_at, i.media_type, i.revision, i.created_at
		FROM release r JOIN image i ON i.repository = r.repository AND i.digest = r.digest
		WHERE r.repository = $1 AND r.version = $2`, repository, version,
	).Scan(&r.Image.Digest, &first, &moved, &r.Image.MediaType, &r.Image.Revision, &created); err != nil {
		return nil, err
	}
	r.FirstSeen, r.MovedAt, r.Image.Created = fromMicros(first), fromNullMicros(moved), fromNullMicros(created)
	platforms, err := collect(ctx, tx, func(rows *sql.Rows) (p release.Platform, err error) {
		err = rows.Scan(&p.OS, &p.Architecture, &p.Variant, &p.Digest, &p.CompressedSize)
		return p, err
	}, `SELECT os, architecture, variant, digest, compressed_size FROM platform
		WHERE repository = $1 AND image_digest = $2 ORDER BY position`, repository, string(r.Image.Digest))
	if err != nil {
		return nil, fmt.Errorf("read platforms: %w", err)
	}
	r.Image.Platforms = platforms
	return &r, nil
}
