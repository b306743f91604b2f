package tally_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/store"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
	"github.com/tallyman-io/tallyman/internal/tally"
	"github.com/tallyman-io/tallyman/internal/tally/tallytest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

// bench is a tally of one repository.
type bench struct {
	*tallytest.Bench
	srv   *registrytest.Server
	store *store.Store
	tally *tally.Tally
	repo  string
	log   *tallytest.Log
}

func setup(t *testing.T, databaseURL string) *bench {
	t.Helper()
	full := tallytest.New(t, databaseURL, tallytest.Options{Connections: 4})
	b := &bench{Bench: full, srv: full.Server, store: full.Store, tally: full.Tally, repo: full.Repository, log: full.Log}
	if err := b.tally.Register(t.Context(), 5*time.Minute); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) push(t *testing.T, seed int64, tags ...string) release.Digest {
	t.Helper()
	return release.Digest(b.srv.Push(t, "acme/web", registrytest.Index(t, seed, "c0ffee", "linux/amd64", "linux/arm64"), tags...))
}

func (b *bench) discover(t *testing.T) {
	t.Helper()
	if err := b.tally.Discover(t.Context(), b.repo); err != nil {
		t.Fatalf("discover: %v", err)
	}
}

func (b *bench) component(t *testing.T) release.Component {
	t.Helper()
	all, err := b.store.Components(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 {
		t.Fatalf("got %d components, want 1", len(all))
	}
	return all[0].Component
}

func (b *bench) tags(t *testing.T) []release.Tag {
	t.Helper()
	tags, err := b.store.Tags(t.Context(), b.repo)
	if err != nil {
		t.Fatal(err)
	}
	return tags
}

func TestDiscoverRecordsReleases(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := setup(t, url)
		b.push(t, 1, "v1.2.0", "v1.2", "sha-0123456789abcdef0123456789abcdef01234567")
		newest := b.push(t, 2, "v1.10.0", "v1.10", "v1", "latest")
		b.push(t, 3, "v2.0.0-rc.1")
		b.push(t, 4, "nightly", "sha256-"+strings.Repeat("a", 64), "sha256-"+strings.Repeat("b", 64)+".sig")
		b.discover(t)

		c := b.component(t)
		if c.Releases != 3 {
			t.Errorf("got %d releases, want 3", c.Releases)
		}
		if c.Latest == nil {
			t.Fatal("got no latest release")
		}
		got := *c.Latest
		if len(got.Image.Platforms) != 2 || got.Image.Platforms[0].CompressedSize == 0 {
			t.Errorf("got platforms %+v, want two with a size", got.Image.Platforms)
		}
		got.Image.Platforms = nil
		want := release.Release{
			Image: release.Image{
				Repository: b.repo, Digest: newest, MediaType: "application/vnd.oci.image.index.v1+json",
				Revision: "c0ffee", Created: registrytest.Created(),
			},
			Version: "v1.10.0", FirstSeen: b.Now(),
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("latest release (-want +got):\n%s", diff)
		}
		var names []string
		for _, tag := range b.tags(t) {
			names = append(names, tag.Name)
		}
		wantTags := []string{"latest", "sha-0123456789abcdef0123456789abcdef01234567", "v1", "v1.10", "v1.10.0", "v1.2", "v1.2.0", "v2.0.0-rc.1"}
		if diff := cmp.Diff(wantTags, names); diff != "" {
			t.Errorf("tags (-want +got):\n%s", diff)
		}
		if why := c.Unknown(b.Now()); why != "" {
			t.Errorf("got unknown because %q, want known", why)
		}
	})
}

func TestDiscoverKeepsTheHistoryOfTags(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := setup(t, url)
		start := b.Now()
		first := b.push(t, 1, "v1.0.0", "latest")
		b.discover(t)
		b.Advance(time.Hour)
		second := b.push(t, 2, "v1.0.0", "latest")
		b.discover(t)
		b.Advance(time.Hour)
		b.srv.Delete(t, "acme/web", "latest")
		b.discover(t)

		want := []release.Tag{
			{Repository: b.repo, Name: "latest", Digest: first, Generation: 1, FirstSeen: start, GoneAt: start.Add(time.Hour)},
			{Repository: b.repo, Name: "latest", Digest: second, Generation: 2, FirstSeen: start.Add(time.Hour), GoneAt: start.Add(2 * time.Hour)},
			{Repository: b.repo, Name: "v1.0.0", Digest: first, Generation: 1, FirstSeen: start, GoneAt: start.Add(time.Hour)},
			{Repository: b.repo, Name: "v1.0.0", Digest: second, Generation: 2, FirstSeen: start.Add(time.Hour)},
		}
		if diff := cmp.Diff(want, b.tags(t)); diff != "" {
			t.Errorf("tags (-want +got):\n%s", diff)
		}
		latest := b.component(t).Latest
		if latest == nil || latest.Image.Digest != second || !latest.FirstSeen.Equal(start) || !latest.MovedAt.Equal(start.Add(time.Hour)) {
			t.Errorf("got release %+v, want %s, first seen %s, moved an hour later", latest, second, start)
		}
		if got := strings.Count(b.log.String(), `"level":"warn"`); got != 1 {
			t.Errorf("got %d warnings, want one, for the version tag:\n%s", got, b.log)
		}
	})
}

func TestDiscoverReadsWhatItKnowsOnlyOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t))
	b.push(t, 1, "v1.0.0", "latest")
	b.discover(t)
	before := b.srv.Requests()
	b.discover(t)
	if got, want := b.srv.Requests()-before, int64(3); got != want {
		t.Errorf("second look: got %d requests, want %d (one list, two tags)", got, want)
	}
}

func TestAFailedLookIsUnknownAndTakesNothingBack(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault  registrytest.Fault
		cause  release.Cause
		reason string
	}{
		"refused":     {registrytest.Status(401), release.CauseUnauthorized, "unauthorized (HTTP 401 Unauthorized)"},
		"forbidden":   {registrytest.Status(403), release.CauseUnauthorized, "unauthorized (HTTP 403 Forbidden)"},
		"gone":        {registrytest.Status(404), release.CauseNotFound, "not found (HTTP 404 Not Found)"},
		"throttled":   {registrytest.Status(429, "Retry-After", "60"), release.CauseThrottled, "come back in 1m0s"},
		"unavailable": {registrytest.Status(503), release.CauseUnavailable, "unavailable (HTTP 503 Service Unavailable)"},
		"cut":         {registrytest.Cut, release.CauseUnavailable, "unexpected EOF"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, url string) {
				b := setup(t, url)
				b.push(t, 1, "v1.0.0")
				b.discover(t)
				good := b.component(t)

				b.srv.Fail(tt.fault)
				b.Advance(time.Hour)
				err := b.tally.Discover(t.Context(), b.repo)
				var failed *registry.Error
				if !errors.As(err, &failed) || failed.Cause != tt.cause {
					t.Fatalf("got error %v, want a registry.Error with cause %q", err, tt.cause)
				}
				got := b.component(t)
				if got.LastLook.Outcome != release.OutcomeUnknown || got.LastLook.Cause != tt.cause ||
					!strings.Contains(got.LastLook.Reason, tt.reason) || !got.LastLook.At.Equal(b.Now()) {
					t.Errorf("got look %+v, want unknown, %q, at %s", got.LastLook, tt.reason, b.Now())
				}
				got.LastLook = good.LastLook
				if diff := cmp.Diff(good, got); diff != "" {
					t.Errorf("all but the last look (-before +after):\n%s", diff)
				}
			})
		})
	}
}

func TestALookThatFailsHalfWayKeepsWhatItFound(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t))
	b.push(t, 1, "v1.0.0")
	second := b.push(t, 2, "v1.1.0")
	b.srv.Fail(func(w http.ResponseWriter, r *http.Request) bool {
		return strings.HasSuffix(r.URL.Path, "/manifests/"+string(second)) && registrytest.Status(503)(w, r)
	})
	if err := b.tally.Discover(t.Context(), b.repo); err == nil {
		t.Fatal("got no error")
	}
	c := b.component(t)
	if c.LastLook.Outcome != release.OutcomeUnknown || !c.LastComplete.IsZero() {
		t.Errorf("got look %+v, complete %s; want unknown and never", c.LastLook, c.LastComplete)
	}
	// The images are read in the order of their digests, so the first may or may
	// not have been; once the registry is well, both are there.
	b.srv.Fail(nil)
	b.discover(t)
	if c := b.component(t); c.Releases != 2 || c.Latest.Version != "v1.1.0" {
		t.Errorf("got %d releases, latest %+v; want 2, v1.1.0", c.Releases, c.Latest)
	}
}

func TestAnImageThatCannotBeReadDoesNotHideTheOthers(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t))
	const versions = 40 // more than a batch
	broken := b.push(t, 0, "v1.39.0")
	for i := 1; i < versions; i++ {
		b.push(t, int64(i), fmt.Sprintf("v1.%d.0", i-1))
	}
	b.srv.Fail(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, "/manifests/"+string(broken)) {
			return false
		}
		_, _ = w.Write([]byte("no manifest"))
		return true
	})
	if err := b.tally.Discover(t.Context(), b.repo); err == nil {
		t.Fatal("got no error")
	}
	c := b.component(t)
	if c.Releases != versions-1 || c.Latest.Version != "v1.38.0" {
		t.Errorf("got %d releases, latest %+v; want %d, v1.38.0", c.Releases, c.Latest, versions-1)
	}
	want := "image " + broken.Short() + ": invalid answer: "
	if c.LastLook.Outcome != release.OutcomeUnknown || !strings.HasPrefix(c.LastLook.Reason, want) {
		t.Errorf("got look %+v, want unknown, because of %q", c.LastLook, want)
	}
}

func TestALookThatIsCalledOffIsNotRecorded(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t))
	ctx, cancel := context.WithCancel(t.Context())
	b.srv.Fail(func(_ http.ResponseWriter, r *http.Request) bool {
		cancel()
		<-r.Context().Done()
		return true
	})
	if err := b.tally.Discover(ctx, b.repo); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want context.Canceled", err)
	}
	if look := b.component(t).LastLook; look != nil {
		t.Errorf("got look %+v, want none", look)
	}
}

func TestALookWhoseTimeRunsOutIsRecorded(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t))
	b.srv.Fail(func(_ http.ResponseWriter, r *http.Request) bool {
		<-r.Context().Done()
		return true
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := b.tally.Discover(ctx, b.repo); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v, want context.DeadlineExceeded", err)
	}
	look := b.component(t).LastLook
	if look == nil || look.Outcome != release.OutcomeUnknown || look.Cause != release.CauseUnavailable {
		t.Errorf("got look %+v, want unknown, unavailable", look)
	}
}

func TestManyTagsAreReadInBatches(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t))
	const versions = 40 // more than a batch
	for i := range versions {
		b.push(t, int64(i), fmt.Sprintf("v1.%d.0", i))
	}
	b.discover(t)
	if c := b.component(t); c.Releases != versions || c.Latest.Version != "v1.39.0" {
		t.Errorf("got %d releases, latest %s; want %d, v1.39.0", c.Releases, c.Latest.Version, versions)
	}
}

func TestOnlyConfiguredRepositoriesAreContacted(t *testing.T) {
	t.Parallel()
	b := setup(t, storetest.SQLite(t))
	err := b.tally.Discover(t.Context(), b.srv.Repository("acme/other"))
	if !errors.Is(err, tally.ErrNotConfigured) {
		t.Errorf("got error %v, want ErrNotConfigured", err)
	}
	if n := b.srv.Requests(); n != 0 {
		t.Errorf("got %d requests, want none", n)
	}
}
