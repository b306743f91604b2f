package pipeline_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/receipt"
)

// signedWaivers has the gate take waivers from outside the checkout, which somebody has to
// have signed, with the pinned cosign.
func (s *suite) signedWaivers(t *testing.T) {
	now := time.Now()
	keys, tools := t.TempDir(), s.bench.Tools
	tools.Env = append(slices.Clone(tools.Env), "COSIGN_PASSWORD=")
	sign := func(key, file string) {
		t.Helper()
		_, err := tools.Run(t.Context(), "cosign", "sign-blob", "--yes", "--tlog-upload=false", "--key", filepath.Join(keys, key+".key"), "--bundle", file+".sigstore.json", file)
		must(t, err)
	}
	for _, key := range []string{"security", "another"} {
		_, err := tools.Run(t.Context(), "cosign", "generate-key-pair", "--output-key-prefix", filepath.Join(keys, key))
		must(t, err)
	}
	for name, step := range map[string]struct {
		content string
		key     string
		// after is done to the file when it is signed.
		after func(string) string
		code  int
		says  string
	}{
		"signed, it lets it pass":         {content: waivers(now.AddDate(0, 0, 1)), key: "security", code: 0, says: "critical 0 (before VEX 1)"},
		"signed, and expired":             {content: waivers(now.AddDate(0, 0, -1)), key: "security", code: 1, says: "expected no expired waiver, found " + criticalAlias},
		"nobody signed it":                {content: waivers(now.AddDate(0, 0, 1)), code: 1, says: "expected its signature in w.yaml.sigstore.json, found no such file"},
		"somebody else signed it":         {content: waivers(now.AddDate(0, 0, 1)), key: "another", code: 1, says: "not verified: waivers: verify"},
		"it was changed after the signer": {content: waivers(now.AddDate(0, 0, -1)), key: "security", after: func(string) string { return waivers(now.AddDate(0, 1, 0)) }, code: 1, says: "not verified: waivers: verify"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, out := t.TempDir(), t.TempDir()
			writeFile(t, dir, "w.yaml", step.content)
			file := filepath.Join(dir, "w.yaml")
			if step.key != "" {
				sign(step.key, file)
			}
			if step.after != nil {
				writeFile(t, dir, "w.yaml", step.after(step.content))
			}
			env := append([]string{"TALLYMAN_GATE_VULNDB=off"}, s.bench.Env()...)
			code, said := s.command(t, env, "gate", "--version", gatedVersion, "--out", out, "--vex", dir, "--vex-key", filepath.Join(keys, "security.pub"))
			if code != step.code || !strings.Contains(said, step.says) {
				t.Errorf("got exit status %d, want %d and %q in\n%s", code, step.code, step.says, said)
			}
			s.wantSigned(t, out, step.code != 1 || strings.Contains(step.says, "expired"))
		})
	}
}

// wantSigned asserts that the receipts say that the waiver was signed, or that there are none.
func (*suite) wantSigned(t *testing.T, dir string, decided bool) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.vsa.json"))
	must(t, err)
	if (len(files) > 0) != decided {
		t.Fatalf("got %d receipts, want some: %t", len(files), decided)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		must(t, err)
		r, err := receipt.Read(content)
		must(t, err)
		if len(r.Waivers) != 1 || !r.Waivers[0].Signed || r.Waivers[0].Source != "w.yaml#1" {
			t.Errorf("%s: got waivers %+v, want the one that was signed", filepath.Base(file), r.Waivers)
		}
	}
}
