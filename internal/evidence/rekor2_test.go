package evidence_test

import (
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
	"github.com/tallyman-io/tallyman/internal/release"
)

// TestEntriesOfRekor2 takes an attestation with its entry in Rekor v2 apart. The
// verifier makes the entry that it expects of the paper; the message has to say
// all the same what differs.
func TestEntriesOfRekor2(t *testing.T) {
	t.Parallel()
	s := newShelf(t, registrytest.NewWithReferrers(t))
	here, elsewhere := newSigstore(t), newSigstore(t)
	genuine := statement(s.index, spdxType, spdx)
	const entry = "log entry: expected the entry of this "
	tests := map[string]struct {
		forge  func(x, another *signed)
		reason []string
	}{
		"of another signature": {
			forge:  func(x, another *signed) { x.entry = another.entry },
			reason: []string{entry + "signature, found that of another"},
		},
		"with another certificate": {
			forge:  func(x, another *signed) { x.certificate = another.certificate },
			reason: []string{entry + "signer, found that of another"},
		},
		"with another predicate": {
			forge: func(x, _ *signed) {
				x.payload = statement(s.index, spdxType, `{"spdxVersion":"SPDX-2.3","packages":[]}`)
			},
			reason: []string{entry + "content, found that of other content"},
		},
		"at another index": {
			forge:  func(x, _ *signed) { x.entry.LogIndex = 1 << 40 },
			reason: []string{"log entry: expected a proof that leads from it, at index 1099511627776, to the log's checkpoint; found one that leads elsewhere"},
		},
		"with another log's checkpoint": {
			forge: func(x, _ *signed) {
				x.entry.InclusionProof.Checkpoint = elsewhere.attestV2(alice, issuer, genuine).entry.GetInclusionProof().GetCheckpoint()
			},
			reason: []string{"log entry: expected a checkpoint that the trusted root's log ", " signed, found none that verifies"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t, registrytest.NewWithReferrers(t))
			x, another := here.attestV2(alice, issuer, genuine), here.attestV2("bob@example.com", "https://another.example.com", genuine)
			tt.forge(&x, &another)
			s.attach(x.bundle(t), spdxType)
			got := s.of(s.examine(here.trust()), release.PaperSBOM)
			if got.State != release.StateInvalid {
				t.Errorf("got %s, want invalid", got.State)
			}
			for _, want := range tt.reason {
				if !strings.Contains(got.Reason, want) {
					t.Errorf("got %q, want %q in it", got.Reason, want)
				}
			}
		})
	}
}
