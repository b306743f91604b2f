package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
)

// recorded is what the cosign command made, from the tests of package evidence.
type recorded struct {
	Key       string
	Manifests []struct {
		Tag, Body string
		MediaType types.MediaType
	}
	Blobs []struct{ Body string }
}

type manifest struct {
	body      string
	mediaType types.MediaType
}

func (m manifest) RawManifest() ([]byte, error)        { return []byte(m.body), nil }
func (m manifest) MediaType() (types.MediaType, error) { return m.mediaType, nil } //nolint:unparam // go-containerregistry wants the error

// signedImage pushes an image with the papers that cosign made for it, and returns
// the server and the file of the key.
func signedImage(t *testing.T) (*registrytest.Server, string) {
	t.Helper()
	srv := registrytest.New(t)
	return srv, signedIn(t, srv, "cosign-tags.json")
}

// signedIn is signedImage for a server, with the papers of a recording.
func signedIn(t *testing.T, srv *registrytest.Server, recording string) (key string) {
	t.Helper()
	srv.Push(t, "acme/web", registrytest.Index(t, 7, "0123456789abcdef", "linux/amd64", "linux/arm64"), "v1.0.0")
	srv.Push(t, "acme/bare", registrytest.Index(t, 7, "0123456789abcdef", "linux/amd64", "linux/arm64"), "v1.0.0")
	b, err := os.ReadFile(filepath.Join("..", "..", "internal", "evidence", "testdata", recording))
	if err != nil {
		t.Fatal(err)
	}
	var r recorded
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	repo, err := name.NewRepository(srv.Repository("acme/web"))
	if err != nil {
		t.Fatal(err)
	}
	for _, blob := range r.Blobs {
		if err := remote.WriteLayer(repo, static.NewLayer([]byte(blob.Body), types.OCILayer)); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range r.Manifests {
		var ref name.Reference = repo.Tag(m.Tag)
		if m.Tag == "" {
			ref = repo.Digest(string(digestOf([]byte(m.Body))))
		}
		if err := remote.Put(ref, manifest{m.Body, m.MediaType}); err != nil {
			t.Fatal(err)
		}
	}
	key = filepath.Join(t.TempDir(), "cosign.pub")
	if err := os.WriteFile(key, []byte(r.Key), 0o600); err != nil {
		t.Fatal(err)
	}
	return key
}

const otherKey = `-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEw5AneNlRTmw0ZBgQj1sqHYXnEjKJ
dRBtoLR0iJtAxhwRSqLVOprCdlmGeKb44lvqQT7+K9rbDoQmasPFssAW5Q==
-----END PUBLIC KEY-----
`

func TestVerifyExitCodes(t *testing.T) {
	t.Parallel()
	srv, key := signedImage(t)
	image, bare := srv.Repository("acme/web")+":v1.0.0", srv.Repository("acme/bare")+":v1.0.0"
	wrong := filepath.Join(t.TempDir(), "other.pub")
	if err := os.WriteFile(wrong, []byte(otherKey), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		args   []string
		code   int
		stdout string
		stderr string
	}{
		"verified":               {args: []string{image, "--key", key, "--require", "signature,sbom,provenance,vex,summary"}, stdout: "signed by key cosign.pub (.att tag)"},
		"verified by either key": {args: []string{image, "--key", wrong, "--key", key}, stdout: "verified"},
		"json":                   {args: []string{image, "--key", key, "--format", "json"}, stdout: `"state": "verified"`},
		"another key":            {args: []string{image, "--key", wrong}, code: 1, stderr: "expected one by key other.pub"},
		"unsigned":               {args: []string{bare, "--key", key}, code: 1, stderr: "signature is absent"},
		"one of two":             {args: []string{image, bare, "--key", key}, code: 1, stderr: "acme/bare"},
		"nothing to trust":       {args: []string{image}, code: 2, stderr: "expected --key, or --identity"},
		"offline, an image":      {args: []string{image, "--key", key, "--offline"}, code: 2, stderr: "--offline: expected an OCI image layout"},
		"no image":               {args: []string{"--key", key}, code: 2, stderr: "expected at least one image or layout"},
		"no tag":                 {args: []string{srv.Repository("acme/web"), "--key", key}, code: 2, stderr: "expected a tag or a digest"},
		"no such format":         {args: []string{image, "--key", key, "--format", "xml"}, code: 2, stderr: "expected table or json"},
		"no such kind":           {args: []string{image, "--key", key, "--require", "luck"}, code: 2, stderr: `found "luck"`},
		"no such tag":            {args: []string{srv.Repository("acme/web") + ":v9.9.9", "--key", key}, code: 3, stderr: "not found"},
		"no such key":            {args: []string{image, "--key", key + ".none"}, code: 78, stderr: "no such file"},
		"unanchored":             {args: []string{image, "--identity-pattern", "alice", "--issuer", "https://issuer.example.com"}, code: 78, stderr: "expected it anchored"},
		"no trusted root":        {args: []string{image, "--identity", "alice", "--issuer", "https://issuer.example.com"}, code: 78, stderr: "identities need one"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), append([]string{"verify"}, tt.args...), &stdout, &stderr)
			if code != tt.code {
				t.Errorf("exit code: got %d, want %d\n%s%s", code, tt.code, &stdout, &stderr)
			}
			if !strings.Contains(stdout.String(), tt.stdout) {
				t.Errorf("stdout: got %s, want %q in it", &stdout, tt.stdout)
			}
			if !strings.Contains(stderr.String(), tt.stderr) {
				t.Errorf("stderr: got %s, want %q in it", &stderr, tt.stderr)
			}
			if strings.Contains(name, "json") && !json.Valid(stdout.Bytes()) {
				t.Errorf("stdout is no JSON: %s", &stdout)
			}
		})
	}
}

func TestVerifyOfflineReadsALayout(t *testing.T) {
	t.Parallel()
	s := inFolder(t)
	s.list(s.artifact("", s.index, s.signed(s.index, cdxPredicate, affectedCDX)))
	var stdout, stderr bytes.Buffer
	args := []string{"verify", "--offline", "--require", "sbom", "--key", s.key, s.image}
	if code := run(t.Context(), args, &stdout, &stderr); code != exitPass {
		t.Errorf("exit code: got %d, want 0\n%s%s", code, &stdout, &stderr)
	}
}

func TestVerifyCannotTellWhenTheRegistryThrottles(t *testing.T) {
	t.Parallel()
	srv, key := signedImage(t)
	throttle := registrytest.Status(http.StatusTooManyRequests)
	srv.Fail(func(w http.ResponseWriter, r *http.Request) bool {
		return strings.HasSuffix(r.URL.Path, ".sig") && throttle(w, r)
	})
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"verify", srv.Repository("acme/web") + ":v1.0.0", "--key", key}, &stdout, &stderr); code != 3 {
		t.Errorf("exit code: got %d, want 3: %s", code, &stderr)
	}
	if !strings.Contains(stdout.String(), "unknown") || !strings.Contains(stderr.String(), "throttled") {
		t.Errorf("got %s%s", &stdout, &stderr)
	}
}
