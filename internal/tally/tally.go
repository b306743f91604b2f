// Package tally is the flow: look at repositories, write down what is there.
//
// It reaches registries and the database through the small interfaces that it
// declares here. The one step so far is [Tally.Discover].
package tally

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Registry is what the tally reads; *registry.Client implements it.
type Registry interface {
	// Tags returns the tags of a repository.
	Tags(ctx context.Context, repository string) ([]string, error)
	// Resolve returns the digest that a tag names now.
	Resolve(ctx context.Context, repository, tag string) (release.Digest, error)
	// Describe reads the image that a tag or a digest names.
	Describe(ctx context.Context, repository, tagOrDigest string) (registry.Image, error)
}

// Store is where the tally writes; *store.Store implements it.
type Store interface {
	// Watch records which repositories are looked at, and how often.
	Watch(ctx context.Context, repositories []string, every time.Duration) error
	// Images returns the digests of the images that are known in a repository.
	Images(ctx context.Context, repository string) ([]release.Digest, error)
	// RecordLook writes down a look and what it saw, all or nothing, and returns
	// the tags that moved.
	RecordLook(ctx context.Context, look release.Look, seen release.Sighting) ([]release.Move, error)
}

// Config holds what a [Tally] works with. All fields are needed, except that a
// nil Now is time.Now.
type Config struct {
	// Repositories are the only ones that are ever contacted.
	Repositories []string
	Registry     Registry
	Store        Store
	Log          zerolog.Logger
	Now          func() time.Time
}

// Tally runs the steps. It is safe for concurrent use.
type Tally struct{ cfg Config }

// New returns a tally. It touches neither registry nor store.
func New(cfg Config) *Tally {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Repositories = slices.Clone(cfg.Repositories)
	return &Tally{cfg: cfg}
}

// ErrNotConfigured is returned for a repository that is not in Config: its job may
// be left over from an earlier configuration.
var ErrNotConfigured = errors.New("repository is not configured")

// Register tells the store which repositories are looked at from now on, and how
// often.
func (t *Tally) Register(ctx context.Context, every time.Duration) error {
	if err := t.cfg.Store.Watch(ctx, t.cfg.Repositories, every); err != nil {
		return fmt.Errorf("register repositories: %w", err)
	}
	return nil
}
