package pipeline

import (
	"errors"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tallyman-io/tallyman/internal/cosign"
	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/release"
)

const (
	commitA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	commitB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
)

// releasedFrom starts a registry that has web:v1.0.0, built from a commit, and
// returns the image's repository and digest.
func releasedFrom(t *testing.T, commit string) (string, release.Digest) {
	t.Helper()
	server := httptest.NewServer(ggcr.New())
	t.Cleanup(server.Close)
	repository := strings.TrimPrefix(server.URL, "http://") + "/tallyman/web"
	index, err := random.Index(64, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	index = mutate.IndexMediaType(index, types.OCIImageIndex)
	index, ok := mutate.Annotations(index, map[string]string{"org.opencontainers.image.revision": commit}).(v1.ImageIndex)
	if !ok {
		t.Fatal("an annotated index is no index")
	}
	tag, err := name.NewTag(repository + ":v1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.WriteIndex(tag, index, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return repository, release.Digest(digest.String())
}

func newTestPipeline(t *testing.T, environment map[string]string) *Pipeline {
	t.Helper()
	getenv := func(key string) string { return environment[key] }
	return &Pipeline{
		Root:     t.TempDir(),
		Registry: registry.NewPublisher(registry.Config{Timeout: 10 * time.Second}),
		Identity: cosign.IdentityFromEnv(getenv),
		Getenv:   getenv,
		Now:      func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) },
		Out:      io.Discard,
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	repository, _ := releasedFrom(t, commitA)
	key := filepath.Join(t.TempDir(), "cosign.key")
	if err := os.WriteFile(key, []byte("a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	withKey := map[string]string{"COSIGN_KEY": key}
	for _, c := range []struct {
		name        string
		environment map[string]string
		version     string
		commit      string
		want        error
		says        string
	}{
		{"a new version may be released", withKey, "1.1.0", commitB, nil, ""},
		{"the same commit may be released again", withKey, "1.0.0", commitA, nil, ""},
		{"a version of another commit is refused", withKey, "1.0.0", commitB, ErrRefused, "built from commit " + commitA},
		{"no key and no token", nil, "1.1.0", commitB, cosign.ErrNoIdentity, "COSIGN_KEY is not set"},
		{"a key that is not there", map[string]string{"COSIGN_KEY": key + ".gone"}, "1.1.0", commitB, cosign.ErrNoIdentity, "no such file"},
		{"keyless without an identity", map[string]string{"SIGSTORE_ID_TOKEN": "x"}, "1.1.0", commitB, cosign.ErrNoIdentity, "TALLYMAN_SIGN_IDENTITY"},
		{"keyless in a workflow", map[string]string{
			"ACTIONS_ID_TOKEN_REQUEST_URL": "x", "GITHUB_ACTIONS": "true", "GITHUB_WORKFLOW_REF": "o/r/.github/workflows/release.yml@refs/tags/v1.1.0",
		}, "1.1.0", commitB, nil, ""},
		{"a substituted base on GitHub", map[string]string{"COSIGN_KEY": key, "GITHUB_ACTIONS": "true", "TALLYMAN_BASE": "x@y"}, "1.1.0", commitB, ErrRefused, "TALLYMAN_BASE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newTestPipeline(t, c.environment)
			err := p.Check(t.Context(), c.version, c.commit, []Image{{Repository: repository}})
			if !errors.Is(err, c.want) || (c.want == nil && err != nil) {
				t.Fatalf("Check: got %v, want %v", err, c.want)
			}
			if err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("Check: %q is not in %q", c.says, err)
			}
		})
	}
}

func TestCheckRehearsedComparesDigests(t *testing.T) {
	t.Parallel()
	const rehearsed, other = "sha256:1111111111111111111111111111111111111111111111111111111111111111", "sha256:2222222222222222222222222222222222222222222222222222222222222222"
	p := newTestPipeline(t, nil)
	web, worker := Image{Repository: "r/web"}, Image{Repository: "r/worker"}
	if err := p.checkRehearsed(web, rehearsed); err == nil {
		t.Error("before any rehearsal: got success, want a failure")
	}
	if err := writeFile(p.rehearsal("digests.txt"), []byte(rehearsed+"  web\n")); err != nil {
		t.Fatal(err)
	}
	if err := p.checkRehearsed(web, rehearsed); err != nil {
		t.Errorf("the rehearsed digest: got %v, want success", err)
	}
	if err := p.checkRehearsed(web, other); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), other) || !strings.Contains(err.Error(), rehearsed) {
		t.Errorf("another digest: got %v, want a refusal that names both", err)
	}
	if err := p.checkRehearsed(worker, rehearsed); !errors.Is(err, ErrRefused) {
		t.Errorf("an image that was not rehearsed: got %v, want a refusal", err)
	}
}

func TestClockLeavesTheRehearsalOut(t *testing.T) {
	t.Parallel()
	web := Image{Repository: "r/web"}
	p := newTestPipeline(t, map[string]string{"TALLYMAN_REHEARSAL": "x"})
	if err := p.Clock(web); err != nil {
		t.Fatal(err)
	}
	if _, err := p.started(web); err == nil {
		t.Error("start after a rehearsal's build: got one, want none")
	}
	p.Getenv = func(string) string { return "" }
	if err := p.Clock(web); err != nil {
		t.Fatal(err)
	}
	if got, err := p.started(web); err != nil || !got.Equal(p.Now()) {
		t.Errorf("start: got %s, %v; want %s", got, err, p.Now())
	}
}

func TestSamePredicate(t *testing.T) {
	t.Parallel()
	const provenance = `{"buildDefinition":{"buildType":"b","externalParameters":{"source":"s","config":"c","image":"i","platforms":null},"resolvedDependencies":[]},` +
		`"runDetails":{"builder":{"id":"x"},"metadata":{"startedOn":"2026-01-01T00:00:00Z","finishedOn":"2026-01-01T00:00:01Z"}}}`
	for _, c := range []struct {
		name, kind, a, b string
		want             bool
	}{
		{"an SBOM with other white space", cosign.SPDX, `{"a":1,"b":[2]}`, `{ "b": [ 2 ], "a": 1 }`, true},
		{"an SBOM with another value", cosign.SPDX, `{"a":1}`, `{"a":2}`, false},
		{"provenance of the same build at another time", cosign.Provenance, provenance, strings.ReplaceAll(provenance, "2026", "2027"), true},
		{"provenance of another build", cosign.Provenance, provenance, strings.ReplaceAll(provenance, `"source":"s"`, `"source":"t"`), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := samePredicate(c.kind, []byte(c.a), []byte(c.b))
			if err != nil || got != c.want {
				t.Errorf("got %t, %v; want %t", got, err, c.want)
			}
		})
	}
}
