package rebuild_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/provenance"
	"github.com/tallyman-io/tallyman/internal/rebuild"
	"github.com/tallyman-io/tallyman/internal/release"
)

const sourceURL = "https://github.com/o/r"

var commit = strings.Repeat("ab", 20)

// predicate is provenance as the pipeline makes it.
func predicate(t testing.TB, change func(*provenance.Build)) []byte {
	t.Helper()
	b := provenance.Build{
		Source: sourceURL, Tag: "v1.2.3", Commit: commit, Image: "web", Platforms: []string{"linux/amd64"}, BaseName: "b",
		BaseDigest: "sha256:" + strings.Repeat("0", 64), BuilderID: "x", Started: time.Unix(1, 0), Finished: time.Unix(2, 0),
	}
	if change != nil {
		change(&b)
	}
	p, err := b.Predicate()
	if err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWhatProvenanceSaysIsChecked(t *testing.T) {
	t.Parallel()
	good := predicate(t, nil)
	claim, err := rebuild.ParseClaim(good)
	if want := (rebuild.Claim{Source: sourceURL, Tag: "v1.2.3", Commit: commit, Image: "web"}); err != nil || claim != want || claim.Owner() != "o/r" {
		t.Fatalf("got %+v, %v, want %+v of o/r", claim, err, want)
	}
	for name, change := range map[string]func(*provenance.Build){
		"another transport":          func(b *provenance.Build) { b.Source = "ext::sh -c x" },
		"ssh":                        func(b *provenance.Build) { b.Source = "ssh://host/x" },
		"credentials":                func(b *provenance.Build) { b.Source = "https://me:secret@host/x" },
		"an option for a host":       func(b *provenance.Build) { b.Source = "https://-oProxyCommand=x/y" },
		"no host":                    func(b *provenance.Build) { b.Source = "https:///x" },
		"a relative file":            func(b *provenance.Build) { b.Source = "file://host/x" },
		"a query":                    func(b *provenance.Build) { b.Source = "https://host/x?y" },
		"a control character":        func(b *provenance.Build) { b.Source = "https://host/x\ny" },
		"a tag that is none":         func(b *provenance.Build) { b.Tag = "--upload-pack=x" },
		"a moving tag":               func(b *provenance.Build) { b.Tag = "v1" },
		"a commit that is an option": func(b *provenance.Build) { b.Commit = "--output=x" },
		"a short commit":             func(b *provenance.Build) { b.Commit = commit[:12] },
		"an image that is a path":    func(b *provenance.Build) { b.Image = "../x" },
	} {
		if got, err := rebuild.ParseClaim(predicate(t, change)); err == nil || !strings.Contains(err.Error(), "expected") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %+v, %v, want what was expected", name, got, err)
		}
	}
	for name, document := range map[string]string{
		"no JSON": "x", "another build type": strings.Replace(string(good), "build-type-v1", "build-type-v2", 1),
		"another configuration": strings.Replace(string(good), ".goreleaser.yaml", "evil.yaml", 1),
		"too much":              strings.Repeat(" ", 5<<20),
	} {
		if _, err := rebuild.ParseClaim([]byte(document)); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

// examined is an examination with provenance of each signer about the digest.
func examined(state release.State, papers ...release.Paper) release.Examination {
	digest := release.Digest("sha256:" + strings.Repeat("1", 64))
	return release.Examination{Repository: "r.example/web", Digest: digest, Evidence: []release.Evidence{
		{Kind: release.PaperProvenance, Subject: digest, On: "index", State: state, Reason: "because", Papers: papers},
	}}
}

func paper(state release.State, signer string, document []byte) release.Paper {
	return release.Paper{Kind: release.PaperProvenance, State: state, Signer: release.Signer{Key: signer}, Document: document}
}

func TestOnlyVerifiedProvenanceIsRebuilt(t *testing.T) {
	t.Parallel()
	good := predicate(t, nil)
	other := predicate(t, func(b *provenance.Build) { b.Commit = strings.Repeat("cd", 20) })
	for _, c := range []struct {
		name string
		of   release.Examination
		want string // of the error, or the signer
	}{
		{"one", examined(release.StateVerified, paper(release.StateVerified, "a", good)), "key a"},
		{"several that agree", examined(release.StateVerified, paper(release.StateVerified, "b", good), paper(release.StateVerified, "a", good)), "key a"},
		{"one beside it that does not verify", examined(release.StateVerified, paper(release.StateVerified, "a", good), paper(release.StateInvalid, "b", other)), "key a"},
		{"one beside it of another kind of build", examined(release.StateVerified, paper(release.StateVerified, "a", good), paper(release.StateVerified, "b", []byte(`{}`))), "key a"},
		{"none", examined(release.StateAbsent), "expected it verified, found it absent: because"},
		{"forged", examined(release.StateInvalid, paper(release.StateInvalid, "a", good)), "expected it verified, found it invalid"},
		{"unknown", examined(release.StateUnknown), "expected it verified, found it unknown"},
		{"several that disagree", examined(release.StateVerified, paper(release.StateVerified, "a", good), paper(release.StateVerified, "b", other)), "expected one source"},
		{"none that is understood", examined(release.StateVerified, paper(release.StateVerified, "a", []byte(`{}`))), "build type: expected"},
	} {
		claim, err := rebuild.ClaimOf(c.of)
		got := claim.Signer
		if err != nil {
			got = err.Error()
			if !errors.Is(err, rebuild.ErrNoClaim) {
				t.Errorf("%s: got %v, want ErrNoClaim", c.name, err)
			}
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}
