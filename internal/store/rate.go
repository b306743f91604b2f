package store

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"

	"github.com/tallyman-io/tallyman/internal/advisory"
)

// rated is an advisory as its severity is found out.
type rated struct {
	key      int64
	name     string
	own      advisory.Severity
	aliases  []string
	upstream []string
	shown    [2]string
}

// rate finds out the severities of the advisories that changed and of those whose
// severity may hang on them: one without a severity of its own has the worst of those
// that share a name with it, or else of what it is downstream of, as [advisory.Import]
// has it.
func (a *application) rate(ctx context.Context) error {
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(a.rating)), batch) {
		if err := a.addNeighbours(ctx, chunk); err != nil {
			return err
		}
	}
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(a.around)), batch) {
		all, err := collect(ctx, a.tx, scanRated,
			`SELECT id, name, own, severity, aliases, upstream FROM advisory WHERE id IN `+list(len(chunk), 0), anys(chunk)...)
		if err != nil {
			return fmt.Errorf("read severities: %w", err)
		}
		if err := a.rateAll(ctx, all); err != nil {
			return err
		}
	}
	return nil
}

// addNeighbours adds advisories to those around, and those without a severity of their
// own that share a name with one of them.
func (a *application) addNeighbours(ctx context.Context, keys []int64) error {
	for _, key := range keys {
		a.around[key] = true
	}
	found, err := collect(ctx, a.tx, func(rows *sql.Rows) (key int64, err error) {
		err = rows.Scan(&key)
		return key, err
	}, `SELECT DISTINCT other.advisory_id FROM advisory_alias mine JOIN advisory_alias other ON other.name = mine.name
		JOIN advisory a ON a.id = other.advisory_id AND a.own = $1
		WHERE mine.advisory_id IN `+list(len(keys), 1), append([]any{advisory.Severity{}.Encode()}, anys(keys)...)...)
	if err != nil {
		return fmt.Errorf("read neighbours: %w", err)
	}
	for _, key := range found {
		a.around[key] = true
	}
	return nil
}

func scanRated(rows *sql.Rows) (r rated, err error) {
	var own, upstream string
	if err = rows.Scan(&r.key, &r.name, &own, &r.shown[0], &r.shown[1], &upstream); err != nil {
		return r, err
	}
	if r.own, err = advisory.ParseSeverity(own); err != nil {
		return r, err
	}
	if r.aliases, err = fromJSON[[]string](r.shown[1]); err != nil {
		return r, err
	}
	r.upstream, err = fromJSON[[]string](upstream)
	return r, err
}

// rateAll stores the severities, and notes which advisories show something else than
// before.
func (a *application) rateAll(ctx context.Context, all []rated) error {
	best, err := a.worst(ctx, all)
	if err != nil {
		return err
	}
	for i := range all {
		r := &all[i]
		severity := r.own
		if severity.By == "" {
			severity = through(r, best)
		}
		text := severity.Encode()
		if text != r.shown[0] {
			if _, err := a.tx.ExecContext(ctx, `UPDATE advisory SET severity = $2 WHERE id = $1`, r.key, text); err != nil {
				return fmt.Errorf("store the severity of %s: %w", r.name, err)
			}
		}
		before := r.shown
		if b, changed := a.changed[r.key]; changed {
			before = b.shown
		}
		if before != [2]string{text, r.shown[1]} {
			a.rated[r.key] = true
		}
	}
	return nil
}

// worst returns the worst severity that an advisory states for each name of the
// unrated ones.
func (a *application) worst(ctx context.Context, all []rated) (map[string]advisory.Severity, error) {
	names := make(map[string]bool)
	for i := range all {
		if r := &all[i]; r.own.By == "" {
			for _, name := range slices.Concat([]string{r.name}, r.aliases, r.upstream) {
				names[name] = true
			}
		}
	}
	type source struct {
		name, id string
		own      advisory.Severity
	}
	best := make(map[string]advisory.Severity)
	for chunk := range slices.Chunk(slices.Sorted(maps.Keys(names)), batch) {
		sources, err := collect(ctx, a.tx, func(rows *sql.Rows) (s source, err error) {
			var own string
			if err = rows.Scan(&s.name, &s.id, &own); err != nil {
				return s, err
			}
			s.own, err = advisory.ParseSeverity(own)
			return s, err
		}, `SELECT n.name, a.name, a.own FROM advisory_alias n JOIN advisory a ON a.id = n.advisory_id
			WHERE NOT n.upstream AND a.own <> $1 AND a.withdrawn IS NULL AND a.gone_at IS NULL AND n.name IN `+list(len(chunk), 1)+`
			ORDER BY a.name, a.id`, append([]any{advisory.Severity{}.Encode()}, anys(chunk)...)...)
		if err != nil {
			return nil, fmt.Errorf("read severities: %w", err)
		}
		for _, s := range sources {
			if known := best[s.name]; s.own.By != "" && (known.By == "" || s.own.Worse(known)) {
				s.own.Through = s.id
				best[s.name] = s.own
			}
		}
	}
	return best, nil
}

func through(r *rated, best map[string]advisory.Severity) advisory.Severity {
	for _, names := range [][]string{append([]string{r.name}, r.aliases...), r.upstream} {
		var severity advisory.Severity
		for _, name := range names {
			if s, ok := best[name]; ok && (severity.By == "" || s.Worse(severity)) {
				severity = s
			}
		}
		if severity.By != "" {
			return severity
		}
	}
	return advisory.Severity{}
}
