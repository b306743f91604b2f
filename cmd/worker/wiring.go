package main

import (
	"context"
	"fmt"
	"time"

	"github.com/tallyman-io/tallyman/internal/command"
	"github.com/tallyman-io/tallyman/internal/config"
	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/feed"
	"github.com/tallyman-io/tallyman/internal/jobs"
	"github.com/tallyman-io/tallyman/internal/notify"
	"github.com/tallyman-io/tallyman/internal/policy"
	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/store"
	"github.com/tallyman-io/tallyman/internal/tally"
)

// dutyEvery is how often the worker looks for what is due, where nothing that is
// configured asks for more.
const dutyEvery = 10 * time.Second

// newJobs makes the tally and the jobs that run it.
func newJobs(ctx context.Context, e command.Env[config.Worker], db *store.Store) (*jobs.Runner, error) {
	c := e.Config
	keeper, err := newTally(e, db)
	if err != nil {
		return nil, err
	}
	return jobs.New(ctx, jobs.Config{
		Store:        db,
		Tally:        keeper,
		Repositories: c.Repositories,
		Interval:     c.Discover.Interval,
		DutyInterval: min(dutyEvery, c.Evidence.Interval, c.Advisories.Interval),
		Concurrency:  c.Concurrency,
		Log:          e.Log,
	})
}

func newTally(e command.Env[config.Worker], db *store.Store) (*tally.Tally, error) {
	c := e.Config
	agent := "tallyman-worker/" + e.Build.Version
	queue, err := jobs.NewQueue(db)
	if err != nil {
		return nil, err
	}
	keep, err := store.NewLedger(db, queue)
	if err != nil {
		return nil, err
	}
	client := registry.New(registry.Config{Insecure: c.Registry.Insecure, Timeout: c.Registry.Timeout, UserAgent: agent})
	examiner, err := evidence.New(client, evidence.Config{Trust: trust(c.Trust), Now: e.Now})
	if err != nil {
		return nil, fmt.Errorf("papers: %w", err)
	}
	feeds, err := feed.New(feed.Config{Base: c.Advisories.Source, UserAgent: agent, Now: e.Now})
	if err != nil {
		return nil, fmt.Errorf("advisories: %w", err)
	}
	judge, err := newPolicy(c.Policy)
	if err != nil {
		return nil, err
	}
	messenger, err := notify.New(notify.Config{
		Webhooks: reveal(c.Notify.Webhooks), Slack: reveal(c.Notify.Slack), Secret: c.Notify.Secret.Reveal(),
		ConsoleURL: c.Console.URL, UserAgent: agent,
	})
	if err != nil {
		return nil, err
	}
	return tally.New(tally.Config{
		Repositories: c.Repositories, Registry: client,
		Examiner: examiner, EvidenceEvery: c.Evidence.Interval,
		Feeds: feeds, Source: c.Advisories.Source, Ecosystems: c.Advisories.Ecosystems, AdvisoriesEvery: c.Advisories.Interval,
		Policy: judge, Messenger: messenger, Ledger: keep, Log: e.Log, Now: e.Now,
	}), nil
}

// newPolicy is the configured policy, or the built-in one.
func newPolicy(c config.Policy) (*policy.Policy, error) {
	if c.File.Path == "" {
		return policy.Default(c.MaxAge)
	}
	return policy.Parse(c.File.Path, c.File.Content)
}

func reveal(secrets []config.Secret) []string {
	plain := make([]string, 0, len(secrets))
	for _, s := range secrets {
		plain = append(plain, s.Reveal())
	}
	return plain
}
