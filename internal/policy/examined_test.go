package policy_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/policy"
	"github.com/tallyman-io/tallyman/internal/release"
)

const (
	index = release.Digest("sha256:1111111111111111111111111111111111111111111111111111111111111111")
	amd64 = release.Digest("sha256:2222222222222222222222222222222222222222222222222222222222222222")
	arm64 = release.Digest("sha256:3333333333333333333333333333333333333333333333333333333333333333")
)

func piece(kind release.PaperKind, subject release.Digest, on string, state release.State, signers ...release.Signer) release.Evidence {
	e := release.Evidence{Kind: kind, Subject: subject, On: on, State: state, Reason: string(state)}
	for _, signer := range signers {
		e.Papers = append(e.Papers, release.Paper{Kind: kind, State: state, Signer: signer})
	}
	return e
}

func TestExamined(t *testing.T) {
	t.Parallel()
	key, other := release.Signer{Key: "release"}, release.Signer{Identity: "https://example.com/ci", Issuer: "https://issuer.example"}
	provenance := piece(release.PaperProvenance, index, "index", release.StateVerified, key, other, key)
	provenance.Papers = append(provenance.Papers, release.Paper{State: release.StateInvalid, Signer: release.Signer{Key: "forged"}})
	got := policy.Examined(release.Examination{
		Repository: "registry.example/web", Digest: index,
		Evidence: []release.Evidence{
			piece(release.PaperSignature, index, "index", release.StateVerified, key),
			piece(release.PaperSBOM, index, "index", release.StateVerified, key),
			provenance,
			piece(release.PaperVEX, index, "index", release.StateUnknown),
			piece(release.PaperSBOM, amd64, "linux/amd64", release.StateAbsent),
			piece(release.PaperProvenance, amd64, "linux/amd64", release.StateVerified, release.Signer{Key: "another"}),
			piece(release.PaperSBOM, arm64, "linux/arm64", release.StateUnknown),
		},
	})
	want := policy.Facts{
		Repository: "registry.example/web", Digest: index, Platforms: []string{"linux/amd64", "linux/arm64"},
		Signature: policy.Evidence{State: release.StateVerified, Reason: "verified", Signers: []string{"release"}},
		SBOM:      policy.Evidence{State: release.StateVerified, Reason: "verified", Signers: []string{"release"}},
		Provenance: policy.Evidence{
			State: release.StateVerified, Reason: "verified", Signers: []string{"another", "release"}, Identities: []string{"https://example.com/ci"},
		},
		VEX:           policy.Evidence{State: release.StateUnknown, Reason: "unknown"},
		SBOMMissingOn: []string{"linux/amd64"}, SBOMUnknownOn: []string{"linux/arm64"},
		Rebuilders: 2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestExaminedWithoutAnIndex(t *testing.T) {
	t.Parallel()
	got := policy.Examined(release.Examination{Digest: amd64, Evidence: []release.Evidence{
		piece(release.PaperSBOM, amd64, "image", release.StateAbsent),
	}})
	want := policy.Facts{Digest: amd64, SBOM: evidence(release.StateAbsent, "absent")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
