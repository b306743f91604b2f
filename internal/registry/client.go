package registry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/tallyman-io/tallyman/internal/outbound"
	"github.com/tallyman-io/tallyman/internal/release"
)

const (
	// defaultTimeout is used when Config has none.
	defaultTimeout = 30 * time.Second
	// defaultConcurrency is used when Config has none.
	defaultConcurrency = 8
	// maxTags and maxPages bound how long a listing may get.
	maxTags  = 100_000
	maxPages = 1_000
)

// Config says how to speak to registries. The zero value is usable.
type Config struct {
	// Repositories are those whose registries may be contacted. nil leaves it to
	// the callers, who then name no repository that they were told of by others.
	Repositories []string
	// Hosts are further hosts that any registry may send the client to, for tokens
	// or blobs: host, host:port or *.suffix, as [outbound.Hosts] has it. The
	// companions of well-known registries need not be listed.
	Hosts []string
	// HostsKey is where Hosts are configured, for errors; registry.hosts when empty.
	HostsKey string
	// Insecure lists host[:port] that may be spoken to over plain HTTP. Loopback
	// and private addresses may be without being listed, as
	// [name.Registry.Scheme] has it.
	Insecure []string
	// Concurrency is the most requests at the same time to one host; 8 when zero.
	Concurrency int
	// Timeout bounds each request, with its answer; 30 s when zero.
	Timeout time.Duration
	// UserAgent names the program to registries.
	UserAgent string
	// Now is the clock; the system's when nil.
	Now func() time.Time
}

func (cfg Config) withDefaults() Config {
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTimeout
	}
	cfg.Concurrency = cmp.Or(cfg.Concurrency, defaultConcurrency)
	cfg.HostsKey = cmp.Or(cfg.HostsKey, "registry.hosts")
	cfg.UserAgent = cmp.Or(cfg.UserAgent, "tallyman")
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return cfg
}

// transport returns what all requests go through. A restful one makes no request
// to a host that asked to be left alone.
func (cfg Config) transport(restful bool) *bounded {
	return &bounded{
		inner:   &confined{inner: outbound.New(outbound.Config{}), hosts: cfg.Hosts, insecure: cfg.Insecure, key: cfg.HostsKey},
		queue:   newQueue(cfg.Concurrency, restful, cfg.Now),
		timeout: cfg.Timeout, now: cfg.Now,
	}
}

// Client reads registries. Credentials come from the Docker configuration and
// its helpers. It is safe for concurrent use.
type Client struct {
	insecure     []string
	repositories []string
	options      []remote.Option
	session      *session
}

// New returns a client. It makes no connection.
func New(cfg Config) *Client {
	cfg = cfg.withDefaults()
	return newClient(cfg, cfg.transport(true))
}

func newClient(cfg Config, inner http.RoundTripper) *Client {
	options := []remote.Option{
		remote.WithAuthFromKeychain(credentials{}),
		remote.WithTransport(inner),
		remote.WithUserAgent(cfg.UserAgent),
		// A cut connection is tried again at once. Statuses are not: a registry
		// that throttles or fails gets its rest, and callers hear why.
		remote.WithRetryStatusCodes(),
		remote.WithRetryBackoff(atOnce()),
		remote.WithRetryPredicate(wasCut),
	}
	return &Client{
		insecure: slices.Clone(cfg.Insecure), repositories: slices.Clone(cfg.Repositories), options: options,
		session: &session{options: options, inner: patient(transport.NewUserAgent(inner, cfg.UserAgent)), now: cfg.Now},
	}
}

func atOnce() remote.Backoff {
	return remote.Backoff{Duration: 100 * time.Millisecond, Factor: 3, Jitter: 0.1, Steps: 3}
}

// patient does for single requests what the options do for those of a puller.
func patient(inner http.RoundTripper) http.RoundTripper {
	return transport.NewRetry(inner, transport.WithRetryStatusCodes(),
		transport.WithRetryBackoff(atOnce()), transport.WithRetryPredicate(wasCut))
}

func wasCut(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// do runs one operation, with a puller that keeps tokens between operations, and
// classifies its failure.
func (c *Client) do(ctx context.Context, op string, at name.Registry, f func(context.Context, *remote.Puller) error) error {
	puller, err := c.session.puller()
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	ctx, limits := withThrottle(withRegistry(ctx, at))
	if err := f(ctx, puller); err != nil {
		err = classify(ctx, op, limits, err)
		var failed *Error
		if errors.As(err, &failed) && failed.Cause == release.CauseUnauthorized {
			c.session.forget(puller)
		}
		return err
	}
	return nil
}

// Tags returns the tags of a repository, in the order of the registry.
func (c *Client) Tags(ctx context.Context, repository string) ([]string, error) {
	op := "list tags of " + repository
	repo, err := c.repository(repository)
	if err != nil {
		return nil, asFailure(op, err)
	}
	var tags []string
	err = c.do(ctx, op, repo.Registry, func(ctx context.Context, puller *remote.Puller) (err error) {
		tags, err = listTags(ctx, puller, repo)
		return err
	})
	return tags, err
}

func listTags(ctx context.Context, puller *remote.Puller, repo name.Repository) ([]string, error) {
	lister, err := puller.Lister(ctx, repo)
	if err != nil {
		return nil, err
	}
	var tags []string
	for pages := 1; lister.HasNext(); pages++ {
		page, err := lister.Next(ctx)
		if err != nil {
			return nil, err
		}
		tags = append(tags, page.Tags...)
		if len(tags) > maxTags || pages > maxPages {
			return nil, invalidf("more than %d tags or %d pages", maxTags, maxPages)
		}
	}
	return tags, nil
}

// Resolve returns the digest that a tag names now.
func (c *Client) Resolve(ctx context.Context, repository, tag string) (release.Digest, error) {
	op := "resolve " + repository + ":" + tag
	repo, err := c.repository(repository)
	if err != nil {
		return "", asFailure(op, err)
	}
	ref, err := name.NewTag(repo.Name()+":"+tag, c.nameOptions(repository)...)
	if err != nil {
		return "", asFailure(op, err)
	}
	var digest release.Digest
	err = c.do(ctx, op, repo.Registry, func(ctx context.Context, puller *remote.Puller) (err error) {
		digest, err = resolve(ctx, puller, ref)
		return err
	})
	return digest, err
}

func resolve(ctx context.Context, puller *remote.Puller, ref name.Tag) (release.Digest, error) {
	var answer *transport.Error
	desc, err := puller.Head(ctx, ref)
	if err != nil && !errors.As(err, &answer) && !isNetwork(err) {
		// Some registries answer HEAD without the headers that the specification
		// asks for; GET gives the content, which has its digest in itself.
		var got *remote.Descriptor
		if got, err = puller.Get(ctx, ref); err == nil {
			desc = &got.Descriptor
		}
	}
	if err != nil {
		return "", err
	}
	digest, err := release.ParseDigest(desc.Digest.String())
	if err != nil {
		return "", invalidf("%w", err)
	}
	return digest, nil
}

func (c *Client) repository(repository string) (name.Repository, error) {
	repo, err := name.NewRepository(repository, c.nameOptions(repository)...)
	if err != nil {
		return name.Repository{}, fmt.Errorf("repository %q: %w", repository, err)
	}
	if c.repositories != nil && !slices.ContainsFunc(c.repositories, func(configured string) bool {
		other, err := name.NewRepository(configured)
		return err == nil && other.RegistryStr() == repo.RegistryStr()
	}) {
		return name.Repository{}, &outbound.Error{
			Host: repo.RegistryStr(), Reason: "it is the registry of no configured repository",
			Remedy: "name one of its repositories in repositories to allow it",
		}
	}
	return repo, nil
}

func (c *Client) nameOptions(repository string) []name.Option {
	host, _, _ := strings.Cut(repository, "/")
	if slices.Contains(c.insecure, host) {
		return []name.Option{name.Insecure}
	}
	return nil
}
