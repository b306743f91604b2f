package registry

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/tallyman-io/tallyman/internal/outbound"
)

type registryKey struct{}

// withRegistry notes which registry an operation is about. Nothing that the
// registry answers changes that.
func withRegistry(ctx context.Context, at name.Registry) context.Context {
	return context.WithValue(ctx, registryKey{}, at)
}

// confined lets the requests of an operation go to its registry, to the companions
// of that, and to the hosts that the operator named, and nowhere else.
type confined struct {
	inner    *outbound.Transport
	hosts    []string
	insecure []string
	key      string
}

// RoundTrip implements [http.RoundTripper].
func (c *confined) RoundTrip(req *http.Request) (*http.Response, error) {
	at, ok := req.Context().Value(registryKey{}).(name.Registry)
	if !ok {
		return nil, fmt.Errorf("request to %s: on behalf of no registry", req.URL.Host)
	}
	return c.inner.With(c.rules(at, req)).RoundTrip(req)
}

func (c *confined) rules(at name.Registry, req *http.Request) outbound.Rules {
	host := at.RegistryStr()
	named := append(slices.Clone(c.hosts), host)
	rules := outbound.Rules{
		Hosts:   append(slices.Clone(named), companions(host)...),
		Private: named, Insecure: slices.Clone(c.insecure),
		Asker: "registry " + host, Key: c.key,
	}
	if at.Scheme() == "http" {
		rules.Insecure = append(rules.Insecure, host)
	}
	if req.URL.Host != host && req.Response == nil {
		// What goes elsewhere and is no redirect is a request for a token
		// (distribution specification, "Token Authentication").
		rules.Asker = "the token realm of registry " + host
	}
	return rules
}

// companions returns the hosts that a well-known registry is known to send its
// clients to, for tokens and for blobs. They have public addresses.
func companions(registry string) []string {
	for _, known := range wellKnown() {
		if slices.Contains(known.registries, registry) || slices.ContainsFunc(known.registries, func(pattern string) bool {
			return strings.HasPrefix(pattern, "*.") && strings.HasSuffix(registry, pattern[1:])
		}) {
			return known.hosts(registry)
		}
	}
	return nil
}
