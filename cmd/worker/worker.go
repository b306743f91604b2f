package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/tallyman-io/tallyman/internal/command"
	"github.com/tallyman-io/tallyman/internal/config"
	"github.com/tallyman-io/tallyman/internal/jobs"
	"github.com/tallyman-io/tallyman/internal/jobs/jobschema"
	"github.com/tallyman-io/tallyman/internal/registry/hook"
	"github.com/tallyman-io/tallyman/internal/service"
	"github.com/tallyman-io/tallyman/internal/store"
)

func run(ctx context.Context, p command.Process) int {
	return command.Run(ctx, command.Program[config.Worker]{
		Name:      "worker",
		Short:     "Keep the tally of container releases in the background",
		Verb:      "run",
		VerbShort: "Run until told to stop",
		Settings:  config.ForWorker().Also(checkTrust).Also(checkRules),
		Start:     start,
		Groups:    []command.Group[config.Worker]{databaseTasks()},
	}, p)
}

// start opens the store and starts the jobs. The jobs are stopped before the
// store, which they write to.
func start(ctx context.Context, e command.Env[config.Worker]) (service.App, error) {
	c := e.Config
	if len(c.Repositories) == 0 {
		e.Log.Warn().Str("key", "repositories").Msg("no repository to look at")
	}
	if trustsNobody(c.Trust) {
		e.Log.Warn().Str("key", "trust.keys, trust.identities").Msg("nobody is trusted: signatures cannot be verified")
	}
	db, err := store.Open(ctx, c.Database.URL.Reveal(), store.Options{MaxConnections: c.Database.MaxConnections, Now: e.Now, Queue: jobschema.River{}})
	if err != nil {
		return service.App{}, fmt.Errorf("open store: %w", err)
	}
	runner, err := startJobs(ctx, e, db)
	if err != nil {
		return service.App{}, errors.Join(err, db.Close())
	}
	hooks := hook.New(hook.Config{
		Secret: c.Hooks.Secret.Reveal(), Repositories: c.Repositories, Discover: runner.Discover, Now: e.Now,
	})
	routes := new(service.Routes)
	routes.Handle(hook.Path, hooks)
	return service.App{
		Routes: routes,
		Checks: []service.Check{{Name: "store", Run: db.Ping}, {Name: "jobs", Run: runner.Ping}},
		Stops: []service.Stop{
			{Name: "jobs", Run: runner.Stop},
			{Name: "store", Run: func(context.Context) error { return db.Close() }},
		},
	}, nil
}

func startJobs(ctx context.Context, e command.Env[config.Worker], db *store.Store) (*jobs.Runner, error) {
	runner, err := newJobs(ctx, e, db)
	if err != nil {
		return nil, err
	}
	if err := runner.Start(ctx); err != nil {
		return nil, err
	}
	return runner, nil
}
