package keyless_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// aDossierKeepsWhatKeylessNeeds goes through a file: certificates and log entries are in
// the bundles, and the trusted root is in the dossier.
func (b *bench) aDossierKeepsWhatKeylessNeeds(t *testing.T) {
	image := push(t, newRegistry(t, true)+"/"+repository, 1)
	token := b.sigstore.Issuer.Workflow(t, repository, "release.yml", "v1.0.0")
	b.sign(t, image, token)
	for predicateType, predicate := range predicates() {
		b.attest(t, image, token, predicateType, predicate)
	}
	run := func(args ...string) (code int, out string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, b.tallyman, append([]string{"dossier"}, args...)...)
		output, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return cmd.ProcessState.ExitCode(), string(output)
	}
	file := filepath.Join(t.TempDir(), "web.dossier")
	all := []string{"--require", "signature,sbom,provenance,vex,summary"}
	by := append(b.by(workflow, b.sigstore.Issuer.Workflows), all...)
	target := newRegistry(t, false) + "/mirror/web"
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{append([]string{"create", "-o", file, image.String()}, by...), 0, "dossier sha256:"},
		{append([]string{"verify", file}, by...), 0, "signed by " + workflow},
		{append([]string{"verify", file}, all...), 0, "worth no more than the dossier"},
		{append([]string{"verify", file}, b.by("https://example.com/another", b.sigstore.Issuer.Workflows)...), 1, "identity: expected https://example.com/another"},
		{append([]string{"copy", file, target, "--tag", "v1.0.0"}, by...), 0, "signed by " + workflow},
	} {
		if code, out := run(tt.args...); code != tt.code || !strings.Contains(out, tt.says) {
			t.Errorf("%s: got %d, want %d, with %q in\n%s", tt.args[0], code, tt.code, tt.says, out)
		}
	}
}
