package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/evidence/evidencetest"
	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
	"github.com/tallyman-io/tallyman/internal/release"
)

// released pushes an image of two platforms under a version, signs it and attests an SBOM
// of each platform, and returns the reference by tag and the digests.
func released(t *testing.T, srv *registrytest.Server, key evidencetest.Key, seed int64, version, sbom string) (image string, index release.Digest, platforms []release.Digest) {
	t.Helper()
	made := registrytest.Index(t, seed, "0123456789abcdef", "linux/amd64", "linux/arm64")
	index = release.Digest(srv.Push(t, "acme/web", made, version))
	manifest, err := made.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	repository := srv.Repository("acme/web")
	key.Sign(t, repository, index)
	for _, m := range manifest.Manifests[:2] {
		platform := release.Digest(m.Digest.String())
		platforms = append(platforms, platform)
		key.Attest(t, repository, platform, evidencetest.Attestation{Type: evidencetest.CycloneDX, Predicate: []byte(sbom)})
	}
	return repository + ":" + version, index, platforms
}

func keyFile(t *testing.T, key evidencetest.Key) string {
	t.Helper()
	return textFile(t, string(key.PEM(t)))
}

// ran runs the command and returns its exit code and both outputs.
func ran(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), args, &out, &err)
	return code, out.String(), err.String()
}

func TestVerifyJudges(t *testing.T) {
	t.Parallel()
	srv, signer := registrytest.New(t), evidencetest.NewKey(t)
	good, _, _ := released(t, srv, signer, 1, "v1.0.0", cleanCDX)
	bad, _, _ := released(t, srv, signer, 2, "v1.1.0", affectedCDX)
	half, halfIndex, halfPlatforms := released(t, srv, signer, 3, "v1.2.0", cleanCDX)
	srv.Delete(t, "acme/web", evidencetest.Tag(halfPlatforms[1], "att"))
	key, db := keyFile(t, signer), advisories(t)
	none := textFile(t, "version: 1\nrules:\n  - name: no-finding\n    pass: counts.total == 0\n")
	signed := textFile(t, "version: 1\nrules:\n  - name: signed\n    pass: signature.state == \"verified\"\n")
	fixed := textFile(t, `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://example.com/fixed","author":"Me","timestamp":"2026-01-01T00:00:00Z","version":1,
		"statements":[{"vulnerability":{"name":"GO-1"},"products":[{"@id":"pkg:golang/example.com/a"}],"status":"fixed"}]}`)
	tests := map[string]struct {
		args []string
		code int
		out  string // on either output
	}{
		"by tag, the digest is said":                          {[]string{half, "--policy", "none"}, exitPass, half + " is " + string(halfIndex)},
		"without a database or a policy nothing is judged":    {[]string{bad}, exitPass, "verdict: not judged: there is no advisory database at "},
		"the built-in policy passes":                          {[]string{good, "--db", db}, exitPass, "verdict: pass by built-in policy"},
		"an unscored finding is no failure of it":             {[]string{bad, "--db", db}, exitPass, "findings: 1: 0 critical, 1 unscored; in 1 packages"},
		"a policy fails":                                      {[]string{bad, "--db", db, "--policy", none}, exitFail, "no-finding"},
		"a statement from a file counts":                      {[]string{bad, "--db", db, "--policy", none, "--vex", fixed}, exitPass, "1 more suppressed by VEX"},
		"without a database the findings are unknown":         {[]string{good, "--policy", none}, exitUnknown, "findings: unknown: the advisories are not known: there is no advisory database at "},
		"a policy that asks for no finding needs no database": {[]string{good, "--policy", signed}, exitPass, "verdict: pass"},
		"built-in without a database":                         {[]string{good, "--policy", "built-in"}, exitUnknown, "advisory-data-fresh"},
		"a platform without SBOM":                             {[]string{half, "--db", db}, exitFail, "found none of linux/arm64"},
		"the other platform":                                  {[]string{half, "--db", db, "--platform", "linux/amd64"}, exitPass, "verdict: pass"},
		"no such platform":                                    {[]string{half, "--db", db, "--platform", "linux/s390x"}, exitUnknown, "expected platform linux/s390x, found linux/amd64, linux/arm64"},
		"--require alone decides":                             {[]string{half, "--require", "signature"}, exitPass, "verified"},
		"--require beside a policy":                           {[]string{good, "--db", db, "--require", "provenance"}, exitFail, "provenance is absent"},
		"an explicit database that is not there":              {[]string{good, "--db", db + ".none"}, exitUnknown, "make one with tallyman db import"},
		"a policy that is not there":                          {[]string{good, "--policy", signed + ".none"}, exitConfig, "expected a file, built-in or none"},
		"a policy with a mistake":                             {[]string{good, "--policy", fixed}, exitConfig, "--policy: "},
		"a statement that is none":                            {[]string{good, "--db", db, "--vex", signed}, exitUnknown, "OpenVEX of file"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := ran(t, append([]string{"verify", "--key", key}, tt.args...)...)
			if both := stdout + stderr; code != tt.code || !strings.Contains(both, tt.out) {
				t.Errorf("got exit %d, want %d and %q in\n%s", code, tt.code, tt.out, both)
			}
		})
	}
}

func TestVerifyTellsMachinesTheVerdict(t *testing.T) {
	t.Parallel()
	srv, signer := registrytest.New(t), evidencetest.NewKey(t)
	image, index, _ := released(t, srv, signer, 2, "v1.1.0", affectedCDX)
	code, stdout, stderr := ran(t, "verify", "--key", keyFile(t, signer), "--db", advisories(t), "--format", "json", image)
	var report struct {
		Schema string
		Images []struct {
			Reference, Tag, Digest string
			Verdict                struct {
				Result, Policy, PolicyDigest string
				Reasons                      []struct{ Rule, Result, Message string }
				Counts                       *struct{ Unscored int }
				AdvisoryAgeHours             *float64
			}
		}
		Advisories struct {
			Digest  string
			Records int
		}
	}
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || len(report.Images) != 1 {
		t.Fatalf("exit %d: %v\n%s%s", code, err, stdout, stderr)
	}
	got := report.Images[0]
	if got.Reference != image || got.Tag != "v1.1.0" || got.Digest != string(index) || got.Verdict.Result != "pass" || len(got.Verdict.Reasons) != 5 ||
		got.Verdict.Counts == nil || got.Verdict.Counts.Unscored != 1 || got.Verdict.AdvisoryAgeHours == nil || report.Advisories.Records != 1 {
		t.Errorf("got %+v of\n%s", report, stdout)
	}
}

func TestScanAsKnownOnADay(t *testing.T) {
	t.Parallel()
	const affected = `"affected":[{"package":{"ecosystem":"Go","name":"example.com/a"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.2.0"}]}]}]`
	db := databaseOf(t, map[string]string{
		"GO-1.json": `{"id":"GO-1","published":"2026-02-01T10:00:00Z","modified":"2026-02-01T10:00:00Z",` + affected + `}`,
		"GO-2.json": `{"id":"GO-2","published":"2026-01-01T10:00:00Z","modified":"2026-03-01T10:00:00Z","withdrawn":"2026-03-01T10:00:00Z",` + affected + `}`,
	})
	document := sbomFile(t, "pkg:golang/example.com/a@v1.1.0")
	for name, tt := range map[string]struct {
		at      string
		code    int
		with    []string
		without []string
	}{
		"now":                              {"", exitFail, []string{"GO-1"}, []string{"GO-2", "As known at"}},
		"before either was published":      {"2025-12-31", exitPass, []string{"0 findings", "As known at 2025-12-31 23:59 UTC", "not that of the day"}, nil},
		"one that was withdrawn since":     {"2026-01-01", exitFail, []string{"GO-2"}, []string{"GO-1"}},
		"both":                             {"2026-02-01", exitFail, []string{"GO-1", "GO-2"}, nil},
		"a time of the day":                {"2026-02-01T09:00:00Z", exitFail, []string{"GO-2"}, []string{"GO-1"}},
		"after the withdrawal":             {"2026-03-01", exitFail, []string{"GO-1"}, []string{"GO-2"}},
		"a day that has not begun":         {"2999-01-01", exitUsage, []string{"not after now"}, nil},
		"a day that is none":               {"yesterday", exitUsage, []string{"expected a day such as 2026-01-31"}, nil},
		"a time that has not been reached": {"2999-01-01T00:00:00Z", exitUsage, []string{"not after now"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := []string{"--db", db, document}
			if tt.at != "" {
				args = append(args, "--at", tt.at)
			}
			code, out := scanned(t, args...)
			if code != tt.code {
				t.Errorf("exit code: got %d, want %d\n%s", code, tt.code, out)
			}
			for _, want := range tt.with {
				if !strings.Contains(out, want) {
					t.Errorf("%q is not in\n%s", want, out)
				}
			}
			for _, not := range tt.without {
				if strings.Contains(out, not) {
					t.Errorf("%q is in\n%s", not, out)
				}
			}
		})
	}
}
