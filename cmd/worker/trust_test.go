package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/command"
	"github.com/tallyman-io/tallyman/internal/config"
	"github.com/tallyman-io/tallyman/internal/evidence"
)

func TestTrustIsWhatIsConfigured(t *testing.T) {
	t.Parallel()
	got := trust(config.Trust{
		Keys: []config.File{{Path: "cosign.pub", Content: []byte("key")}},
		Identities: []config.Identity{
			{Issuer: "https://i.example", Subject: "me@example.com"}, {Issuer: "https://i.example", Pattern: "^.*@example[.]com$"},
		},
		Root: config.File{Path: "trusted_root.json", Content: []byte("{}")}, RequireLog: true,
	})
	want := evidence.Trust{
		Keys: []evidence.Key{{Name: "cosign.pub", PEM: []byte("key")}},
		Identities: []evidence.Identity{
			{Issuer: "https://i.example", Subject: "me@example.com"}, {Issuer: "https://i.example", Pattern: "^.*@example[.]com$"},
		},
		TrustedRoot: []byte("{}"), RequireLog: true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("trust (-want +got):\n%s", diff)
	}
}

// The root has the parts that config looks for, and none of them can be used.
func TestATrustedRootThatCannotBeUsedIsAMistakeInTheConfiguration(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "trusted_root.json")
	content := `{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1","certificateAuthorities":[{"uri":1}],"tlogs":[{}]}`
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr output
	code := run(t.Context(), command.Process{
		Args:   []string{"config", "check", "--trust-root", path, "--trust-identities", "https://i.example=me@example.com"},
		Stdout: &stdout, Stderr: &stderr, Began: time.Now(),
	})
	if code != command.ExitConfig || !strings.Contains(stderr.String(), "\ntrust.root: evidence: trusted root: expected the JSON of a Sigstore trusted root") ||
		!strings.Contains(stderr.String(), "[flag --trust-root]") {
		t.Errorf("exit code %d, stderr:\n%s", code, stderr.String())
	}
}
