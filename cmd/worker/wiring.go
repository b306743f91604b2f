package main

import (
	"context"
	"fmt"
	"time"

	"github.com/tallyman-io/tallyman/internal/command"
	"github.com/tallyman-io/tallyman/internal/config"
	"github.com/tallyman-io/tallyman/internal/dossier"
	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/feed"
	"github.com/tallyman-io/tallyman/internal/jobs"
	"github.com/tallyman-io/tallyman/internal/notify"
	"github.com/tallyman-io/tallyman/internal/outbound"
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
		Lease:        c.Lease,
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
	client := registry.New(registry.Config{
		Repositories: c.Repositories, Hosts: c.Registry.Hosts, Insecure: c.Registry.Insecure,
		Concurrency: c.Registry.Concurrency, Timeout: c.Registry.Timeout, UserAgent: agent, Now: e.Now,
	})
	examiner, err := evidence.New(client, evidence.Config{Trust: trust(c.Trust), Now: e.Now})
	if err != nil {
		return nil, fmt.Errorf("papers: %w", err)
	}
	feeds, err := feed.New(feed.Config{
		Base: c.Advisories.Source, Dir: db.Folder(), UserAgent: agent, Now: e.Now,
		HTTP: outbound.New(outbound.Config{Rules: outbound.To(true, c.Advisories.Source)}),
	})
	if err != nil {
		return nil, fmt.Errorf("advisories: %w", err)
	}
	judge, err := newRules(c)
	if err != nil {
		return nil, err
	}
	messenger, err := notify.New(notify.Config{
		Webhooks: reveal(c.Notify.Webhooks), Slack: reveal(c.Notify.Slack), Secret: c.Notify.Secret.Reveal(),
		ConsoleURL: c.Console.URL, UserAgent: agent,
		Transport: toTargets(c.Notify), Refused: outbound.IsRefusal,
	})
	if err != nil {
		return nil, err
	}
	return tally.New(tally.Config{
		Repositories: c.Repositories, Registry: client,
		Examiner: examiner, EvidenceEvery: c.Evidence.Interval,
		Feeds: feeds, Source: c.Advisories.Source, Ecosystems: c.Advisories.Ecosystems, AdvisoriesEvery: c.Advisories.Interval,
		Policy: judge.policy, VEX: judge.vex, Rules: judge.digest, Messenger: messenger,
		Dossiers: tally.Dossiers{
			Source: client, Trust: trust(c.Trust), Dir: db.Folder(), Tool: dossier.Tool{Version: e.Build.Version, Commit: e.Build.Commit},
		},
		Ledger: keep, Log: e.Log, Now: e.Now,
	}), nil
}

// toTargets connects to the targets of messages, and to no other host.
func toTargets(c config.Notify) *outbound.Transport {
	rules := outbound.To(c.AllowPrivate, append(reveal(c.Webhooks), reveal(c.Slack)...)...)
	rules.AllowKey = "notify.allow_private"
	return outbound.New(outbound.Config{Rules: rules})
}

func reveal(secrets []config.Secret) []string {
	plain := make([]string, 0, len(secrets))
	for _, s := range secrets {
		plain = append(plain, s.Reveal())
	}
	return plain
}
