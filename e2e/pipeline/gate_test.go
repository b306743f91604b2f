package pipeline_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/receipt"
	"github.com/tallyman-io/tallyman/internal/release"
)

const (
	// gatedVersion ships a module that the advisories of e2e/advisories call critical.
	gatedVersion = "v1.2.0"
	gatedFile    = "internal/buildinfo/gated.go"
	gatedSource  = "package buildinfo\n\nimport _ \"github.com/google/go-cmp/cmp\" // a known critical\n"
	critical     = "DEMO-2026-0007"
	// criticalAlias is the name that a Go vulnerability database has in common with it.
	criticalAlias = "CVE-2026-99007"
)

// waivers is a file of them that ends on a day.
func waivers(expires time.Time) string {
	return "version: 1\nwaivers:\n  - vulnerability: " + criticalAlias + "\n    product: pkg:golang/github.com/google/go-cmp\n" +
		"    justification: vulnerable_code_not_in_execute_path\n    reason: Only imported, and never called.\n" +
		"    expires: " + expires.Format(time.DateOnly) + "\n    by: The Tests\n"
}

// gated releases into a namespace of its own: its version must not take tags of line 1.
func (s *suite) gated(t *testing.T) {
	registry := s.registry + "/gated"
	env := []string{"TALLYMAN_REGISTRY=" + registry}
	s.checkout(t, second)
	t.Cleanup(func() {
		_, err := s.clone.Git(context.WithoutCancel(t.Context()), "tag", "--delete", gatedVersion)
		must(t, err)
	})
	must(t, os.WriteFile(filepath.Join(s.clone.Dir, filepath.FromSlash(gatedFile)), []byte(gatedSource), 0o600))
	must(t, s.clone.Commit(t.Context(), "feat: ship what is known to be critical", "2026-03-04T00:00:00Z"))
	must(t, s.clone.Tag(t.Context(), gatedVersion))

	start := time.Now()
	out, err := s.releaseWith(t, env)
	stopped := time.Since(start).Round(time.Second)
	if err == nil {
		t.Fatalf("release of a known critical: got success, want a refusal\n%s", out)
	}
	for _, part := range []string{critical, "expected 0 critical findings, found 1"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("refusal: %q is not in\n%s", part, out)
		}
	}
	for _, put := range s.turnstile.Journal() {
		if strings.HasPrefix(put.Repository, "tallyman/gated/") {
			t.Errorf("%s:%s was published, want nothing to be", put.Repository, put.Reference)
		}
	}
	t.Run("steps", s.gateSteps)
	t.Run("signed waivers", s.signedWaivers)

	must(t, os.MkdirAll(filepath.Join(s.clone.Dir, ".vex"), 0o750))
	writeFile(t, filepath.Join(s.clone.Dir, ".vex"), "waivers.yaml", waivers(time.Now().AddDate(0, 1, 0)))
	must(t, s.clone.Commit(t.Context(), "fix: say why it does no harm", "2026-03-05T00:00:00Z"))
	_, err = s.clone.Git(t.Context(), "tag", "--force", gatedVersion)
	must(t, err)
	if out, err := s.releaseWith(t, env); err != nil {
		t.Fatalf("release with a waiver: %v\n%s", err, out)
	}
	s.wantWaived(t, registry)
	s.figures["12"] = fmt.Sprintf("stopped after %s; %d steps", stopped, len(gateSteps(s))+1)
}

func (s *suite) releaseWith(t *testing.T, env []string) (*output, error) {
	t.Helper()
	var out output
	// The archives are nothing to the gate, and take their time.
	err := s.bench.GoReleaser(t.Context(), s.clone.Dir, &out, env, "release", "--clean", "--skip=archive,nfpm,sbom,sign").Run()
	return &out, err
}

// gateStep runs the gate again on what was built.
type gateStep struct {
	name string
	// files are written to the folder that --vex names, where there are some.
	files map[string]string
	args  []string
	// database stands for the bench's.
	database string
	code     int
	says     string
}

func gateSteps(s *suite) []gateStep {
	now := time.Now()
	return []gateStep{
		{name: "a critical stops it", code: 1, says: "expected 0 critical findings, found 1"},
		{name: "a waiver lets it pass", files: map[string]string{"w.yaml": waivers(now.AddDate(0, 0, 1))}, code: 0, says: "critical 0 (before VEX 1)"},
		{name: "an expired waiver stops it", files: map[string]string{"w.yaml": waivers(now.AddDate(0, 0, -1))}, code: 1, says: "expected no expired waiver, found " + criticalAlias},
		{name: "a waiver without an end is none", files: map[string]string{"w.json": `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"urn:x","author":"A","timestamp":"2026-01-01T00:00:00Z","version":1,
			"statements":[{"vulnerability":{"name":"` + criticalAlias + `"},"products":[{"@id":"pkg:golang/github.com/google/go-cmp"}],"status":"fixed","impact_statement":"it is"}]}`}, code: 78, says: "expires"},
		{name: "code that is never run does not count", args: []string{"--vulndb", "file://" + filepath.Join(s.bench.Dir, "vulndb")}, code: 0, says: "vulnerable_code_not_in_execute_path"},
		{name: "no advisory data stop it", database: filepath.Join(s.bench.Dir, "no-such.db"), code: 3, says: "set " + databaseVariable},
		{name: "a snapshot is told, and goes on", database: filepath.Join(s.bench.Dir, "no-such.db"), args: []string{"--report-only"}, code: 0, says: "a release would stop here"},
	}
}

func (s *suite) gateSteps(t *testing.T) {
	writeVulnDB(t, filepath.Join(s.bench.Dir, "vulndb"))
	steps := gateSteps(s)
	old, err := s.bench.AdvisoryDatabase(t.Context(), s.repository, time.Date(2026, 2, 9, 0, 0, 0, 0, time.UTC), time.Now().AddDate(0, 0, -3))
	must(t, err)
	steps = append(steps, gateStep{name: "advisory data that are too old stop it", database: old, code: 3, says: "expected advisory data less than 24 hours old, found 72 hours"})
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			args := append([]string{"gate", "--version", gatedVersion, "--out", t.TempDir()}, step.args...)
			if step.files != nil {
				dir := t.TempDir()
				for name, content := range step.files {
					writeFile(t, dir, name, content)
				}
				args = append(args, "--vex", dir)
			}
			env := append([]string{"TALLYMAN_GATE_VULNDB=off"}, s.bench.Env()...)
			if step.database != "" {
				env = append(env, databaseVariable+"="+step.database)
			}
			code, said := s.command(t, env, args...)
			if code != step.code || !strings.Contains(said, step.says) {
				t.Errorf("tallyman %v: got exit status %d, want %d and %q in\n%s", args, code, step.code, step.says, said)
			}
		})
	}
}

// command runs the clone's tallyman.
func (s *suite) command(t *testing.T, env []string, args ...string) (code int, said string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(s.clone.Dir, ".tools", "bin", "tallyman"), args...)
	cmd.Dir, cmd.Env = s.clone.Dir, append(cmd.Environ(), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String()
}

// wantWaived asserts what plain cosign and the command find on what passed with a waiver.
func (s *suite) wantWaived(t *testing.T, registry string) {
	t.Helper()
	auditor := s.newAuditor(t, filepath.Join(s.clone.Dir, "dist"), mustAdvisories(t, s))
	rescan := exec.CommandContext(t.Context(), filepath.Join(s.repository, "build", "rescan.sh"))
	rescan.Env = append(rescan.Environ(), "TALLYMAN="+auditor.program, "TALLYMAN_REGISTRY="+registry, "COSIGN_PUBLIC_KEY="+s.publicKey, databaseVariable+"="+auditor.database)
	rescanned, err := rescan.CombinedOutput()
	if err != nil {
		t.Errorf("build/rescan.sh: %v\n%s", err, rescanned)
	}
	for _, image := range s.images() {
		image = registry + "/" + filepath.Base(image)
		if !strings.Contains(string(rescanned), image+":"+gatedVersion) {
			t.Errorf("build/rescan.sh: got no look at %s\n%s", image, rescanned)
		}
		facts, err := s.bench.Inspect(t.Context(), s.publicKey, image, gatedVersion)
		must(t, err)
		subjects := []release.Digest{facts.Image.Digest}
		for _, platform := range facts.Image.Platforms {
			subjects = append(subjects, platform.Digest)
		}
		for _, subject := range subjects {
			must(t, s.cosign(t, "verify-attestation", image+"@"+string(subject), s.publicKey, "--type", "openvex"))
			r := s.receiptOf(t, image+"@"+string(subject))
			if r.Result != receipt.Passed || r.Counts == nil || r.Raw == nil || r.Counts.Critical != 0 || r.Raw.Critical != 1 || !r.Of(string(facts.Image.Digest)) {
				t.Errorf("receipt of %s: got %s with %+v, before VEX %+v, of %s", image, r.Result, r.Counts, r.Raw, r.ResourceURI)
			}
			if len(r.Waivers) != 1 || r.Waivers[0].By != "The Tests" || len(r.Waivers[0].Findings) != 1 {
				t.Errorf("waivers of %s: got %+v, want the one", image, r.Waivers)
			}
		}
		if v := auditor.verify(t, image+"@"+string(facts.Image.Digest)); v.Result != release.ResultPass || v.Critical != 0 || v.Suppressed == 0 {
			t.Errorf("tallyman verify of %s: got %+v, want a pass, and a suppressed finding", image, v)
		}
		listed, err := exec.CommandContext(t.Context(), auditor.program, "releases", "--key", s.publicKey, image).CombinedOutput()
		if err != nil || !strings.Contains(string(listed), "gate receipt") {
			t.Errorf("tallyman releases %s: got %v, want a count by the gate receipt\n%s", image, err, listed)
		}
	}
}

func mustAdvisories(t *testing.T, s *suite) string {
	t.Helper()
	feed, err := s.bench.Advisories(s.repository)
	must(t, err)
	return feed
}

// receiptOf reads the gate receipt with plain cosign.
func (s *suite) receiptOf(t *testing.T, ref string) receipt.Receipt {
	t.Helper()
	out, err := s.bench.Tools.Run(t.Context(), "cosign", "verify-attestation", "--key", s.publicKey, "--insecure-ignore-tlog=true",
		"--type", receipt.PredicateType, ref)
	must(t, err)
	var envelope struct{ Payload string }
	must(t, json.NewDecoder(bytes.NewReader(out)).Decode(&envelope))
	payload, err := base64.StdEncoding.DecodeString(envelope.Payload)
	must(t, err)
	var statement struct {
		PredicateType string          `json:"predicateType"`
		Predicate     json.RawMessage `json:"predicate"`
	}
	must(t, json.Unmarshal(payload, &statement))
	if statement.PredicateType != receipt.PredicateType {
		t.Errorf("predicate type of %s: got %q, want %q", ref, statement.PredicateType, receipt.PredicateType)
	}
	r, err := receipt.Read(statement.Predicate)
	must(t, err)
	return r
}

// writeVulnDB makes a Go vulnerability database (https://go.dev/doc/security/vuln/database)
// that knows a function of the critical module which nobody links.
func writeVulnDB(t *testing.T, dir string) {
	t.Helper()
	const id, modified = "GO-2026-9007", "2026-02-10T00:00:00Z"
	for name, content := range map[string]string{
		"index/db.json":      `{"modified":"` + modified + `"}`,
		"index/modules.json": `[{"path":"github.com/google/go-cmp","vulns":[{"id":"` + id + `","modified":"` + modified + `"}]}]`,
		"index/vulns.json":   `[{"id":"` + id + `","modified":"` + modified + `","aliases":["` + criticalAlias + `"]}]`,
		"ID/" + id + ".json": `{"schema_version":"1.3.1","id":"` + id + `","modified":"` + modified + `","published":"` + modified + `","aliases":["` + criticalAlias + `"],
			"details":"Made up","affected":[{"package":{"name":"github.com/google/go-cmp","ecosystem":"Go"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}],
			"ecosystem_specific":{"imports":[{"path":"github.com/google/go-cmp/cmp","symbols":["Equal"]}]}}]}`,
	} {
		file := filepath.Join(dir, filepath.FromSlash(name))
		must(t, os.MkdirAll(filepath.Dir(file), 0o750))
		must(t, os.WriteFile(file, []byte(content), 0o600))
	}
}
