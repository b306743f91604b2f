package console_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/receipt"
	"github.com/tallyman-io/tallyman/internal/release"
)

var now = time.Date(2026, time.November, 24, 12, 45, 0, 0, time.UTC)

func digest(of string) release.Digest {
	sum := sha256.Sum256([]byte(of))
	return release.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

const (
	webRepository = "ghcr.io/tallyman-io/tallyman/web"
	webKey        = 7
	policyDigest  = "sha256:5fa7c0f1d2e3b4a5968778695a4b3c2d1e0f00112233445566778899aabbccdd"
)

// harbour is a store with a bit of everything: what is good, bad, unknown and absent.
func harbour() *memory {
	m := &memory{
		data: account.Data{
			Oldest: now.Add(-3 * time.Hour),
			Feeds: []ledger.Feed{
				{Ecosystem: "Go", Source: "https://storage.googleapis.com/osv-vulnerabilities", Records: 7312, Newest: now.Add(-5 * time.Hour), SyncedAt: now.Add(-40 * time.Minute), TriedAt: now.Add(-40 * time.Minute)},
				{Ecosystem: "Debian:13", Source: "https://storage.googleapis.com/osv-vulnerabilities", Records: 48213, Newest: now.Add(-9 * time.Hour), SyncedAt: now.Add(-3 * time.Hour), TriedAt: now.Add(-time.Hour), Reason: "throttled (HTTP 429 Too Many Requests), come back in 1m30s"},
			},
		},
		queue:    account.Queue{Waiting: 14, Running: 2, Retrying: 1, Failed: 0, Workers: 1},
		findings: map[int64][]account.Finding{webKey: findings()},
		packages: map[int64][]account.Package{webKey: packages()},
		repairs: []account.Repair{
			{ID: "GO-2026-4711", From: "v1.9.2", KnownAt: now.Add(-50 * time.Hour)},
			{ID: "GO-2026-4188", From: "v1.7.0", KnownAt: now.Add(-40 * 24 * time.Hour), In: "v1.8.0", FixedAt: now.Add(-37 * 24 * time.Hour)},
			{ID: "GO-2026-3977", From: "v1.5.0", KnownAt: now.Add(-80 * 24 * time.Hour), In: "v1.7.0", FixedAt: now.Add(-62 * 24 * time.Hour)},
		},
		progress: progress(),
		request:  account.Asked{At: now.Add(-20 * time.Second), By: "ada@example.org", TakenAt: now.Add(-18 * time.Second), Job: account.JobRunning, LookedAt: now.Add(-2 * time.Hour), Workers: 1},
		waves:    waves(),
	}
	m.releases = map[string][]account.Release{webRepository: webReleases()}
	m.components = []account.Component{web(m), worker(), gateway(), neverRead(), refused()}
	m.advisories, m.hits = advisories(), hits(m)
	m.found = account.Found{Kind: account.SearchAdvisory, List: account.List[account.Hit]{Items: m.hits, Total: len(m.hits)}, Advisory: &m.advisories[0].Advisory}
	m.comparison = comparison()
	spdx := []byte(`{"spdxVersion":"SPDX-2.3","name":"web"}` + "\n")
	latest := &m.releases[webRepository][0]
	m.documents = map[release.Digest]content{
		digest("spdx amd64"): {latest.Documents[0], spdx},
		digest("receipt"):    {latest.Documents[3], gateReceipt(latest.Image)},
	}
	return m
}

// verdict is one with counts of critical and high findings; less than zero is unknown.
func verdict(number int, at time.Time, critical, high int) *account.Verdict {
	v := &account.Verdict{Number: number}
	v.At, v.Policy = at, policyDigest
	rule := func(name string, result release.Result, message string) {
		v.Reasons = append(v.Reasons, release.Reason{Rule: name, Result: result, Message: message})
	}
	if critical >= 0 {
		v.Counts = ledger.Counts{Known: true, Critical: critical, High: high, Medium: 3, Low: 1, Unscored: 2, Suppressed: 1, Fixable: critical + high, Packages: 212, Unknown: 1, Raw: ledger.Levels{Critical: critical + 1, High: high, Medium: 3, Low: 1, Unscored: 2}}
	}
	switch {
	case critical > 0:
		rule("no-critical", release.ResultFail, fmt.Sprintf("expected 0 critical findings, found %d, of which %d can be fixed", critical, critical))
	case critical < 0:
		rule("no-critical", release.ResultUnknown, "the advisories of Go were not fetched yet")
		rule("advisory-data-fresh", release.ResultUnknown, "expected advisory data less than 48 hours old, found none")
	default:
		rule("no-critical", release.ResultPass, "found 0 critical findings")
	}
	rule("signed", release.ResultPass, "signed by a configured identity")
	rule("sbom", release.ResultPass, "every platform has a verified SBOM")
	var results []release.Result
	for _, r := range v.Reasons {
		results = append(results, r.Result)
	}
	v.Result = release.Worst(results...)
	return v
}

const identity = "https://github.com/tallyman-io/tallyman/.github/workflows/release.yml@refs/tags/"

func build(version string, at time.Time, took time.Duration) *release.Build {
	return &release.Build{
		Builder: "https://github.com/actions/runner/github-hosted", Type: "https://tallyman.io/build/goreleaser@v1",
		Invocation: "https://github.com/tallyman-io/tallyman/actions/runs/1922/attempts/1",
		Started:    at.Add(-took), Finished: at, Source: "git+https://github.com/tallyman-io/tallyman@refs/tags/" + version,
		Commit: hex.EncodeToString([]byte("commit of " + (version + strings.Repeat(" ", 10))[:10])),
		Base:   "gcr.io/distroless/static-debian13:nonroot@" + string(digest("base")),
		Tools:  map[string]string{"go": "go1.26.8", "buildkit": "v0.33.0", "goreleaser": "v2.16.0"},
		Signer: identity + version + " (issuer https://token.actions.githubusercontent.com)",
	}
}

func standing(version string, at time.Time, critical, high int) account.Standing {
	s := account.Standing{Key: webKey, ReleasedAt: at, ExaminedAt: now.Add(-2 * time.Hour)}
	s.Version, s.FirstSeen = version, at.Add(20*time.Minute)
	s.Image = release.Image{
		Repository: webRepository, Digest: digest("web " + version), Created: at, Revision: "c0ffee",
		Platforms: []release.Platform{
			{OS: "linux", Architecture: "amd64", Digest: digest("web amd64 " + version), CompressedSize: 7_240_123 + int64(len(version))*1000},
			{OS: "linux", Architecture: "arm64", Digest: digest("web arm64 " + version), CompressedSize: 6_651_000},
		},
	}
	s.Build = build(version, at, 3*time.Minute+time.Duration(len(version)*7+int(at.Unix()/3600%60))*time.Second)
	s.Evidence = map[release.PaperKind]release.State{
		release.PaperSignature: release.StateVerified, release.PaperSBOM: release.StateVerified, release.PaperProvenance: release.StateVerified,
		release.PaperVEX: release.StateAbsent, release.PaperSummary: release.StateUnknown,
	}
	s.AtRelease = verdict(0, at.Add(25*time.Minute), 0, 0)
	s.Now = verdict(3, now.Add(-40*time.Minute), critical, high)
	return s
}

func webReleases() []account.Release {
	days := func(n int) time.Time { return now.Add(-time.Duration(n) * 24 * time.Hour) }
	latest := account.Release{Standing: standing("v1.10.0", days(6), 1, 2)}
	latest.Versions, latest.Tags = []string{"v1.10.0"}, []string{"latest", "v1", "v1.10", "sha-c0ffee1"}
	latest.Pieces = pieces(latest.Standing)
	latest.Documents = documents(latest.Standing)
	latest.Licences = []string{"Apache-2.0", "BSD-3-Clause", "MIT"}
	latest.Rebuilders = []string{latest.Build.Signer, "key auditor.pub"}
	latest.Layers = []account.Layers{{Platform: latest.Image.Platforms[0], Layers: []release.Layer{
		{Digest: digest("base layer"), MediaType: "application/vnd.oci.image.layer.v1.tar+gzip", Size: 820_113},
		{Digest: digest("our layer"), MediaType: "application/vnd.oci.image.layer.v1.tar+gzip", Size: 6_420_010},
	}}}
	second := *verdict(2, now.Add(-26*time.Hour), -1, 0)
	second.Wave, second.Cause, second.Origin = 41, release.WaveEvidence, webRepository+"@"+string(latest.Image.Digest)
	third := *latest.Now
	third.Wave, third.Cause, third.Origin = 42, release.WaveAdvisories, "Go"
	first := *verdict(1, days(4), 0, 2)
	first.Wave, first.Cause, first.Origin = 38, release.WaveAdvisories, "Go"
	latest.Verdicts.Items = []account.Verdict{third, second, first}
	latest.Changes.Items = []account.EvidenceChange{
		{At: now.Add(-26 * time.Hour), Kind: release.PaperSummary, Subject: latest.Image.Digest, Before: release.StateVerified, After: release.StateUnknown, Reason: "throttled (HTTP 429 Too Many Requests)"},
		{At: days(6), Kind: release.PaperSignature, Subject: latest.Image.Digest, After: release.StateVerified, Reason: "signed by the release workflow"},
	}
	list := []account.Release{latest}
	for i, v := range []string{"v1.9.2", "v1.9.1", "v1.9.0", "v1.8.0", "v1.8.0-rc.1", "v1.7.0"} {
		critical := []int{1, 0, 0, 0, -1, 2}[i]
		one := account.Release{Standing: standing(v, days(14+i*9), critical, i)}
		one.Versions = []string{v}
		list = append(list, one)
	}
	list[5].Now, list[5].Key, list[5].Build = nil, 0, nil
	return list
}

func trend(list []account.Release) []account.Standing {
	var all []account.Standing
	for _, r := range slices.Backward(list) {
		all = append(all, r.Standing)
	}
	return all
}

func web(m *memory) account.Component {
	list := m.releases[webRepository]
	c := account.Component{Latest: &list[0].Standing, Trend: trend(list)}
	c.Repository, c.Watched, c.LookEvery = webRepository, true, 5*time.Minute
	c.LastLook = &release.Look{At: now.Add(-3 * time.Minute), Outcome: release.OutcomeComplete}
	c.LastComplete, c.Releases = now.Add(-3*time.Minute), len(list)
	return c
}

func worker() account.Component {
	s := standing("v1.10.0", now.Add(-6*24*time.Hour), -1, 0)
	s.Image.Repository, s.Build = "ghcr.io/tallyman-io/tallyman/worker", nil
	s.Image.Platforms[0].CompressedSize = 12_905_554
	before := standing("v1.9.2", now.Add(-14*24*time.Hour), 0, 0)
	before.Image.Repository = s.Image.Repository
	c := account.Component{Latest: &s, Trend: []account.Standing{before, s}}
	c.Repository, c.Watched, c.LookEvery, c.Releases = s.Image.Repository, true, 5*time.Minute, 12
	c.LastLook = &release.Look{
		At: now.Add(-2 * time.Minute), Outcome: release.OutcomeUnknown, Cause: release.CauseThrottled,
		Reason: "throttled (HTTP 429 Too Many Requests), come back in 1m30s",
	}
	c.LastComplete = now.Add(-7 * time.Minute)
	return c
}

// gateway has a pre-release that moved and that nobody judged.
func gateway() account.Component {
	s := standing("v3.0.0-rc.1", time.Time{}, 0, 0)
	s.Image.Repository = "registry.example.org:5000/logistics/very-long-product-name/customs-declaration-gateway"
	s.Image.Created, s.FirstSeen, s.MovedAt, s.Now, s.AtRelease, s.Key = time.Time{}, now.Add(-50*time.Hour), now.Add(-26*time.Hour), nil, nil, 0
	s.ExaminedAt, s.Build, s.Evidence = time.Time{}, nil, nil
	c := account.Component{Latest: &s, Trend: []account.Standing{s}}
	c.Repository, c.Watched, c.LookEvery, c.Releases = s.Image.Repository, true, 5*time.Minute, 1
	c.LastLook = &release.Look{At: now.Add(-3 * time.Minute), Outcome: release.OutcomeComplete}
	c.LastComplete = c.LastLook.At
	return c
}

func neverRead() account.Component {
	var c account.Component
	c.Repository, c.Watched, c.LookEvery = "quay.io/harbour/pilot", true, 5*time.Minute
	return c
}

func refused() account.Component {
	var c account.Component
	c.Repository, c.Watched, c.LookEvery = "quay.io/harbour/private", true, 5*time.Minute
	c.LastLook = &release.Look{
		At: now.Add(-4 * time.Minute), Outcome: release.OutcomeUnknown, Cause: release.CauseUnauthorized,
		Reason: "unauthorized (HTTP 401 Unauthorized): UNAUTHORIZED: access to the requested resource is not authorized",
	}
	return c
}

func pieces(s account.Standing) []account.Piece {
	who := s.Build.Signer
	paper := func(predicate string, index int64) ledger.Paper {
		return ledger.Paper{
			State: release.StateVerified, Signer: who, SignedAt: s.ReleasedAt, LogIndex: index, PredicateType: predicate,
			Found: []release.Layout{release.LayoutReferrers, release.LayoutAtt}, Manifest: digest("paper" + predicate),
		}
	}
	amd64, arm64 := s.Image.Platforms[0].Digest, s.Image.Platforms[1].Digest
	sbom := paper("https://spdx.dev/Document", 1_922_114)
	sbom.Document = digest("spdx amd64")
	return []account.Piece{
		{Kind: release.PaperSignature, Subject: s.Image.Digest, On: "index", State: release.StateVerified, Reason: "signed by the release workflow", Since: s.ReleasedAt, Papers: []ledger.Paper{paper("", 1_922_110)}},
		{Kind: release.PaperSignature, Subject: amd64, On: "linux/amd64", State: release.StateVerified, Reason: "signed by the release workflow", Since: s.ReleasedAt, Papers: []ledger.Paper{paper("", 1_922_111)}},
		{Kind: release.PaperSBOM, Subject: amd64, On: "linux/amd64", State: release.StateVerified, Reason: "attested by the release workflow", Since: s.ReleasedAt, Papers: []ledger.Paper{sbom}},
		{Kind: release.PaperSBOM, Subject: arm64, On: "linux/arm64", State: release.StateInvalid, Reason: "expected a signature by the release workflow, found one by mallory@example.com (issuer https://accounts.example.com)", Since: now.Add(-26 * time.Hour), Papers: []ledger.Paper{
			{State: release.StateInvalid, Reason: "signed by nobody who is trusted", Signer: "mallory@example.com (issuer https://accounts.example.com)", LogIndex: -1, Found: []release.Layout{release.LayoutAtt}},
			{State: release.StateInvalid, Reason: "nobody signed it", Unsigned: true, LogIndex: -1, Found: []release.Layout{release.LayoutIndex}, PredicateType: "https://spdx.dev/Document"},
		}},
		{Kind: release.PaperProvenance, Subject: s.Image.Digest, On: "index", State: release.StateVerified, Reason: "attested by the release workflow", Since: s.ReleasedAt, Papers: []ledger.Paper{paper("https://slsa.dev/provenance/v1", 1_922_117)}},
		{Kind: release.PaperVEX, Subject: s.Image.Digest, On: "index", State: release.StateAbsent, Reason: "every place was looked at to its end, and there is none", Since: s.ReleasedAt},
		{Kind: release.PaperSummary, Subject: s.Image.Digest, On: "index", State: release.StateUnknown, Reason: "throttled (HTTP 429 Too Many Requests), come back in 1m30s", Since: now.Add(-26 * time.Hour), Known: release.StateVerified, KnownAt: now.Add(-27 * time.Hour)},
	}
}

func documents(s account.Standing) []account.Document {
	return []account.Document{
		{Kind: release.PaperSBOM, Subject: s.Image.Platforms[0].Digest, On: "linux/amd64", Digest: digest("spdx amd64"), Verified: true, Signer: s.Build.Signer, Size: 184_220, Format: "SPDX", Version: "2.3", Packages: 212, Unidentified: 1},
		{Kind: release.PaperSBOM, Subject: s.Image.Platforms[1].Digest, On: "linux/arm64", Digest: digest("cdx arm64"), Uploaded: "token ci", Size: 92_100, Format: "CycloneDX", Version: "1.6", Failure: "components[12]: expected an object, found a number"},
		{Kind: release.PaperProvenance, Subject: s.Image.Digest, On: "index", Digest: digest("slsa"), Verified: true, Signer: s.Build.Signer, Size: 3_120},
		{Kind: release.PaperSummary, Subject: s.Image.Digest, On: "index", Digest: digest("receipt"), Verified: true, Signer: s.Build.Signer, Size: 2_410},
	}
}

// gateReceipt is a receipt that passed with a waiver, and another that has expired since.
func gateReceipt(image release.Image) []byte {
	at := now.Add(-6 * 24 * time.Hour)
	text, err := json.Marshal(receipt.Receipt{
		Verifier: receipt.Verifier{ID: "https://github.com/tallyman-io/tallyman/blob/main/docs/gate.md"}, TimeVerified: at,
		ResourceURI: receipt.ResourceURI(image.Repository, string(image.Digest), "v1.10.0"),
		Policy:      receipt.Descriptor{URI: "https://github.com/tallyman-io/tallyman/blob/main/policy.yaml", Digest: map[string]string{"sha256": strings.Repeat("5f", 32)}},
		Inputs:      make([]receipt.Descriptor, 3), Result: receipt.Passed, Levels: []string{receipt.Unevaluated},
		Verdict:    &receipt.Verdict{Result: "pass", Reasons: []receipt.Reason{{Rule: "no-critical", Result: "pass", Message: "found 0 critical findings"}}},
		Counts:     &receipt.Counts{High: 1, Medium: 3, Suppressed: 2, Packages: 212},
		Raw:        &receipt.Counts{Critical: 1, High: 2, Medium: 3, Packages: 212},
		Advisories: &receipt.Advisories{Digest: "sha256:" + strings.Repeat("ad", 32), AsOf: at.Add(-3 * time.Hour), AgeSeconds: 3 * 3600, MaxAgeSeconds: 48 * 3600, Records: 55_525},
		Tool:       &receipt.Descriptor{Name: "tallyman", Digest: map[string]string{"sha256": strings.Repeat("70", 32)}},
		Waivers: []receipt.Waiver{
			{Vulnerability: "CVE-2026-20031", Status: "not_affected", Justification: "vulnerable_code_not_in_execute_path", Reason: "HTTP/2 is off", By: "ada@example.org", Source: "waivers/http2.json", Signed: true, Expires: now.Add(30 * 24 * time.Hour), Findings: []string{"GO-2026-3302 pkg:golang/golang.org/x/net@v0.37.0"}},
			{Vulnerability: "CVE-2026-20040", Status: "under_investigation", By: "ada@example.org", Source: "waivers/other.json", Expires: now.Add(-24 * time.Hour)},
		},
		Reachability: &receipt.Reachability{Tool: "govulncheck v1.1.4", Unreachable: []string{"GO-2026-3977"}},
	})
	if err != nil {
		panic(err)
	}
	return text
}

func findings() []account.Finding {
	return []account.Finding{
		{
			ID: "GO-2026-4711", IDs: []string{"GO-2026-4711", "GHSA-9q2v-6h3x-1abc"}, Aliases: []string{"CVE-2026-41122"}, Summary: "Request smuggling through chunk extensions in net/http",
			Severity: account.Severity{Level: "critical", Score: 9.8, By: "CVSS_V3", Through: "GHSA-9q2v-6h3x-1abc"},
			PURL:     "pkg:golang/stdlib@1.26.8", Package: "stdlib", PackageVersion: "go1.26.8", Ecosystem: "Go", Fixed: []string{"1.26.9", "1.27.2"},
			Why: "GO-2026-4711, stdlib, SEMVER range: introduced 0 <= 1.26.8 < fixed 1.26.9", Published: now.Add(-50 * time.Hour), Known: now.Add(-49 * time.Hour), Occurrence: account.Since,
		},
		{
			ID: "GO-2026-3302", Aliases: []string{"CVE-2026-20031"}, Summary: "Excessive memory in HTTP/2 header decoding", Severity: account.Severity{Level: "high", Score: 7.5},
			PURL: "pkg:golang/golang.org/x/net@v0.37.0", Package: "golang.org/x/net", PackageVersion: "v0.37.0", Fixed: []string{"0.38.0"},
			Why: "GO-2026-3302, golang.org/x/net, SEMVER range: introduced 0 <= 0.37.0 < fixed 0.38.0", Published: now.Add(-30 * 24 * time.Hour), Known: now.Add(-6 * 24 * time.Hour), Occurrence: account.Then,
		},
		{
			ID: "GO-2026-2950", Summary: "Panic on malformed UTF-8", Severity: account.Severity{Level: "unscored"},
			PURL: "pkg:golang/golang.org/x/text@v0.20.0", Package: "golang.org/x/text", PackageVersion: "v0.20.0",
			Known: now.Add(-6 * 24 * time.Hour), Occurrence: account.Then,
			Statement: &account.Statement{Status: "not_affected", Justification: "vulnerable_code_not_in_execute_path", Impact: "The transformer is only given what was checked before.", Author: "security@tallyman.example", Origin: "attested to the index", At: now.Add(-5 * 24 * time.Hour), Suppresses: true},
		},
		{
			ID: "GO-2026-2811", Severity: account.Severity{Level: "medium", Score: 5.3}, PURL: "pkg:golang/github.com/x/y@v1.0.0", Package: "github.com/x/y", PackageVersion: "v1.0.0",
			Known: now.Add(-20 * 24 * time.Hour), GoneAt: now.Add(-2 * 24 * time.Hour), Occurrence: account.Gone,
		},
	}
}

func packages() []account.Package {
	list := []account.Package{
		{PURL: "pkg:golang/stdlib@1.26.8", Name: "stdlib", Version: "go1.26.8", Licences: []string{"BSD-3-Clause"}, Findings: 1, Worst: "critical"},
		{PURL: "pkg:golang/golang.org/x/net@v0.37.0", Name: "golang.org/x/net", Version: "v0.37.0", Licences: []string{"BSD-3-Clause"}, Findings: 1, Worst: "high"},
		{PURL: "pkg:deb/debian/tzdata@2026b-0+deb13u1?arch=all", Name: "tzdata", Version: "2026b-0+deb13u1", Gap: "the feed of Debian:13 was not complete when it was last fetched"},
		{PURL: "pkg:golang/github.com/tallyman-io/tallyman@v1.10.0", Name: "github.com/tallyman-io/tallyman", Version: "v1.10.0", Licences: []string{"Apache-2.0"}},
	}
	for i := range 60 {
		list = append(list, account.Package{PURL: fmt.Sprintf("pkg:golang/example.com/team/module%02d@v1.%d.0", i, i), Name: fmt.Sprintf("example.com/team/module%02d", i), Version: fmt.Sprintf("v1.%d.0", i), Licences: []string{"MIT"}})
	}
	return list
}

// packageChanges is a list of which the store gives out parts.
func packageChanges(all ...account.PackageChange) account.List[account.PackageChange] {
	return account.List[account.PackageChange]{Items: all}
}

func comparison() account.Comparison {
	all := findings()
	return account.Comparison{
		Fixed: all[1:2], Introduced: all[:1], Common: 4,
		Packages: account.PackageChanges{
			Changed: packageChanges(
				account.PackageChange{Package: "pkg:golang/golang.org/x/net", From: []string{"v0.36.0"}, To: []string{"v0.37.0"}},
				account.PackageChange{Package: "pkg:golang/stdlib", From: []string{"1.26.7"}, To: []string{"1.26.8"}}),
			Added:   packageChanges(account.PackageChange{Package: "pkg:golang/github.com/a-h/templ", To: []string{"v0.3.1"}}),
			Removed: packageChanges(account.PackageChange{Package: "pkg:golang/github.com/old/thing", From: []string{"v0.1.0"}}),
			Same:    208,
		},
		LicencesNew: []string{"MPL-2.0"}, LicencesGone: []string{"Unlicense"},
		Sizes:       []account.SizeChange{{Platform: "linux/amd64", From: 7_100_000, To: 7_240_123}, {Platform: "linux/arm64", From: 6_651_000, To: 6_651_000}, {Platform: "linux/riscv64", From: -1, To: 6_900_000}},
		FromSigners: []string{identity + "v1.9.2 (issuer https://token.actions.githubusercontent.com)"}, ToSigners: []string{identity + "v1.10.0 (issuer https://token.actions.githubusercontent.com)"},
	}
}

func advisories() []account.AdvisoryDetail {
	raw := `{"id":"GO-2026-4711","modified":"2026-11-22T11:00:00Z","details":"A chunk extension that\nends in a bare LF.",` +
		`"references":[{"type":"FIX","url":"https://go.dev/cl/700001"},{"type":"WEB","url":"javascript:alert(1)"}],` +
		`"affected":[{"package":{"ecosystem":"Go","name":"stdlib"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.26.9"},{"introduced":"1.27.0"},{"fixed":"1.27.2"}]}]}]}`
	return []account.AdvisoryDetail{
		{
			Advisory: account.Advisory{
				ID: "GO-2026-4711", Ecosystem: "Go", Aliases: []string{"CVE-2026-41122", "GHSA-9q2v-6h3x-1abc"}, Summary: "Request smuggling through chunk extensions in net/http",
				Severity: account.Severity{Level: "critical", Score: 9.8, Through: "GHSA-9q2v-6h3x-1abc"}, Published: now.Add(-50 * time.Hour), Modified: now.Add(-49 * time.Hour), FirstSeen: now.Add(-49 * time.Hour), Packages: 1, Images: 2,
			},
			Raw: []byte(raw),
			Versions: []account.AdvisoryVersion{
				{FirstSeen: now.Add(-49 * time.Hour), Modified: now.Add(-49 * time.Hour)},
				{FirstSeen: now.Add(-50 * time.Hour), Modified: now.Add(-50 * time.Hour), Until: now.Add(-49 * time.Hour)},
			},
		},
		{Advisory: account.Advisory{ID: "DSA-6011-1", Ecosystem: "Debian:13", Summary: "openssl - security update", Severity: account.Severity{Level: "unscored"}, Published: now.Add(-9 * 24 * time.Hour), Modified: now.Add(-8 * 24 * time.Hour), Withdrawn: now.Add(-7 * 24 * time.Hour), Packages: -1, Images: -1}},
		{Advisory: account.Advisory{ID: "GO-2026-3302", Ecosystem: "Go", Aliases: []string{"CVE-2026-20031"}, Summary: "Excessive memory in HTTP/2 header decoding", Severity: account.Severity{Level: "high", Score: 7.5}, Published: now.Add(-30 * 24 * time.Hour), Modified: now.Add(-12 * 24 * time.Hour), Packages: 3, Images: 11}},
	}
}

func hits(m *memory) []account.Hit {
	list := m.releases[webRepository]
	return []account.Hit{
		{Standing: list[0].Standing, Matches: []string{"pkg:golang/stdlib@1.26.8"}},
		{Standing: list[1].Standing, Matches: []string{"pkg:golang/stdlib@1.26.7"}},
	}
}

func progress() []ledger.Progress {
	return []ledger.Progress{
		{Step: release.StepSync, Subject: "Debian:13", Done: 31_000, Total: 48_213, StartedAt: now.Add(-time.Minute), UpdatedAt: now.Add(-2 * time.Second), Note: "reading all.zip"},
		{Step: release.StepIngest, Subject: webRepository + "@" + string(digest("web v1.10.0")), Done: 3, StartedAt: now.Add(-20 * time.Second), UpdatedAt: now.Add(-5 * time.Second)},
		{Step: release.StepJudge, Subject: "wave 40", Done: 3, Total: 9, StartedAt: now.Add(-2 * time.Hour), UpdatedAt: now.Add(-time.Hour)},
		{Step: release.StepSync, Subject: "Go", Done: 7312, Total: 7312, Ended: true, Note: "1 of 7312 advisories changed", StartedAt: now.Add(-41 * time.Minute), UpdatedAt: now.Add(-40 * time.Minute)},
		{Step: release.StepDiscover, Subject: "quay.io/harbour/private", Ended: true, Failure: "unauthorized (HTTP 401 Unauthorized)", StartedAt: now.Add(-4 * time.Minute), UpdatedAt: now.Add(-4 * time.Minute)},
	}
}

func waves() []wave {
	one := wave{
		Wave: account.Wave{SealedAt: now.Add(-40 * time.Minute), JudgedAt: now.Add(-39*time.Minute - 52*time.Second), Images: 2, New: 1, Verdicts: 2},
		Findings: []release.FindingChange{
			{ID: "GO-2026-4711", Severity: "critical", PURLs: []string{"pkg:golang/stdlib@1.26.8", "pkg:golang/stdlib@1.26.7"}, Change: release.ChangeNew, Fixed: []string{"1.26.9"}, Releases: 2},
		},
		Changes: []release.VerdictChange{
			{Repository: webRepository, Version: "v1.10.0", Digest: digest("web v1.10.0"), Before: "pass", After: "fail", Reasons: []string{"expected 0 critical findings, found 1, of which 1 can be fixed"}},
			{Repository: webRepository, Digest: digest("web nightly"), After: "unknown", Reasons: []string{"no SBOM"}},
		},
	}
	one.ID, one.Cause, one.Origin, one.At, one.Judged = 42, release.WaveAdvisories, "Go", now.Add(-40*time.Minute), true
	two := wave{
		Wave:     account.Wave{Images: 1},
		Evidence: []release.EvidenceChange{{Repository: webRepository, Version: "v1.10.0", Kind: release.PaperSummary, Before: release.StateVerified, After: release.StateUnknown, Reason: "throttled (HTTP 429 Too Many Requests)"}},
	}
	two.ID, two.Cause, two.Origin, two.At = 41, release.WaveEvidence, webRepository+"@"+string(digest("web v1.10.0")), now.Add(-26*time.Hour)
	return []wave{one, two}
}
