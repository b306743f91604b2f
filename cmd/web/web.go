package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/tallyman-io/tallyman/internal/command"
	"github.com/tallyman-io/tallyman/internal/config"
	"github.com/tallyman-io/tallyman/internal/console"
	"github.com/tallyman-io/tallyman/internal/service"
	"github.com/tallyman-io/tallyman/internal/store"
)

func run(ctx context.Context, p command.Process) int {
	return command.Run(ctx, command.Program[config.Web]{
		Name:      "web",
		Short:     "Serve the console of the tally",
		Verb:      "serve",
		VerbShort: "Serve until told to stop",
		Settings:  config.ForWeb(),
		Start:     start,
	}, p)
}

// start opens the store and makes the pages.
func start(ctx context.Context, e command.Env[config.Web]) (service.App, error) {
	c := e.Config
	db, err := store.Open(ctx, c.Database.URL.Reveal(), store.Options{MaxConnections: c.Database.MaxConnections, Now: e.Now})
	if err != nil {
		return service.App{}, fmt.Errorf("open store: %w", err)
	}
	pages, err := console.New(console.Config{Store: db, Log: e.Log, Now: e.Now, Build: e.Build})
	if err != nil {
		return service.App{}, errors.Join(fmt.Errorf("make pages: %w", err), db.Close())
	}
	return service.App{
		Routes: pages.Install,
		Checks: []service.Check{{Name: "store", Run: db.Ping}},
		Stops:  []service.Stop{{Name: "store", Run: func(context.Context) error { return db.Close() }}},
	}, nil
}
