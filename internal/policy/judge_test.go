package policy_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/policy"
	"github.com/tallyman-io/tallyman/internal/release"
)

var at = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func evidence(state release.State, reason string) policy.Evidence {
	return policy.Evidence{State: state, Reason: reason}
}

// sound are the facts of a release that the built-in policy passes.
func sound() policy.Facts {
	return policy.Facts{
		Repository: "registry.example/web", Version: "v1.4.0", Digest: "sha256:00", BaseImage: "gcr.io/distroless/static-debian13",
		Platforms: []string{"linux/amd64", "linux/arm64"},
		Signature: policy.Evidence{State: release.StateVerified, Reason: "signed by key release", Signers: []string{"release"}},
		SBOM:      evidence(release.StateVerified, "verified"), Provenance: evidence(release.StateAbsent, "none found"),
		VEX: evidence(release.StateAbsent, "none found"), Summary: evidence(release.StateAbsent, "none found"),
		Packages:   policy.Packages{Known: true, Trusted: true, Count: 12, Licences: []string{"MIT", "Apache-2.0"}},
		Findings:   policy.Findings{Known: true, Counts: policy.Counts{High: 2, Unscored: 3}, Fixable: policy.Counts{High: 1}},
		Advisories: policy.Advisories{Known: true, Age: 3 * time.Hour},
	}
}

func builtIn(tb testing.TB) *policy.Policy {
	tb.Helper()
	p, err := policy.Default(0)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func TestBuiltInPolicy(t *testing.T) {
	t.Parallel()
	p := builtIn(t)
	for name, c := range map[string]struct {
		change func(*policy.Facts)
		want   release.Result
		rule   string // that comes first
		says   string
	}{
		"all is well": {func(*policy.Facts) {}, release.ResultPass, "signed", "signed by a configured identity"},
		"not signed": {
			func(f *policy.Facts) { f.Signature = evidence(release.StateAbsent, "none found") }, release.ResultFail, "signed",
			"expected a verified signature, found absent: none found",
		},
		"signed by another": {
			func(f *policy.Facts) { f.Signature = evidence(release.StateInvalid, "expected key release") }, release.ResultFail, "signed",
			"found invalid: expected key release",
		},
		"a throttled registry": {
			func(f *policy.Facts) { f.Signature = evidence(release.StateUnknown, "throttled") }, release.ResultUnknown, "signed",
			"found unknown: throttled",
		},
		"nobody looked": {func(f *policy.Facts) { f.Signature = policy.Evidence{} }, release.ResultUnknown, "signed", "found unknown"},
		"a platform without SBOM": {
			func(f *policy.Facts) { f.SBOMMissingOn = []string{"linux/arm64", "linux/s390x"} }, release.ResultFail, "sbom",
			"expected a verified SBOM of every platform, found none of linux/arm64, linux/s390x",
		},
		"a platform of which it is not known": {
			func(f *policy.Facts) { f.SBOMUnknownOn = []string{"linux/arm64"} }, release.ResultUnknown, "sbom",
			"expected a verified SBOM of every platform, found unknown of linux/arm64",
		},
		"a platform without, and one of which it is not known": {func(f *policy.Facts) {
			f.SBOMMissingOn, f.SBOMUnknownOn = []string{"linux/amd64"}, []string{"linux/arm64"}
		}, release.ResultFail, "sbom", "found none of linux/amd64"},
		"a critical finding": {
			func(f *policy.Facts) { f.Findings.Counts.Critical, f.Findings.Fixable.Critical = 2, 1 }, release.ResultFail, "no-critical",
			"expected 0 critical findings, found 2, of which 1 can be fixed",
		},
		"unscored findings do not fail": {func(f *policy.Facts) { f.Findings.Counts.Unscored = 100 }, release.ResultPass, "signed", ""},
		"counts that are not known are not zero": {
			func(f *policy.Facts) { f.Findings = policy.Findings{Reason: "nothing was matched"} }, release.ResultUnknown, "no-critical",
			"counts.critical is not known: nothing was matched",
		},
		"old advisory data": {
			func(f *policy.Facts) { f.Advisories.Age = 48 * time.Hour }, release.ResultUnknown, "advisory-data-fresh",
			"expected advisory data less than 48 hours old, found 48 hours",
		},
		"no advisory data": {
			func(f *policy.Facts) { f.Advisories = policy.Advisories{Reason: "never synced"} }, release.ResultUnknown, "advisory-data-fresh",
			"advisories.age_hours is not known: never synced",
		},
		"a package that could not be judged": {func(f *policy.Facts) {
			f.Packages.Unknown, f.Packages.UnknownReasons = 1, []string{"pkg:npm/a: no version"}
		}, release.ResultUnknown, "nothing-unknown", "1 package could not be judged, as: pkg:npm/a: no version"},
		"an ecosystem without advisories": {
			func(f *policy.Facts) { f.Advisories.Missing = []string{"npm"} }, release.ResultUnknown, "nothing-unknown",
			"advisories: there are none of npm",
		},
		"packages of a document that nobody signed": {
			func(f *policy.Facts) { f.Packages.Trusted = false }, release.ResultUnknown, "nothing-unknown",
			"read from an SBOM that is not verified",
		},
		"unknown VEX": {
			func(f *policy.Facts) { f.VEX = evidence(release.StateUnknown, "throttled") }, release.ResultUnknown, "nothing-unknown",
			"vex: throttled",
		},
		"a fail is a fail whatever is unknown": {func(f *policy.Facts) {
			*f = policy.Facts{Signature: evidence(release.StateAbsent, "none found")}
		}, release.ResultFail, "signed", "found absent"},
		"nothing is known": {func(f *policy.Facts) { *f = policy.Facts{} }, release.ResultUnknown, "signed", "unknown"},
	} {
		facts := sound()
		c.change(&facts)
		verdict := p.Judge(t.Context(), facts, at)
		first := verdict.Reasons[0]
		if verdict.Result != c.want || first.Rule != c.rule || !strings.Contains(first.Message, c.says) {
			t.Errorf("%s: got %s, %+v; want %s, rule %s with %q", name, verdict.Result, first, c.want, c.rule, c.says)
		}
		if len(verdict.Reasons) != 5 || verdict.Policy != p.Digest() || !verdict.At.Equal(at) {
			t.Errorf("%s: got %d reasons, policy %s, at %s", name, len(verdict.Reasons), verdict.Policy, verdict.At)
		}
		for _, reason := range verdict.Reasons {
			if reason.Message == "" {
				t.Errorf("%s: rule %s says nothing", name, reason.Rule)
			}
		}
	}
}

func TestReasonsThatFailComeFirst(t *testing.T) {
	t.Parallel()
	facts := sound()
	facts.Signature, facts.Findings.Counts.Critical = evidence(release.StateUnknown, "throttled"), 1
	var got []string
	for _, reason := range builtIn(t).Judge(t.Context(), facts, at).Reasons {
		got = append(got, string(reason.Result)+" "+reason.Rule)
	}
	want := []string{"fail no-critical", "unknown signed", "unknown nothing-unknown", "pass sbom", "pass advisory-data-fresh"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestMaxAgeOfTheBuiltInPolicy(t *testing.T) {
	t.Parallel()
	short, err := policy.Default(90 * time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if got := short.Judge(t.Context(), sound(), at).Result; got != release.ResultUnknown || short.MaxAge() != 90*time.Minute {
		t.Errorf("data of 3 hours, of which 1.5 are allowed: got %s, max age %s", got, short.MaxAge())
	}
	if other := builtIn(t); short.Digest() == other.Digest() || other.MaxAge() != policy.DefaultMaxAge {
		t.Error("policies that judge differently have one digest")
	}
	if _, err := policy.Default(-time.Hour); err == nil {
		t.Error("a negative age was accepted")
	}
}

// one returns the reason of a policy of one rule.
func one(t *testing.T, rule string, facts policy.Facts) release.Reason {
	t.Helper()
	p, err := policy.Parse("test.yaml", []byte("version: 1\nrules:\n  - name: x\n"+rule))
	if err != nil {
		t.Fatal(err)
	}
	return p.Judge(t.Context(), facts, at).Reasons[0]
}

func TestRules(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rule   string
		change func(*policy.Facts)
		want   release.Result
		says   string
	}{
		"unknown beats pass": {"    pass: 'true'\n    unknown: 'true'\n", nil, release.ResultUnknown, "does not hold: true"},
		"a message that cannot be told": {
			"    pass: 'false'\n    message: string(critical.age_hours)\n", nil, release.ResultFail,
			"no more can be said: critical.age_hours is not known: there is no critical finding",
		},
		"an empty message":   {"    description: it holds\n    pass: 'false'\n    message: '\"\"'\n", nil, release.ResultFail, "does not hold: it holds"},
		"a message of lines": {"    pass: 'false'\n    message: '\"a\\nb\"'\n", nil, release.ResultFail, "a b"},
		"what is decided without the unknown passes": {
			"    pass: prerelease || counts.critical == 0 || version.startsWith(\"v1.\")\n",
			func(f *policy.Facts) { f.Findings.Known = false }, release.ResultPass, "",
		},
		"what is decided without the unknown fails": {
			"    pass: counts.critical == 0 && tag_moved\n",
			func(f *policy.Facts) { f.Findings.Known = false }, release.ResultFail, "",
		},
		"the age of a critical finding": {
			"    pass: counts.critical == 0 || critical.age_hours < 72\n",
			func(f *policy.Facts) { f.Findings.Counts.Critical, f.Findings.CriticalSince = 1, at.Add(-73*time.Hour) }, release.ResultFail, "",
		},
		"since when there is one": {
			"    pass: counts.critical == 0 || now - critical.since < duration('74h')\n",
			func(f *policy.Facts) { f.Findings.Counts.Critical, f.Findings.CriticalSince = 1, at.Add(-73*time.Hour) }, release.ResultPass, "",
		},
		"a base image that is not stated": {
			"    pass: base_image.startsWith('gcr.io/distroless/')\n",
			func(f *policy.Facts) { f.BaseImage = "" }, release.ResultUnknown, "base_image is not known: the image does not say what it was built on",
		},
		"rebuilders while provenance is unknown": {
			"    pass: rebuilders >= 2\n",
			func(f *policy.Facts) { f.Provenance = evidence(release.StateUnknown, "throttled") }, release.ResultUnknown, "rebuilders is not known: throttled",
		},
		"licences that are not known": {
			"    pass: '!licences.exists(l, l == \"GPL-3.0-only\")'\n",
			func(f *policy.Facts) { f.Packages = policy.Packages{Reason: "no SBOM"} }, release.ResultUnknown, "licences is not known: no SBOM",
		},
		"a key that has to sign": {"    pass: \"'release' in signature.signers\"\n", nil, release.ResultPass, ""},
		"division by zero":       {"    pass: 1 / counts.critical > 0\n", nil, release.ResultUnknown, "division by zero"},
		"too many steps": {
			"    pass: licences.all(a, licences.all(b, licences.all(c, a + b + c != '')))\n",
			func(f *policy.Facts) { f.Packages.Licences = strings.Split(strings.Repeat("x,", 999)+"x", ",") }, release.ResultUnknown, "the rule was stopped: it takes more than",
		},
		"too much text": {
			"    pass: licences.all(a, licences.join(a) != '')\n",
			func(f *policy.Facts) { f.Packages.Licences = strings.Split(strings.Repeat("x,", 9999)+"x", ",") }, release.ResultUnknown, "the rule was stopped",
		},
	} {
		facts := sound()
		if c.change != nil {
			c.change(&facts)
		}
		if got := one(t, c.rule, facts); got.Result != c.want || !strings.Contains(got.Message, c.says) {
			t.Errorf("%s: got %+v, want %s with %q", name, got, c.want, c.says)
		}
	}
}

func TestJudgeStopsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	facts := sound()
	facts.Packages.Licences = make([]string, 1000)
	p, err := policy.Parse("test.yaml", []byte("version: 1\nrules:\n  - name: x\n    pass: licences.all(l, l == '')\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Judge(ctx, facts, at); got.Result != release.ResultUnknown || !strings.Contains(got.Reasons[0].Message, "context canceled") {
		t.Errorf("got %+v", got)
	}
}

func TestJudgeIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	p := builtIn(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 100 {
				facts := sound()
				facts.Findings.Counts.Critical = i % 2
				if got := p.Judge(context.WithoutCancel(t.Context()), facts, at).Result; (got == release.ResultPass) != (i%2 == 0) {
					t.Errorf("%d critical: got %s", i%2, got)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkJudge(b *testing.B) {
	p, facts := builtIn(b), sound()
	failing := sound()
	failing.Signature, failing.Findings.Counts.Critical = evidence(release.StateAbsent, "none found"), 3
	for name, facts := range map[string]policy.Facts{"pass": facts, "fail": failing, "unknown": {}} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p.Judge(b.Context(), facts, at)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N), "µs/verdict")
		})
	}
}
