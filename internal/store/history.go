package store

import (
	"context"
	"database/sql"
	"fmt"
	"math"

	"github.com/tallyman-io/tallyman/internal/account"
)

// Verdicts returns the history of the verdicts on an image, by its key, newest first. The
// last is the one at release.
func (s *Store) Verdicts(ctx context.Context, key int64, p account.Page) (account.List[account.Verdict], error) {
	return readVerdicts(ctx, s.read, key, p)
}

// EvidenceChanges returns the changes of the evidence of an image, by its key, newest first.
func (s *Store) EvidenceChanges(ctx context.Context, key int64, q account.ChangeQuery, p account.Page) (account.List[account.EvidenceChange], error) {
	return readEvidenceChanges(ctx, s.read, key, q, p)
}

func readVerdicts(ctx context.Context, q querier, key int64, p account.Page) (l account.List[account.Verdict], err error) {
	h := history{of: "verdicts on", from: `verdict v LEFT JOIN wave w ON w.id = v.wave_id WHERE v.examination_id = $1`, key: key, page: p}
	if err := h.begin(1); err != nil {
		return l, err
	}
	all, err := collect(ctx, q, func(rows *sql.Rows) (account.Verdict, error) {
		v, err := scanAccount(rows, new(int64))
		h.places = append(h.places, []string{decimal(int64(v.Number))})
		return v, err
	}, `SELECT `+verdictColumns+` FROM `+h.from+` AND v.number < CAST($2 AS BIGINT) ORDER BY v.number DESC LIMIT $3`, h.args()...)
	for i := range all[:max(0, len(all)-1)] {
		before := all[i+1]
		all[i].Before = &before
	}
	n, err := h.end(ctx, q, err)
	return account.List[account.Verdict]{Items: all[:n], Next: h.next, Total: h.total}, err
}

func readEvidenceChanges(ctx context.Context, q querier, key int64, only account.ChangeQuery, p account.Page) (l account.List[account.EvidenceChange], err error) {
	h := history{of: "evidence of", from: `evidence_change WHERE examination_id = $1`, key: key, page: p}
	if only.Moved {
		h.from += ` AND before <> ''`
	}
	if err := h.begin(2); err != nil {
		return l, err
	}
	all, err := collect(ctx, q, func(rows *sql.Rows) (c account.EvidenceChange, err error) {
		var id, at int64
		err = rows.Scan(&id, &at, &c.Kind, &c.Subject, &c.Before, &c.After, &c.Reason)
		c.At, h.places = fromMicros(at), append(h.places, []string{decimal(at), decimal(id)})
		return c, err
	}, `SELECT id, at, kind, subject, before, after, reason FROM `+h.from+`
		AND (at, id) < (CAST($2 AS BIGINT), CAST($3 AS BIGINT)) ORDER BY at DESC, id DESC LIMIT $4`, h.args()...)
	n, err := h.end(ctx, q, err)
	return account.List[account.EvidenceChange]{Items: all[:n], Next: h.next, Total: h.total}, err
}

// history is a list of what happened to an image, newest first, of which a part is read.
type history struct {
	// of says what the list is of; from selects the whole by the key of the image.
	of, from string
	key      int64
	page     account.Page
	// before is where the part begins: the numbers that the list is sorted by.
	before []int64
	// places are the same of the items that were read, one more than belong to the part.
	places [][]string
	next   string
	total  int
}

func (h *history) name() string { return h.of + " image " + decimal(h.key) }

// begin reads where the part begins, n numbers. Nothing is before the first part.
func (h *history) begin(n int) (err error) {
	if h.before, err = readNumbers(h.page.After, h.name(), n); err != nil {
		return fmt.Errorf("read %s: %w", h.name(), err)
	}
	for len(h.before) < n {
		h.before = append(h.before, math.MaxInt64)
	}
	return nil
}

// args are those of a query for the items: the image, where the part begins, and how many
// are read.
func (h *history) args() []any {
	return append(append([]any{h.key}, anys(h.before)...), limitOf(h.page)+1)
}

// end returns how many items the part has once they were read, with success or not. It
// counts the whole list, unless the part is that.
func (h *history) end(ctx context.Context, q querier, err error) (n int, _ error) {
	n = len(h.places)
	h.total = n
	if limit := limitOf(h.page); n > limit {
		n, h.next = limit, bookmark(h.name(), h.places[limit-1]...)
	}
	if err == nil && (h.next != "" || h.page.After != "") {
		h.total, _, err = scanOne[int](ctx, q, `SELECT count(*) FROM `+h.from, h.key)
	}
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", h.name(), err)
	}
	return n, nil
}

// addHistory adds the newest part of the history of an image.
func addHistory(ctx context.Context, tx *transaction, r *account.Release) (err error) {
	if r.Verdicts, err = readVerdicts(ctx, tx, r.Key, account.Page{}); err != nil {
		return err
	}
	if r.Changes, err = readEvidenceChanges(ctx, tx, r.Key, account.ChangeQuery{}, account.Page{}); err != nil {
		return err
	}
	if r.Changes.Next != "" {
		r.Moves, err = readEvidenceChanges(ctx, tx, r.Key, account.ChangeQuery{Moved: true}, account.Page{})
		return err
	}
	for i := range r.Changes.Items {
		if c := &r.Changes.Items[i]; c.Before != "" {
			r.Moves.Items = append(r.Moves.Items, *c)
		}
	}
	r.Moves.Total = len(r.Moves.Items)
	return nil
}
