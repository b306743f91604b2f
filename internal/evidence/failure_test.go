package evidence_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
	"github.com/tallyman-io/tallyman/internal/release"
)

// faults are the ways in which a registry fails one request.
func faults() map[string]registrytest.Fault {
	return map[string]registrytest.Fault{
		"429": registrytest.Status(http.StatusTooManyRequests, "Retry-After", "7"),
		"401": registrytest.Status(http.StatusUnauthorized),
		"403": registrytest.Status(http.StatusForbidden),
		"500": registrytest.Status(http.StatusInternalServerError),
		"503": registrytest.Status(http.StatusServiceUnavailable),
		"cut": registrytest.Cut,
		"lie": func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Content-Type", string(types.OCIImageIndex))
			_, err := io.WriteString(w, "<html>welcome</html>")
			return err == nil
		},
	}
}

// TestAFailingRequestNeverMakesAPaperAbsentOrInvalid fails each request of an
// examination in each way. What the request was for has to be unknown; what was
// verified without it stays verified.
func TestAFailingRequestNeverMakesAPaperAbsentOrInvalid(t *testing.T) {
	t.Parallel()
	for _, layout := range []string{"tags", "bundles"} {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t, registrytest.NewWithReferrers(t))
			trust := s.replay(layout)
			requests := s.requestsOf(func() { s.examine(trust) })
			if len(requests) < 8 {
				t.Fatalf("got requests %q, want one for each place", requests)
			}
			for name, fault := range faults() {
				for _, request := range requests {
					s.Fail(func(w http.ResponseWriter, r *http.Request) bool { return r.URL.Path == request && fault(w, r) })
					got := s.examine(trust)
					s.Fail(nil)
					if len(got.Gaps) == 0 {
						t.Errorf("%s of %s: got no gap", name, request)
					}
					for _, piece := range got.Evidence {
						if piece.Subject != s.index || piece.State == release.StateVerified || piece.State == release.StateUnknown {
							continue
						}
						t.Errorf("%s of %s: %s is %s: %s", name, request, piece.Kind, piece.State, piece.Reason)
					}
				}
			}
		})
	}
}

// requestsOf returns the paths that f asks for, each once.
func (s *shelf) requestsOf(f func()) []string {
	var mu sync.Mutex
	var paths []string
	seen := map[string]bool{"/v2/": true}
	s.Fail(func(_ http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		if !seen[r.URL.Path] {
			seen[r.URL.Path] = true
			paths = append(paths, r.URL.Path)
		}
		return false
	})
	f()
	s.Fail(nil)
	return paths
}

func TestAThrottlingRegistryIsLeftAloneAndItsWishIsPassedOn(t *testing.T) {
	t.Parallel()
	s := newShelf(t, registrytest.NewWithReferrers(t))
	trust := s.replay("tags")
	throttle := registrytest.Status(http.StatusTooManyRequests, "Retry-After", "7")
	s.Fail(func(w http.ResponseWriter, r *http.Request) bool {
		return strings.Contains(r.URL.Path, "/referrers/") && throttle(w, r)
	})
	got := s.examine(trust)
	for _, piece := range got.Evidence {
		if piece.State != release.StateUnknown || !strings.Contains(piece.Reason, "throttled (HTTP 429") {
			t.Errorf("%s of %s: got %s: %s", piece.Kind, piece.On, piece.State, piece.Reason)
		}
	}
	// A question that another digest's answer kept from being asked has what is left of it.
	if gap := got.Gaps[0]; gap.Cause != release.CauseThrottled || gap.RetryAfter > 7*time.Second || gap.RetryAfter < 5*time.Second {
		t.Errorf("gap: got %+v, want throttled for 7 s, or what is left of it", gap)
	}
	before := s.Requests()
	s.examine(trust)
	// A ping for each of two kinds of session, the index, and one question for each
	// of three digests; sessions that start side by side ping more than once.
	if n := s.Requests() - before; n > 8 {
		t.Errorf("got %d requests, want none after the registry asked to stop", n)
	}
}

func TestAPaperThatIsListedAndNotThereIsUnknown(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"/blobs/", "/manifests/sha256:"} {
		s := newShelf(t, registrytest.NewWithReferrers(t))
		trust := s.replay("bundles")
		gone := registrytest.Status(http.StatusNotFound)
		s.Fail(func(w http.ResponseWriter, r *http.Request) bool {
			return strings.Contains(r.URL.Path, part) && !strings.Contains(r.URL.Path, string(s.index)) && gone(w, r)
		})
		if got := s.of(s.examine(trust), release.PaperSBOM); got.State != release.StateUnknown || !strings.Contains(got.Reason, "not found (HTTP 404") {
			t.Errorf("%s: got %s: %s", part, got.State, got.Reason)
		}
	}
}

func TestAnImageThatIsGoneOrOutOfReachIsUnknown(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	s := newShelf(t, registrytest.New(t))
	s.index = otherImage
	if got := s.of(s.examine(key.trust("k")), release.PaperSignature); got.State != release.StateUnknown || !strings.Contains(got.Reason, "not found") {
		t.Errorf("gone: got %s: %s", got.State, got.Reason)
	}
	s.repository = "127.0.0.1:1/acme/web"
	if got := s.of(s.examine(key.trust("k")), release.PaperSignature); got.State != release.StateUnknown || !strings.Contains(got.Reason, "unavailable") {
		t.Errorf("out of reach: got %s: %s", got.State, got.Reason)
	}
}

func TestAContextThatEndsIsAnErrorAndNoState(t *testing.T) {
	t.Parallel()
	s := newShelf(t, registrytest.New(t))
	examiner, err := evidence.New(client(), evidence.Config{Trust: newKey(t).trust("k")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.Fail(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "sha256-") {
			cancel()
		}
		return false
	})
	if _, err := examiner.Examine(ctx, s.repository, s.index); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestAPaperThatIsTooLargeIsUnknown(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	large := func(s *shelf) []byte {
		return key.bundle(statement(s.index, spdxType, `{"name":"`+strings.Repeat("x", 5000)+`"}`))
	}
	tests := map[string]func(s *shelf){
		"as the manifest says": func(s *shelf) { s.attach(large(s), spdxType) },
		"though the manifest says otherwise": func(s *shelf) {
			layer := s.blob(bundleType, large(s), nil)
			layer.Size = 100
			s.put("", s.artifact(s.index, map[string]string{"dev.sigstore.bundle.predicateType": spdxType}, layer))
		},
	}
	for name, put := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t, registrytest.NewWithReferrers(t))
			put(s)
			got := s.examineWith(evidence.Config{Trust: key.trust("k"), MaxPaperSize: 4096})
			if piece := s.of(got, release.PaperSBOM); piece.State != release.StateUnknown || !strings.Contains(piece.Reason, "4096 bytes") {
				t.Errorf("SBOM: got %s: %s", piece.State, piece.Reason)
			}
			if piece := s.of(got, release.PaperVEX); piece.State != release.StateAbsent {
				t.Errorf("VEX: got %s: %s", piece.State, piece.Reason)
			}
		})
	}
}

func TestMorePapersThanAreReadLeaveTheRestUnknown(t *testing.T) {
	t.Parallel()
	s, key := newShelf(t, registrytest.New(t)), newKey(t)
	layers := make([]v1.Descriptor, 300)
	one := s.blob(simpleType, simple(otherImage), nil)
	for i := range layers {
		layers[i] = one
	}
	s.sigTag(layers...)
	if got := s.of(s.examine(key.trust("k")), release.PaperSignature); got.State != release.StateUnknown || !strings.Contains(got.Reason, "at most 256 papers") {
		t.Errorf("got %s: %s", got.State, got.Reason)
	}
}

// TestNoHostButTheRegistryIsAsked examines keyless papers through a transport that
// knows one host.
func TestNoHostButTheRegistryIsAsked(t *testing.T) {
	s, sigstore := newShelf(t, registrytest.NewWithReferrers(t)), newSigstore(t)
	s.attach(sigstore.attest(alice, issuer, statement(s.index, spdxType, spdx), 5*time.Minute).bundle(t), spdxType)
	// Whatever goes through http.DefaultTransport, as the clients of Rekor, Fulcio
	// and TUF do, would be seen here.
	before := http.DefaultTransport
	watch := &watched{inner: before}
	http.DefaultTransport = watch
	t.Cleanup(func() { http.DefaultTransport = before })
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	if got := s.of(s.examine(sigstore.trust()), release.PaperSBOM); got.State != release.StateVerified {
		t.Errorf("got %s: %s", got.State, got.Reason)
	}
	if len(watch.hosts) > 0 {
		t.Errorf("asked %q as well", watch.hosts)
	}
}

type watched struct {
	inner http.RoundTripper
	hosts []string
}

func (w *watched) RoundTrip(r *http.Request) (*http.Response, error) {
	w.hosts = append(w.hosts, r.URL.Host)
	return w.inner.RoundTrip(r)
}

// TestWhatBuildKitPutsIntoTheIndexIsUnsigned reads an index as BuildKit makes it.
func TestWhatBuildKitPutsIntoTheIndexIsUnsigned(t *testing.T) {
	t.Parallel()
	s, key := newShelf(t, registrytest.New(t)), newKey(t)
	provenance := "https://slsa.dev/provenance/v1"
	layer := s.blob("application/vnd.in-toto+json", statement(s.amd64, provenance, `{"buildDefinition":{}}`),
		map[string]string{"in-toto.io/predicate-type": provenance})
	astray := s.blob("application/vnd.in-toto+json", statement(otherImage, spdxType, spdx), map[string]string{"in-toto.io/predicate-type": spdxType})
	attestation := s.artifact("", nil, layer, astray)
	s.put("", attestation)
	image := registrytest.Image(t, 700, "0123456789abcdef", "linux/amd64")
	index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), mutate.IndexAddendum{
		Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "amd64"}},
	})
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if got := manifest.Manifests[0].Digest.String(); got != string(s.amd64) {
		t.Fatalf("the image of the shelf has another digest: %s", got)
	}
	entry := attestation.descriptor("")
	entry.Platform = &v1.Platform{OS: "unknown", Architecture: "unknown"}
	entry.Annotations = map[string]string{
		"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": string(s.amd64),
	}
	built := *manifest
	built.Manifests = append(built.Manifests, entry)
	body := raw{marshal(t, built), types.OCIImageIndex}
	s.put("v2.0.0", body)
	s.index = release.Digest(hashOf(body.body).String())

	got := s.examine(key.trust("release.pub"))
	if len(got.Evidence) != 2*len(release.PaperKinds()) {
		t.Errorf("got %d pieces, want those of the index and of one platform", len(got.Evidence))
	}
	piece, _ := got.Of(release.PaperProvenance, s.amd64)
	if piece.State != release.StateInvalid || !strings.Contains(piece.Reason, "unsigned: expected a signature by key release.pub") ||
		piece.Papers[0].Found[0] != release.LayoutIndex {
		t.Errorf("provenance: got %s: %s", piece.State, piece.Reason)
	}
	sbom, _ := got.Of(release.PaperSBOM, s.amd64)
	if sbom.State != release.StateInvalid || !strings.Contains(sbom.Reason, "found "+string(otherImage)) {
		t.Errorf("SBOM of another image: got %s: %s", sbom.State, sbom.Reason)
	}
}

func TestMistakesInTheTrustAreRefusedWithWhatIsExpected(t *testing.T) {
	t.Parallel()
	key, sigstore := newKey(t), newSigstore(t)
	identity := func(i evidence.Identity) evidence.Trust { return sigstore.trust(i) }
	tests := map[string]struct {
		trust evidence.Trust
		want  string
	}{
		"nothing to trust":            {evidence.Trust{}, "expected a key or an identity, found neither"},
		"no key":                      {evidence.Trust{Keys: []evidence.Key{{Name: "a.pub", PEM: []byte("hello")}}}, "key a.pub: expected a public key in PEM"},
		"an unanchored pattern":       {identity(evidence.Identity{Pattern: "alice@example.com", Issuer: issuer}), `pattern "alice@example.com": expected it anchored`},
		"half an anchor":              {identity(evidence.Identity{Pattern: "^alice@", Issuer: issuer}), "expected it anchored"},
		"anchors of the alternatives": {identity(evidence.Identity{Pattern: "^alice|bob$", Issuer: issuer}), "expected it anchored"},
		"anchors of a line":           {identity(evidence.Identity{Pattern: "(?m)^alice$", Issuer: issuer}), "expected it anchored"},
		"no pattern":                  {identity(evidence.Identity{Pattern: "^(alice$", Issuer: issuer}), "expected a regular expression"},
		"no issuer":                   {identity(evidence.Identity{Subject: alice}), "expected an exact issuer"},
		"subject and pattern":         {identity(evidence.Identity{Subject: alice, Pattern: "^a$", Issuer: issuer}), "expected either a subject or a pattern"},
		"neither subject nor pattern": {identity(evidence.Identity{Issuer: issuer}), "expected either a subject or a pattern"},
		"no trusted root":             {evidence.Trust{Identities: []evidence.Identity{{Subject: alice, Issuer: issuer}}}, "trusted root: identities need one"},
		"a trusted root that is none": {evidence.Trust{Keys: key.trust("k").Keys, TrustedRoot: []byte("{}")}, "expected the JSON of a Sigstore trusted root"},
		"a log but no root":           {evidence.Trust{Keys: key.trust("k").Keys, RequireLog: true}, "expected one with a transparency log"},
		"an empty trusted root": {
			evidence.Trust{
				Identities:  []evidence.Identity{{Subject: alice, Issuer: issuer}},
				TrustedRoot: []byte(`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`),
			}, "expected a transparency log or a timestamp authority",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := evidence.New(client(), evidence.Config{Trust: tt.trust}); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
	for _, pattern := range []string{"^alice$", `^(alice|bob)@example\.com$`, `\Aalice\z`} {
		if _, err := evidence.New(client(), evidence.Config{Trust: identity(evidence.Identity{Pattern: pattern, Issuer: issuer})}); err != nil {
			t.Errorf("%s: got %v", pattern, err)
		}
	}
	if _, err := evidence.New(registry.New(registry.Config{}), evidence.Config{Trust: key.trust("k")}); err != nil {
		t.Errorf("a key alone: got %v", err)
	}
}
