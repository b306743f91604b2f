package tally

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tallyman-io/tallyman/internal/release"
)

// rejudgeEvery is how often everything is judged although nothing happened: advisories
// grow old, and so does what a policy says about ages.
const rejudgeEvery = 15 * time.Minute

// Duty queues what is due: looks at papers, feeds to fetch, waves to judge, messages to
// deliver. What was queued and lost is queued again, for all of it follows from what is
// written down. What was kept for people for a while is removed.
func (t *Tally) Duty(ctx context.Context) error {
	if _, err := t.cfg.Ledger.EnqueueDue(ctx, t.cfg.Repositories, t.cfg.EvidenceEvery); err != nil {
		return fmt.Errorf("duty: %w", err)
	}
	due, err := t.dueFeeds(ctx)
	if err != nil {
		return fmt.Errorf("duty: %w", err)
	}
	if err := t.cfg.Ledger.Queue(ctx, due...); err != nil {
		return fmt.Errorf("duty: %w", err)
	}
	if err := t.cfg.Ledger.RejudgeOld(ctx, t.cfg.Rules, rejudgeEvery); err != nil {
		return fmt.Errorf("duty: %w", err)
	}
	forgotten, err := t.cfg.Ledger.ForgetDossiers(ctx)
	if err != nil {
		return fmt.Errorf("duty: %w", err)
	}
	if forgotten > 0 {
		t.cfg.Log.Info().Int("dossiers", forgotten).Msg("dossiers that expired are removed")
	}
	if err := t.cfg.Ledger.ForgetProgress(ctx); err != nil {
		return fmt.Errorf("duty: %w", err)
	}
	return nil
}

// dueFeeds returns the feeds that are wanted and were not tried for a while: those
// that are configured, or else those that packages need.
func (t *Tally) dueFeeds(ctx context.Context) ([]release.Task, error) {
	if t.cfg.Source == "" {
		return nil, nil
	}
	wanted := slices.Clone(t.cfg.Ecosystems)
	if len(wanted) == 0 {
		var err error
		if wanted, err = t.cfg.Ledger.Ecosystems(ctx); err != nil {
			return nil, err
		}
	}
	feeds, err := t.cfg.Ledger.Feeds(ctx)
	if err != nil {
		return nil, err
	}
	tried := make(map[string]time.Time, len(feeds))
	for i := range feeds {
		if feeds[i].Source == t.cfg.Source {
			tried[feeds[i].Ecosystem] = feeds[i].TriedAt
		}
	}
	var due []release.Task
	for _, ecosystem := range wanted {
		if t.now().Sub(tried[ecosystem]) >= t.cfg.AdvisoriesEvery {
			due = append(due, release.Task{Step: release.StepSync, Ecosystem: ecosystem})
		}
	}
	return due, nil
}

// TakeRequests queues what people asked for in the console. The worker's next look need
// not be waited for.
func (t *Tally) TakeRequests(ctx context.Context) error {
	if _, err := t.cfg.Ledger.TakeRequests(ctx); err != nil {
		return fmt.Errorf("take requests: %w", err)
	}
	return nil
}
