package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/tallyman-io/tallyman/internal/release"
)

// RecordLook is that of [Store]. It also queues a look at the papers of what was
// released, and a wave for version tags that moved.
func (l *Ledger) RecordLook(ctx context.Context, look release.Look, seen release.Sighting) ([]release.Move, error) {
	return l.recordLook(ctx, look, seen, func(tx *transaction, r *recorder) error {
		var tasks []release.Task
		for _, digest := range r.released {
			tasks = append(tasks, release.Task{Step: release.StepIngest, Repository: look.Repository, Digest: digest})
		}
		if err := l.queue.Enqueue(ctx, tx.Tx, tasks...); err != nil {
			return err
		}
		return l.alarm(ctx, tx, look, r.moves)
	})
}

// alarm opens a wave for the version tags that a look found moved. The images that
// they named and name are judged again.
func (l *Ledger) alarm(ctx context.Context, tx *transaction, look release.Look, moves []release.Move) error {
	args := []any{look.Repository}
	for _, m := range moves {
		if m.Alarming() {
			args = append(args, string(m.From), string(m.To))
		}
	}
	if len(args) == 1 {
		return nil
	}
	images, err := collect(ctx, tx, func(rows *sql.Rows) (key int64, err error) {
		err = rows.Scan(&key)
		return key, err
	}, `SELECT id FROM examination WHERE at IS NOT NULL AND repository = $1 AND digest IN `+list(len(args)-1, 1), args...)
	if err != nil {
		return fmt.Errorf("read images whose tags moved: %w", err)
	}
	wave, err := l.openWave(ctx, tx, release.WaveTag, look.Repository, micros(look.At))
	if err != nil {
		return err
	}
	if err := addToWave(ctx, tx, wave, images); err != nil {
		return err
	}
	return l.sealWave(ctx, tx, release.WaveTag, look.Repository)
}

// WaveMoves returns the version tags whose move set off a wave.
func (s *Store) WaveMoves(ctx context.Context, wave int64) ([]release.Move, error) {
	moves, err := collect(ctx, s.read, func(rows *sql.Rows) (m release.Move, err error) {
		var at int64
		err = rows.Scan(&m.Repository, &m.Tag, &m.From, &m.To, &at)
		m.At = fromMicros(at)
		return m, err
	}, `SELECT t.repository, t.name, b.digest, t.digest, t.first_seen
		FROM wave w JOIN tag t ON t.repository = w.origin AND t.first_seen = w.at AND t.kind = 'version'
		JOIN tag b ON b.repository = t.repository AND b.name = t.name AND b.generation = t.generation - 1
		WHERE w.id = $1 AND w.cause = 'tag' ORDER BY t.name`, wave)
	if err != nil {
		return nil, fmt.Errorf("read moves of wave %d: %w", wave, err)
	}
	return moves, nil
}
