package tally

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tallyman-io/tallyman/internal/facts"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/policy"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Policy judges facts; *policy.Policy implements it.
type Policy interface {
	Judge(ctx context.Context, facts policy.Facts, at time.Time) release.Verdict
	Digest() string
}

// Judge judges the images that a wave touched, writes down the verdicts that differ
// from those before, and puts one message for each target on its way. A wave that was
// judged before is left alone.
func (t *Tally) Judge(ctx context.Context, wave int64) error {
	w, err := t.cfg.Ledger.Wave(ctx, wave)
	if errors.Is(err, ledger.ErrNoWave) || err == nil && w.Judged {
		return nil
	} else if err != nil {
		return fmt.Errorf("judge: %w", err)
	}
	known, err := t.data(ctx)
	if err != nil {
		return fmt.Errorf("judge: %w", err)
	}
	var last *ledger.Case
	for {
		cases, err := t.cfg.Ledger.Cases(ctx, wave, last)
		if err != nil {
			return fmt.Errorf("judge: %w", err)
		}
		if len(cases) == 0 {
			break
		}
		if err := t.judge(ctx, wave, cases, known); err != nil {
			return fmt.Errorf("judge: %w", err)
		}
		last = &cases[len(cases)-1]
	}
	return t.tell(ctx, w)
}

// data is what is known of the advisories, for all cases of a wave.
type data struct {
	facts.Advisories

	vex *facts.Statements
}

// data reads what is known of the advisories.
func (t *Tally) data(ctx context.Context) (*data, error) {
	coverage, feeds, err := t.cfg.Ledger.Coverage(ctx)
	if err != nil {
		return nil, err
	}
	d := &data{
		Advisories: facts.Advisories{Coverage: coverage, Synced: make(map[string]time.Time, len(feeds))},
		vex:        facts.NewStatements(t.cfg.VEX),
	}
	for i := range feeds {
		d.Synced[feeds[i].Ecosystem] = feeds[i].SyncedAt
	}
	return d, nil
}

func (t *Tally) judge(ctx context.Context, wave int64, cases []ledger.Case, known *data) error {
	judged := make([]ledger.Judged, 0, len(cases))
	for i := range cases {
		c := &cases[i]
		if err := known.vex.Prepare(ctx, t.cfg.Ledger.DocumentContent, c); err != nil {
			return err
		}
		j := ledger.Judged{Case: c}
		now := facts.View{At: t.now(), Advisories: known.Advisories, Statements: known.vex}
		verdict, counts, err := t.verdict(ctx, &now, c, c.Packages)
		if err != nil {
			return err
		}
		j.Now, j.Counts = verdict, counts.String()
		j.Statements = known.vex.Applied(c, now.At)
		if tellsNothing(c.AtRelease) {
			if err := t.judgeAtRelease(ctx, &j, known); err != nil {
				return err
			}
		}
		judged = append(judged, j)
	}
	return t.cfg.Ledger.RecordVerdicts(ctx, wave, judged)
}

func (t *Tally) verdict(ctx context.Context, v *facts.View, c *ledger.Case, packages []ledger.Package) (release.Verdict, ledger.Counts, error) {
	of, err := v.Facts(c, packages)
	if err != nil {
		return release.Verdict{}, ledger.Counts{}, err
	}
	verdict := t.cfg.Policy.Judge(ctx, of, v.At)
	if err := ctx.Err(); err != nil {
		// A rule that did not come to its end is no verdict.
		return verdict, ledger.Counts{}, fmt.Errorf("judge %s@%s: %w", c.Repository, c.Digest, context.Cause(ctx))
	}
	return verdict, facts.CountsOf(&of), nil
}

// tellsNothing reports whether the verdict at release has still to be found: there was
// none, or the advisories were not known when it was looked for.
func tellsNothing(v *ledger.Verdict) bool {
	if v == nil {
		return true
	}
	c, err := ledger.ParseCounts(v.Counts)
	return err != nil || !c.Known
}

// judgeAtRelease judges an image by the advisories of the day on which it became a
// release, and by the papers as they were first found. The data count as fresh: they
// are looked at for that day.
func (t *Tally) judgeAtRelease(ctx context.Context, j *ledger.Judged, known *data) error {
	c := j.Case
	packages, err := t.cfg.Ledger.FindingsAsOf(ctx, c, c.ReleasedAt)
	if err != nil {
		return err
	}
	v := facts.View{At: c.ReleasedAt, Advisories: known.AsOf(c.ReleasedAt), Statements: known.vex}
	verdict, counts, err := t.verdict(ctx, &v, c, packages)
	if err != nil {
		return err
	}
	j.AtRelease, j.AtReleaseCounts = &verdict, counts.String()
	return nil
}
