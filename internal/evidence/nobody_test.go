package evidence_test

import (
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
	"github.com/tallyman-io/tallyman/internal/release"
)

// TestWithNobodyTrustedNothingIsVerified reads papers for want of anybody to verify
// them with.
func TestWithNobodyTrustedNothingIsVerified(t *testing.T) {
	t.Parallel()
	unsupported := func(layer v1.Descriptor) v1.Descriptor {
		layer.Annotations["dev.sigstore.cosign/bundle"] = `{"Payload":{"body":"eyJraW5kIjoiaW50b3RvIiwiYXBpVmVyc2lvbiI6IjAuMC4xIn0="}}`
		return layer
	}
	envelope := func(s *shelf, key keyPair, subject release.Digest) v1.Descriptor {
		return s.blob(dsseType, key.envelope(statement(subject, spdxType, spdx)), map[string]string{"predicateType": spdxType})
	}
	tests := map[string]struct {
		put       func(s *shelf, key keyPair)
		state     release.State
		reason    string
		misplaced bool
	}{
		"a bundle": {
			func(s *shelf, key keyPair) { s.attach(key.bundle(statement(s.index, spdxType, spdx)), spdxType) },
			release.StateUnknown, "signature: expected a key or an identity to verify it with, found neither", false,
		},
		"an envelope": {
			func(s *shelf, key keyPair) { s.attTag(envelope(s, key, s.index)) },
			release.StateUnknown, "signature: expected a key", false,
		},
		"an envelope with a log entry that is not supported": {
			func(s *shelf, key keyPair) { s.attTag(unsupported(envelope(s, key, s.index))) },
			release.StateUnknown, "signature: expected a key", false,
		},
		"about another image": {
			func(s *shelf, key keyPair) { s.attTag(envelope(s, key, otherImage)) },
			release.StateInvalid, "subject: expected sha256:", true,
		},
		"unsigned": {
			func(s *shelf, _ keyPair) { s.attTag(s.blob(payloadType, statement(s.index, spdxType, spdx), nil)) },
			release.StateInvalid, "unsigned: expected a signature by anybody, found none", false,
		},
		"unsigned, and about another image": {
			func(s *shelf, _ keyPair) { s.attTag(s.blob(payloadType, statement(otherImage, spdxType, spdx), nil)) },
			release.StateInvalid, "; subject: expected sha256:", true,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShelf(t, registrytest.NewWithReferrers(t))
			tt.put(s, newKey(t))
			got := s.of(s.examine(evidence.Trust{Nobody: true}), release.PaperSBOM)
			if got.State != tt.state || !strings.Contains(got.Reason, tt.reason) || len(got.Papers) != 1 ||
				got.Papers[0].Misplaced != tt.misplaced || string(got.Papers[0].Document) != spdx {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestNobodyAndSomebodyIsAMistake(t *testing.T) {
	t.Parallel()
	trust := newKey(t).trust("k")
	trust.Nobody = true
	if _, err := evidence.New(client(), evidence.Config{Trust: trust}); err == nil || !strings.Contains(err.Error(), "expected either nobody or somebody, found both") {
		t.Errorf("got %v", err)
	}
}
