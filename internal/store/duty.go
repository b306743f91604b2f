package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/tallyman-io/tallyman/internal/release"
)

// EnqueueDue queues what is due: a look at the papers of every released image whose
// last one is older than evidence, of the repositories given; waves that wait to be
// judged, and messages that wait to be delivered. It returns how many tasks it queued;
// those that waited already are counted too.
func (l *Ledger) EnqueueDue(ctx context.Context, repositories []string, evidence time.Duration) (int, error) {
	var n int
	err := l.change(ctx, func(tx *transaction) error {
		tasks, err := l.due(ctx, tx, repositories, evidence)
		if err != nil {
			return err
		}
		n = len(tasks)
		return l.queue.Enqueue(ctx, tx.Tx, tasks...)
	})
	if err != nil {
		return 0, fmt.Errorf("queue what is due: %w", err)
	}
	return n, nil
}

func (l *Ledger) due(ctx context.Context, tx *transaction, repositories []string, evidence time.Duration) ([]release.Task, error) {
	now := l.now()
	var tasks []release.Task
	if len(repositories) > 0 {
		args := append([]any{micros(now.Add(-evidence))}, anys(repositories)...)
		images, err := collect(ctx, tx, func(rows *sql.Rows) (release.Task, error) {
			t := release.Task{Step: release.StepIngest}
			err := rows.Scan(&t.Repository, &t.Digest)
			return t, err
		}, `SELECT DISTINCT t.repository, t.digest FROM tag t
			LEFT JOIN examination e ON e.repository = t.repository AND e.digest = t.digest
			WHERE t.gone_at IS NULL AND t.kind = 'version' AND (e.at IS NULL OR e.at <= $1)
				AND t.repository IN `+list(len(repositories), 1)+` ORDER BY 1, 2`, args...)
		if err != nil {
			return nil, err
		}
		tasks = append(tasks, images...)
	}
	waves, err := collect(ctx, tx, func(rows *sql.Rows) (release.Task, error) {
		t := release.Task{Step: release.StepJudge}
		err := rows.Scan(&t.Wave)
		return t, err
	}, `SELECT id FROM wave WHERE sealed_at IS NOT NULL AND judged_at IS NULL ORDER BY id`)
	if err != nil {
		return nil, err
	}
	messages, err := collect(ctx, tx, func(rows *sql.Rows) (release.Task, error) {
		t := release.Task{Step: release.StepNotify}
		err := rows.Scan(&t.Delivery)
		return t, err
	}, `SELECT id FROM outbox WHERE delivered_at IS NULL AND dead_at IS NULL AND next_at <= $1 ORDER BY next_at`, micros(now))
	return append(append(tasks, waves...), messages...), err
}

// Ecosystems returns the families of advisories that packages in the store need.
func (s *Store) Ecosystems(ctx context.Context) ([]string, error) {
	names, err := collect(ctx, s.read, func(rows *sql.Rows) (name string, err error) {
		err = rows.Scan(&name)
		return name, err
	}, `SELECT DISTINCT family FROM package WHERE family <> '' ORDER BY family`)
	if err != nil {
		return nil, fmt.Errorf("read ecosystems of packages: %w", err)
	}
	return names, nil
}

// RejudgeOld has all images judged again when the latest time that this was done is
// older than every, or by another policy.
func (l *Ledger) RejudgeOld(ctx context.Context, policy string, every time.Duration) error {
	err := l.change(ctx, func(tx *transaction) error {
		now := l.now()
		latest, found, err := scanOne[int64](ctx, tx, `SELECT at FROM wave WHERE cause = $1 AND origin = $2 ORDER BY id DESC LIMIT 1`,
			string(release.WavePolicy), policy)
		if err != nil || found && latest > micros(now.Add(-every)) {
			return err
		}
		if !found {
			if _, found, err = scanOne[int64](ctx, tx, `SELECT at FROM examination WHERE at IS NOT NULL LIMIT 1`); err != nil || !found {
				return err
			}
		}
		wave, err := l.openWave(ctx, tx, release.WavePolicy, policy, micros(now))
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `
			INSERT INTO wave_image (wave_id, examination_id) SELECT CAST($1 AS BIGINT), id FROM examination WHERE at IS NOT NULL ON CONFLICT DO NOTHING`,
			wave); err != nil {
			return err
		}
		// The rows of waves that only asked again say nothing any more.
		if _, err := tx.ExecContext(ctx, `DELETE FROM wave WHERE cause = $1 AND judged_at IS NOT NULL AND judged_at < $2
			AND NOT EXISTS (SELECT 1 FROM verdict v WHERE v.wave_id = wave.id)`, string(release.WavePolicy), micros(now.Add(-2*every))); err != nil {
			return err
		}
		return l.sealWave(ctx, tx, release.WavePolicy, policy)
	})
	if err != nil {
		return fmt.Errorf("have all images judged again: %w", err)
	}
	return nil
}

// Queue queues tasks.
func (l *Ledger) Queue(ctx context.Context, tasks ...release.Task) error {
	if len(tasks) == 0 {
		return nil
	}
	return l.change(ctx, func(tx *transaction) error { return l.queue.Enqueue(ctx, tx.Tx, tasks...) })
}

// KnownDigests returns the digests of a feed's records as the store has them, by id.
func (s *Store) KnownDigests(ctx context.Context, ecosystem string) (map[string]string, error) {
	type pair struct{ name, digest string }
	all, err := collect(ctx, s.read, func(rows *sql.Rows) (p pair, err error) {
		err = rows.Scan(&p.name, &p.digest)
		return p, err
	}, `SELECT name, digest FROM advisory WHERE feed = $1 AND gone_at IS NULL`, ecosystem)
	if err != nil {
		return nil, fmt.Errorf("read advisories of %s: %w", ecosystem, err)
	}
	known := make(map[string]string, len(all))
	for _, p := range all {
		known[p.name] = p.digest
	}
	return known, nil
}
