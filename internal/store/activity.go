package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/release"
)

// waveColumns reads waves w.
const waveColumns = `SELECT w.id, w.cause, w.origin, w.at, w.sealed_at, w.judged_at FROM wave w `

func scanWave(rows *sql.Rows) (w account.Wave, err error) {
	var at int64
	var sealed, judged sql.NullInt64
	err = rows.Scan(&w.ID, &w.Cause, &w.Origin, &at, &sealed, &judged)
	w.At, w.SealedAt, w.JudgedAt, w.Judged = fromMicros(at), fromNullMicros(sealed), fromNullMicros(judged), judged.Valid
	return w, err
}

// keptCounts is of how many waves, or repositories, counts are remembered.
const keptCounts = 4096

// waveCounts is how much a wave did.
type waveCounts struct{ images, fresh, gone, changed, verdicts int }

// readWaves reads waves, with what they did. That of a wave which has been judged does not
// change any more.
func (s *Store) readWaves(ctx context.Context, tx *transaction, tail string, args ...any) ([]account.Wave, error) {
	waves, err := collect(ctx, tx, scanWave, waveColumns+tail, args...)
	if err != nil {
		return nil, err
	}
	counts := make(map[int64]*waveCounts, len(waves))
	missing := make(map[int64]*waveCounts)
	for i := range waves {
		of, ok := s.waves.get(waves[i].ID)
		counts[waves[i].ID] = &of
		if !ok {
			missing[waves[i].ID] = &of
		}
	}
	if err := countWaves(ctx, tx, missing); err != nil {
		return nil, fmt.Errorf("count what waves did: %w", err)
	}
	for i := range waves {
		w := &waves[i]
		of := counts[w.ID]
		w.Images, w.New, w.Gone, w.Changed, w.Verdicts = of.images, of.fresh, of.gone, of.changed, of.verdicts
		if w.Judged && missing[w.ID] != nil {
			s.waves.put(w.ID, *of)
		}
	}
	return waves, nil
}

// countWaves counts what waves did, by their keys.
func countWaves(ctx context.Context, tx *transaction, waves map[int64]*waveCounts) error {
	if len(waves) == 0 {
		return nil
	}
	keys := sortedKeys(waves)
	in := list(len(keys), 0)
	for _, query := range []string{
		`SELECT wave_id, 'image', count(*) FROM wave_image WHERE wave_id IN ` + in + ` GROUP BY wave_id`,
		`SELECT wave_id, change, count(*) FROM wave_finding WHERE wave_id IN ` + in + ` GROUP BY wave_id, change`,
		`SELECT wave_id, 'verdict', count(*) FROM verdict WHERE wave_id IN ` + in + ` GROUP BY wave_id`,
	} {
		_, err := collect(ctx, tx, func(rows *sql.Rows) (struct{}, error) {
			var wave int64
			var what string
			var n int
			if err := rows.Scan(&wave, &what, &n); err != nil {
				return struct{}{}, err
			}
			of := waves[wave]
			switch what {
			case "image":
				of.images = n
			case "verdict":
				of.verdicts = n
			case string(release.ChangeNew):
				of.fresh = n
			case string(release.ChangeGone):
				of.gone = n
			default:
				of.changed = n
			}
			return struct{}{}, nil
		}, query, anys(keys)...)
		if err != nil {
			return err
		}
	}
	return nil
}

// Activity returns the waves in order of time. Those that only asked again whether
// anything had changed, and came to nothing, are left out.
func (s *Store) Activity(ctx context.Context, p account.Page) (account.List[account.Wave], error) {
	none := account.List[account.Wave]{Total: -1}
	way := wayOf(p.Oldest)
	after, err := readNumbers(p.After, way.list("waves"), 1)
	if err != nil {
		return none, fmt.Errorf("read activity: %w", err)
	}
	var where conditions
	where.add(`w.cause <> 'policy' OR w.judged_at IS NULL OR EXISTS (SELECT 1 FROM verdict v WHERE v.wave_id = w.id)`)
	if len(after) > 0 {
		where.add(way.sql(`w.id < ?`), after[0])
	}
	text, args := where.text()
	limit := limitOf(p)
	var all []account.Wave
	err = s.view(ctx, func(tx *transaction) (err error) {
		all, err = s.readWaves(ctx, tx, text+way.sql(`ORDER BY w.id DESC LIMIT `)+decimal(int64(limit+1)), args...)
		return err
	})
	if err != nil {
		return none, fmt.Errorf("read activity: %w", err)
	}
	return cut(all, limit, func(last *account.Wave) string { return bookmark(way.list("waves"), decimal(last.ID)) }), nil
}

// silentFor is how long a worker may be silent before it counts as gone, for people: its
// lease may be as long as ten minutes, and is kept five times within that.
const silentFor = 150 * time.Second

// Queue counts the jobs that are not done, and the workers that are alive.
func (s *Store) Queue(ctx context.Context) (account.Queue, error) {
	var q account.Queue
	err := s.view(ctx, func(tx *transaction) error {
		exists, err := s.engine.tableExists(ctx, "river_job")
		if err != nil || !exists {
			return err // no worker has been there yet
		}
		type row struct {
			state string
			n     int
		}
		rows, err := collect(ctx, tx, func(rows *sql.Rows) (r row, err error) {
			err = rows.Scan(&r.state, &r.n)
			return r, err
		}, `SELECT state, count(*) FROM river_job WHERE state IN ('available', 'pending', 'scheduled', 'running', 'retryable', 'discarded') GROUP BY state`)
		if err != nil {
			return fmt.Errorf("count jobs: %w", err)
		}
		for _, r := range rows {
			switch r.state {
			case "running":
				q.Running = r.n
			case "retryable":
				q.Retrying = r.n
			case "discarded":
				q.Failed = r.n
			default:
				q.Waiting += r.n
			}
		}
		q.Workers, err = s.alive(ctx, tx)
		return err
	})
	if err != nil {
		return q, fmt.Errorf("read the queue: %w", err)
	}
	return q, nil
}

// alive counts the workers that are.
func (s *Store) alive(ctx context.Context, tx *transaction) (int, error) {
	var now int64
	if err := tx.QueryRowContext(ctx, s.engine.clock()).Scan(&now); err != nil {
		return 0, fmt.Errorf("read the clock: %w", err)
	}
	n, _, err := scanOne[int](ctx, tx, `SELECT count(*) FROM worker WHERE alive_at >= $1`, now-silentFor.Microseconds())
	if err != nil {
		return 0, fmt.Errorf("count workers: %w", err)
	}
	return n, nil
}
