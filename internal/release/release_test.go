package release_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/release"
)

func TestKindOfTag(t *testing.T) {
	t.Parallel()
	hex := strings.Repeat("0123456789abcdef", 4)
	tests := map[string]release.TagKind{
		"v1.2.3":                   release.TagVersion,
		"v0.0.0":                   release.TagVersion,
		"v1.2.3-rc.1":              release.TagVersion,
		"v1.2.3-alpha-7.x":         release.TagVersion,
		"v1":                       release.TagMoving,
		"v1.2":                     release.TagMoving,
		"latest":                   release.TagMoving,
		"sha-" + hex[:40]:          release.TagCommit,
		"sha-0123abc":              release.TagCommit,
		"sha256-" + hex:            release.TagPaper,
		"sha256-" + hex + ".sig":   release.TagPaper,
		"sha256-" + hex + ".att":   release.TagPaper,
		"":                         release.TagOther,
		"1.2.3":                    release.TagOther, // no leading v
		"v01.2.3":                  release.TagOther, // semver forbids leading zeros
		"v1.2.3.4":                 release.TagOther,
		"v1.2.3+build":             release.TagOther, // + is no character of a tag
		"v1.2-rc.1":                release.TagOther,
		"version":                  release.TagOther,
		"nightly":                  release.TagOther,
		"Latest":                   release.TagOther,
		"sha-xyz":                  release.TagOther,
		"sha-012":                  release.TagOther, // too short to name a commit
		"sha-" + hex + "0":         release.TagOther, // too long
		"sha-0123ABC":              release.TagOther,
		"sha256-" + hex[:63]:       release.TagOther,
		"sha256-" + hex + "0":      release.TagOther,
		"sha256-" + hex + ".":      release.TagOther,
		"sha256-" + hex + ".a/b":   release.TagOther,
		"sha256-" + hex + ".a.b":   release.TagPaper,
		"sha256-" + hex[:63] + "g": release.TagOther,
	}
	for name, want := range tests {
		if got := release.KindOfTag(name); got != want {
			t.Errorf("KindOfTag(%q): got %s, want %s", name, got, want)
		}
	}
}

func FuzzKindOfTag(f *testing.F) {
	for _, seed := range []string{"v1.2.3", "v1", "latest", "sha-0123abc", "v1.2.3-rc.1+b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if release.KindOfTag(name) == release.TagVersion && strings.Count(name, ".") < 2 {
			t.Errorf("KindOfTag(%q): got a version without three numbers", name)
		}
	})
}

func TestVersionsAreInSemverOrder(t *testing.T) {
	t.Parallel()
	// semver.org, section 11, and numbers that text would put in another order.
	want := []string{
		"not-a-version", "v0.9.0", "v1.0.0-alpha", "v1.0.0-alpha.1", "v1.0.0-alpha.beta", "v1.0.0-beta",
		"v1.0.0-beta.2", "v1.0.0-beta.11", "v1.0.0-rc.1", "v1.0.0", "v1.2.0", "v1.10.0", "v10.0.0",
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, release.CompareVersions)
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestLatest(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		versions []string
		want     string
	}{
		"none":                          {nil, ""},
		"highest, not last":             {[]string{"v1.9.0", "v1.10.0", "v1.2.0"}, "v1.10.0"},
		"no pre-release before a final": {[]string{"v2.0.0-rc.1", "v1.0.0"}, "v1.0.0"},
		"pre-release when alone":        {[]string{"v2.0.0-rc.1", "v2.0.0-rc.10", "v2.0.0-rc.2"}, "v2.0.0-rc.10"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := release.Latest(tt.versions)
			if got != tt.want || ok != (tt.want != "") {
				t.Errorf("got %q, %t; want %q", got, ok, tt.want)
			}
		})
	}
}

func TestParseDigest(t *testing.T) {
	t.Parallel()
	hex := strings.Repeat("0123456789abcdef", 4)
	if got, err := release.ParseDigest("sha256:" + hex); err != nil || string(got) != "sha256:"+hex || got.Short() != "0123456789ab" {
		t.Errorf("got %q (short %q), %v", got, got.Short(), err)
	}
	for _, bad := range []string{"", hex, "sha256:", "sha256:" + hex[1:], "sha256:" + hex + "0", "sha256:" + strings.ToUpper(hex), "sha512:" + hex + hex} {
		if _, err := release.ParseDigest(bad); err == nil || !strings.Contains(err.Error(), "expected sha256:") {
			t.Errorf("ParseDigest(%q): got error %v, want one that says what is expected", bad, err)
		}
	}
}

func FuzzParseDigest(f *testing.F) {
	f.Add("sha256:" + strings.Repeat("0", 64))
	f.Add("sha256:")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := release.ParseDigest(s)
		if err == nil && (string(got) != s || len(s) != 71) {
			t.Errorf("ParseDigest(%q): got %q", s, got)
		}
	})
}

func TestOnlyVersionsAlarmWhenTheyMove(t *testing.T) {
	t.Parallel()
	for tag, want := range map[string]bool{"v1.2.3": true, "v1.2.3-rc.1": true, "v1.2": false, "latest": false, "sha-0123abc": false} {
		if got := (release.Move{Tag: tag}).Alarming(); got != want {
			t.Errorf("%s: got %t, want %t", tag, got, want)
		}
	}
}

func TestPlatformString(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]release.Platform{
		"linux/amd64":  {OS: "linux", Architecture: "amd64"},
		"unknown":      {},
		"linux/arm/v7": {OS: "linux", Architecture: "arm", Variant: "v7"},
	} {
		if got := p.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestWhenAComponentIsUnknown(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.May, 1, 12, 0, 0, 0, time.UTC)
	look := func(age time.Duration, outcome release.Outcome) *release.Look {
		return &release.Look{At: now.Add(-age), Outcome: outcome, Reason: "throttled"}
	}
	tests := map[string]struct {
		component release.Component
		want      string
	}{
		"read in time":      {release.Component{Watched: true, LookEvery: time.Minute, LastLook: look(3*time.Minute, release.OutcomeComplete)}, ""},
		"no longer watched": {release.Component{LookEvery: time.Minute, LastLook: look(0, release.OutcomeComplete)}, "no longer watched"},
		"never looked at":   {release.Component{Watched: true}, "not looked at yet"},
		"failed":            {release.Component{Watched: true, LastLook: look(0, release.OutcomeUnknown)}, "throttled"},
		"overdue":           {release.Component{Watched: true, LookEvery: time.Minute, LastLook: look(4*time.Minute, release.OutcomeComplete)}, "not looked at since; the worker may be down"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := tt.component.Unknown(now); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
