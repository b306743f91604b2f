package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

// RecordProgress writes down how far a job is.
func (l *Ledger) RecordProgress(ctx context.Context, p ledger.Progress) error {
	now := micros(l.now())
	ended := sql.NullInt64{Int64: now, Valid: p.Ended}
	if _, err := l.write.ExecContext(ctx, `
		INSERT INTO progress (job, subject, done, total, note, started_at, updated_at, ended_at, failure)
		VALUES ($1, $2, $3, $4, $5, $6, $6, $7, $8)
		ON CONFLICT (job, subject) DO UPDATE SET done = excluded.done, total = excluded.total, note = excluded.note,
			started_at = CASE WHEN progress.ended_at IS NULL AND (excluded.done > 0 OR excluded.ended_at IS NOT NULL) THEN progress.started_at ELSE excluded.started_at END,
			updated_at = excluded.updated_at, ended_at = excluded.ended_at, failure = excluded.failure`,
		string(p.Step), p.Subject, p.Done, sql.NullInt64{Int64: p.Total, Valid: p.Total > 0}, p.Note, now, ended, p.Failure); err != nil {
		return fmt.Errorf("record progress of %s %s: %w", p.Step, p.Subject, err)
	}
	return nil
}

const progressColumns = `SELECT job, subject, done, total, note, started_at, updated_at, ended_at, failure FROM progress `

func scanProgress(rows *sql.Rows) (p ledger.Progress, err error) {
	var started, updated int64
	var total, ended sql.NullInt64
	err = rows.Scan(&p.Step, &p.Subject, &p.Done, &total, &p.Note, &started, &updated, &ended, &p.Failure)
	p.Total, p.StartedAt, p.UpdatedAt, p.Ended = total.Int64, fromMicros(started), fromMicros(updated), ended.Valid
	return p, err
}

// runFirst is the order in which jobs are told of: that of one that runs is not lost
// among those that ended.
const runFirst = ` ORDER BY CASE WHEN ended_at IS NULL THEN 0 ELSE 1 END, updated_at DESC, job, subject LIMIT `

// Progress returns how far jobs are: those that run, then those that ended, the latest
// first; [account.MostProgress] at most.
func (s *Store) Progress(ctx context.Context) ([]ledger.Progress, error) {
	all, err := collect(ctx, s.read, scanProgress, progressColumns+runFirst+`$1`, account.MostProgress)
	if err != nil {
		return nil, fmt.Errorf("read progress: %w", err)
	}
	return all, nil
}

// ProgressOf is [Store.Progress] of the jobs that are about an image, which are looks at
// its papers and its dossier, and of looks at its repository.
func (s *Store) ProgressOf(ctx context.Context, repository string, digest release.Digest) ([]ledger.Progress, error) {
	all, err := collect(ctx, s.read, scanProgress, progressColumns+`WHERE subject IN ($1, $2)`+runFirst+`$3`,
		repository, repository+"@"+string(digest), account.MostProgress)
	if err != nil {
		return nil, fmt.Errorf("read progress of %s@%s: %w", repository, digest, err)
	}
	return all, nil
}

const (
	// progressKept is how long the progress of a job that ended is kept. That of feeds is
	// kept until the next time: they are few.
	progressKept = time.Hour
	// progressLost is how long a job may be silent before nobody believes that it goes on.
	progressLost = 24 * time.Hour
)

// ForgetProgress removes the progress of jobs that ended a while ago.
func (l *Ledger) ForgetProgress(ctx context.Context) error {
	now := l.now()
	const old = `job <> 'sync' AND (ended_at <= $1 OR updated_at <= $2)`
	ended, silent := micros(now.Add(-progressKept)), micros(now.Add(-progressLost))
	some, _, err := scanOne[int](ctx, l.read, `SELECT count(*) FROM progress WHERE `+old, ended, silent)
	if err == nil && some > 0 {
		_, err = l.write.ExecContext(ctx, `DELETE FROM progress WHERE `+old, ended, silent)
	}
	if err != nil {
		return fmt.Errorf("forget progress: %w", err)
	}
	return nil
}
