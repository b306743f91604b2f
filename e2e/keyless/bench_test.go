package keyless_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"math/rand"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/tallyman-io/tallyman/e2e/keyless/sigstoretest"
)

const (
	repository = "acme/web"
	workflow   = "https://github.com/acme/web/.github/workflows/release.yml@refs/tags/v1.0.0"
	person     = "alice@example.com"
)

// bench has what the tests share: a Sigstore, and the commands.
type bench struct {
	cosign   sigstoretest.Cosign
	sigstore *sigstoretest.Deployment
	// root is the trusted root of the Sigstore.
	root     string
	tallyman string
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{tallyman: filepath.Join(t.TempDir(), "tallyman")}
	if tools := os.Getenv("TALLYMAN_TOOLS"); tools != "" {
		b.cosign = sigstoretest.Cosign(filepath.Join(tools, "cosign"))
	} else {
		b.cosign = sigstoretest.Cosign(sigstoretest.GoTool(t, "../../tools", "github.com/sigstore/cosign/v2/cmd/cosign"))
	}
	// The tag is that of the release (.goreleaser.yaml).
	cmd := exec.CommandContext(t.Context(), "go", "build", "-tags=nopgxregisterdefaulttypes", "-o", b.tallyman, "./cmd/tallyman")
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build tallyman: %v\n%s", err, out)
	}
	b.sigstore = sigstoretest.Start(t, b.cosign)
	b.root = b.sigstore.Roots.TrustedRoot(t, b.cosign)
	return b
}

// newRegistry starts a registry with or without the referrers API, and returns its
// host:port.
func newRegistry(t *testing.T, referrers bool) string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.WithReferrersSupport(referrers), registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// push puts an image for two platforms into a repository, and returns it by
// digest. Equal seeds give equal digests.
func push(t *testing.T, repository string, seed int64) name.Digest {
	t.Helper()
	repo, err := name.NewRepository(repository)
	if err != nil {
		t.Fatal(err)
	}
	index, err := random.Index(64, 1, 2, random.WithSource(rand.NewSource(seed)))
	if err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	image := repo.Digest(digest.String())
	if err := remote.WriteIndex(image, index); err != nil {
		t.Fatal(err)
	}
	return image
}

// sign signs an image keyless, with the token in a file.
func (b *bench) sign(t *testing.T, image name.Digest, token string) {
	t.Helper()
	b.cosign.Run(t, "sign", "--yes", "--new-bundle-format", "--signing-config", b.sigstore.SigningConfig,
		"--trusted-root", b.root, "--identity-token", token, image.String())
}

// attest attests something about an image keyless, with the token in a file.
func (b *bench) attest(t *testing.T, image name.Digest, token, predicateType, predicate string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "predicate.json")
	if err := os.WriteFile(file, []byte(predicate), 0o600); err != nil {
		t.Fatal(err)
	}
	b.cosign.Run(t, "attest", "--yes", "--new-bundle-format", "--signing-config", b.sigstore.SigningConfig,
		"--trusted-root", b.root, "--identity-token", token, "--type", predicateType, "--predicate", file, image.String())
}

// verdict is what tallyman verify says of one image.
type verdict struct {
	code   int
	stderr string

	States   map[string]struct{ State, Reason string }
	Evidence []struct {
		Kind   string
		Papers []struct {
			State, Reason    string
			Identity, Issuer string
			Key              string
			SignedAt         time.Time
			LogIndex         *int64
		}
	}
}

// verify runs tallyman verify on an image, with more arguments and environment.
func (b *bench) verify(t *testing.T, image name.Digest, env []string, args ...string) verdict {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.tallyman, append([]string{"verify", image.String(), "--format", "json"}, args...)...)
	// Whatever database there may be, the signatures decide here.
	cmd.Env = append(append(os.Environ(), "TALLYMAN_DB="+filepath.Join(t.TempDir(), "none.db")), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	v := verdict{code: cmd.ProcessState.ExitCode(), stderr: stderr.String()}
	if stdout.Len() == 0 {
		return v
	}
	report := struct{ Images []*verdict }{Images: []*verdict{&v}}
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil || len(report.Images) != 1 {
		t.Fatalf("got %d images, want 1: %v\n%s", len(report.Images), err, &stdout)
	}
	return v
}

// by are the arguments that trust a certificate for an identity.
func (b *bench) by(identity, issuer string) []string {
	return []string{"--identity", identity, "--issuer", issuer, "--trusted-root", b.root}
}
