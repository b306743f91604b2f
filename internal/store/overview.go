package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/tallyman-io/tallyman/internal/release"
)

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
