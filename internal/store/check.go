package store

import (
	"context"
	"errors"
	"fmt"
)

// Check compares the database with what it has to be, and tells of every problem. It
// changes nothing and sees one moment, whatever runs beside it. First it has the engine
// look at itself. The error says why the check could not be done; it does not tell of
// problems.
func (u *Upkeep) Check(ctx context.Context, report func(Problem)) error {
	err := u.view(ctx, func(tx *transaction) error {
		for _, own := range []struct {
			name string
			look func(context.Context, *transaction) ([]Problem, error)
		}{{"database", u.engine.integrity}, {"references", u.engine.references}} {
			u.cfg.Progress(own.name, 0, 0)
			err := u.attempt(ctx, tx, own.name, report, func() error {
				problems, err := own.look(ctx, tx)
				for _, p := range problems {
					report(p)
				}
				return err
			})
			if err != nil {
				return err
			}
		}
		for _, s := range u.steps() {
			if err := u.attempt(ctx, tx, s.name, report, func() error { return u.check(ctx, tx, s, report) }); err != nil {
				return err
			}
		}
		return errChecked
	})
	if !errors.Is(err, errChecked) {
		return fmt.Errorf("check database: %w", err)
	}
	return nil
}

// errChecked ends the transaction of a check. Where pages are broken, a commit fails.
var errChecked = errors.New("checked")

func (u *Upkeep) check(ctx context.Context, tx *transaction, s step, report func(Problem)) error {
	total, _, err := scanOne[int64](ctx, tx, s.count)
	if err != nil {
		return err
	}
	done, at := int64(0), s.begin
	u.cfg.Progress(s.name, done, total)
	for {
		flaws, next, n, err := s.look(ctx, tx, at)
		if err != nil || n == 0 {
			return err
		}
		for i := range flaws {
			report(flaws[i].Problem)
		}
		at, done = next, done+int64(n)
		u.cfg.Progress(s.name, done, total)
	}
}

// attempt runs a part of the check. When what is stored keeps it from coming to its
// end, that is a problem like others, and the next part can begin.
func (u *Upkeep) attempt(ctx context.Context, tx *transaction, name string, report func(Problem), part func() error) error {
	if _, err := tx.ExecContext(ctx, `SAVEPOINT part`); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	failure := part()
	if failure != nil && ctx.Err() != nil {
		return fmt.Errorf("%s: %w", name, context.Cause(ctx))
	}
	if failure != nil {
		if _, err := tx.ExecContext(ctx, `ROLLBACK TO SAVEPOINT part`); err != nil {
			return fmt.Errorf("%s: %w", name, failure) // the connection is gone
		}
		report(Problem{"table", name, "what can be read to its end", failure.Error()})
	}
	if _, err := tx.ExecContext(ctx, `RELEASE SAVEPOINT part`); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
