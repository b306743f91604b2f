package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/tallyman-io/tallyman/internal/release"
)

// lookAtVerdicts looks at the history of verdicts and of evidence. It cannot be made
// anew.
func (u *Upkeep) lookAtVerdicts(ctx context.Context, tx *transaction, after cursor) ([]flaw, cursor, int, error) {
	keys, where, err := readExaminations(ctx, tx, after.key, batch)
	if err != nil || len(keys) == 0 {
		return nil, after, 0, err
	}
	in, args := list(len(keys), 0), anys(keys)
	var flaws []flaw
	for _, q := range []struct{ what, query, expected, found string }{
		{"verdict", `SELECT examination_id, max(number), count(*), '' FROM verdict
			WHERE number > 0 AND examination_id IN ` + in + ` GROUP BY examination_id HAVING max(number) <> count(*)`, "numbers from 1 to %d", "%d of them"},
		{"verdict", `SELECT v.examination_id, v.number, v.wave_id, '' FROM verdict v WHERE v.wave_id IS NOT NULL
			AND NOT EXISTS (SELECT 1 FROM wave w WHERE w.id = v.wave_id) AND v.examination_id IN ` + in, "number %d to come of a wave", "no wave %d"},
		{"evidence", `SELECT e.examination_id, 0, 0, e.kind || ' of ' || e.subject || ': ' || e.state FROM evidence e WHERE e.state <> coalesce(
			(SELECT c.after FROM evidence_change c WHERE c.examination_id = e.examination_id AND c.subject = e.subject AND c.kind = e.kind
				ORDER BY c.id DESC LIMIT 1), '') AND e.examination_id IN ` + in, "the state that its latest change came to", ""},
	} {
		found, err := collect(ctx, tx, func(rows *sql.Rows) (p Problem, err error) {
			var key, a, b int64
			var text string
			err = rows.Scan(&key, &a, &b, &text)
			p = Problem{q.what, where[key], q.expected, q.found}
			if text != "" {
				p.Found = text
			} else {
				p.Expected, p.Found = fmt.Sprintf(q.expected, a), fmt.Sprintf(q.found, b)
			}
			return p, err
		}, q.query, args...)
		if err != nil {
			return nil, after, 0, err
		}
		for _, p := range found {
			flaws = append(flaws, flaw{Problem: p})
		}
	}
	return flaws, cursor{key: keys[len(keys)-1]}, len(keys), nil
}

// writtenWave is a row of table wave, and whether a job is there that judges it.
type writtenWave struct {
	key            int64
	where          string
	sealed, judged bool
	queued         bool
}

// waiting is the condition on a job j to run some time.
const waiting = `j.state IN ('available', 'pending', 'retryable', 'running', 'scheduled')`

// lookAtWaves finds waves that nobody is going to judge.
func (u *Upkeep) lookAtWaves(ctx context.Context, tx *transaction, after cursor) ([]flaw, cursor, int, error) {
	waves, err := collect(ctx, tx, func(rows *sql.Rows) (w writtenWave, err error) {
		var cause, origin string
		err = rows.Scan(&w.key, &cause, &origin, &w.sealed, &w.judged, &w.queued)
		w.where = fmt.Sprintf("%d (%s of %s)", w.key, cause, origin)
		return w, err
	}, `SELECT w.id, w.cause, w.origin, w.sealed_at IS NOT NULL, w.judged_at IS NOT NULL,
			w.judged_at IS NULL AND EXISTS (SELECT 1 FROM river_job j WHERE j.kind = '`+string(release.StepJudge)+`' AND `+waiting+`
				AND CAST(`+u.engine.argument("wave")+` AS TEXT) = CAST(w.id AS TEXT))
		FROM wave w WHERE w.id > $1 ORDER BY w.id LIMIT $2`, after.key, batch)
	if err != nil || len(waves) == 0 {
		return nil, after, 0, err
	}
	var flaws []flaw
	for _, w := range waves {
		switch {
		case w.judged && !w.sealed:
			flaws = append(flaws, flaw{Problem: Problem{"wave", w.where, "to be complete before it is judged", "that it is not"}})
		case w.sealed && !w.judged && !w.queued:
			flaws = append(flaws, flaw{Problem: Problem{"wave", w.where, "a job that judges it", "none"}, heal: queue(release.Task{Step: release.StepJudge, Wave: w.key})})
		}
	}
	return flaws, cursor{key: waves[len(waves)-1].key}, len(waves), nil
}

func queue(task release.Task) func(context.Context, *healer) error {
	return func(ctx context.Context, h *healer) error { return h.u.queue.Enqueue(ctx, h.tx.Tx, task) }
}

// lookAtMessages finds messages that nobody is going to deliver. After the first attempt
// they wait without a job until they are due.
func (u *Upkeep) lookAtMessages(ctx context.Context, tx *transaction, after cursor) ([]flaw, cursor, int, error) {
	type message struct {
		id                      string
		ended, waits, hasFailed bool
		queued                  bool
	}
	messages, err := collect(ctx, tx, func(rows *sql.Rows) (m message, err error) {
		err = rows.Scan(&m.id, &m.ended, &m.waits, &m.hasFailed, &m.queued)
		return m, err
	}, `SELECT o.id, o.delivered_at IS NOT NULL AND o.dead_at IS NOT NULL, o.delivered_at IS NULL AND o.dead_at IS NULL, o.attempts > 0,
			o.attempts = 0 AND EXISTS (SELECT 1 FROM river_job j WHERE j.kind = '`+string(release.StepNotify)+`' AND `+waiting+`
				AND `+u.engine.argument("delivery")+` = o.id)
		FROM outbox o WHERE o.id > $1 ORDER BY o.id LIMIT $2`, after.a, batch)
	if err != nil || len(messages) == 0 {
		return nil, after, 0, err
	}
	var flaws []flaw
	for _, m := range messages {
		switch {
		case m.ended:
			flaws = append(flaws, flaw{Problem: Problem{"message", m.id, "to be delivered or given up", "both"}})
		case m.waits && !m.hasFailed && !m.queued:
			flaws = append(flaws, flaw{Problem: Problem{"message", m.id, "a job that delivers it", "none"}, heal: queue(release.Task{Step: release.StepNotify, Delivery: m.id})})
		}
	}
	return flaws, cursor{a: messages[len(messages)-1].id}, len(messages), nil
}
