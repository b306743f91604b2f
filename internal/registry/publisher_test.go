package registry_test

import (
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
	"github.com/tallyman-io/tallyman/internal/release"
)

func publisher(t *testing.T) (*registry.Publisher, *[]time.Duration) {
	t.Helper()
	p := registry.NewPublisher(registry.Config{Timeout: 5 * time.Second, UserAgent: "tallyman-test"})
	return p, p.Impatient(t)
}

// times lets a fault happen to the first n requests to a tag or its list.
func times(n int64, fault registrytest.Fault) registrytest.Fault {
	var met atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/v2/" || met.Add(1) > n {
			return false
		}
		return fault(w, r)
	}
}

func TestPointTagIsPatient(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		fault registrytest.Fault
		waits []time.Duration
		cause release.Cause
	}{
		{"no fault", times(0, nil), nil, ""},
		{"throttled, with a time", times(2, registrytest.Status(429, "Retry-After", "7")), []time.Duration{7 * time.Second, 7 * time.Second}, ""},
		{"throttled for long", times(1, registrytest.Status(429, "Retry-After", "86000")), []time.Duration{time.Minute}, ""},
		{"broken", times(3, registrytest.Status(503)), []time.Duration{time.Second, 2 * time.Second, 4 * time.Second}, ""},
		{
			"broken for good", times(1000, registrytest.Status(503)),
			[]time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second},
			release.CauseUnavailable,
		},
		{"refused", times(1000, registrytest.Status(401)), nil, release.CauseUnauthorized},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			server := registrytest.New(t)
			index := registrytest.Index(t, 1, "abc", "linux/amd64", "linux/arm64")
			repository := server.Repository("acme/web")
			digest := release.Digest(server.Push(t, "acme/web", index, "sha-abc"))
			p, waits := publisher(t)
			server.Fail(c.fault)
			err := p.PointTag(t.Context(), repository, "v1.0.0", digest)
			server.Fail(nil)
			if !slices.Equal(*waits, c.waits) {
				t.Errorf("waits: got %v, want %v", *waits, c.waits)
			}
			var failed *registry.Error
			if c.cause != "" {
				if !errors.As(err, &failed) || failed.Cause != c.cause {
					t.Errorf("got %v, want cause %q", err, c.cause)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			img, err := p.Describe(t.Context(), repository, "v1.0.0")
			if err != nil || img.Digest != digest || img.Revision != "abc" || len(img.Platforms) != 2 {
				t.Errorf("after PointTag: got %+v, %v; want %s of revision abc with two platforms", img, err, digest)
			}
		})
	}
}

func TestPointTagWantsTheDigestToBeThere(t *testing.T) {
	t.Parallel()
	server := registrytest.New(t)
	p, _ := publisher(t)
	const absent = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
	var failed *registry.Error
	if err := p.PointTag(t.Context(), server.Repository("acme/web"), "v1.0.0", absent); !errors.As(err, &failed) || failed.Cause != release.CauseNotFound {
		t.Errorf("got %v, want not found", err)
	}
}

func TestTagsOfNoRepositoryAreNone(t *testing.T) {
	t.Parallel()
	server := registrytest.New(t)
	p, _ := publisher(t)
	if tags, err := p.Tags(t.Context(), server.Repository("acme/absent")); err != nil || len(tags) != 0 {
		t.Errorf("got %v, %v; want none", tags, err)
	}
}
