// Package registrytest runs a registry on loopback for tests, fills it with images
// and makes it misbehave.
package registrytest

import (
	"io"
	"log"
	"math/rand"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Created is when the images of [Index] say that they were made.
func Created() time.Time { return time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC) }

// Server is a registry that keeps everything in memory.
type Server struct {
	// Host is its host:port.
	Host string

	fault    atomic.Pointer[Fault]
	requests atomic.Int64
}

// Fault answers a request in place of the registry, and returns false to let the
// registry answer.
type Fault func(w http.ResponseWriter, r *http.Request) bool

// New starts a registry, which ends with the test. It has no referrers API.
func New(t testing.TB) *Server {
	t.Helper()
	return start(t, false)
}

// NewWithReferrers starts a registry with the referrers API.
func NewWithReferrers(t testing.TB) *Server {
	t.Helper()
	return start(t, true)
}

func start(t testing.TB, referrers bool) *Server {
	t.Helper()
	s := &Server{}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(referrers))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		if f := s.fault.Load(); f != nil && (*f)(w, r) {
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	s.Host = strings.TrimPrefix(srv.URL, "http://")
	return s
}

// Repository returns the full name of a repository on this server.
func (s *Server) Repository(path string) string { return s.Host + "/" + path }

// Fail makes the registry misbehave from now on; nil makes it well again.
func (s *Server) Fail(f Fault) {
	if f == nil {
		s.fault.Store(nil)
		return
	}
	s.fault.Store(&f)
}

// Requests returns how many requests were made so far.
func (s *Server) Requests() int64 { return s.requests.Load() }

// Status is a fault that answers everything below /v2/ with a status, and with
// the headers given as name, value, name, value.
func Status(code int, headers ...string) Fault {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/v2/" {
			return false
		}
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		http.Error(w, http.StatusText(code), code)
		return true
	}
}

// Cut is a fault that promises an answer and ends the connection amid it.
func Cut(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path == "/v2/" {
		return false
	}
	w.Header().Set("Content-Length", "1000")
	w.Header().Set("Content-Type", string(types.OCIImageIndex))
	_, _ = io.WriteString(w, `{"schemaVersion"`)
	if err := http.NewResponseController(w).Flush(); err != nil {
		panic(err)
	}
	panic(http.ErrAbortHandler)
}

// Push puts the index into a repository under each of the tags, and returns its
// digest.
func (s *Server) Push(t testing.TB, path string, index v1.ImageIndex, tags ...string) string {
	t.Helper()
	repo, err := name.NewRepository(s.Repository(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range tags {
		if err := remote.WriteIndex(repo.Tag(tag), index); err != nil {
			t.Fatalf("push %s:%s: %v", path, tag, err)
		}
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}

// Delete removes a tag.
func (s *Server) Delete(t testing.TB, path, tag string) {
	t.Helper()
	repo, err := name.NewRepository(s.Repository(path))
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Delete(repo.Tag(tag)); err != nil {
		t.Fatalf("delete %s:%s: %v", path, tag, err)
	}
}

// Index returns an index with one image for each platform (os/architecture), and
// an attestation as BuildKit adds it. Equal seeds give equal digests. The index
// names the revision in its annotations.
func Index(t testing.TB, seed int64, revision string, platforms ...string) v1.ImageIndex {
	t.Helper()
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for i, p := range platforms {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        Image(t, seed*100+int64(i), revision, p),
			Descriptor: v1.Descriptor{Platform: platform(t, p)},
		})
	}
	index = mutate.AppendManifests(index, mutate.IndexAddendum{
		Add: Image(t, seed*100+99, revision, "unknown/unknown"),
		Descriptor: v1.Descriptor{
			Platform:    platform(t, "unknown/unknown"),
			Annotations: map[string]string{"vnd.docker.reference.type": "attestation-manifest"},
		},
	})
	annotated, ok := mutate.Annotations(index, map[string]string{
		"org.opencontainers.image.revision": revision,
		"org.opencontainers.image.created":  Created().Format(time.RFC3339),
	}).(v1.ImageIndex)
	if !ok {
		t.Fatal("annotated index is no index")
	}
	return annotated
}

// Image returns an image for one platform with two layers. Its configuration
// names the revision in a label.
func Image(t testing.TB, seed int64, revision, os string) v1.Image {
	t.Helper()
	image, err := random.Image(512, 2, random.WithSource(rand.NewSource(seed)))
	if err != nil {
		t.Fatal(err)
	}
	image = mutate.ConfigMediaType(mutate.MediaType(image, types.OCIManifestSchema1), types.OCIConfigJSON)
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	p := platform(t, os)
	config.OS, config.Architecture, config.Variant = p.OS, p.Architecture, p.Variant
	config.Created = v1.Time{Time: Created()}
	config.Config.Labels = map[string]string{"org.opencontainers.image.revision": revision}
	image, err = mutate.ConfigFile(image, config)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func platform(t testing.TB, s string) *v1.Platform {
	t.Helper()
	p, err := v1.ParsePlatform(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
