package keyless_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/tallyman-io/tallyman/internal/cosign"
	"github.com/tallyman-io/tallyman/internal/rebuild"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/tool"
)

const (
	// rebuilderRepository has the workflow that rebuilds, rebuilder is its identity.
	rebuilderRepository = "somebody/rebuilds"
	rebuilder           = "https://github.com/somebody/rebuilds/.github/workflows/reproduce.yml@refs/tags/v1.0.0"
)

// pointed is the pinned cosign, pointed at this Sigstore: plain cosign asks the public one.
func (b *bench) pointed(t *testing.T, token string) tool.Box {
	t.Helper()
	dir := t.TempDir()
	script := fmt.Sprintf(`#!/bin/sh
command=$1
shift
case $command in
attest) exec '%[1]s' attest --new-bundle-format --signing-config '%[2]s' --trusted-root '%[3]s' "$@" ;;
verify-attestation) exec '%[1]s' verify-attestation --new-bundle-format --use-signed-timestamps --trusted-root '%[3]s' "$@" ;;
*) exec '%[1]s' "$command" "$@" ;;
esac
`, b.cosign, b.sigstore.SigningConfig, b.root)
	if err := os.WriteFile(filepath.Join(dir, "cosign"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(token)
	if err != nil {
		t.Fatal(err)
	}
	return tool.Box{Dir: dir, Env: []string{"SIGSTORE_ID_TOKEN=" + string(text)}}
}

// aRebuildIsAttestedKeyless signs as `tallyman reproduce --attest` does what it found
// identical, without a key, and has a policy count who built the image.
func (b *bench) aRebuildIsAttestedKeyless(t *testing.T) {
	image := push(t, newRegistry(t, true)+"/"+repository, 1)
	published := b.sigstore.Issuer.Workflow(t, repository, "release.yml", "v1.0.0")
	b.attest(t, image, published, "slsaprovenance1", predicates()["slsaprovenance1"])
	attest := func(token, subject string) error {
		t.Helper()
		attester := rebuild.Attester{
			Tools: b.pointed(t, token), Identity: cosign.Identity{Subject: subject, Issuer: b.sigstore.Issuer.Workflows}, Dir: t.TempDir(),
		}
		signer, err := attester.Attest(t.Context(), rebuilt(image))
		if err == nil && signer != subject {
			t.Errorf("signer: got %q, want %q", signer, subject)
		}
		return err
	}
	again := b.sigstore.Issuer.Workflow(t, rebuilderRepository, "reproduce.yml", "v1.0.0")
	if err := attest(again, "https://github.com/somebody/else/.github/workflows/reproduce.yml@refs/tags/v1.0.0"); err == nil || !strings.Contains(err.Error(), "expected what was attached to verify") {
		t.Errorf("as somebody else than the token says: got %v, want that nothing of them verifies", err)
	}
	// The second time it is there.
	for range 2 {
		if err := attest(again, rebuilder); err != nil {
			t.Fatal(err)
		}
	}

	two := filepath.Join(t.TempDir(), "two.yaml")
	text := "version: 1\nrules:\n  - name: reproduced\n    pass: rebuilders >= 2\n    message: '\"expected two who built it, found \" + string(rebuilders)'\n"
	if err := os.WriteFile(two, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		trusted []string
		code    int
		papers  int
	}{
		"the publisher alone":       {[]string{workflow}, 1, 1},
		"the rebuilder alone":       {[]string{rebuilder}, 1, 1},
		"publisher and rebuilder":   {[]string{workflow, rebuilder}, 0, 2},
		"the publisher and another": {[]string{workflow, "https://github.com/somebody/else/.github/workflows/reproduce.yml@refs/tags/v1.0.0"}, 1, 1},
	} {
		args := []string{"--policy", two, "--issuer", b.sigstore.Issuer.Workflows, "--trusted-root", b.root}
		for _, identity := range c.trusted {
			args = append(args, "--identity", identity)
		}
		got := b.verify(t, image, nil, args...)
		verified := map[string]bool{}
		for _, piece := range got.Evidence {
			for _, paper := range piece.Papers {
				if piece.Kind == "provenance" && paper.State == "verified" {
					verified[paper.Identity] = true
				}
			}
		}
		if got.code != c.code || len(verified) != c.papers {
			t.Errorf("%s: got exit code %d, provenance verified of %v, want %d, of %d: %s", name, got.code, verified, c.code, c.papers, got.stderr)
		}
	}
}

// rebuilt is what a rebuild of the image came to.
func rebuilt(image name.Digest) rebuild.Rebuilt {
	return rebuild.Rebuilt{
		Claim: rebuild.Claim{
			Source: "https://github.com/" + repository, Tag: "v1.0.0", Commit: strings.Repeat("0123abcd", 5), Image: "web", Signer: workflow,
		},
		Repository: image.Context().Name(), Digest: release.Digest(image.DigestStr()), Platforms: []string{"linux/amd64"},
		BaseName: "gcr.io/distroless/static", BaseDigest: "sha256:" + strings.Repeat("2", 64),
		Started: time.Now().Add(-time.Minute), Finished: time.Now(),
	}
}
