package registry

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// sessionAge is how long credentials and tokens are kept. Helpers of the Docker
// configuration hand out short-lived ones (twelve hours for Amazon ECR).
const sessionAge = 15 * time.Minute

// session lends out a [remote.Puller], which keeps what registries issue to it, but
// not for ever: it starts anew after a while, and when a registry turned it away.
// With it go the transports for what the puller has no method for.
type session struct {
	options []remote.Option
	inner   http.RoundTripper
	now     func() time.Time

	mu      sync.Mutex
	current *remote.Puller
	trips   map[string]http.RoundTripper // by repository
	since   time.Time
}

func (s *session) puller() (*remote.Puller, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil && s.now().Sub(s.since) < sessionAge {
		return s.current, nil
	}
	puller, err := remote.NewPuller(s.options...)
	if err != nil {
		return nil, fmt.Errorf("set up registry client: %w", err)
	}
	s.current, s.trips, s.since = puller, make(map[string]http.RoundTripper), s.now()
	return puller, nil
}

func (s *session) forget(puller *remote.Puller) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == puller {
		s.current, s.trips = nil, nil
	}
}

// trip returns a transport that may pull from the repository.
func (s *session) trip(ctx context.Context, repo name.Repository) (http.RoundTripper, error) {
	s.mu.Lock()
	known := s.trips[repo.Name()]
	s.mu.Unlock()
	if known != nil {
		return known, nil
	}
	auth, err := credentials{}.ResolveContext(ctx, repo)
	if err != nil {
		return nil, err
	}
	trip, err := transport.NewWithContext(ctx, repo.Registry, auth, s.inner, []string{repo.Scope(transport.PullScope)})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trips != nil {
		s.trips[repo.Name()] = trip
	}
	return trip, nil
}

// credentials are those of the Docker configuration. It marks the failure to read
// them, which is not the registry's.
type credentials struct{}

// Resolve implements [authn.Keychain].
func (credentials) Resolve(target authn.Resource) (authn.Authenticator, error) {
	return credentials{}.ResolveContext(context.Background(), target)
}

// ResolveContext implements [authn.ContextKeychain].
func (credentials) ResolveContext(ctx context.Context, target authn.Resource) (authn.Authenticator, error) {
	auth, err := authn.Resolve(ctx, authn.DefaultKeychain, target)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errCredentials, err)
	}
	return auth, nil
}
