package service

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// grace is what a step gets to return after its context has ended. A step that
// overstays it is left behind; the process is about to exit.
const grace = 2 * time.Second

// shutdown answers the requests that are under way, stops the application's
// parts in order, and returns what went wrong.
func (s *server) shutdown(ctx context.Context, web *http.Server, served chan error, end context.CancelFunc) error {
	s.draining.Store(true)
	began := s.config.Now()
	ctx, cancel := context.WithTimeoutCause(context.WithoutCancel(ctx), s.config.ShutdownTimeout, errDeadline)
	defer cancel()
	ctx, cut := context.WithCancelCause(ctx)
	defer cut(nil)

	done := make(chan error, 1)
	go func() { done <- s.stopAll(ctx, web, served) }()
	var err error
	select {
	case err = <-done:
	case <-s.config.Signals:
		cut(errSecondSignal)
		err = s.overtime(ctx, done, end)
	case <-ctx.Done():
		err = s.overtime(ctx, done, end)
	}
	if err != nil {
		return err
	}
	s.config.Log.Info().Int64("milliseconds", s.config.Now().Sub(began).Milliseconds()).Msg("stopped")
	return nil
}

// overtime ends the contexts of everything that still runs, and waits for a
// last moment.
func (s *server) overtime(ctx context.Context, done <-chan error, end context.CancelFunc) error {
	end()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case err := <-done:
		return errors.Join(context.Cause(ctx), err)
	case <-timer.C:
		return fmt.Errorf("%w; some parts did not stop", context.Cause(ctx))
	}
}

// linger goes on serving until whoever hands out requests has seen on /readyz that this
// service is draining. It ends early when the listener has, or the shutdown is cut short.
func (s *server) linger(ctx context.Context, served chan error) {
	if s.config.ShutdownDelay == 0 || s.ready.Load() == nil {
		return
	}
	timer := time.NewTimer(s.config.ShutdownDelay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	case err := <-served:
		served <- err // for who waits for it
	}
}

// stopAll takes the steps of a shutdown one after the other. Each is taken even
// when one before it failed.
func (s *server) stopAll(ctx context.Context, web *http.Server, served chan error) error {
	var errs []error
	s.linger(ctx, served)
	if s.endless != nil {
		s.endless()
	}
	if err := web.Shutdown(ctx); err != nil {
		errs = append(errs, fmt.Errorf("finish requests: %w", err), web.Close())
	}
	if err := <-served; err != nil && !errors.Is(err, http.ErrServerClosed) {
		// Run has it already, when it is why we stop.
		s.config.Log.Debug().Err(err).Msg("listener ended")
	}
	for _, stop := range s.stops {
		if err := stop.Run(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", stop.Name, err))
		}
	}
	return errors.Join(errs...)
}
