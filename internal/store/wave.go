package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tallyman-io/tallyman/internal/release"
)

// openWave returns the wave of a cause and origin that is not complete yet.
func (l *Ledger) openWave(ctx context.Context, tx *transaction, cause release.WaveCause, origin string, at int64) (int64, error) {
	var wave int64
	err := tx.QueryRowContext(ctx, `
		INSERT INTO wave (cause, origin, at) VALUES ($1, $2, $3)
		ON CONFLICT (cause, origin) WHERE sealed_at IS NULL DO UPDATE SET at = wave.at
		RETURNING id`, string(cause), origin, at).Scan(&wave)
	if err != nil {
		return 0, fmt.Errorf("open a wave: %w", err)
	}
	return wave, nil
}

// sealWave completes the open wave of a cause and origin, if there is one, and has
// what it touched judged.
func (l *Ledger) sealWave(ctx context.Context, tx *transaction, cause release.WaveCause, origin string) error {
	var wave int64
	err := tx.QueryRowContext(ctx, `UPDATE wave SET sealed_at = $3 WHERE cause = $1 AND origin = $2 AND sealed_at IS NULL RETURNING id`,
		string(cause), origin, micros(l.now())).Scan(&wave)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	} else if err != nil {
		return fmt.Errorf("complete a wave: %w", err)
	}
	return l.queue.Enqueue(ctx, tx.Tx, release.Task{Step: release.StepJudge, Wave: wave})
}

// touch brings exposures up to date with changed findings, and adds them and the
// images that ship their packages to the wave of a feed.
func (l *Ledger) touch(ctx context.Context, tx *transaction, ecosystem string, changes map[findingKey]string, at int64) (wave int64, images int, err error) {
	packages := make(map[int64]bool, len(changes))
	for key := range changes {
		packages[key.packageKey] = true
	}
	touched := make(map[int64]bool)
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(packages)), batch) {
		if err := l.expose(ctx, tx, chunk, touched); err != nil {
			return 0, 0, fmt.Errorf("find the images: %w", err)
		}
	}
	if len(touched) == 0 {
		return 0, 0, nil
	}
	if wave, err = l.openWave(ctx, tx, release.WaveAdvisories, ecosystem, at); err != nil {
		return 0, 0, err
	}
	if err := addToWave(ctx, tx, wave, slices.Sorted(maps.Keys(touched))); err != nil {
		return 0, 0, err
	}
	var rows [][]any
	for key, change := range changes {
		if key.advisoryKey != 0 {
			rows = append(rows, []any{wave, key.packageKey, key.advisoryKey, change})
		}
	}
	// A finding that came and went within a wave, or the other way round, is told as
	// what happened last: the judge looks at what stands.
	if err := bulk(ctx, tx, `INSERT INTO wave_finding (wave_id, package_id, advisory_id, change)`,
		`ON CONFLICT (wave_id, package_id, advisory_id) DO UPDATE SET change = excluded.change`, rows); err != nil {
		return 0, 0, fmt.Errorf("store what the wave did: %w", err)
	}
	return wave, len(touched), nil
}

func addToWave(ctx context.Context, tx *transaction, wave int64, examinations []int64) error {
	rows := make([][]any, len(examinations))
	for i, e := range examinations {
		rows[i] = []any{wave, e}
	}
	if err := bulk(ctx, tx, `INSERT INTO wave_image (wave_id, examination_id)`, `ON CONFLICT DO NOTHING`, rows); err != nil {
		return fmt.Errorf("store what the wave touched: %w", err)
	}
	return nil
}

// exposed is the condition on a package p to be an exposure of the images that ship it.
const exposed = `(p.gap <> '' AND p.family <> ''
	OR EXISTS (SELECT 1 FROM finding f WHERE f.package_id = p.id AND f.until IS NULL))`

// expose brings the exposures of packages up to date, and adds the images that ship
// them to touched.
func (l *Ledger) expose(ctx context.Context, tx *transaction, packages []int64, touched map[int64]bool) error {
	in, args := list(len(packages), 0), anys(packages)
	images, err := collect(ctx, tx, func(rows *sql.Rows) (key int64, err error) {
		err = rows.Scan(&key)
		return key, err
	}, `SELECT DISTINCT d.examination_id FROM document_package dp JOIN image_document d ON d.document_id = dp.document_id
		WHERE dp.package_id IN `+in, args...)
	if err != nil {
		return err
	}
	for _, key := range images {
		touched[key] = true
	}
	if _, err := tx.ExecContext(ctx, `
		INSERT INTO exposure (examination_id, package_id)
		SELECT DISTINCT d.examination_id, p.id
		FROM package p JOIN document_package dp ON dp.package_id = p.id JOIN image_document d ON d.document_id = dp.document_id
		WHERE p.id IN `+in+` AND `+exposed+`
		ON CONFLICT DO NOTHING`, args...); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `
		DELETE FROM exposure WHERE package_id IN (SELECT p.id FROM package p WHERE p.id IN `+in+` AND NOT `+exposed+`)`, args...)
	return err
}

// exposeImage brings the exposures of an image up to date.
func exposeImage(ctx context.Context, tx *transaction, examination int64) error {
	if _, err := tx.ExecContext(ctx, `DELETE FROM exposure WHERE examination_id = $1`, examination); err != nil {
		return fmt.Errorf("clear exposures: %w", err)
	}
	if _, err := tx.ExecContext(ctx, `
		INSERT INTO exposure (examination_id, package_id)
		SELECT DISTINCT d.examination_id, p.id
		FROM image_document d JOIN document_package dp ON dp.document_id = d.document_id JOIN package p ON p.id = dp.package_id
		WHERE d.examination_id = $1 AND `+exposed, examination); err != nil {
		return fmt.Errorf("store exposures: %w", err)
	}
	return nil
}
