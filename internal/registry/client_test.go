package registry_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
	"github.com/tallyman-io/tallyman/internal/release"
)

func client() *registry.Client {
	return registry.New(registry.Config{Timeout: 5 * time.Second, UserAgent: "tallyman-test"})
}

func TestTagsFollowsAllPages(t *testing.T) {
	t.Parallel()
	pages := map[string]string{"": "b", "b": "d", "d": ""}
	tags := map[string]string{"": `"a","b"`, "b": `"c","d"`, "d": `"e"`}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			return
		}
		last := r.URL.Query().Get("last")
		if next := pages[last]; next != "" {
			w.Header().Set("Link", fmt.Sprintf(`</v2/acme/web/tags/list?last=%s&n=2>; rel="next"`, next))
		}
		fmt.Fprintf(w, `{"name":"acme/web","tags":[%s]}`, tags[last])
	}))
	t.Cleanup(srv.Close)
	got, err := client().Tags(t.Context(), strings.TrimPrefix(srv.URL, "http://")+"/acme/web")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b", "c", "d", "e"}, got); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
}

func TestTagsEndsWhenPagesDoNot(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/" {
			w.Header().Set("Link", `</v2/acme/web/tags/list?last=a>; rel="next"`)
			fmt.Fprint(w, `{"tags":["a"]}`)
		}
	}))
	t.Cleanup(srv.Close)
	_, err := client().Tags(t.Context(), strings.TrimPrefix(srv.URL, "http://")+"/acme/web")
	if got := causeOf(t, err); got != release.CauseInvalid {
		t.Errorf("got cause %q, want %q: %v", got, release.CauseInvalid, err)
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	srv := registrytest.New(t)
	want := srv.Push(t, "acme/web", registrytest.Index(t, 1, "c0ffee", "linux/amd64"), "v1.0.0")
	tests := map[string]registrytest.Fault{
		"by the header of HEAD": nil,
		"by content when HEAD lacks the header": func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodHead {
				return false
			}
			w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
			return true
		},
	}
	for name, fault := range tests {
		t.Run(name, func(t *testing.T) {
			srv.Fail(fault)
			got, err := client().Resolve(t.Context(), srv.Repository("acme/web"), "v1.0.0")
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	srv := registrytest.New(t)
	index := registrytest.Index(t, 1, "c0ffee", "linux/amd64", "linux/arm64")
	digest := srv.Push(t, "acme/web", index, "v1.0.0")

	for _, ref := range []string{"v1.0.0", digest} {
		t.Run(ref, func(t *testing.T) {
			t.Parallel()
			got, err := client().Describe(t.Context(), srv.Repository("acme/web"), ref)
			if err != nil {
				t.Fatal(err)
			}
			want := registry.Image{
				Digest:    release.Digest(digest),
				MediaType: "application/vnd.oci.image.index.v1+json",
				Annotations: map[string]string{
					"org.opencontainers.image.revision": "c0ffee",
					"org.opencontainers.image.created":  "2026-03-04T05:06:07Z",
				},
				Manifests: []registry.Manifest{
					wantManifest(t, index, 0, "amd64"), wantManifest(t, index, 1, "arm64"),
				},
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("image (-want +got):\n%s", diff)
			}
		})
	}
}

func wantManifest(t *testing.T, index v1.ImageIndex, i int, arch string) registry.Manifest {
	t.Helper()
	parsed, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	image, err := index.Image(parsed.Manifests[i].Digest)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	size := manifest.Config.Size
	var layers []release.Layer
	for _, l := range manifest.Layers {
		size += l.Size
		layers = append(layers, release.Layer{Digest: release.Digest(l.Digest.String()), MediaType: string(l.MediaType), Size: l.Size})
	}
	return registry.Manifest{
		Platform: release.Platform{
			OS: "linux", Architecture: arch,
			Digest: release.Digest(parsed.Manifests[i].Digest.String()), CompressedSize: size, Layers: layers,
		},
		Labels:  map[string]string{"org.opencontainers.image.revision": "c0ffee"},
		Created: registrytest.Created(),
	}
}

func TestDescribeTakesThePlatformOfASingleManifestFromItsConfiguration(t *testing.T) {
	t.Parallel()
	srv := registrytest.New(t)
	pushImage(t, srv.Repository("acme/web")+":v1.0.0", registrytest.Image(t, 1, "c0ffee", "linux/arm/v7"))
	got, err := client().Describe(t.Context(), srv.Repository("acme/web"), "v1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Manifests) != 1 || got.Manifests[0].String() != "linux/arm/v7" {
		t.Errorf("got manifests %+v, want one for linux/arm/v7", got.Manifests)
	}
}

func TestDescribeTakesAnImageThatStatesNoPlatform(t *testing.T) {
	t.Parallel()
	srv := registrytest.New(t)
	pushImage(t, srv.Repository("acme/web")+":v1.0.0", mutate.ConfigMediaType(
		mutate.MediaType(empty.Image, "application/vnd.oci.image.manifest.v1+json"), "application/vnd.oci.image.config.v1+json"))
	got, err := client().Describe(t.Context(), srv.Repository("acme/web"), "v1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Manifests) != 1 || got.Manifests[0].String() != "unknown" {
		t.Errorf("got manifests %+v, want one for an unknown platform", got.Manifests)
	}
}

func TestDescribeFindsNoPlatformsInAnArtifact(t *testing.T) {
	t.Parallel()
	srv := registrytest.New(t)
	chart := mutate.ConfigMediaType(registrytest.Image(t, 1, "", "linux/amd64"), "application/vnd.cncf.helm.config.v1+json")
	pushImage(t, srv.Repository("acme/chart")+":v1.0.0", chart)
	got, err := client().Describe(t.Context(), srv.Repository("acme/chart"), "v1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Manifests) != 0 {
		t.Errorf("got manifests %+v, want none", got.Manifests)
	}
}

func pushImage(t *testing.T, ref string, image v1.Image) {
	t.Helper()
	tag, err := name.NewTag(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, image); err != nil {
		t.Fatal(err)
	}
}

func TestFailuresAreToldApart(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault      registrytest.Fault
		cause      release.Cause
		status     int
		retryAfter time.Duration
		reason     string
	}{
		"credentials are asked for": {
			fault: registrytest.Status(401), cause: release.CauseUnauthorized, status: 401,
			reason: "unauthorized (HTTP 401 Unauthorized)",
		},
		"credentials are not good enough": {
			fault: registrytest.Status(403), cause: release.CauseUnauthorized, status: 403,
			reason: "unauthorized (HTTP 403 Forbidden)",
		},
		"there is no such thing": {
			fault: registrytest.Status(404), cause: release.CauseNotFound, status: 404,
			reason: "not found (HTTP 404 Not Found)",
		},
		"throttled": {
			fault: registrytest.Status(429, "Retry-After", "90"), cause: release.CauseThrottled, status: 429,
			retryAfter: 90 * time.Second, reason: "throttled (HTTP 429 Too Many Requests), come back in 1m30s",
		},
		"throttled without saying for how long": {
			fault: registrytest.Status(429), cause: release.CauseThrottled, status: 429,
			reason: "throttled (HTTP 429 Too Many Requests)",
		},
		"throttled under another status": {
			fault: func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/v2/" {
					return false
				}
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprint(w, `{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}`)
				return true
			},
			cause: release.CauseThrottled, status: 400, reason: "TOOMANYREQUESTS: slow down",
		},
		"down for a while": {
			fault: registrytest.Status(503, "Retry-After", "7"), cause: release.CauseUnavailable, status: 503,
			retryAfter: 7 * time.Second, reason: "unavailable (HTTP 503 Service Unavailable), come back in 7s",
		},
		"the connection is cut": {
			fault: registrytest.Cut, cause: release.CauseUnavailable, reason: "unavailable: unexpected EOF",
		},
		"nonsense": {
			fault: func(w http.ResponseWriter, r *http.Request) bool {
				fmt.Fprint(w, "<html>captive portal</html>")
				return r.URL.Path != "/v2/"
			},
			cause: release.CauseInvalid, reason: "invalid answer: ",
		},
		"an answer without end": {
			fault: func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/v2/" {
					return false
				}
				chunk := []byte(strings.Repeat(" ", 1<<20))
				for range 9 {
					if _, err := w.Write(chunk); err != nil {
						break
					}
				}
				return true
			},
			cause: release.CauseInvalid, reason: "more than 8388608 bytes",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := registrytest.New(t)
			srv.Push(t, "acme/web", registrytest.Index(t, 1, "c0ffee", "linux/amd64"), "v1.0.0")
			srv.Fail(tt.fault)
			_, err := client().Tags(t.Context(), srv.Repository("acme/web"))
			var got *registry.Error
			if !errors.As(err, &got) {
				t.Fatalf("got error %v (%T), want a registry.Error", err, err)
			}
			if got.Cause != tt.cause || got.Status != tt.status || got.RetryAfter != tt.retryAfter {
				t.Errorf("got cause %q, status %d, retry after %s; want %q, %d, %s",
					got.Cause, got.Status, got.RetryAfter, tt.cause, tt.status, tt.retryAfter)
			}
			if !strings.Contains(got.Reason(), tt.reason) {
				t.Errorf("got reason %q, want one with %q", got.Reason(), tt.reason)
			}
			if want := "list tags of " + srv.Repository("acme/web") + ": "; !strings.HasPrefix(got.Error(), want) {
				t.Errorf("got error %q, want it to start with %q", got, want)
			}
		})
	}
}

func TestContentOfAnotherDigestIsRefused(t *testing.T) {
	t.Parallel()
	srv := registrytest.New(t)
	digest := srv.Push(t, "acme/web", registrytest.Index(t, 1, "c0ffee", "linux/amd64"), "v1.0.0")
	srv.Fail(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/manifests/") {
			return false
		}
		w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
		fmt.Fprint(w, `{"schemaVersion":2,"manifests":[]}`)
		return true
	})
	_, err := client().Describe(t.Context(), srv.Repository("acme/web"), digest)
	if got := causeOf(t, err); got != release.CauseInvalid {
		t.Errorf("got cause %q, want %q: %v", got, release.CauseInvalid, err)
	}
}

func TestARequestThatHangsEndsInTime(t *testing.T) {
	t.Parallel()
	srv := registrytest.New(t)
	srv.Fail(func(_ http.ResponseWriter, r *http.Request) bool {
		<-r.Context().Done()
		return true
	})
	c := registry.New(registry.Config{Timeout: 50 * time.Millisecond})
	_, err := c.Tags(t.Context(), srv.Repository("acme/web"))
	if got := causeOf(t, err); got != release.CauseUnavailable || !strings.Contains(err.Error(), "no answer within 50ms") {
		t.Errorf("got cause %q, error %v; want %q, no answer within 50ms", got, err, release.CauseUnavailable)
	}
}

func TestACallerThatGivesUpIsNoFailureOfTheRegistry(t *testing.T) {
	t.Parallel()
	srv := registrytest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	srv.Fail(func(_ http.ResponseWriter, r *http.Request) bool {
		cancel()
		<-r.Context().Done()
		return true
	})
	_, err := client().Tags(ctx, srv.Repository("acme/web"))
	var failed *registry.Error
	if errors.As(err, &failed) || !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want context.Canceled and no registry.Error", err)
	}
}

func TestCredentialsAreReadAgainAfterARefusal(t *testing.T) {
	t.Parallel()
	srv := registrytest.New(t)
	srv.Push(t, "acme/web", registrytest.Index(t, 1, "c0ffee", "linux/amd64"), "v1.0.0")
	c := client()
	srv.Fail(registrytest.Status(401))
	if _, err := c.Tags(t.Context(), srv.Repository("acme/web")); causeOf(t, err) != release.CauseUnauthorized {
		t.Fatalf("got error %v, want a refusal", err)
	}
	srv.Fail(nil)
	got, err := c.Tags(t.Context(), srv.Repository("acme/web"))
	if err != nil || !slices.Equal(got, []string{"v1.0.0"}) {
		t.Errorf("got tags %q, error %v; want v1.0.0", got, err)
	}
}

func causeOf(t *testing.T, err error) release.Cause {
	t.Helper()
	return failureOf(t, err).Cause
}

func failureOf(t *testing.T, err error) *registry.Error {
	t.Helper()
	var failed *registry.Error
	if !errors.As(err, &failed) {
		t.Fatalf("got error %v (%T), want a registry.Error", err, err)
	}
	return failed
}
