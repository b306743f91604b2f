package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/evidence/evidencetest"
	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
)

func TestDiffExitCodes(t *testing.T) {
	t.Parallel()
	srv, signer := registrytest.New(t), evidencetest.NewKey(t)
	clean, cleanIndex, _ := released(t, srv, signer, 1, "v1.0.0", cleanCDX)
	affected, _, _ := released(t, srv, signer, 2, "v1.1.0", affectedCDX)
	key, db := keyFile(t, signer), advisories(t)
	document, broken := textFile(t, affectedSPDX), textFile(t, `{"bomFormat":`)
	folder := inFolder(t)
	folder.list(folder.artifact("", folder.index, folder.signed(folder.index, cdxPredicate, affectedCDX)))
	tests := map[string]struct {
		args []string
		code int
		out  string // on either output
	}{
		"two images":                             {[]string{clean, affected, "--key", key, "--db", db}, exitPass, "~ pkg:golang/example.com/a  v1.2.0 -> v1.1.0"},
		"a finding that is new":                  {[]string{clean, affected, "--key", key, "--db", db, "--fail-on-new", "any"}, exitFail, "0 fixed, 1 introduced"},
		"one below what fails":                   {[]string{clean, affected, "--key", key, "--db", db, "--fail-on-new", "critical"}, exitPass, "unscored  GO-1"},
		"one that is gone":                       {[]string{affected, clean, "--key", key, "--db", db, "--fail-on-new", "any"}, exitPass, "1 fixed, 0 introduced"},
		"findings without a database":            {[]string{clean, affected, "--key", key}, exitPass, "findings: unknown: "},
		"findings that are asked for":            {[]string{clean, affected, "--key", key, "--fail-on-new", "low"}, exitUnknown, "could not tell: findings: "},
		"without a key":                          {[]string{clean, affected}, exitPass, "its SBOM is not verified"},
		"a build that nobody verified":           {[]string{clean, affected, "--key", key}, exitPass, "unknown: provenance is absent"},
		"a layout and a file":                    {[]string{folder.dir, document, "--key", folder.key, "--db", db}, exitPass, "0 fixed, 0 introduced, 1 in both"},
		"by platform":                            {[]string{clean, affected, "--key", key, "--platform", "linux/arm64"}, exitPass, "size of linux/arm64"},
		"by digest":                              {[]string{clean, strings.TrimSuffix(clean, ":v1.0.0") + "@" + string(cleanIndex), "--key", key}, exitPass, "0 added, 0 removed, 0 changed, 1 the same"},
		"a file that is no SBOM is told":         {[]string{broken, document}, exitPass, "packages and licences: unknown: "},
		"a tag that is not there":                {[]string{clean, clean + ".9", "--key", key}, exitUnknown, "not found"},
		"a platform that is not there":           {[]string{clean, affected, "--key", key, "--platform", "linux/s390x"}, exitUnknown, "expected platform linux/s390x"},
		"one argument":                           {[]string{clean}, exitUsage, "expected 2 arguments A and B"},
		"another format":                         {[]string{clean, affected, "--format", "sarif"}, exitUsage, "expected table or json"},
		"no such level":                          {[]string{clean, affected, "--fail-on-new", "bad"}, exitUsage, "--fail-on-new: expected any"},
		"neither a file nor a reference to fail": {[]string{"nothing", affected}, exitUnknown, "no such file"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := ran(t, append([]string{"diff"}, tt.args...)...)
			if both := stdout + stderr; code != tt.code || !strings.Contains(both, tt.out) {
				t.Errorf("got exit %d, want %d and %q in\n%s", code, tt.code, tt.out, both)
			}
		})
	}
	code, stdout, _ := ran(t, "diff", clean, affected, "--key", key, "--format", "json")
	var report struct{ Schema string }
	if err := json.Unmarshal([]byte(stdout), &report); code != exitPass || err != nil || report.Schema != "tallyman.diff/v1" {
		t.Errorf("got exit %d, %v of %s", code, err, stdout)
	}
}

func TestReleasesAreListedFromPapersAlone(t *testing.T) {
	t.Parallel()
	srv, signer := registrytest.New(t), evidencetest.NewKey(t)
	repository := srv.Repository("acme/web")
	released(t, srv, signer, 1, "v1.9.0", affectedCDX)
	_, gated, _ := released(t, srv, signer, 2, "v1.10.0", affectedCDX)
	_, bare, _ := released(t, srv, signer, 3, "v1.11.0-rc.1", affectedCDX)
	srv.Delete(t, "acme/web", evidencetest.Tag(bare, "sig"))
	signer.Attest(t, repository, gated,
		evidencetest.Attestation{Type: "https://slsa.dev/verification_summary/v1", Predicate: []byte(`{"timeVerified":"2026-03-01T00:00:00Z","verificationResult":"PASSED","tallyman_counts":{"critical":3}}`)},
		evidencetest.Attestation{Type: evidencetest.Provenance, Predicate: fmt.Appendf(nil, `{"buildDefinition":{"buildType":"x"},"runDetails":{"builder":{"id":"y"},"metadata":{"startedOn":%q,"finishedOn":%q}}}`,
			"2026-03-01T00:00:00Z", "2026-03-01T00:01:30Z")})
	srv.Push(t, "acme/empty", registrytest.Index(t, 4, "0", "linux/amd64"), "latest")
	key, db := keyFile(t, signer), advisories(t)
	tests := map[string]struct {
		args []string
		code int
		out  []string // on either output
	}{
		"newest first, by the gate receipt": {[]string{repository, "--key", key}, exitPass, []string{
			"v1.10.0  ", "  verified   3         gate receipt 2026-03-01  1m30s", "v1.9.0: critical is unknown: gate receipt is absent", "absent     unknown",
		}},
		"counted by the SBOM where there is no receipt": {[]string{repository, "--key", key, "--db", db}, exitPass, []string{"0         SBOM, now ", "3         gate receipt"}},
		"the last one": {[]string{repository, "--key", key, "-n", "1", "--format", "json"}, exitPass, []string{`"version": "v1.11.0-rc.1"`}},
		"without a key nobody is believed": {[]string{repository, "--db", db}, exitPass, []string{
			"0         unverified SBOM, now ", "v1.10.0: build is unknown: no key or identity was given to verify provenance with",
		}},
		"no release":              {[]string{srv.Repository("acme/empty"), "--key", key}, exitFail, []string{"has no version tag"}},
		"no repository":           {[]string{srv.Repository("acme/none"), "--key", key}, exitUnknown, []string{"not found"}},
		"a tag":                   {[]string{repository + ":v1.9.0"}, exitUsage, []string{"expected a repository without tag and digest"}},
		"none of them":            {[]string{repository, "-n", "0"}, exitUsage, []string{"--number: expected 1 to 500"}},
		"another format":          {[]string{repository, "--format", "csv"}, exitUsage, []string{"expected table or json"}},
		"a key that is not there": {[]string{repository, "--key", key + ".none"}, exitConfig, []string{"no such file"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := ran(t, append([]string{"releases"}, tt.args...)...)
			if code != tt.code {
				t.Errorf("exit code: got %d, want %d", code, tt.code)
			}
			for _, want := range tt.out {
				if both := stdout + stderr; !strings.Contains(both, want) {
					t.Errorf("%q is not in\n%s", want, both)
				}
			}
			if strings.Contains(name, "newest") && strings.Index(stdout, "v1.10.0") > strings.Index(stdout, "v1.9.0") {
				t.Errorf("not in order:\n%s", stdout)
			}
		})
	}
}

func TestShellsCompleteTheNewFlags(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"verify", "--p"}, "--policy"},
		{[]string{"verify", "--require", ""}, "provenance"},
		{[]string{"diff", "--fail-on-new", ""}, "critical"},
		{[]string{"releases", "--format", ""}, "json"},
		{[]string{"scan", "--a"}, "--at"},
		{[]string{"scan", "--format", "s"}, "sarif"},
	} {
		code, stdout, stderr := ran(t, append([]string{"__complete"}, tt.args...)...)
		if code != exitPass || !strings.Contains(stdout, tt.want) {
			t.Errorf("%q: got exit %d, want %q in\n%s%s", tt.args, code, tt.want, stdout, stderr)
		}
	}
}
