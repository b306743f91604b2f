package registry

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/retry"
)

// longestWait bounds how long a registry may make a release wait for one attempt.
const longestWait = time.Minute

// Publisher is a client for the registry that a release is published to. It is
// patient: a registry that throttles or fails is asked again, when it says so
// in Retry-After and otherwise after 1, 2, 4, 8 seconds.
type Publisher struct {
	client  *Client
	options []remote.Option
	pause   retry.Wait
	pusher  func() (*remote.Pusher, error)
}

// NewPublisher returns a publisher. It makes no connection.
func NewPublisher(cfg Config) *Publisher {
	cfg = cfg.withDefaults()
	// It asks again by itself, at times of its own, also before a long Retry-After
	// is over.
	inner := cfg.transport(false)
	p := &Publisher{client: newClient(cfg, inner), pause: retry.Sleep, options: []remote.Option{
		remote.WithAuthFromKeychain(authn.DefaultKeychain),
		remote.WithTransport(inner),
		remote.WithUserAgent(cfg.UserAgent),
		// patiently asks again; the library must not as well.
		remote.WithRetryStatusCodes(),
	}}
	p.pusher = sync.OnceValues(p.makePusher)
	return p
}

// Tags lists the tags of a repository; none when there is no such repository.
func (p *Publisher) Tags(ctx context.Context, repository string) ([]string, error) {
	var tags []string
	err := p.patiently(ctx, func() (err error) {
		tags, err = p.client.Tags(ctx, repository)
		return err
	})
	var failed *Error
	if errors.As(err, &failed) && failed.Cause == release.CauseNotFound {
		return nil, nil
	}
	return tags, err
}

// Describe reads what a tag or digest stands for.
func (p *Publisher) Describe(ctx context.Context, repository, reference string) (release.Image, error) {
	var described Image
	if err := p.patiently(ctx, func() (err error) {
		described, err = p.client.Describe(ctx, repository, reference)
		return err
	}); err != nil {
		return release.Image{}, err
	}
	img := release.Image{
		Repository: repository, Digest: described.Digest, MediaType: described.MediaType,
		Revision: described.Annotations["org.opencontainers.image.revision"],
	}
	for _, manifest := range described.Manifests {
		img.Platforms = append(img.Platforms, manifest.Platform)
		if img.Revision == "" {
			img.Revision = manifest.Labels["org.opencontainers.image.revision"]
		}
	}
	return img, nil
}

// PointTag makes the tag name the digest, which the repository already has.
func (p *Publisher) PointTag(ctx context.Context, repository, tag string, digest release.Digest) error {
	op := "tag " + repository + "@" + string(digest) + " as " + tag
	repo, err := p.client.repository(repository)
	if err != nil {
		return asFailure(op, err)
	}
	target, err := name.NewTag(repo.Name()+":"+tag, p.client.nameOptions(repository)...)
	if err != nil {
		return asFailure(op, err)
	}
	return p.patiently(ctx, func() error {
		ctx, limits := withThrottle(withRegistry(ctx, repo.Registry))
		options := append(slices.Clone(p.options), remote.WithContext(ctx))
		described, err := remote.Get(repo.Digest(string(digest)), options...)
		if err == nil {
			err = remote.Put(target, described, options...)
		}
		if err != nil {
			return classify(ctx, op, limits, err)
		}
		return nil
	})
}

// patiently tries again what a registry throttled or could not answer.
func (p *Publisher) patiently(ctx context.Context, try func() error) error {
	return retry.Do(ctx, p.pause, try, func(err error) (time.Duration, bool) {
		var failed *Error
		if !errors.As(err, &failed) {
			return 0, false
		}
		return min(failed.RetryAfter, longestWait), failed.Cause == release.CauseThrottled || failed.Cause == release.CauseUnavailable
	})
}
