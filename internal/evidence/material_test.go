package evidence_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/release"
)

const (
	spdxType   = "https://spdx.dev/Document"
	spdx       = `{"spdxVersion":"SPDX-2.3"}`
	simpleType = "application/vnd.dev.cosign.simplesigning.v1+json"
	dsseType   = "application/vnd.dsse.envelope.v1+json"
	bundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"

	alice  = "alice@example.com"
	issuer = "https://issuer.example.com"
)

// keyPair signs as cosign does with a key.
type keyPair struct {
	t       testing.TB
	private *ecdsa.PrivateKey
}

func newKey(t testing.TB) keyPair {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return keyPair{t, private}
}

func (k keyPair) trust(name string) evidence.Trust {
	k.t.Helper()
	der, err := x509.MarshalPKIXPublicKey(k.private.Public())
	if err != nil {
		k.t.Fatal(err)
	}
	return evidence.Trust{Keys: []evidence.Key{{Name: name, PEM: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})}}}
}

func (k keyPair) sign(b []byte) []byte {
	k.t.Helper()
	sum := sha256.Sum256(b)
	sig, err := ecdsa.SignASN1(rand.Reader, k.private, sum[:])
	if err != nil {
		k.t.Fatal(err)
	}
	return sig
}

func simple(subject release.Digest) []byte {
	return fmt.Appendf(nil, `{"critical":{"identity":{"docker-reference":"acme/web"},"image":{"docker-manifest-digest":%q},`+
		`"type":"cosign container image signature"},"optional":null}`, subject)
}

func statement(subject release.Digest, predicateType, predicate string) []byte {
	return fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","predicateType":%q,`+
		`"subject":[{"name":"acme/web","digest":{"sha256":%q}}],"predicate":%s}`,
		predicateType, string(subject)[len("sha256:"):], predicate)
}

const payloadType = "application/vnd.in-toto+json"

// envelope is a DSSE envelope, signed.
func (k keyPair) envelope(payload []byte) []byte {
	k.t.Helper()
	return dsseJSON(k.t, payload, k.signStatement(payload))
}

func (k keyPair) signStatement(payload []byte) []byte {
	return k.sign(fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload))
}

func dsseJSON(t testing.TB, payload, sig []byte) []byte {
	t.Helper()
	return marshal(t, map[string]any{
		"payloadType": payloadType, "payload": base64.StdEncoding.EncodeToString(payload),
		"signatures": []map[string]string{{"sig": base64.StdEncoding.EncodeToString(sig)}},
	})
}

func (k keyPair) bundle(payload []byte) []byte {
	k.t.Helper()
	return protoJSON(k.t, &protobundle.Bundle{
		MediaType: bundleType,
		VerificationMaterial: &protobundle.VerificationMaterial{
			Content: &protobundle.VerificationMaterial_PublicKey{PublicKey: &protocommon.PublicKeyIdentifier{Hint: "a hint"}},
		},
		Content: dsseContent(payload, k.signStatement(payload)),
	})
}

func dsseContent(payload, sig []byte) *protobundle.Bundle_DsseEnvelope {
	return &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{
		PayloadType: payloadType, Payload: payload, Signatures: []*protodsse.Signature{{Sig: sig}},
	}}
}

func protoJSON(t testing.TB, b *protobundle.Bundle) []byte {
	t.Helper()
	out, err := protojson.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// sigstore is a private Sigstore: certificate authority, log and timestamps.
type sigstore struct {
	t  testing.TB
	ca *ca.VirtualSigstore
}

func newSigstore(t testing.TB) sigstore {
	t.Helper()
	virtual, err := ca.NewVirtualSigstore()
	if err != nil {
		t.Fatal(err)
	}
	return sigstore{t, virtual}
}

// logID is the hash of the log's key.
func (s sigstore) logID() []byte {
	s.t.Helper()
	text, err := s.ca.RekorLogID()
	if err != nil {
		s.t.Fatal(err)
	}
	id, err := hex.DecodeString(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return id
}

// root is the trusted root as a file has it.
func (s sigstore) root() []byte {
	s.t.Helper()
	logs := s.ca.RekorLogs()
	for _, log := range logs {
		log.ID = s.logID()
	}
	trusted, err := root.NewTrustedRoot(root.TrustedRootMediaType01, s.ca.FulcioCertificateAuthorities(), nil, s.ca.TimestampingAuthorities(), logs)
	if err != nil {
		s.t.Fatal(err)
	}
	b, err := trusted.MarshalJSON()
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

func (s sigstore) trust(identities ...evidence.Identity) evidence.Trust {
	s.t.Helper()
	if len(identities) == 0 {
		identities = []evidence.Identity{{Subject: alice, Issuer: issuer}}
	}
	return evidence.Trust{Identities: identities, TrustedRoot: s.root()}
}

// signed is what a private Sigstore made, taken apart.
type signed struct {
	certificate *x509.Certificate
	payload     []byte
	signature   []byte
	entry       *protorekor.TransparencyLogEntry
	stamps      [][]byte
}

func (s sigstore) take(entity verify.SignedEntity, payload []byte) signed {
	s.t.Helper()
	content, err := entity.SignatureContent()
	if err != nil {
		s.t.Fatal(err)
	}
	material, err := entity.VerificationContent()
	if err != nil {
		s.t.Fatal(err)
	}
	entries, err := entity.TlogEntries()
	if err != nil {
		s.t.Fatal(err)
	}
	stamps, err := entity.Timestamps()
	if err != nil {
		s.t.Fatal(err)
	}
	entry := entries[0].TransparencyLogEntry()
	var body struct{ Kind, APIVersion string }
	if err := json.Unmarshal(entry.GetCanonicalizedBody(), &body); err != nil {
		s.t.Fatal(err)
	}
	entry.KindVersion = &protorekor.KindVersion{Kind: body.Kind, Version: body.APIVersion}
	return signed{material.Certificate(), payload, content.Signature(), entry, stamps}
}

// attest signs a statement; the log sees it so long after.
func (s sigstore) attest(who, by string, payload []byte, after time.Duration) signed {
	s.t.Helper()
	entity, err := s.ca.AttestAtTime(who, by, payload, time.Now().Add(after), true)
	if err != nil {
		s.t.Fatal(err)
	}
	got := s.take(entity, payload)
	got.entry.InclusionPromise = &protorekor.InclusionPromise{SignedEntryTimestamp: s.promise(got.entry)}
	return got
}

// attestV2 is attest with Rekor v2, which gives no time of its own.
func (s sigstore) attestV2(who, by string, payload []byte) signed {
	s.t.Helper()
	entity, err := s.ca.AttestHashedRekordV2(who, by, payload)
	if err != nil {
		s.t.Fatal(err)
	}
	got := s.take(entity, payload)
	got.entry.IntegratedTime = 0
	return got
}

// signSimple signs the payload of a plain signature.
func (s sigstore) signSimple(who, by string, payload []byte) signed {
	s.t.Helper()
	entity, err := s.ca.Sign(who, by, payload)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.take(entity, payload)
}

func (s sigstore) promise(entry *protorekor.TransparencyLogEntry) []byte {
	s.t.Helper()
	set, err := s.ca.RekorSignPayload(tlog.RekorPayload{
		Body: base64.StdEncoding.EncodeToString(entry.GetCanonicalizedBody()), IntegratedTime: entry.GetIntegratedTime(),
		LogIndex: entry.GetLogIndex(), LogID: hex.EncodeToString(entry.GetLogId().GetKeyId()),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return set
}

// annotations are those that cosign 2 puts on a layer.
func (s sigstore) annotations(x signed) map[string]string {
	s.t.Helper()
	return map[string]string{
		"dev.cosignproject.cosign/signature": base64.StdEncoding.EncodeToString(x.signature),
		"dev.sigstore.cosign/certificate":    string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: x.certificate.Raw})),
		"dev.sigstore.cosign/bundle": string(marshal(s.t, map[string]any{
			"SignedEntryTimestamp": s.promise(x.entry),
			"Payload": map[string]any{
				"body": x.entry.GetCanonicalizedBody(), "integratedTime": x.entry.GetIntegratedTime(),
				"logIndex": x.entry.GetLogIndex(), "logID": hex.EncodeToString(x.entry.GetLogId().GetKeyId()),
			},
		})),
	}
}

// bundle puts the parts together again.
func (x signed) bundle(t testing.TB) []byte {
	t.Helper()
	material := &protobundle.VerificationMaterial{
		Content: &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: x.certificate.Raw}},
	}
	if x.entry != nil {
		material.TlogEntries = []*protorekor.TransparencyLogEntry{x.entry}
	}
	for _, stamp := range x.stamps {
		if material.TimestampVerificationData == nil {
			material.TimestampVerificationData = &protobundle.TimestampVerificationData{}
		}
		material.TimestampVerificationData.Rfc3161Timestamps = append(material.TimestampVerificationData.Rfc3161Timestamps,
			&protocommon.RFC3161SignedTimestamp{SignedTimestamp: stamp})
	}
	return protoJSON(t, &protobundle.Bundle{MediaType: bundleType, VerificationMaterial: material, Content: dsseContent(x.payload, x.signature)})
}

// attach puts a bundle beside the index, as a referrer.
func (s *shelf) attach(b []byte, predicateType string) {
	s.t.Helper()
	annotations := map[string]string{}
	if predicateType != "" {
		annotations["dev.sigstore.bundle.predicateType"] = predicateType
	}
	s.put("", s.artifact(s.index, annotations, s.blob(bundleType, b, nil)))
}

// sigTag puts plain signatures of cosign 2 beside the index.
func (s *shelf) sigTag(layers ...v1.Descriptor) {
	s.put(tagOf(s.index, ".sig"), s.artifact("", nil, layers...))
}

func (s *shelf) attTag(layers ...v1.Descriptor) {
	s.put(tagOf(s.index, ".att"), s.artifact("", nil, layers...))
}

func (k keyPair) simpleLayer(s *shelf, subject release.Digest) v1.Descriptor {
	payload := simple(subject)
	return s.blob(simpleType, payload, map[string]string{
		"dev.cosignproject.cosign/signature": base64.StdEncoding.EncodeToString(k.sign(payload)),
	})
}

// messageBundle is a bundle with a signature over the bytes of a manifest.
func (k keyPair) messageBundle(s *shelf, subject release.Digest) []byte {
	k.t.Helper()
	content, err := client().Manifest(k.t.Context(), s.repository, string(subject))
	if err != nil {
		k.t.Fatal(err)
	}
	sum := sha256.Sum256(content.Body)
	return protoJSON(k.t, &protobundle.Bundle{
		MediaType: bundleType,
		VerificationMaterial: &protobundle.VerificationMaterial{
			Content: &protobundle.VerificationMaterial_PublicKey{PublicKey: &protocommon.PublicKeyIdentifier{}},
		},
		Content: &protobundle.Bundle_MessageSignature{MessageSignature: &protocommon.MessageSignature{
			MessageDigest: &protocommon.HashOutput{Algorithm: protocommon.HashAlgorithm_SHA2_256, Digest: sum[:]},
			Signature:     k.sign(content.Body),
		}},
	})
}

// attachSBOM puts an SBOM under the .sbom tag, and signs its artifact.
func (s *shelf) attachSBOM(key keyPair) {
	s.t.Helper()
	artifact := s.artifact("", nil, s.blob("text/spdx+json", []byte(spdx), nil))
	s.put(tagOf(s.index, ".sbom"), artifact)
	digest := release.Digest(hashOf(artifact.body).String())
	s.put(tagOf(digest, ".sig"), s.artifact("", nil, key.simpleLayer(s, digest)))
}
