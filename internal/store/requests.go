package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Ask writes down what somebody asks the worker for. It returns [account.ErrNotFound]
// for what the tally does not know, and [account.ErrNotWatched] where no worker would do
// it. To ask for a dossier that is being made, or is kept and not outdated, changes
// nothing.
func (s *Store) Ask(ctx context.Context, r account.Request) error {
	err := s.change(ctx, func(tx *transaction) error { return s.ask(ctx, tx, r) })
	if err != nil {
		return fmt.Errorf("ask for %s of %s: %w", r.Step, r.Repository, err)
	}
	return nil
}

func (s *Store) ask(ctx context.Context, tx *transaction, r account.Request) error {
	watched, found, err := scanOne[bool](ctx, tx, `SELECT watched FROM repository WHERE name = $1`, r.Repository)
	switch {
	case err != nil:
		return err
	case !found:
		return account.ErrNotFound
	case !watched:
		return account.ErrNotWatched
	}
	switch r.Step {
	case release.StepDiscover:
	case release.StepIngest, release.StepDossier:
		if _, found, err = scanOne[int](ctx, tx, `SELECT 1 FROM image WHERE repository = $1 AND digest = $2`, r.Repository, string(r.Digest)); err != nil {
			return err
		} else if !found {
			return fmt.Errorf("image %s: %w", r.Digest, account.ErrNotFound)
		}
	default:
		return fmt.Errorf("step %q: expected discover, ingest or dossier", r.Step)
	}
	if r.Step == release.StepDossier {
		if wanted, err := s.askDossier(ctx, tx, r); err != nil || !wanted {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO request (step, repository, digest, asked_by, asked_at) VALUES ($1, $2, $3, $4, $5)`,
		string(r.Step), r.Repository, string(r.Digest), r.By, micros(s.now()))
	return err
}

// HandIn keeps an SBOM that somebody hands in for an image, and asks for the image to be
// looked at. The subject is the image or one of its platforms; anything else is
// [account.ErrNotFound]. The same SBOM again changes nothing.
func (s *Store) HandIn(ctx context.Context, u account.Upload) error {
	err := s.change(ctx, func(tx *transaction) error {
		known, _, err := scanOne[int](ctx, tx, `SELECT count(*) FROM (
			SELECT digest FROM image WHERE repository = $1 AND digest = $2 AND digest = $3
			UNION ALL SELECT digest FROM platform WHERE repository = $4 AND image_digest = $5 AND digest = $6) AS k`,
			u.Repository, string(u.Digest), string(u.Subject), u.Repository, string(u.Digest), string(u.Subject))
		if err != nil {
			return err
		}
		if known == 0 {
			return fmt.Errorf("manifest %s: %w", u.Subject, account.ErrNotFound)
		}
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO upload (repository, digest, subject, document_digest, content, uploaded_by, uploaded_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING`,
			u.Repository, string(u.Digest), string(u.Subject), digestOf(u.Content), u.Content, u.By, micros(s.now())); err != nil {
			return err
		}
		return s.ask(ctx, tx, account.Request{Step: release.StepIngest, Repository: u.Repository, Digest: u.Digest, By: u.By})
	})
	if err != nil {
		return fmt.Errorf("hand in an SBOM for %s@%s: %w", u.Repository, u.Digest, err)
	}
	return nil
}

// Uploads returns the SBOMs that were handed in for an image.
func (s *Store) Uploads(ctx context.Context, repository string, digest release.Digest) ([]ledger.Upload, error) {
	uploads, err := collect(ctx, s.read, func(rows *sql.Rows) (u ledger.Upload, err error) {
		err = rows.Scan(&u.Subject, &u.Content, &u.By)
		return u, err
	}, `SELECT subject, content, uploaded_by FROM upload WHERE repository = $1 AND digest = $2 ORDER BY id`, repository, string(digest))
	if err != nil {
		return nil, fmt.Errorf("read the SBOMs handed in for %s@%s: %w", repository, digest, err)
	}
	return uploads, nil
}

// TakeRequests queues what people asked for, and returns how many requests there were.
func (l *Ledger) TakeRequests(ctx context.Context) (int, error) {
	// Mostly there is nothing, and then nothing is locked.
	waiting, _, err := scanOne[int](ctx, l.read, `SELECT count(*) FROM request WHERE taken_at IS NULL`)
	if err != nil || waiting == 0 {
		if err != nil {
			err = fmt.Errorf("look for requests: %w", err)
		}
		return 0, err
	}
	var tasks []release.Task
	err = l.change(ctx, func(tx *transaction) (err error) {
		tasks, err = collect(ctx, tx, func(rows *sql.Rows) (t release.Task, err error) {
			err = rows.Scan(&t.Step, &t.Repository, &t.Digest)
			return t, err
		}, `UPDATE request SET taken_at = $1 WHERE taken_at IS NULL RETURNING step, repository, digest`, micros(l.now()))
		if err != nil {
			return err
		}
		return l.queue.Enqueue(ctx, tx.Tx, tasks...)
	})
	if err != nil {
		return 0, fmt.Errorf("take requests: %w", err)
	}
	return len(tasks), nil
}
