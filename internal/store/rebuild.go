package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/tallyman-io/tallyman/internal/release"
)

// healer puts flaws right within one transaction.
type healer struct {
	u  *Upkeep
	tx *transaction
	at int64
	// changes has what was done to findings, by the family of their packages.
	changes map[string]map[findingKey]string
	// fresh has keys of packages that may be remembered after the commit.
	fresh map[string]int64
}

// note has the images that ship a package judged, and the change told.
func (h *healer) note(p *writtenPackage, advisory int64, change string) {
	family := p.identified.subject.Family
	if h.changes[family] == nil {
		h.changes[family] = make(map[findingKey]string)
	}
	h.changes[family][findingKey{p.key, advisory}] = change
}

// rebuildOrigin is the origin of the wave in which all images are judged again.
const rebuildOrigin = "rebuild"

// Rebuild puts right what [Upkeep.Check] would tell of, where that can be derived: from
// the content of advisories and documents and from the history of tags. It tells of each
// problem that it met, and whether it healed it. Spans of history stay: a finding that
// matches no more ends now. Then it has all feeds fetched as a whole, the papers of all
// images looked at and all images judged.
//
// Each transaction is of some rows. A rebuild that is interrupted can be run again.
func (u *Upkeep) Rebuild(ctx context.Context, report func(p Problem, healed bool)) error {
	for _, s := range u.steps() {
		if err := u.rebuild(ctx, s, report); err != nil {
			return fmt.Errorf("rebuild %s: %w", s.name, err)
		}
	}
	if err := u.change(ctx, func(tx *transaction) error { return u.renew(ctx, tx) }); err != nil {
		return fmt.Errorf("rebuild: have everything looked at again: %w", err)
	}
	return nil
}

func (u *Upkeep) rebuild(ctx context.Context, s step, report func(Problem, bool)) error {
	total, _, err := scanOne[int64](ctx, u.read, s.count)
	if err != nil {
		return err
	}
	done, at := int64(0), s.begin
	u.cfg.Progress(s.name, done, total)
	for {
		var flaws []flaw
		var next cursor
		var n int
		h := &healer{u: u}
		err := u.change(ctx, func(tx *transaction) (err error) {
			if err := u.engine.lockMatching(ctx, tx, matchingAdvisories); err != nil {
				return err
			}
			h.begin(tx, micros(u.now()))
			if flaws, next, n, err = s.look(ctx, tx, at); err != nil {
				return err
			}
			return h.heal(ctx, flaws)
		})
		if err != nil || n == 0 {
			return err
		}
		u.packages.add(h.fresh)
		for i := range flaws {
			report(flaws[i].Problem, flaws[i].heal != nil)
		}
		at, done = next, done+int64(n)
		u.cfg.Progress(s.name, done, total)
	}
}

func (h *healer) begin(tx *transaction, at int64) {
	h.tx, h.at = tx, at
	h.changes, h.fresh = make(map[string]map[findingKey]string), make(map[string]int64)
}

func (h *healer) heal(ctx context.Context, flaws []flaw) error {
	done := make(map[string]bool)
	for i := range flaws {
		if flaws[i].heal == nil || done[flaws[i].group] {
			continue
		}
		done[flaws[i].group] = flaws[i].group != ""
		if err := flaws[i].heal(ctx, h); err != nil {
			return fmt.Errorf("heal %s %s: %w", flaws[i].What, flaws[i].Where, err)
		}
	}
	for family, changes := range h.changes {
		if _, _, err := h.u.touch(ctx, h.tx, family, changes, h.at); err != nil {
			return err
		}
	}
	return nil
}

// renew has everything looked at again that the database is an index of, and judged.
func (u *Upkeep) renew(ctx context.Context, tx *transaction) error {
	origins, err := collect(ctx, tx, func(rows *sql.Rows) (origin string, err error) {
		err = rows.Scan(&origin)
		return origin, err
	}, `SELECT origin FROM wave WHERE cause = $1 AND sealed_at IS NULL`, string(release.WaveAdvisories))
	if err != nil {
		return err
	}
	for _, origin := range origins {
		if err := u.sealWave(ctx, tx, release.WaveAdvisories, origin); err != nil {
			return err
		}
	}
	if err := u.judgeAll(ctx, tx); err != nil {
		return err
	}
	tasks, err := collect(ctx, tx, func(rows *sql.Rows) (release.Task, error) {
		t := release.Task{Step: release.StepSync}
		err := rows.Scan(&t.Ecosystem)
		return t, err
	}, `UPDATE feed SET state = '{}' RETURNING ecosystem`)
	if err != nil {
		return err
	}
	repositories, err := watched(ctx, tx)
	if err != nil {
		return err
	}
	due, err := u.due(ctx, tx, repositories, 0)
	if err != nil {
		return err
	}
	return u.queue.Enqueue(ctx, tx.Tx, append(tasks, due...)...)
}

func watched(ctx context.Context, tx *transaction) ([]string, error) {
	return collect(ctx, tx, func(rows *sql.Rows) (name string, err error) {
		err = rows.Scan(&name)
		return name, err
	}, `SELECT name FROM repository WHERE watched ORDER BY name`)
}

func (u *Upkeep) judgeAll(ctx context.Context, tx *transaction) error {
	examined, found, err := scanOne[int64](ctx, tx, `SELECT id FROM examination WHERE at IS NOT NULL LIMIT 1`)
	if err != nil || !found || examined == 0 {
		return err
	}
	wave, err := u.openWave(ctx, tx, release.WavePolicy, rebuildOrigin, micros(u.now()))
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, `
		INSERT INTO wave_image (wave_id, examination_id) SELECT CAST($1 AS BIGINT), id FROM examination WHERE at IS NOT NULL ON CONFLICT DO NOTHING`,
		wave); err != nil {
		return err
	}
	return u.sealWave(ctx, tx, release.WavePolicy, rebuildOrigin)
}
