package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Dossier returns how the dossier of the papers of an image stands. An image that has
// none, or is not known, is in the state none.
func (s *Store) Dossier(ctx context.Context, repository string, digest release.Digest) (account.Dossier, error) {
	var d account.Dossier
	err := s.view(ctx, func(tx *transaction) (err error) {
		if d, err = s.dossier(ctx, tx, repository, digest); err != nil || d.State != account.DossierMaking {
			return err
		}
		p, err := one(collect(ctx, tx, scanProgress, progressColumns+`WHERE job = $1 AND subject = $2 AND updated_at >= $3`,
			string(release.StepDossier), dossierSubject(repository, digest), micros(d.AskedAt)))
		if errors.Is(err, account.ErrNotFound) {
			return nil
		}
		d.Progress = &p
		return err
	})
	if err != nil {
		return account.Dossier{}, fmt.Errorf("read the dossier of %s@%s: %w", repository, digest, err)
	}
	return d, nil
}

// dossierSubject is what progress calls the making of a dossier.
func dossierSubject(repository string, digest release.Digest) string {
	return repository + "@" + string(digest)
}

// dossier is Dossier without the progress.
func (s *Store) dossier(ctx context.Context, tx *transaction, repository string, digest release.Digest) (account.Dossier, error) {
	var ended sql.NullInt64
	d, err := one(collect(ctx, tx, func(rows *sql.Rows) (d account.Dossier, err error) {
		var asked, changes int64
		err = rows.Scan(&d.ID, &d.AskedBy, &asked, &ended, &d.Failure, &d.Digest, &d.File, &d.Size, &changes)
		d.AskedAt, d.Outdated = fromMicros(asked), changes > 0
		return d, err
	}, `SELECT d.id, d.asked_by, d.asked_at, d.ended_at, d.failure, d.dossier_digest, d.file_digest, d.size,
			(SELECT count(*) FROM evidence_change c JOIN examination e ON e.id = c.examination_id
				WHERE e.repository = d.repository AND e.digest = d.digest AND c.at > d.asked_at)
		FROM dossier d WHERE d.repository = $1 AND d.digest = $2 ORDER BY d.id DESC LIMIT 1`, repository, string(digest)))
	none := account.Dossier{State: account.DossierNone}
	if errors.Is(err, account.ErrNotFound) {
		return none, nil
	}
	if err != nil {
		return none, err
	}
	now := s.now()
	switch {
	case !ended.Valid && now.Sub(d.AskedAt) >= account.DossierLost:
		d.State, d.Failure = account.DossierFailed, "no worker made it within "+account.DossierLost.String()
	case !ended.Valid:
		d.State = account.DossierMaking
	case d.Failure != "":
		d.State = account.DossierFailed
	default:
		d.State, d.MadeAt = account.DossierReady, fromMicros(ended.Int64)
		d.ExpiresAt = d.MadeAt.Add(account.DossierKept)
		if !now.Before(d.ExpiresAt) {
			return none, nil
		}
	}
	return d, nil
}

// askDossier begins a dossier, and reports whether there has to be one: none while one is
// made, or kept and not outdated.
func (s *Store) askDossier(ctx context.Context, tx *transaction, r account.Request) (bool, error) {
	d, err := s.dossier(ctx, tx, r.Repository, r.Digest)
	if err != nil || d.State == account.DossierMaking || d.State == account.DossierReady && !d.Outdated {
		return false, err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO dossier (repository, digest, asked_by, asked_at) VALUES ($1, $2, $3, $4)`,
		r.Repository, string(r.Digest), r.By, micros(s.now()))
	return err == nil, err
}

// DossierPart returns a part of the file of a dossier, counted from 0, or
// [account.ErrNotFound] behind the last and when the dossier is no longer kept.
func (s *Store) DossierPart(ctx context.Context, id int64, number int) ([]byte, error) {
	content, err := one(collect(ctx, s.read, scanBytes, `SELECT content FROM dossier_part WHERE dossier_id = $1 AND number = $2`, id, number))
	if err != nil {
		return nil, fmt.Errorf("read part %d of dossier %d: %w", number, id, err)
	}
	return content, nil
}

func scanBytes(rows *sql.Rows) (b []byte, err error) {
	err = rows.Scan(&b)
	return b, err
}

// AskedDossier returns the dossier of an image that is to be made, and false when none is.
func (l *Ledger) AskedDossier(ctx context.Context, repository string, digest release.Digest) (d ledger.Dossier, asked bool, err error) {
	fail := func(err error) (ledger.Dossier, bool, error) {
		return ledger.Dossier{}, false, fmt.Errorf("look for the dossier to make of %s@%s: %w", repository, digest, err)
	}
	if d.ID, asked, err = scanOne[int64](ctx, l.read, `SELECT id FROM dossier WHERE repository = $1 AND digest = $2 AND ended_at IS NULL ORDER BY id DESC LIMIT 1`,
		repository, string(digest)); err != nil {
		return fail(err)
	}
	if !asked {
		return d, false, nil
	}
	if d.Versions, err = collect(ctx, l.read, func(rows *sql.Rows) (name string, err error) {
		err = rows.Scan(&name)
		return name, err
	}, `SELECT name FROM tag WHERE repository = $1 AND digest = $2 AND kind = 'version' AND gone_at IS NULL ORDER BY name`,
		repository, string(digest)); err != nil {
		return fail(err)
	}
	return d, true, nil
}

// EndDossier writes down that a dossier was made, once all its parts are kept, or why it
// was not: then file is nil.
func (l *Ledger) EndDossier(ctx context.Context, id int64, file *ledger.DossierFile, failure string) error {
	if file == nil {
		file = new(ledger.DossierFile)
	}
	if _, err := l.write.ExecContext(ctx, `UPDATE dossier SET ended_at = $1, failure = $2, dossier_digest = $3, file_digest = $4, size = $5 WHERE id = $6`,
		micros(l.now()), failure, string(file.Digest), string(file.File), file.Size, id); err != nil {
		return fmt.Errorf("end dossier %d: %w", id, err)
	}
	return nil
}

// KeepDossierPart keeps a part of the file of a dossier, in the place of one that an
// earlier attempt left.
func (l *Ledger) KeepDossierPart(ctx context.Context, id int64, number int, content []byte) error {
	if _, err := l.write.ExecContext(ctx, `INSERT INTO dossier_part (dossier_id, number, content) VALUES ($1, $2, $3)
		ON CONFLICT (dossier_id, number) DO UPDATE SET content = excluded.content`, id, number, content); err != nil {
		return fmt.Errorf("keep part %d of dossier %d: %w", number, id, err)
	}
	return nil
}

const (
	// dossiersMost bounds all dossiers that are kept, in bytes.
	dossiersMost = 1 << 30
	// dossierGrace is how long a dossier that expired is left for who reads it.
	dossierGrace = time.Hour
)

// ForgetDossiers removes dossiers that expired, those that failed as long ago, and the
// oldest where all together are too large. It returns how many.
func (l *Ledger) ForgetDossiers(ctx context.Context) (int, error) {
	const old = `coalesce(ended_at, asked_at) <= $1
		OR (SELECT sum(n.size) FROM dossier n WHERE n.id >= dossier.id) > $2`
	before := micros(l.now().Add(-account.DossierKept - dossierGrace))
	// Mostly there is nothing, and then nothing is locked.
	some, _, err := scanOne[int](ctx, l.read, `SELECT count(*) FROM dossier WHERE `+old, before, int64(dossiersMost))
	if err != nil || some == 0 {
		if err != nil {
			err = fmt.Errorf("look for dossiers to forget: %w", err)
		}
		return 0, err
	}
	result, err := l.write.ExecContext(ctx, `DELETE FROM dossier WHERE `+old, before, int64(dossiersMost))
	if err != nil {
		return 0, fmt.Errorf("forget dossiers: %w", err)
	}
	n, err := result.RowsAffected()
	return int(n), err
}
