package command

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/tallyman-io/tallyman/internal/buildinfo"
	"github.com/tallyman-io/tallyman/internal/config"
	"github.com/tallyman-io/tallyman/internal/logging"
	"github.com/tallyman-io/tallyman/internal/service"
)

// verb is the command that serves until it is told to stop.
func (p Program[T]) verb(proc Process) *cobra.Command {
	c := &cobra.Command{
		Use: p.Verb, Short: p.VerbShort, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			loaded, err := p.load(c, proc)
			if err != nil {
				return err
			}
			return p.serve(c.Context(), loaded, proc)
		},
	}
	p.Settings.AddFlags(c.Flags())
	return c
}

func (p Program[T]) serve(ctx context.Context, loaded config.Loaded[T], proc Process) error {
	shared := loaded.Config.Shared()
	log, err := logging.New(proc.Stderr, logging.Options{
		Service: p.Name,
		Level:   shared.Log.Level,
		Format:  shared.Log.Format,
		Needles: loaded.Needles,
	})
	if err != nil {
		return failed{err: fmt.Errorf("set up the log: %w", err)}
	}
	for _, v := range loaded.Values {
		log.Debug().Str("key", v.Key).Any("value", v.Shown).Str("origin", v.Origin).Msg("setting")
	}
	env := Env[T]{Config: loaded.Config, Settings: loaded.Values, Log: log, Build: buildinfo.Read(shared.ImageDigest), Now: time.Now}
	var signals <-chan os.Signal
	if proc.Signals != nil {
		var restore func()
		signals, restore = proc.Signals()
		defer restore()
	}
	err = service.Run(ctx, p.serviceConfig(env, proc.Began, signals), func(ctx context.Context) (service.App, error) {
		return p.Start(ctx, env)
	})
	if err != nil {
		log.WithLevel(zerolog.FatalLevel).Err(err).Msg("failed")
		return failed{err: err, logged: true}
	}
	return nil
}

func (p Program[T]) serviceConfig(env Env[T], began time.Time, signals <-chan os.Signal) service.Config {
	shared := env.Config.Shared()
	return service.Config{
		Name:              p.Name,
		Listen:            shared.Listen,
		TLS:               service.TLS{Certificate: shared.TLS.Certificate.Path, Key: shared.TLS.Key.Path},
		ReadHeaderTimeout: shared.Server.ReadHeaderTimeout,
		ReadTimeout:       shared.Server.ReadTimeout,
		WriteTimeout:      shared.Server.WriteTimeout,
		IdleTimeout:       shared.Server.IdleTimeout,
		ShutdownDelay:     shared.ShutdownDelay,
		ShutdownTimeout:   shared.ShutdownTimeout,
		Log:               env.Log,
		Build:             env.Build,
		Now:               env.Now,
		Uptime: func() time.Duration {
			if up, ok := service.Uptime(); ok {
				return up
			}
			return env.Now().Sub(began)
		},
		Signals: signals,
	}
}
