package evidence_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/registry"
	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
	"github.com/tallyman-io/tallyman/internal/release"
)

func tagOf(subject release.Digest, suffix string) string {
	return registry.FallbackTag(subject, suffix)
}

const otherImage = release.Digest("sha256:1111111111111111111111111111111111111111111111111111111111111111")

// forger has what a case of the suite may need.
type forger struct {
	*shelf

	key, wrong keyPair
	sigstore   sigstore
	elsewhere  sigstore
}

// TestPapers is the suite of genuine and forged papers: each is put beside the
// image, and has to get its state and a message that says what was expected and
// found.
func TestPapers(t *testing.T) {
	t.Parallel()
	genuine := func(f *forger) []byte { return statement(f.index, spdxType, spdx) }
	keyed := func(f *forger) evidence.Trust { return f.key.trust("release.pub") }
	keyless := func(f *forger) evidence.Trust { return f.sigstore.trust() }
	alter := func(b []byte, from, to string) []byte {
		if !bytes.Contains(b, []byte(from)) {
			panic("nothing to alter")
		}
		return bytes.Replace(b, []byte(from), []byte(to), 1)
	}
	tests := map[string]struct {
		put    func(f *forger)
		trust  func(f *forger) evidence.Trust
		kind   release.PaperKind
		state  release.State
		reason []string
	}{
		"nothing": {
			put: func(*forger) {}, trust: keyed, kind: release.PaperSignature, state: release.StateAbsent, reason: []string{"none in the referrers"},
		},
		"a signature by key under .sig": {
			put: func(f *forger) { f.sigTag(f.key.simpleLayer(f.shelf, f.index)) }, trust: keyed,
			kind: release.PaperSignature, state: release.StateVerified, reason: []string{"signed by key release.pub", ".sig tag"},
		},
		"a signature by another key": {
			put: func(f *forger) { f.sigTag(f.wrong.simpleLayer(f.shelf, f.index)) }, trust: keyed,
			kind: release.PaperSignature, state: release.StateInvalid, reason: []string{"expected one by key release.pub", "found one of another key"},
		},
		"a signature of another image": {
			put: func(f *forger) { f.sigTag(f.key.simpleLayer(f.shelf, otherImage)) }, trust: keyed,
			kind: release.PaperSignature, state: release.StateInvalid, reason: []string{"expected sha256:", "found " + string(otherImage)},
		},
		"an older good signature beside a newer bad one": {
			put: func(f *forger) {
				f.sigTag(f.key.simpleLayer(f.shelf, f.index), f.wrong.simpleLayer(f.shelf, f.index))
			},
			trust: keyed, kind: release.PaperSignature, state: release.StateVerified, reason: []string{"beside it 1 that does not hold", "found one of another key"},
		},
		"a signature with a byte of its payload altered": {
			put: func(f *forger) {
				payload := simple(f.index)
				sig := base64.StdEncoding.EncodeToString(f.key.sign(payload))
				f.sigTag(f.blob(simpleType, alter(payload, "acme/web", "acme/wet"), map[string]string{"dev.cosignproject.cosign/signature": sig}))
			},
			trust: keyed, kind: release.PaperSignature, state: release.StateInvalid, reason: []string{"over this content", "other content"},
		},
		"a signature layer without a signature": {
			put:   func(f *forger) { f.sigTag(f.blob(simpleType, simple(f.index), nil)) },
			trust: keyed, kind: release.PaperSignature, state: release.StateInvalid, reason: []string{"expected a signature in base64, found none"},
		},
		"an attestation by key under .att": {
			put: func(f *forger) { f.attTag(f.blob(dsseType, f.key.envelope(genuine(f)), nil)) }, trust: keyed,
			kind: release.PaperSBOM, state: release.StateVerified, reason: []string{"signed by key release.pub", ".att tag"},
		},
		"an attestation with its predicate replaced": {
			put: func(f *forger) {
				sig := f.key.signStatement(genuine(f))
				f.attTag(f.blob(dsseType, dsseJSON(f.t, statement(f.index, spdxType, `{"spdxVersion":"SPDX-2.3","packages":[]}`), sig), nil))
			},
			trust: keyed, kind: release.PaperSBOM, state: release.StateInvalid, reason: []string{"over this content"},
		},
		"an attestation of another image": {
			put: func(f *forger) {
				f.attTag(f.blob(dsseType, f.key.envelope(statement(otherImage, spdxType, spdx)), nil))
			},
			trust: keyed, kind: release.PaperSBOM, state: release.StateInvalid, reason: []string{"expected sha256:", "found " + string(otherImage)},
		},
		"an annotation that names another predicate type": {
			put: func(f *forger) {
				f.attTag(f.blob(dsseType, f.key.envelope(genuine(f)), map[string]string{"predicateType": "https://slsa.dev/provenance/v1"}))
			},
			trust: keyed, kind: release.PaperProvenance, state: release.StateAbsent, reason: []string{"none in"},
		},
		"a bundle by key": {
			put: func(f *forger) { f.attach(f.key.bundle(genuine(f)), "") }, trust: keyed,
			kind: release.PaperSBOM, state: release.StateVerified, reason: []string{"referrers API"},
		},
		"a bundle by another key": {
			put: func(f *forger) { f.attach(f.wrong.bundle(genuine(f)), "") }, trust: keyed,
			kind: release.PaperSBOM, state: release.StateInvalid, reason: []string{"expected one by key release.pub", "key hint a hint"},
		},
		"a bundle by key where an identity is expected": {
			put: func(f *forger) { f.attach(f.key.bundle(genuine(f)), "") }, trust: keyless,
			kind: release.PaperSBOM, state: release.StateInvalid, reason: []string{"expected a certificate for " + alice, "found one by a key"},
		},
		"a bundle by key where a log entry is expected": {
			put: func(f *forger) { f.attach(f.key.bundle(genuine(f)), "") },
			trust: func(f *forger) evidence.Trust {
				trust := f.key.trust("release.pub")
				trust.RequireLog, trust.TrustedRoot = true, f.sigstore.root()
				return trust
			},
			kind: release.PaperSBOM, state: release.StateInvalid, reason: []string{"log entry: expected one", "found none"},
		},
		"a bundle of a future version": {
			put: func(f *forger) {
				f.attach(alter(f.key.bundle(genuine(f)), "bundle.v0.3+json", "bundle.v0.9+json"), spdxType)
			},
			trust: keyed, kind: release.PaperSBOM, state: release.StateUnknown, reason: []string{"unsupported", "expected version 0.1 to 0.3"},
		},
		"a bundle that is no JSON": {
			put: func(f *forger) { f.attach([]byte(`{"mediaType":`), spdxType) }, trust: keyed,
			kind: release.PaperSBOM, state: release.StateInvalid, reason: []string{"expected one JSON value"},
		},
		"a bundle that is no JSON and may be anything": {
			put: func(f *forger) { f.attach([]byte(`{"mediaType":`), "") }, trust: keyed,
			kind: release.PaperVEX, state: release.StateUnknown, reason: []string{"expected one JSON value"},
		},
		"a bundle nested too deep": {
			put:   func(f *forger) { f.attach([]byte(strings.Repeat("[", 1000)+strings.Repeat("]", 1000)), spdxType) },
			trust: keyed, kind: release.PaperSBOM, state: release.StateInvalid, reason: []string{"expected at most 256 levels"},
		},
		"a statement with two subjects lists": {
			put: func(f *forger) {
				f.attach(f.key.bundle(alter(genuine(f), `"predicate":`, `"subject":[],"predicate":`)), spdxType)
			},
			trust: keyed, kind: release.PaperSBOM, state: release.StateInvalid, reason: []string{`expected "subject" once`},
		},
		"a statement that is not UTF-8": {
			put: func(f *forger) {
				f.attach(f.key.bundle(alter(genuine(f), "SPDX-2.3", "SPDX-\xff.3")), spdxType)
			},
			trust: keyed, kind: release.PaperSBOM, state: release.StateInvalid, reason: []string{"expected UTF-8"},
		},
		"keyless under .sig": {
			put: func(f *forger) {
				x := f.sigstore.signSimple(alice, issuer, simple(f.index))
				f.sigTag(f.blob(simpleType, x.payload, f.sigstore.annotations(x)))
			},
			trust: keyless, kind: release.PaperSignature, state: release.StateVerified, reason: []string{"signed by " + alice, issuer},
		},
		"keyless under .att": {
			put: func(f *forger) {
				x := f.sigstore.attest(alice, issuer, genuine(f), 5*time.Minute)
				f.attTag(f.blob(dsseType, dsseJSON(f.t, x.payload, x.signature), f.sigstore.annotations(x)))
			},
			trust: keyless, kind: release.PaperSBOM, state: release.StateVerified, reason: []string{"signed by " + alice},
		},
		"keyless bundle with a Rekor v1 entry": {
			put: func(f *forger) {
				f.attach(f.sigstore.attest(alice, issuer, genuine(f), 5*time.Minute).bundle(f.t), spdxType)
			},
			trust: keyless, kind: release.PaperSBOM, state: release.StateVerified, reason: []string{"signed by " + alice},
		},
		"keyless bundle with a Rekor v2 entry and a timestamp": {
			put:   func(f *forger) { f.attach(f.sigstore.attestV2(alice, issuer, genuine(f)).bundle(f.t), spdxType) },
			trust: keyless, kind: release.PaperSBOM, state: release.StateVerified, reason: []string{"signed by " + alice},
		},
		"keyless bundle with a Rekor v2 entry and no timestamp": {
			put: func(f *forger) {
				x := f.sigstore.attestV2(alice, issuer, genuine(f))
				x.stamps = nil
				f.attach(x.bundle(f.t), spdxType)
			},
			trust: keyless, kind: release.PaperSBOM, state: release.StateInvalid, reason: []string{"time of signing: expected"},
		},
		"keyless by a pattern": {
			put: func(f *forger) {
				f.attach(f.sigstore.attest(alice, issuer, genuine(f), 5*time.Minute).bundle(f.t), spdxType)
			},
			trust: func(f *forger) evidence.Trust {
				return f.sigstore.trust(evidence.Identity{Pattern: `^[a-z]+@example\.com$`, Issuer: issuer})
			},
			kind: release.PaperSBOM, state: release.StateVerified, reason: []string{"signed by " + alice},
		},
		"keyless by somebody else": {
			put: func(f *forger) {
				f.attach(f.sigstore.attest("mallory@example.com", issuer, genuine(f), 5*time.Minute).bundle(f.t), spdxType)
			},
			trust: keyless, kind: release.PaperSBOM, state: release.StateInvalid,
			reason: []string{"identity: expected " + alice, "found mallory@example.com (issuer " + issuer + ")"},
		},
		"keyless by somebody whose name contains the pattern": {
			put: func(f *forger) {
				f.attach(f.sigstore.attest("alice@example.com.evil.org", issuer, genuine(f), 5*time.Minute).bundle(f.t), spdxType)
			},
			trust: func(f *forger) evidence.Trust {
				return f.sigstore.trust(evidence.Identity{Pattern: `^[a-z]+@example\.com$`, Issuer: issuer})
			},
			kind: release.PaperSBOM, state: release.StateInvalid, reason: []string{"expected pattern ^[a-z]+@example", "found alice@example.com.evil.org"},
		},
		"keyless by another issuer": {
			put: func(f *forger) {
				f.attach(f.sigstore.attest(alice, "https://evil.example.com", genuine(f), 5*time.Minute).bundle(f.t), spdxType)
			},
			trust: keyless, kind: release.PaperSBOM, state: release.StateInvalid, reason: []string{"expected " + alice + " (issuer " + issuer, "https://evil.example.com"},
		},
		"keyless of another authority": {
			put: func(f *forger) {
				f.attach(f.elsewhere.attest(alice, issuer, genuine(f), 5*time.Minute).bundle(f.t), spdxType)
			},
			trust: keyless, kind: release.PaperSBOM, state: release.StateInvalid, reason: []string{"log entry: expected one in a log of the trusted root, found one in log"},
		},
		"keyless where a key is expected": {
			put: func(f *forger) {
				f.attach(f.sigstore.attest(alice, issuer, genuine(f), 5*time.Minute).bundle(f.t), spdxType)
			},
			trust: keyed, kind: release.PaperSBOM, state: release.StateInvalid, reason: []string{"expected one by key release.pub", "found a certificate for " + alice},
		},
		"an expired certificate": {
			put: func(f *forger) {
				f.attach(f.sigstore.attest(alice, issuer, genuine(f), 30*time.Minute).bundle(f.t), spdxType)
			},
			trust: keyless, kind: release.PaperSBOM, state: release.StateInvalid, reason: []string{"certificate: expected one valid when the log saw", "found one valid from"},
		},
		"a stripped log entry": {
			put: func(f *forger) {
				x := f.sigstore.attest(alice, issuer, genuine(f), 5*time.Minute)
				x.entry = nil
				f.attach(x.bundle(f.t), spdxType)
			},
			trust: keyless, kind: release.PaperSBOM, state: release.StateInvalid, reason: []string{"log entry: expected one", "found none"},
		},
		"the log entry of another signature": {
			put: func(f *forger) {
				x := f.sigstore.attest(alice, issuer, genuine(f), 5*time.Minute)
				x.entry = f.sigstore.attest(alice, issuer, statement(f.index, spdxType, `{}`), 5*time.Minute).entry
				f.attach(x.bundle(f.t), spdxType)
			},
			trust: keyless, kind: release.PaperSBOM, state: release.StateInvalid, reason: []string{"expected the entry of this signature, found that of another"},
		},
		"keyless with its predicate replaced": {
			put: func(f *forger) {
				x := f.sigstore.attest(alice, issuer, genuine(f), 5*time.Minute)
				x.payload = statement(f.index, spdxType, `{"packages":[]}`)
				f.attach(x.bundle(f.t), spdxType)
			},
			trust: keyless, kind: release.PaperSBOM, state: release.StateInvalid, reason: []string{"expected"},
		},
		"keyless of another image": {
			put: func(f *forger) {
				f.attach(f.sigstore.attest(alice, issuer, statement(otherImage, spdxType, spdx), 5*time.Minute).bundle(f.t), spdxType)
			},
			trust: keyless, kind: release.PaperSBOM, state: release.StateInvalid, reason: []string{"expected sha256:", "found " + string(otherImage)},
		},
		"a fallback tag without artifact types": {
			put: func(f *forger) {
				artifact := f.artifact("", nil, f.blob(bundleType, f.key.bundle(genuine(f)), nil))
				f.put("", artifact)
				f.fallback(f.index, types.OCIImageIndex, artifact.descriptor(""))
			},
			trust: keyed, kind: release.PaperSBOM, state: release.StateVerified, reason: []string{"fallback tag"},
		},
		"a fallback tag with a wrong artifact type": {
			put: func(f *forger) {
				artifact := f.artifact("", nil, f.blob(bundleType, f.key.bundle(genuine(f)), nil))
				f.put("", artifact)
				f.fallback(f.index, types.DockerManifestList, artifact.descriptor("application/vnd.oci.empty.v1+json"))
			},
			trust: keyed, kind: release.PaperSBOM, state: release.StateVerified, reason: []string{"fallback tag"},
		},
		"a fallback tag that is the artifact": {
			put: func(f *forger) {
				f.put(tagOf(f.index, ""), f.artifact("", nil, f.blob(bundleType, f.key.bundle(genuine(f)), nil)))
			},
			trust: keyed, kind: release.PaperSBOM, state: release.StateVerified, reason: []string{"fallback tag"},
		},
		"an SBOM that nobody signed": {
			put: func(f *forger) {
				f.put(tagOf(f.index, ".sbom"), f.artifact("", nil, f.blob("text/spdx+json", []byte(spdx), nil)))
			},
			trust: keyed, kind: release.PaperSBOM, state: release.StateInvalid, reason: []string{"unsigned: expected a signature by key release.pub", ".sbom tag"},
		},
		"an SBOM whose artifact is signed, which does not bind it to the image": {
			put: func(f *forger) { f.attachSBOM(f.key) }, trust: keyed,
			kind: release.PaperSBOM, state: release.StateInvalid, reason: []string{"unsigned: expected a signature by key release.pub"},
		},
		"a bundle with a signature of the image itself": {
			put: func(f *forger) { f.attach(f.key.messageBundle(f.shelf, f.index), "") }, trust: keyed,
			kind: release.PaperSignature, state: release.StateVerified, reason: []string{"signed by key release.pub", "referrers API"},
		},
		"a bundle with a signature of another image": {
			put: func(f *forger) { f.attach(f.key.messageBundle(f.shelf, f.amd64), "") }, trust: keyed,
			kind: release.PaperSignature, state: release.StateInvalid, reason: []string{"expected"},
		},
		"a log entry of a kind that is not read": {
			put: func(f *forger) {
				layer := f.key.simpleLayer(f.shelf, f.index)
				layer.Annotations["dev.sigstore.cosign/bundle"] = `{"SignedEntryTimestamp":"","Payload":{"body":"` +
					base64.StdEncoding.EncodeToString([]byte(`{"kind":"intoto","apiVersion":"0.0.1"}`)) + `","logID":""}}`
				f.sigTag(layer)
			},
			trust: keyed, kind: release.PaperSignature, state: release.StateUnknown, reason: []string{"unsupported", "found intoto 0.0.1"},
		},
		"an .att tag in a format that is not read": {
			put:   func(f *forger) { f.attTag(f.blob("application/x-thing", []byte(spdx), nil)) },
			trust: keyed, kind: release.PaperSBOM, state: release.StateUnknown, reason: []string{`unsupported: media type "application/x-thing"`},
		},
		"a referrer that is no paper": {
			put: func(f *forger) {
				f.put("", f.artifact(f.index, nil, f.blob("application/vnd.cncf.helm.chart", []byte("chart"), nil)))
			},
			trust: keyed, kind: release.PaperSBOM, state: release.StateAbsent, reason: []string{"none in"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &forger{
				shelf: newShelf(t, registrytest.NewWithReferrers(t)),
				key:   newKey(t), wrong: newKey(t), sigstore: newSigstore(t), elsewhere: newSigstore(t),
			}
			tt.put(f)
			got := f.of(f.examine(tt.trust(f)), tt.kind)
			if got.State != tt.state {
				t.Errorf("state: got %s, want %s: %s", got.State, tt.state, got.Reason)
			}
			for _, want := range tt.reason {
				if !strings.Contains(got.Reason, want) {
					t.Errorf("reason: got %q, want %q in it", got.Reason, want)
				}
			}
		})
	}
}

// The document of a verified paper is the predicate, byte for byte, however it is
// spaced.
func TestTheDocumentIsThePredicateByteForByte(t *testing.T) {
	t.Parallel()
	s, key := newShelf(t, registrytest.NewWithReferrers(t)), newKey(t)
	document := "{ \"z\": 1.50,\n \"a\":[ ] }"
	s.attach(key.bundle(statement(s.index, spdxType, document)), "")
	papers := s.of(s.examine(key.trust("k")), release.PaperSBOM).Papers
	if len(papers) != 1 || string(papers[0].Document) != document || !json.Valid(papers[0].Document) {
		t.Errorf("got %+v, want %s", papers, document)
	}
}
