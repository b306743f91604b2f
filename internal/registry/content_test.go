package registry_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"

	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
	"github.com/tallyman-io/tallyman/internal/release"
)

const subject = release.Digest("sha256:2222222222222222222222222222222222222222222222222222222222222222")

// referrersServer answers the referrers API with the handler.
func referrersServer(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			return
		}
		handler(w, r)
	}))
	t.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://") + "/acme/web"
}

func TestReferrersFollowsAllPages(t *testing.T) {
	t.Parallel()
	repository := referrersServer(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json; charset=utf-8")
		if r.URL.Path != "/v2/acme/web/referrers/"+string(subject) {
			http.Error(w, "another path", http.StatusTeapot)
		}
		page := r.URL.Query().Get("page")
		if page == "" {
			w.Header().Set("Link", fmt.Sprintf(`<%s?page=2>; rel="next"`, r.URL.Path))
		}
		fmt.Fprintf(w, `{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","size":1,"digest":%q,"artifactType":"page%s"}]}`, subject, page) //nolint:gosec // a server of a test
	})
	got, err := client().Referrers(t.Context(), repository, subject)
	if err != nil || len(got) != 2 || got[0].ArtifactType != "page" || got[1].ArtifactType != "page2" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestReferrersTellsNoneFromUnknown(t *testing.T) {
	t.Parallel()
	index := func(w http.ResponseWriter) { w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json") }
	tests := map[string]struct {
		answer http.HandlerFunc
		cause  release.Cause
		reason string
	}{
		"no such API":       {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", http.StatusNotFound) }, release.CauseNotFound, ""},
		"method refused":    {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", http.StatusMethodNotAllowed) }, release.CauseNotFound, ""},
		"path refused":      {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", http.StatusBadRequest) }, release.CauseNotFound, ""},
		"throttled":         {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", http.StatusTooManyRequests) }, release.CauseThrottled, "429"},
		"forbidden":         {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", http.StatusForbidden) }, release.CauseUnauthorized, "403"},
		"failing":           {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "", http.StatusBadGateway) }, release.CauseUnavailable, "502"},
		"a page for people": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, release.CauseInvalid, "expected media type"},
		"no JSON":           {func(w http.ResponseWriter, _ *http.Request) { index(w); fmt.Fprint(w, "{") }, release.CauseInvalid, "expected an index"},
		"cut":               {func(w http.ResponseWriter, r *http.Request) { registrytest.Cut(w, r) }, release.CauseUnavailable, ""},
		"pages without end": {
			func(w http.ResponseWriter, r *http.Request) {
				index(w)
				w.Header().Set("Link", fmt.Sprintf(`<%s>; rel="next"`, r.URL.Path))
				fmt.Fprintf(w, `{"manifests":[%s{"digest":%q}]}`, strings.Repeat(fmt.Sprintf(`{"digest":%q},`, subject), 99), subject)
			}, release.CauseInvalid, "more than 1000 referrers",
		},
		"a page on another host": {
			func(w http.ResponseWriter, _ *http.Request) {
				index(w)
				w.Header().Set("Link", `<http://169.254.169.254/latest>; rel="next"`)
				fmt.Fprint(w, `{"manifests":[]}`)
			}, release.CauseInvalid, `found "169.254.169.254"`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := client().Referrers(t.Context(), referrersServer(t, tt.answer), subject)
			var failed *registry.Error
			if !errors.As(err, &failed) || failed.Cause != tt.cause || !strings.Contains(failed.Error(), tt.reason) {
				t.Errorf("got %v, want %s with %q", err, tt.cause, tt.reason)
			}
		})
	}
}

func TestBlobIsBoundedAndCheckedAgainstItsDigest(t *testing.T) {
	t.Parallel()
	srv := registrytest.New(t)
	repo, err := name.NewRepository(srv.Repository("acme/web"))
	if err != nil {
		t.Fatal(err)
	}
	body := bytes.Repeat([]byte("x"), 10_000_000)
	if err := remote.WriteLayer(repo, static.NewLayer(body, "application/json")); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(body)
	digest := release.Digest("sha256:" + hex.EncodeToString(sum[:]))
	got, err := client().Blob(t.Context(), srv.Repository("acme/web"), digest, int64(len(body)))
	if err != nil || !bytes.Equal(got, body) {
		t.Errorf("got %d bytes, %v, want all of %d, which is more than a manifest may have", len(got), err, len(body))
	}
	var failed *registry.Error
	_, err = client().Blob(t.Context(), srv.Repository("acme/web"), digest, int64(len(body))-1)
	if !errors.Is(err, registry.ErrTooLarge) || !errors.As(err, &failed) || failed.Cause != release.CauseInvalid {
		t.Errorf("a byte too many: got %v", err)
	}
	srv.Fail(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		fmt.Fprint(w, "something else")
		return true
	})
	if _, err = client().Blob(t.Context(), srv.Repository("acme/web"), digest, 100); !errors.As(err, &failed) || failed.Cause != release.CauseInvalid {
		t.Errorf("other content: got %v", err)
	}
	// Without a length the limit holds as the body is read.
	srv.Fail(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		for range 100 {
			fmt.Fprint(w, strings.Repeat("x", 1000))
			if err := http.NewResponseController(w).Flush(); err != nil {
				return true
			}
		}
		return true
	})
	if _, err = client().Blob(t.Context(), srv.Repository("acme/web"), digest, 5000); !errors.Is(err, registry.ErrTooLarge) {
		t.Errorf("without a length: got %v", err)
	}
}

func TestManifestIsGivenByteForByte(t *testing.T) {
	t.Parallel()
	srv := registrytest.New(t)
	index := registrytest.Index(t, 1, "0123456789abcdef", "linux/amd64")
	digest := srv.Push(t, "acme/web", index, "v1.0.0")
	want, err := index.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, reference := range []string{"v1.0.0", digest} {
		got, err := client().Manifest(t.Context(), srv.Repository("acme/web"), reference)
		if err != nil || string(got.Digest) != digest || !bytes.Equal(got.Body, want) {
			t.Errorf("%s: got %+v, %v", reference, got, err)
		}
	}
	var failed *registry.Error
	if _, err := client().Manifest(t.Context(), srv.Repository("acme/web"), string(subject)); !errors.As(err, &failed) || failed.Cause != release.CauseNotFound {
		t.Errorf("missing: got %v", err)
	}
}

func TestFallbackTag(t *testing.T) {
	t.Parallel()
	if got, want := registry.FallbackTag(subject, ".sig"), "sha256-"+strings.Repeat("2", 64)+".sig"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
