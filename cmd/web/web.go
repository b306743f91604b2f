package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"runtime/debug"

	"github.com/tallyman-io/tallyman/internal/access"
	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/api"
	"github.com/tallyman-io/tallyman/internal/api/wire"
	"github.com/tallyman-io/tallyman/internal/command"
	"github.com/tallyman-io/tallyman/internal/config"
	"github.com/tallyman-io/tallyman/internal/console"
	"github.com/tallyman-io/tallyman/internal/grant"
	"github.com/tallyman-io/tallyman/internal/release"
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
		Groups:    []command.Group[config.Web]{tokenTasks()},
	}, p)
}

// start opens the store and makes the pages, and the guard before them.
func start(ctx context.Context, e command.Env[config.Web]) (service.App, error) {
	collectLate()
	b, err := assemble(ctx, e)
	if err != nil {
		return service.App{}, err
	}
	if _, ok := b.store.SQLite(); ok {
		boundMemory(besideSQLite)
	} else {
		boundMemory(managedMemory)
	}
	if err := b.guard.Bootstrap(ctx, e.Config.Access.BootstrapToken.Reveal()); err != nil {
		return service.App{}, errors.Join(err, b.close(ctx))
	}
	return b.app(e.Config.Access.Anonymous), nil
}

// app is what serves, with what anybody may read where anonymous is viewer.
func (b *building) app(anonymous string) service.App {
	app := service.App{
		Routes: b.mux,
		Checks: []service.Check{{Name: "store", Run: b.store.Ping}},
		// Whoever follows progress would be waited for until shutdown.timeout.
		Draining: b.pages.Close,
		Stops: []service.Stop{
			{Name: "access", Run: b.guard.Close},
			{Name: "reads", Run: b.shared.close},
			{Name: "store", Run: func(context.Context) error { return b.store.Close() }},
		},
	}
	// Anybody may read /metrics; the names of releases are for whom access.anonymous says.
	if anonymous == grant.Viewer.String() {
		app.Metrics = b.api.Metrics
	}
	return app
}

const (
	// managedMemory is how much memory Go collects garbage early for. With the program
	// itself web stays below 128 MiB, also while many read at the same time.
	managedMemory = 88 << 20
	// besideSQLite is that with what SQLite keeps in the same process.
	besideSQLite = 60 << 20
	// garbage is how much of it there may be before it is collected, in percent of what is
	// used: below that limit, processors are scarcer than memory.
	garbage = 300
)

// boundMemory leaves alone what GOMEMLIMIT has set.
func boundMemory(managed int64) {
	if debug.SetMemoryLimit(-1) == math.MaxInt64 {
		debug.SetMemoryLimit(managed)
	}
}

// collectLate sets how much [garbage] there may be, and leaves alone what GOGC has set.
func collectLate() {
	const unset = 100
	if before := debug.SetGCPercent(garbage); before != unset {
		debug.SetGCPercent(before)
	}
}

// building is what web is made of.
type building struct {
	store  *store.Store
	shared *reading
	guard  *access.Guard
	api    *api.API
	pages  *console.Console
	mux    *service.Routes
}

// ask hands what somebody asks for to the worker, once it is written down who asks.
func (b *building) ask(ctx context.Context, r account.Request) error {
	subject := r.Repository
	if r.Digest != "" {
		subject += "@" + string(r.Digest)
	}
	action := grant.ActionRescan
	if r.Step == release.StepDossier {
		action = grant.ActionDossier
	}
	if err := b.guard.Audit(ctx, b.guard.Entry(ctx, action, subject, string(r.Step))); err != nil {
		return err
	}
	return b.store.Ask(ctx, r)
}

// audited is the store as the API has it: what somebody asks for, or hands in, is written
// down first, as it is for the console.
type audited struct {
	*reading

	b *building
}

// Ask is [building.ask].
func (a audited) Ask(ctx context.Context, r account.Request) error { return a.b.ask(ctx, r) }

// HandIn keeps an SBOM, once it is written down who hands it in.
func (a audited) HandIn(ctx context.Context, u account.Upload) error {
	subject := u.Repository + "@" + string(u.Digest)
	if err := a.b.guard.Audit(ctx, a.b.guard.Entry(ctx, grant.ActionUpload, subject, fmt.Sprintf("about %s, %d bytes", u.Subject, len(u.Content)))); err != nil {
		return err
	}
	return a.reading.HandIn(ctx, u)
}

// Announce has repositories looked at that a registry told of, and writes that down.
func (a audited) Announce(ctx context.Context, n account.Announcement) error {
	e := a.b.guard.Entry(ctx, grant.ActionAnnounce, "", string(release.StepDiscover))
	e.Actor, e.Via = n.By, "hook"
	return a.reading.Announce(ctx, n, e)
}

func (b *building) close(ctx context.Context) error {
	return errors.Join(b.guard.Close(ctx), b.shared.close(ctx), b.store.Close())
}

// assemble puts web together. All routes are behind the guard.
func assemble(ctx context.Context, e command.Env[config.Web]) (*building, error) {
	db, err := store.Open(ctx, e.Config.Database.URL.Reveal(), store.Options{MaxConnections: e.Config.Database.MaxConnections, Now: e.Now})
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	b := &building{store: db, shared: newReading(db, e.Log, e.Now), mux: new(service.Routes)}
	b.api, err = api.New(api.Config{
		Store: audited{b.shared, b}, ConsoleURL: e.Config.Console.URL, HooksSecret: e.Config.Hooks.Secret.Reveal(), Version: e.Build.Version, Now: e.Now, Settings: told(e.Settings),
		ReleasePage: console.ReleasePage, AdvisoryPage: console.AdvisoryPage,
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	reference := b.api.Reference()
	b.pages, err = console.New(console.Config{
		Store: b.shared, Log: e.Log, Now: e.Now, Build: e.Build, Ask: b.ask, Reference: &reference, Settings: shown(e.Settings),
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make pages: %w", err), db.Close())
	}
	b.guard, err = newGuard(ctx, e, db, b.pages)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if err := b.guard.Install(b.mux, append(b.pages.Routes(), b.api.Routes()...)...); err != nil {
		return nil, errors.Join(err, b.close(ctx))
	}
	// What is under it and no route is a problem, not a page; that it is none is no secret.
	b.mux.Handle(wire.Base+"/", b.api.Missing())
	b.mux.Lost = http.HandlerFunc(b.pages.Lost)
	return b, nil
}
