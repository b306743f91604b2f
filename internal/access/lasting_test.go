package access_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/access"
	"github.com/tallyman-io/tallyman/internal/grant"
)

func TestALastingAnswerEndsWithWhatItWasGivenFor(t *testing.T) {
	t.Parallel()
	var cfg access.Config
	b := newBench(t, func(c *access.Config) { cfg = *c })
	cfg.RecheckEvery = 5 * time.Millisecond
	guard, err := access.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := guard.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	began, mux := make(chan struct{}), http.NewServeMux()
	if err := guard.Install(mux, access.Route{
		Method: http.MethodGet, Pattern: "/follow", Kind: access.API, Role: access.Viewer, Lasting: true,
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			began <- struct{}{}
			<-r.Context().Done()
		}),
	}); err != nil {
		t.Fatal(err)
	}
	follow := func(ctx context.Context, headers ...string) chan struct{} {
		r := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/follow", http.NoBody)
		for i := 0; i+1 < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			mux.ServeHTTP(httptest.NewRecorder(), r)
		}()
		<-began
		return ended
	}
	goes := func(ended chan struct{}) error {
		select {
		case <-ended:
			return nil
		case <-time.After(10 * time.Second):
			return errors.New("it goes on")
		}
	}
	token, other := b.token(access.Viewer, grant.Read), b.token(access.Viewer, grant.Read)
	byToken, bySession := follow(t.Context(), "Authorization", "Bearer "+token), follow(t.Context(), "Cookie", b.signIn(token))
	ctx, leave := context.WithCancel(t.Context())
	stays := follow(ctx, "Authorization", "Bearer "+other)
	if ok, err := guard.RevokeToken(t.Context(), idOf(token)); !ok || err != nil {
		t.Fatal(ok, err)
	}
	for name, ended := range map[string]chan struct{}{"by the token": byToken, "by a session of it": bySession} {
		if err := goes(ended); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	select {
	case <-stays:
		t.Error("by another token: it was ended")
	default:
	}
	leave()
	if err := goes(stays); err != nil {
		t.Errorf("after who looked has gone: %v", err)
	}
	idle := follow(t.Context(), "Cookie", b.signIn(other))
	b.clock.wait(2 * time.Hour) // longer than a session may be idle: to look on is no use of it
	if err := goes(idle); err != nil {
		t.Errorf("idle: %v", err)
	}
}
