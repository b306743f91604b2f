package vex_test

import (
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/vex"
)

func TestExaminedReadsVerifiedPapersOnly(t *testing.T) {
	t.Parallel()
	of := func(vulnerability string) []byte {
		return []byte(`{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://example.com/` + vulnerability + `","author":"A","timestamp":"2026-01-01T00:00:00Z","version":1,
			"statements":[{"vulnerability":{"name":"` + vulnerability + `"},"status":"fixed"}]}`)
	}
	key := release.Signer{Key: "release"}
	documents, err := vex.Examined(release.Examination{Digest: index, Evidence: []release.Evidence{
		{Kind: release.PaperVEX, Subject: index, Papers: []release.Paper{
			{State: release.StateVerified, Signer: key, Blob: others, Document: of("CVE-1")},
			{State: release.StateInvalid, Document: of("CVE-2")},
			{State: release.StateVerified, Signer: key, Blob: others, Document: []byte("{}")},
		}},
		{Kind: release.PaperVEX, Subject: arm64, Papers: []release.Paper{{State: release.StateVerified, Signer: key, Document: of("CVE-3")}}},
		{Kind: release.PaperProvenance, Subject: index, Papers: []release.Paper{{State: release.StateVerified, Document: of("CVE-4")}}},
	}})
	if err == nil || !strings.Contains(err.Error(), "OpenVEX of attestation "+string(others)+" signed by key release: @context") {
		t.Errorf("got %v", err)
	}
	set := vex.NewSet(documents...)
	image := vex.Image{Digest: index, Platforms: []vex.Platform{{Digest: amd64, Architecture: "amd64"}}}
	for name, c := range map[string]struct {
		vulnerability string
		image         vex.Image
		want          bool
	}{
		"of the index":             {"CVE-1", image, true},
		"not verified":             {"CVE-2", image, false},
		"of another platform":      {"CVE-3", image, false},
		"of the platform":          {"CVE-3", vex.Image{Digest: index, Platforms: []vex.Platform{{Digest: arm64}}}, true},
		"of another kind of paper": {"CVE-4", image, false},
	} {
		statement, got := set.Apply(c.image, vex.Finding{Names: []string{c.vulnerability}, PURLs: []string{"pkg:npm/a@1"}}, now)
		if got != c.want || got && statement.Origin.Signer != key {
			t.Errorf("%s: got %t by %+v", name, got, statement)
		}
	}
}
