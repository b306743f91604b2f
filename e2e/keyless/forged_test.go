package keyless_test

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tallyman-io/tallyman/e2e/keyless/sigstoretest"
)

const bundleType types.MediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// signatureType is the predicate type that cosign signs with.
const signatureType = "https://sigstore.dev/cosign/sign/v1"

// bundle is what the tests change of a Sigstore bundle; the rest is kept as it is.
type bundle struct {
	MediaType            string   `json:"mediaType"`
	VerificationMaterial material `json:"verificationMaterial"`
	DSSEEnvelope         envelope `json:"dsseEnvelope"`
}

type material struct {
	Certificate               json.RawMessage              `json:"certificate"`
	TlogEntries               []map[string]json.RawMessage `json:"tlogEntries,omitempty"`
	TimestampVerificationData struct {
		RFC3161Timestamps []stamp `json:"rfc3161Timestamps,omitempty"`
	} `json:"timestampVerificationData"`
}

type stamp struct {
	SignedTimestamp []byte `json:"signedTimestamp"`
}

type envelope struct {
	Payload     []byte `json:"payload"`
	PayloadType string `json:"payloadType"`
	Signatures  []struct {
		Sig []byte `json:"sig"`
	} `json:"signatures"`
}

// bundleOf returns the one bundle of an image.
func bundleOf(t *testing.T, image name.Digest) (b bundle) {
	t.Helper()
	referrers, err := remote.Referrers(image)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := referrers.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 {
		t.Fatalf("got %+v, want one referrer: %v", manifest, err)
	}
	paper, err := remote.Image(image.Context().Digest(manifest.Manifests[0].Digest.String()))
	if err != nil {
		t.Fatal(err)
	}
	layers, err := paper.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("got %d layers, want 1: %v", len(layers), err)
	}
	content, err := layers[0].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	if err := json.NewDecoder(io.LimitReader(content, 1<<20)).Decode(&b); err != nil {
		t.Fatal(err)
	}
	return b
}

// attach puts a bundle beside an image, as cosign does.
func attach(t *testing.T, image name.Digest, b bundle) {
	t.Helper()
	content, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	subject, err := remote.Head(image)
	if err != nil {
		t.Fatal(err)
	}
	paper, err := mutate.AppendLayers(mutate.MediaType(mutate.ConfigMediaType(empty.Image, bundleType), types.OCIManifestSchema1),
		static.NewLayer(content, bundleType))
	if err != nil {
		t.Fatal(err)
	}
	paper = mutate.Annotations(paper, map[string]string{"dev.sigstore.bundle.predicateType": signatureType}).(v1.Image) //nolint:errcheck // an image stays one
	paper = mutate.Subject(paper, *subject).(v1.Image)                                                                  //nolint:errcheck // an image stays one
	digest, err := paper.Digest()
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(image.Context().Digest(digest.String()), paper); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) forgeriesAreInvalid(t *testing.T) {
	host := newRegistry(t, true)
	image, another := push(t, host+"/"+repository, 1), push(t, host+"/another", 2)
	b.sign(t, image, b.sigstore.Issuer.Person(t, person))
	b.sign(t, another, b.sigstore.Issuer.Person(t, person))
	theirs := bundleOf(t, another)
	stamped := func(by sigstoretest.Authority, later time.Duration) func(*bundle) {
		return func(f *bundle) {
			response := by.Timestamp(t, f.DSSEEnvelope.Signatures[0].Sig, time.Now().Add(later))
			f.VerificationMaterial.TimestampVerificationData.RFC3161Timestamps = []stamp{{response}}
		}
	}
	const noTime = "time of signing: expected one by a log or a timestamp authority of the trusted root, "
	const notValid = "certificate: expected one of the trusted root's authorities, valid when it signed; found one"
	tests := map[string]struct {
		seed   int64 // of the image that it is attached to; 1 when zero
		forge  func(f *bundle)
		reason string // verified when empty
	}{
		"nothing changed":                     {forge: func(*bundle) {}},
		"a timestamp of now":                  {forge: stamped(b.sigstore.Timestamps, 0)},
		"another's timestamp":                 {forge: stamped(sigstoretest.NewAuthority(t, x509.ExtKeyUsageTimeStamping), 0), reason: noTime + "found 1 timestamp that does not verify"},
		"signed after the certificate ended":  {forge: stamped(b.sigstore.Timestamps, time.Hour), reason: notValid},
		"signed before the certificate began": {forge: stamped(b.sigstore.Timestamps, -30*time.Minute), reason: notValid},
		"timestamp stripped": {
			forge: func(f *bundle) { f.VerificationMaterial.TimestampVerificationData.RFC3161Timestamps = nil }, reason: noTime + "found no timestamp",
		},
		"timestamp of another signature": {
			forge: func(f *bundle) {
				f.VerificationMaterial.TimestampVerificationData = theirs.VerificationMaterial.TimestampVerificationData
			},
			reason: noTime + "found 1 timestamp that does not verify",
		},
		"log entry stripped": {
			forge: func(f *bundle) { f.VerificationMaterial.TlogEntries = nil }, reason: "log entry: expected one in a log of the trusted root, found none",
		},
		"log entry of another signature": {
			forge:  func(f *bundle) { f.VerificationMaterial.TlogEntries = theirs.VerificationMaterial.TlogEntries },
			reason: "log entry: expected the entry of this signature, found that of another",
		},
		"inclusion proof stripped": {
			forge: func(f *bundle) { delete(f.VerificationMaterial.TlogEntries[0], "inclusionProof") }, reason: "inclusion proof missing",
		},
		"inclusion proof of another entry": {
			forge: func(f *bundle) {
				f.VerificationMaterial.TlogEntries[0]["inclusionProof"] = theirs.VerificationMaterial.TlogEntries[0]["inclusionProof"]
			},
			reason: "log entry: expected a proof that leads from it",
		},
		"certificate of another signature": {
			forge: func(f *bundle) { f.VerificationMaterial.Certificate = theirs.VerificationMaterial.Certificate }, reason: "log entry: expected the entry of this signer, found that of another",
		},
		"subject replaced": {
			seed: 2, forge: func(f *bundle) { f.DSSEEnvelope.Payload = theirs.DSSEEnvelope.Payload }, reason: "log entry: expected the entry of this content, found that of other content",
		},
		"log index altered": {
			forge: func(f *bundle) {
				f.VerificationMaterial.TlogEntries[0]["logIndex"] = json.RawMessage(`"1099511627776"`)
			},
			reason: "log entry: expected a proof that leads from it, at index 1099511627776",
		},
		"checkpoint altered": {
			forge: func(f *bundle) {
				proof := f.VerificationMaterial.TlogEntries[0]["inclusionProof"]
				f.VerificationMaterial.TlogEntries[0]["inclusionProof"] = bytes.Replace(proof, []byte(`"envelope":"rekor.`), []byte(`"envelope":"rekon.`), 1)
			},
			reason: "log entry: expected a checkpoint that the trusted root's log",
		},
		"moved to another image": {seed: 2, forge: func(*bundle) {}, reason: "subject: expected " + another.DigestStr() + ", found " + image.DigestStr()},
	}
	for title, tt := range tests {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			target := push(t, host+"/forged/"+strings.ReplaceAll(strings.ReplaceAll(title, " ", "-"), "'", ""), max(tt.seed, 1))
			forged := bundleOf(t, image)
			tt.forge(&forged)
			attach(t, target, forged)
			got := b.verify(t, target, nil, b.by(person, b.sigstore.Issuer.People)...)
			code, state := 1, "invalid"
			if tt.reason == "" {
				code, state = 0, "verified"
			}
			if signature := got.States["signature"]; got.code != code || signature.State != state || !strings.Contains(signature.Reason, tt.reason) {
				t.Errorf("got exit code %d, %s: %s, want %d, %s: %s", got.code, signature.State, signature.Reason, code, state, tt.reason)
			}
		})
	}
}
