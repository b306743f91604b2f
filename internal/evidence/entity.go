package evidence

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	_ "crypto/sha512" // the larger hashes of digest
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	intoto "github.com/in-toto/attestation/go/v1"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/tallyman-io/tallyman/internal/release"
)

// errUnsupported marks a paper that is well made in a way that is not understood.
var errUnsupported = errors.New("unsupported")

// entity is a signed paper, as a verifier wants to see it.
type entity struct {
	version  string
	material verify.VerificationContent
	content  verify.SignatureContent
	entries  []*tlog.Entry
	stamps   [][]byte

	// statement is set for an attestation; signed are the subjects of anything else.
	statement *statement
	signed    []string
	// payload is the content of a plain signature, nil when the signature is over
	// the image itself.
	payload []byte
}

// Version implements [verify.SignedEntity], as the methods after it do.
func (e *entity) Version() (string, error) { return e.version, nil }

// VerificationContent returns the certificate or the key's hint.
func (e *entity) VerificationContent() (verify.VerificationContent, error) { return e.material, nil }

// SignatureContent returns the signature with what it is over.
func (e *entity) SignatureContent() (verify.SignatureContent, error) { return e.content, nil }

// TlogEntries returns the entries of transparency logs.
func (e *entity) TlogEntries() ([]*tlog.Entry, error) { return e.entries, nil }

// Timestamps returns the signed timestamps (RFC 3161).
func (e *entity) Timestamps() ([][]byte, error) { return e.stamps, nil }

// HasInclusionPromise reports whether a log promised to include the entry.
func (e *entity) HasInclusionPromise() bool {
	for _, entry := range e.entries {
		if entry.HasInclusionPromise() {
			return true
		}
	}
	return false
}

// HasInclusionProof reports whether a log proved that it includes the entry.
func (e *entity) HasInclusionProof() bool {
	for _, entry := range e.entries {
		if entry.HasInclusionProof() {
			return true
		}
	}
	return false
}

// about returns nil when the paper is about the digest.
func (e *entity) about(subject release.Digest) error {
	if e.statement != nil {
		return e.statement.about(subject)
	}
	if len(e.signed) == 1 && e.signed[0] == string(subject) {
		return nil
	}
	return aboutAnother(subject, e.signed)
}

// envelopeContent is a DSSE envelope whose statement was read before. sigstore-go
// would make a tree of messages of the whole predicate, for a caller that wants it.
type envelopeContent struct {
	bundle.Envelope

	statement *statement
}

// EnvelopeContent implements [verify.SignatureContent].
func (e *envelopeContent) EnvelopeContent() verify.EnvelopeContent { return e }

// Statement implements [verify.EnvelopeContent], without the predicate.
func (e *envelopeContent) Statement() (*intoto.Statement, error) {
	return &intoto.Statement{PredicateType: e.statement.predicateType}, nil
}

func (e *entity) setEnvelope(envelope *dsse.Envelope, payload []byte) error {
	parsed, err := parseStatement(payload)
	if err != nil {
		return err
	}
	e.statement = &parsed
	e.content = &envelopeContent{Envelope: bundle.Envelope{Envelope: envelope}, statement: &parsed}
	return nil
}

// fromBundle reads a Sigstore bundle, versions 0.1 to 0.3
// (https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto).
func fromBundle(b []byte) (*entity, error) {
	if err := checkJSON(b); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	var parsed bundle.Bundle
	if err := parsed.UnmarshalJSON(b); err != nil {
		if errors.Is(err, bundle.ErrUnsupportedMediaType) {
			return nil, fmt.Errorf("%w: bundle: expected version 0.1 to 0.3: %w", errUnsupported, err)
		}
		return nil, fmt.Errorf("bundle: %w", err)
	}
	e := &entity{}
	var err error
	if e.version, err = parsed.Version(); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	if e.material, err = parsed.VerificationContent(); err != nil {
		return nil, fmt.Errorf("bundle: verification material: %w", err)
	}
	if e.entries, err = parsed.TlogEntries(); err != nil {
		return nil, fmt.Errorf("bundle: log entries: %w", err)
	}
	if e.stamps, err = parsed.Timestamps(); err != nil {
		return nil, fmt.Errorf("bundle: timestamps: %w", err)
	}
	content, err := parsed.SignatureContent()
	if err != nil {
		return nil, fmt.Errorf("bundle: content: %w", err)
	}
	if envelope := content.EnvelopeContent(); envelope != nil {
		payload, err := checkEnvelope(envelope.RawEnvelope())
		if err != nil {
			return nil, fmt.Errorf("bundle: %w", err)
		}
		if err := e.setEnvelope(envelope.RawEnvelope(), payload); err != nil {
			return nil, fmt.Errorf("bundle: %w", err)
		}
		return e, nil
	}
	e.content = content
	e.signed = []string{"sha256:" + hex.EncodeToString(content.MessageSignatureContent().Digest())}
	return e, nil
}

// Annotations of cosign 2 on the layer of a signature or attestation (cosign,
// specs/SIGNATURE_SPEC.md).
const (
	annotationSignature   = "dev.cosignproject.cosign/signature"
	annotationCertificate = "dev.sigstore.cosign/certificate"
	annotationLog         = "dev.sigstore.cosign/bundle"
	annotationTimestamp   = "dev.sigstore.cosign/rfc3161timestamp"
)

// fromTag reads the layer of a .sig or .att tag of cosign 2.
func fromTag(f format, b []byte, annotations map[string]string) (*entity, error) {
	// The version makes sigstore-go accept the hashes that cosign 2 used with large
	// ECDSA keys.
	e := &entity{version: "v0.1", material: &bundle.PublicKey{}}
	if f == formatEnvelope {
		envelope, payload, err := parseEnvelope(b)
		if err != nil {
			return nil, err
		}
		if err := e.setEnvelope(envelope, payload); err != nil {
			return nil, err
		}
	} else if err := e.setSimple(b, annotations[annotationSignature]); err != nil {
		return nil, err
	}
	if pem := annotations[annotationCertificate]; pem != "" {
		chain, err := cryptoutils.UnmarshalCertificatesFromPEM([]byte(pem))
		if err != nil || len(chain) == 0 {
			return nil, fmt.Errorf("annotation %s: expected a certificate in PEM: %w", annotationCertificate, orNone(err))
		}
		e.material = bundle.NewCertificate(chain[0])
	}
	if err := e.setLog(annotations[annotationLog]); err != nil {
		return nil, fmt.Errorf("annotation %s: %w", annotationLog, err)
	}
	if err := e.setTimestamp(annotations[annotationTimestamp]); err != nil {
		return nil, fmt.Errorf("annotation %s: %w", annotationTimestamp, err)
	}
	return e, nil
}

func orNone(err error) error {
	if err == nil {
		return errors.New("found none")
	}
	return err
}

func (e *entity) setSimple(payload []byte, encoded string) error {
	if encoded == "" {
		return fmt.Errorf("annotation %s: expected a signature in base64, found none", annotationSignature)
	}
	sig, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return fmt.Errorf("annotation %s: expected base64: %w", annotationSignature, err)
	}
	digest, err := parseSimple(payload)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(payload)
	e.payload, e.signed = payload, []string{digest}
	e.content = bundle.NewMessageSignature(sum[:], protocommon.HashAlgorithm_SHA2_256.String(), sig)
	return nil
}

// setLog reads the log entry that cosign 2 kept, which is one of Rekor v1 with a
// promise of inclusion.
func (e *entity) setLog(annotation string) error {
	if annotation == "" {
		return nil
	}
	var kept struct {
		SignedEntryTimestamp []byte
		Payload              struct {
			Body           []byte `json:"body"`
			IntegratedTime int64  `json:"integratedTime"`
			LogIndex       int64  `json:"logIndex"`
			LogID          string `json:"logID"` //nolint:tagliatelle // the format's name
		}
	}
	if err := json.Unmarshal([]byte(annotation), &kept); err != nil {
		return fmt.Errorf("expected a log entry in JSON: %w", err)
	}
	var body struct {
		Kind       string `json:"kind"`
		APIVersion string `json:"apiVersion"`
	}
	if err := json.Unmarshal(kept.Payload.Body, &body); err != nil {
		return fmt.Errorf("body: %w", err)
	}
	id, err := hex.DecodeString(kept.Payload.LogID)
	if err != nil {
		return fmt.Errorf("logID: %w", err)
	}
	if body.Kind == "intoto" && body.APIVersion == "0.0.1" || body.Kind == "rekord" {
		return fmt.Errorf("%w: log entry: expected hashedrekord, dsse or intoto 0.0.2, found %s %s", errUnsupported, body.Kind, body.APIVersion)
	}
	entry, err := tlog.ParseTransparencyLogEntry(&protorekor.TransparencyLogEntry{
		LogIndex:          kept.Payload.LogIndex,
		LogId:             &protocommon.LogId{KeyId: id},
		KindVersion:       &protorekor.KindVersion{Kind: body.Kind, Version: body.APIVersion},
		IntegratedTime:    kept.Payload.IntegratedTime,
		InclusionPromise:  &protorekor.InclusionPromise{SignedEntryTimestamp: kept.SignedEntryTimestamp},
		CanonicalizedBody: kept.Payload.Body,
	})
	if err != nil {
		return fmt.Errorf("log entry: %w", err)
	}
	e.entries = []*tlog.Entry{entry}
	return nil
}

func (e *entity) setTimestamp(annotation string) error {
	if annotation == "" {
		return nil
	}
	var kept struct {
		SignedRFC3161Timestamp []byte
	}
	if err := json.Unmarshal([]byte(annotation), &kept); err != nil {
		return fmt.Errorf("expected a timestamp in JSON: %w", err)
	}
	e.stamps = [][]byte{kept.SignedRFC3161Timestamp}
	return nil
}

// artifact is what sigstore-go is to check the signature against. The subject of a
// statement is compared by [entity.about], which can say what it found.
func (e *entity) artifact(subject release.Digest) (verify.ArtifactPolicyOption, error) {
	switch {
	case e.statement != nil:
		return verify.WithoutArtifactUnsafe(), nil
	case e.payload != nil:
		return verify.WithArtifact(bytes.NewReader(e.payload)), nil
	default:
		raw, err := hex.DecodeString(string(subject)[len("sha256:"):])
		if err != nil {
			return nil, fmt.Errorf("subject %q: %w", subject, err)
		}
		return verify.WithArtifactDigest("sha256", raw), nil
	}
}

// digest is the hash, of so many bytes, of what the signature is over; nil for a
// size that no hash of the SHA-2 family in use has.
func (e *entity) digest(size int) []byte {
	envelope := e.content.EnvelopeContent()
	if envelope == nil {
		return e.content.MessageSignatureContent().Digest()
	}
	payload, err := envelope.RawEnvelope().DecodeB64Payload()
	if err != nil {
		return nil
	}
	signed := dsse.PAE(envelope.RawEnvelope().PayloadType, payload)
	for _, hash := range []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512} {
		if hash.Size() == size {
			h := hash.New()
			h.Write(signed)
			return h.Sum(nil)
		}
	}
	return nil
}

func (e *entity) certificate() *x509.Certificate { return e.material.Certificate() }
