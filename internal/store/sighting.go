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
		for _, m := range r.moves {
			if m.Alarming() {
				return l.alarm(ctx, tx, look)
			}
		}
		return nil
	})
}

// alarm opens a wave for the version tags of a repository that a look found moved.
func (l *Ledger) alarm(ctx context.Context, tx *transaction, look release.Look) error {
	if _, err := l.openWave(ctx, tx, release.WaveTag, look.Repository, micros(look.At)); err != nil {
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
