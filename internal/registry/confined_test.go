package registry_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"

	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
	"github.com/tallyman-io/tallyman/internal/release"
)

// lure is a host that a registry tries to send its client to. It counts the
// connections made to it, and answers everything.
type lure struct {
	connections atomic.Int64
	port        string

	mu      sync.Mutex
	headers []http.Header
}

func newLure(t *testing.T, answer http.Handler) *lure {
	t.Helper()
	l := &lure{}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		l.headers = append(l.headers, r.Header.Clone())
		l.mu.Unlock()
		answer.ServeHTTP(w, r)
	}))
	srv.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			l.connections.Add(1)
		}
	}
	srv.Start()
	t.Cleanup(srv.Close)
	_, l.port, _ = net.SplitHostPort(strings.TrimPrefix(srv.URL, "http://"))
	return l
}

func (l *lure) authorizations() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for _, h := range l.headers {
		if a := h.Get("Authorization"); a != "" {
			all = append(all, a)
		}
	}
	return all
}

func redirectTo(base, part string) registrytest.Fault {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, part) {
			return false
		}
		http.Redirect(w, r, base+r.URL.Path, http.StatusTemporaryRedirect)
		return true
	}
}

func linkTo(base, part, kind, body string) registrytest.Fault {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, part) {
			return false
		}
		w.Header().Set("Link", "<"+base+r.URL.Path+`?last=a>; rel="next"`)
		w.Header().Set("Content-Type", kind)
		fmt.Fprint(w, body)
		return true
	}
}

func challenge(realm string) registrytest.Fault {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") != "" {
			return false
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="`+realm+`",service="tests"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	}
}

// everything reads all that a client reads of an image, and returns the failures.
func everything(t *testing.T, c *registry.Client, repository string, index, layer release.Digest) []error {
	t.Helper()
	_, tags := c.Tags(t.Context(), repository)
	_, resolved := c.Resolve(t.Context(), repository, "v1.0.0")
	_, described := c.Describe(t.Context(), repository, "v1.0.0")
	_, manifest := c.Manifest(t.Context(), repository, string(index))
	_, blob := c.Blob(t.Context(), repository, layer, 1<<20)
	_, referrers := c.Referrers(t.Context(), repository, index)
	var failures []error
	for _, err := range []error{tags, resolved, described, manifest, blob, referrers} {
		if err != nil {
			failures = append(failures, err)
		}
	}
	return failures
}

// foreign is an image whose layer says that it is to be had from the base.
func foreign(t *testing.T, base string) v1.ImageIndex {
	t.Helper()
	layer := static.NewLayer([]byte("layer"), "application/vnd.oci.image.layer.v1.tar")
	image, err := mutate.Append(registrytest.Image(t, 7, "c0ffee", "linux/amd64"),
		mutate.Addendum{Layer: layer, URLs: []string{base + "/layer"}})
	if err != nil {
		t.Fatal(err)
	}
	return mutate.AppendManifests(registrytest.Index(t, 1, "c0ffee"), mutate.IndexAddendum{
		Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}},
	})
}

func layerOf(t *testing.T, index v1.ImageIndex) release.Digest {
	t.Helper()
	parsed, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	image, err := index.Image(parsed.Manifests[len(parsed.Manifests)-1].Digest)
	if err != nil {
		t.Fatal(err)
	}
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := layers[len(layers)-1].Digest()
	if err != nil {
		t.Fatal(err)
	}
	return release.Digest(digest.String())
}

func TestARegistryLeadsToNoOtherHost(t *testing.T) {
	t.Parallel()
	const index = "application/vnd.oci.image.index.v1+json"
	traps := map[string]func(base string) registrytest.Fault{
		"by the realm of a token":     func(base string) registrytest.Fault { return challenge(base + "/token") },
		"by a redirect of everything": func(base string) registrytest.Fault { return redirectTo(base, "/") },
		"by a redirect of manifests":  func(base string) registrytest.Fault { return redirectTo(base, "/manifests/") },
		"by a redirect of blobs":      func(base string) registrytest.Fault { return redirectTo(base, "/blobs/") },
		"by a redirect of tags":       func(base string) registrytest.Fault { return redirectTo(base, "/tags/") },
		"by a redirect of referrers":  func(base string) registrytest.Fault { return redirectTo(base, "/referrers/") },
		"by the link to a page of tags": func(base string) registrytest.Fault {
			return linkTo(base, "/tags/", "application/json", `{"tags":["a"]}`)
		},
		"by the link to a page of referrer": func(base string) registrytest.Fault {
			return linkTo(base, "/referrers/", index, `{"schemaVersion":2,"manifests":[]}`)
		},
	}
	for name, trap := range traps {
		for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433"} {
			t.Run(name+" to "+host, func(t *testing.T) {
				t.Parallel()
				evil := newLure(t, http.NotFoundHandler())
				srv := registrytest.NewWithReferrers(t)
				image := foreign(t, "http://example.invalid")
				digest := release.Digest(srv.Push(t, "acme/web", image, "v1.0.0"))
				srv.Fail(trap("http://" + host + ":" + evil.port))
				c := registry.New(registry.Config{Timeout: 5 * time.Second, Repositories: []string{srv.Repository("acme/web")}})
				failures := everything(t, c, srv.Repository("acme/web"), digest, layerOf(t, image))
				if len(failures) == 0 {
					t.Error("got no error")
				}
				for _, err := range failures {
					if cause := causeOf(t, err); cause != release.CauseNotAllowed && cause != release.CauseInvalid {
						t.Errorf("got cause %q, want %q: %v", cause, release.CauseNotAllowed, err)
					}
				}
				if n := evil.connections.Load(); n != 0 {
					t.Errorf("got %d connections to the other host, want 0", n)
				}
			})
		}
	}
}

func TestARefusalSaysWhoAskedAndWhatAllowsIt(t *testing.T) {
	t.Parallel()
	evil := newLure(t, http.NotFoundHandler())
	srv := registrytest.New(t)
	base := "localhost:" + evil.port
	for name, tt := range map[string]struct {
		fault registrytest.Fault
		by    string
	}{
		"redirect":    {redirectTo("http://"+base, "/tags/"), "asked for by a redirect of " + srv.Host},
		"token realm": {challenge("http://" + base + "/token"), "asked for by the token realm of registry " + srv.Host},
	} {
		t.Run(name, func(t *testing.T) {
			srv.Fail(tt.fault)
			_, err := client().Tags(t.Context(), srv.Repository("acme/web"))
			if cause := causeOf(t, err); cause != release.CauseNotAllowed {
				t.Errorf("got cause %q, want %q", cause, release.CauseNotAllowed)
			}
			for _, part := range []string{"refused to contact " + base, tt.by, "name it in registry.hosts to allow it"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("got error %q, want it to say %q", err, part)
				}
			}
		})
	}
}

func TestTheTokenServiceLeadsToNoOtherHost(t *testing.T) {
	t.Parallel()
	evil := newLure(t, http.NotFoundHandler())
	srv := registrytest.New(t)
	for name, way := range map[string]http.HandlerFunc{
		"by a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://localhost:"+evil.port+"/token", http.StatusTemporaryRedirect)
		},
		"by a challenge of its own": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="http://localhost:`+evil.port+`/token",service="tests"`)
			w.WriteHeader(http.StatusUnauthorized)
		},
	} {
		t.Run(name, func(t *testing.T) {
			tokens := newLure(t, way)
			srv.Fail(challenge("http://localhost:" + tokens.port + "/token"))
			c := registry.New(registry.Config{Timeout: 5 * time.Second, Hosts: []string{"localhost:" + tokens.port}})
			if _, err := c.Tags(t.Context(), srv.Repository("acme/web")); err == nil {
				t.Error("got no error")
			}
			if tokens.connections.Load() == 0 {
				t.Error("the token service, which is named, was not asked")
			}
		})
	}
	if n := evil.connections.Load(); n != 0 {
		t.Errorf("got %d connections to the other host, want 0", n)
	}
}

func TestForeignLayersAreNotFetched(t *testing.T) {
	t.Parallel()
	evil := newLure(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "layer") }))
	srv := registrytest.NewWithReferrers(t)
	image := foreign(t, "http://localhost:"+evil.port)
	digest := release.Digest(srv.Push(t, "acme/web", image, "v1.0.0"))
	layer := layerOf(t, image)
	srv.Fail(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, string(layer)) {
			return false
		}
		http.NotFound(w, r)
		return true
	})
	// The host is named, and still nobody goes there.
	c := registry.New(registry.Config{Timeout: 5 * time.Second, Hosts: []string{"localhost:" + evil.port}})
	failures := everything(t, c, srv.Repository("acme/web"), digest, layer)
	if len(failures) != 1 || causeOf(t, failures[0]) != release.CauseNotFound {
		t.Errorf("got failures %v, want one: the layer is not found", failures)
	}
	if n := evil.connections.Load(); n != 0 {
		t.Errorf("got %d connections to where the layer is said to be, want 0", n)
	}
}

func TestPointTagSendsNothingToAnotherHost(t *testing.T) {
	t.Parallel()
	evil := newLure(t, http.NotFoundHandler())
	srv := registrytest.New(t)
	digest := release.Digest(srv.Push(t, "acme/web", registrytest.Index(t, 1, "c0ffee", "linux/amd64"), "sha-c0ffee"))
	srv.Fail(func(w http.ResponseWriter, r *http.Request) bool {
		return r.Method == http.MethodPut && redirectTo("http://localhost:"+evil.port, "/manifests/")(w, r)
	})
	// Even a named host is not sent the body of a request that was redirected.
	for _, hosts := range [][]string{nil, {"localhost:" + evil.port}} {
		p := registry.NewPublisher(registry.Config{Timeout: 5 * time.Second, Hosts: hosts})
		if cause := causeOf(t, p.PointTag(t.Context(), srv.Repository("acme/web"), "v1.0.0", digest)); cause != release.CauseNotAllowed {
			t.Errorf("hosts %q: got cause %q, want %q", hosts, cause, release.CauseNotAllowed)
		}
	}
	if n := evil.connections.Load(); n != 0 {
		t.Errorf("got %d connections to the other host, want 0", n)
	}
}

func TestOnlyRegistriesOfConfiguredRepositoriesAreContacted(t *testing.T) {
	t.Parallel()
	srv, other := registrytest.New(t), registrytest.New(t)
	srv.Push(t, "acme/web", registrytest.Index(t, 1, "c0ffee", "linux/amd64"), "v1.0.0")
	other.Push(t, "acme/web", registrytest.Index(t, 1, "c0ffee", "linux/amd64"), "v1.0.0")
	before := other.Requests()
	c := registry.New(registry.Config{Timeout: 5 * time.Second, Repositories: []string{srv.Repository("acme/web")}})
	if _, err := c.Tags(t.Context(), srv.Repository("acme/web")); err != nil {
		t.Error(err)
	}
	_, err := c.Tags(t.Context(), other.Repository("acme/web"))
	if cause := causeOf(t, err); cause != release.CauseNotAllowed || !strings.Contains(err.Error(), "it is the registry of no configured repository") {
		t.Errorf("got %v, want a refusal", err)
	}
	// Nor does one configured registry lead to another.
	c = registry.New(registry.Config{Timeout: 5 * time.Second, Repositories: []string{srv.Repository("acme/web"), other.Repository("acme/web")}})
	srv.Fail(redirectTo("http://"+other.Host, "/tags/"))
	if _, err := c.Tags(t.Context(), srv.Repository("acme/web")); causeOf(t, err) != release.CauseNotAllowed {
		t.Errorf("got %v, want a refusal", err)
	}
	if n := other.Requests() - before; n != 0 {
		t.Errorf("got %d requests to the other registry, want 0", n)
	}
}

// Not parallel: the credentials come from the environment.
func TestCredentialsGoToTheRegistryAndItsTokenServiceOnly(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	srv := registrytest.New(t)
	index := registrytest.Index(t, 1, "c0ffee", "linux/amd64")
	srv.Push(t, "acme/web", index, "v1.0.0")
	auths := fmt.Sprintf(`{"auths":{%q:{"username":"user","password":"pass"}}}`, srv.Host)
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(auths), 0o600); err != nil {
		t.Fatal(err)
	}
	tokens := newLure(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"token":"t0ken"}`) }))
	blobs := newLure(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"tags":["v1.0.0"]}`) }))
	for name, demand := range map[string]registrytest.Fault{
		"token": challenge("http://localhost:" + tokens.port + "/token"),
		"basic": func(w http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("Authorization") != "" {
				return false
			}
			w.Header().Set("WWW-Authenticate", `Basic realm="tests"`)
			w.WriteHeader(http.StatusUnauthorized)
			return true
		},
	} {
		// The same host on another port is another host, to which net/http alone
		// would take the credentials along.
		for _, to := range []string{"127.0.0.1:" + blobs.port, "localhost:" + blobs.port} {
			t.Run(name+" then "+strings.Split(to, ":")[0], func(t *testing.T) {
				srv.Fail(func(w http.ResponseWriter, r *http.Request) bool {
					return demand(w, r) || redirectTo("http://"+to, "/tags/")(w, r)
				})
				c := registry.New(registry.Config{Timeout: 5 * time.Second, Hosts: []string{"localhost:" + tokens.port, to}})
				before := blobs.connections.Load()
				tags, err := c.Tags(t.Context(), srv.Repository("acme/web"))
				if err != nil || len(tags) != 1 {
					t.Errorf("got tags %q, error %v; want one by an allowed redirect", tags, err)
				}
				if blobs.connections.Load() == before {
					t.Error("the named host was not asked")
				}
			})
		}
	}
	if got := blobs.authorizations(); len(got) != 0 {
		t.Errorf("the other host was sent credentials %q", got)
	}
	if got := tokens.authorizations(); len(got) == 0 || !strings.HasPrefix(got[0], "Basic ") {
		t.Errorf("the token service was sent %q, want the credentials", got)
	}
}
