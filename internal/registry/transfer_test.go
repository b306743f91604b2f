package registry_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
	"github.com/tallyman-io/tallyman/internal/release"
)

const helloDigest = "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"

func hello(opened *int) registry.Blob {
	return registry.Blob{
		Digest: helloDigest, Size: 5, MediaType: "text/plain",
		Open: func(context.Context) (io.ReadCloser, error) {
			*opened++
			return io.NopCloser(strings.NewReader("hello")), nil
		},
	}
}

func TestABlobIsSentOnceAndMountedWhereTheRegistryHasIt(t *testing.T) {
	t.Parallel()
	server := registrytest.New(t)
	p, _ := publisher(t)
	opened := 0
	for i, want := range []bool{true, false} {
		if sent, err := p.PutBlob(t.Context(), server.Repository("acme/web"), hello(&opened)); err != nil || sent != want {
			t.Fatalf("attempt %d: got %v, %v; want %v", i, sent, err, want)
		}
	}
	// The registry in the process keeps blobs for all repositories alike.
	var asked []string
	server.Fail(func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case r.Method == http.MethodHead && strings.HasPrefix(r.URL.Path, "/v2/acme/copy/blobs/"):
			http.NotFound(w, r)
		case r.Method == http.MethodPost && r.URL.Query().Has("mount"):
			asked = append(asked, r.URL.Query().Get("from")+" "+r.URL.Query().Get("mount"))
			w.WriteHeader(http.StatusCreated)
		default:
			return false
		}
		return true
	})
	mounted := hello(&opened)
	mounted.From = server.Repository("acme/web")
	if sent, err := p.PutBlob(t.Context(), server.Repository("acme/copy"), mounted); err != nil || sent {
		t.Fatalf("mount: got %v, %v; want it not sent", sent, err)
	}
	if diff := cmp.Diff([]string{"acme/web " + helloDigest}, asked); diff != "" {
		t.Errorf("asked to mount (-want +got):\n%s", diff)
	}
	if opened != 1 {
		t.Errorf("opened %d times, want 1", opened)
	}
	for repository, want := range map[string]bool{"acme/web": true, "acme/copy": false} {
		if found, err := p.HasBlob(t.Context(), server.Repository(repository), helloDigest); err != nil || found != want {
			t.Errorf("%s: got %v, %v; want %v", repository, found, err, want)
		}
	}
}

func TestAFailureOfTheSourceIsNotTheRegistrys(t *testing.T) {
	t.Parallel()
	errSource := errors.New("the disk is gone")
	for name, open := range map[string]func(context.Context) (io.ReadCloser, error){
		"when opened": func(context.Context) (io.ReadCloser, error) { return nil, errSource },
		"amid": func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader("he"), failing{errSource})), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := registrytest.New(t)
			p, _ := publisher(t)
			blob := hello(new(int))
			blob.Open = open
			_, err := p.PutBlob(t.Context(), server.Repository("acme/web"), blob)
			var failed *registry.Error
			if !errors.Is(err, errSource) || errors.As(err, &failed) {
				t.Errorf("got %v, want %v alone", err, errSource)
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestAStreamFailsAtTheEndOfWhatHasAnotherDigest(t *testing.T) {
	t.Parallel()
	server := registrytest.New(t)
	p, _ := publisher(t)
	repository := server.Repository("acme/web")
	if _, err := p.PutBlob(t.Context(), repository, hello(new(int))); err != nil {
		t.Fatal(err)
	}
	client := registry.New(registry.Config{})
	read := func() ([]byte, error) {
		stream, err := client.Stream(t.Context(), repository, helloDigest, 5)
		if err != nil {
			return nil, err
		}
		defer stream.Close()
		return io.ReadAll(stream)
	}
	if b, err := read(); err != nil || string(b) != "hello" {
		t.Fatalf("got %q, %v", b, err)
	}
	server.Fail(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		_, _ = io.Copy(w, bytes.NewReader([]byte("jello")))
		return true
	})
	var failed *registry.Error
	if _, err := read(); !errors.As(err, &failed) || failed.Cause != release.CauseInvalid {
		t.Errorf("got %v, want cause %s", err, release.CauseInvalid)
	}
}

func TestAManifestWithASubjectIsListedForIt(t *testing.T) {
	t.Parallel()
	body := []byte(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","artifactType":"text/plain",` +
		`"config":{"mediaType":"text/plain","digest":"` + helloDigest + `","size":5},"layers":[],` +
		`"subject":{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"` + string(subject) + `","size":1}}`)
	sum := sha256.Sum256(body)
	digest := release.Digest("sha256:" + hex.EncodeToString(sum[:]))
	for name, server := range map[string]*registrytest.Server{"referrers API": registrytest.NewWithReferrers(t), "fallback tag": registrytest.New(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := publisher(t)
			repository := server.Repository("acme/web")
			if _, err := p.PutBlob(t.Context(), repository, hello(new(int))); err != nil {
				t.Fatal(err)
			}
			content := registry.Content{Digest: digest, MediaType: "application/vnd.oci.image.manifest.v1+json", Body: body}
			for range 2 {
				if err := p.PutManifest(t.Context(), repository, "", content); err != nil {
					t.Fatal(err)
				}
			}
			var listed []string
			if found, err := p.Referrers(t.Context(), repository, subject); err == nil {
				for _, d := range found {
					listed = append(listed, d.Digest.String())
				}
			} else if index, err := p.Manifest(t.Context(), repository, registry.FallbackTag(subject, "")); err != nil {
				t.Fatal(err)
			} else {
				for part := range strings.SplitSeq(string(index.Body), `"digest":"`) {
					if strings.HasPrefix(part, "sha256:") {
						listed = append(listed, part[:len(digest)])
					}
				}
			}
			if diff := cmp.Diff([]string{string(digest)}, listed); diff != "" {
				t.Errorf("listed (-want +got):\n%s", diff)
			}
		})
	}
}
