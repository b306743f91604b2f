package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Asked returns the latest request for a look at an image, or at the repository where no
// digest is given, and what came of it. Without a request At is zero.
func (s *Store) Asked(ctx context.Context, repository string, digest release.Digest) (account.Asked, error) {
	var a account.Asked
	err := s.view(ctx, func(tx *transaction) (err error) {
		requests, err := collect(ctx, tx, func(rows *sql.Rows) (a account.Asked, err error) {
			var at int64
			var taken sql.NullInt64
			err = rows.Scan(&a.By, &at, &taken)
			a.At, a.TakenAt = fromMicros(at), fromNullMicros(taken)
			return a, err
		}, `SELECT asked_by, asked_at, taken_at FROM request WHERE repository = $1 AND digest = $2 AND step <> 'dossier' ORDER BY id DESC LIMIT 1`, repository, string(digest))
		if err != nil || len(requests) == 0 {
			return err
		}
		a = requests[0]
		if a.Job, err = s.jobOf(ctx, tx, repository, digest); err != nil {
			return fmt.Errorf("read the job: %w", err)
		}
		if a.Workers, err = s.alive(ctx, tx); err != nil {
			return err
		}
		return cameOf(ctx, tx, &a, repository, digest)
	})
	if err != nil {
		return account.Asked{}, fmt.Errorf("read what was asked for of %s: %w", repository, err)
	}
	return a, nil
}

// cameOf reads what is written down of what was asked for.
func cameOf(ctx context.Context, tx *transaction, a *account.Asked, repository string, digest release.Digest) error {
	if digest == "" {
		looked, _, err := scanOne[sql.NullInt64](ctx, tx, `SELECT look_at FROM repository WHERE name = $1`, repository)
		a.LookedAt = fromNullMicros(looked)
		return err
	}
	var looked, judged sql.NullInt64
	all, err := collect(ctx, tx, func(rows *sql.Rows) (judging bool, err error) {
		err = rows.Scan(&looked, &judging, &judged)
		return judging, err
	}, `SELECT e.at, EXISTS (SELECT 1 FROM wave_image i JOIN wave w ON w.id = i.wave_id WHERE i.examination_id = e.id AND w.judged_at IS NULL),
			(SELECT max(v.at) FROM verdict v WHERE v.examination_id = e.id)
		FROM examination e WHERE e.repository = $1 AND e.digest = $2`, repository, string(digest))
	if err != nil || len(all) == 0 {
		return err
	}
	a.Judging, a.LookedAt, a.JudgedAt = all[0], fromNullMicros(looked), fromNullMicros(judged)
	return nil
}

// jobOf is the job that looks at an image, or at a repository.
func (s *Store) jobOf(ctx context.Context, tx *transaction, repository string, digest release.Digest) (account.JobState, error) {
	exists, err := s.engine.tableExists(ctx, "river_job")
	if err != nil || !exists {
		return account.JobNone, err // no worker has been there yet
	}
	kind, about, args := release.StepDiscover, "", []any{repository}
	if digest != "" {
		kind, about, args = release.StepIngest, ` AND `+s.engine.argument("digest")+` = $2`, append(args, string(digest))
	}
	state, _, err := scanOne[string](ctx, tx, `SELECT j.state FROM river_job j WHERE j.kind = '`+string(kind)+`' AND `+waiting+`
		AND `+s.engine.argument("repository")+` = $1`+about+` ORDER BY j.id DESC LIMIT 1`, args...)
	switch state {
	case "":
		return account.JobNone, err
	case "running":
		return account.JobRunning, nil
	case "retryable":
		return account.JobRetrying, nil
	default:
		return account.JobWaiting, nil
	}
}
