package evidence

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/tallyman-io/tallyman/internal/release"
)

// maxSaid bounds how much of a library's or a paper's words is repeated, in bytes.
const maxSaid = 300

func clip(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "?")), " ")
	if len(s) > maxSaid {
		return strings.ToValidUTF8(s[:maxSaid], "") + "…"
	}
	return s
}

// judge verifies a signed paper and fills in what that gives: state, reason,
// signer, time and log index.
func (t *trust) judge(e *entity, subject release.Digest, paper *release.Paper) {
	paper.Signer, paper.LogIndex = t.claims(e), -1
	if t.nobody {
		t.hear(e, subject, paper)
		return
	}
	result, signer, err := t.verify(e, subject)
	if err == nil {
		err = e.about(subject)
		paper.Misplaced = err != nil
	}
	switch {
	case errors.Is(err, errUnsupported):
		paper.State, paper.Reason = release.StateUnknown, clip(err.Error())
		return
	case err != nil:
		paper.State, paper.Reason = release.StateInvalid, clip(err.Error())
		return
	}
	paper.State, paper.Signer = release.StateVerified, signer
	for _, stamp := range result.VerifiedTimestamps {
		if paper.SignedAt.IsZero() || stamp.Timestamp.Before(paper.SignedAt) {
			paper.SignedAt = stamp.Timestamp.UTC()
		}
	}
	if logged := t.logged(e); logged && len(e.entries) > 0 {
		paper.LogIndex = e.entries[0].LogIndex()
	}
}

// hear takes a signed paper at its word, for want of anybody to trust.
func (t *trust) hear(e *entity, subject release.Digest, paper *release.Paper) {
	paper.State, paper.Reason = release.StateUnknown, "signature: expected a key or an identity to verify it with, found neither"
	if err := e.about(subject); err != nil {
		paper.State, paper.Reason, paper.Misplaced = release.StateInvalid, clip(err.Error()), true
	}
}

func (t *trust) logged(e *entity) bool {
	if e.certificate() != nil {
		return t.loggedCertificates
	}
	return t.loggedKeys
}

// claims returns who the paper says that it is signed by.
func (t *trust) claims(e *entity) release.Signer {
	if cert := e.certificate(); cert != nil {
		if summary, err := certificate.SummarizeCertificate(cert); err == nil {
			return release.Signer{Identity: summary.SubjectAlternativeName, Issuer: summary.Issuer}
		}
	}
	return release.Signer{}
}

// verify returns who signed. The error says what was expected and found. What a
// paper holds is foreign bytes on the way through several parsers, and one that
// panics over them must not take the other papers along.
func (t *trust) verify(e *entity, subject release.Digest) (result *verify.VerificationResult, signer release.Signer, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("malformed paper: %v", p)
		}
	}()
	artifact, err := e.artifact(subject)
	if err != nil {
		return nil, release.Signer{}, err
	}
	if e.certificate() != nil {
		return t.verifyCertificate(e, artifact)
	}
	return t.verifyKeys(e, subject)
}

func (t *trust) verifyCertificate(e *entity, artifact verify.ArtifactPolicyOption) (*verify.VerificationResult, release.Signer, error) {
	found := t.claims(e)
	if t.keyless == nil {
		return nil, found, fmt.Errorf("signature: expected one by %s, found a certificate for %s", t.expectedKeys(), found)
	}
	options := make([]verify.PolicyOption, 0, len(t.matching))
	for _, identity := range t.matching {
		options = append(options, verify.WithCertificateIdentity(identity))
	}
	result, err := t.keyless.Verify(e, verify.NewPolicy(artifact, options...))
	if err != nil {
		return nil, found, t.explainCertificate(e, found, err)
	}
	summary := result.Signature.Certificate
	return result, release.Signer{Identity: summary.SubjectAlternativeName, Issuer: summary.Issuer}, nil
}

// verifyKeys tries each key. A hint that a bundle gives is no reason to skip one.
func (t *trust) verifyKeys(e *entity, subject release.Digest) (*verify.VerificationResult, release.Signer, error) {
	if len(t.keys) == 0 {
		return nil, release.Signer{}, fmt.Errorf("signature: expected %s, found one by a key", t.expected())
	}
	var closest error
	for _, key := range t.keys {
		for _, verifier := range key.verifiers {
			artifact, err := e.artifact(subject)
			if err != nil {
				return nil, release.Signer{}, err
			}
			result, err := verifier.Verify(e, verify.NewPolicy(artifact, verify.WithKey()))
			if err == nil {
				return result, release.Signer{Key: key.name}, nil
			}
			if closest == nil || strings.Contains(closest.Error(), "log certificate does not match") {
				closest = err
			}
		}
	}
	return nil, release.Signer{}, t.explainKey(e, closest)
}

func (t *trust) explainKey(e *entity, err error) error {
	if strings.HasPrefix(err.Error(), "failed to verify log inclusion") &&
		!strings.Contains(err.Error(), "log certificate does not match") && !t.loggedForAnother(e) {
		return explainLog(e, err)
	}
	found := "one of another key or of other content"
	if hint := e.material.PublicKey(); hint != nil && hint.Hint() != "" {
		found += fmt.Sprintf(" (key hint %.100s)", hint.Hint())
	}
	return fmt.Errorf("signature: expected one by %s over this content, found %s", t.expectedKeys(), found)
}

// loggedForAnother reports whether the entry of Rekor v2 is for a key that is not
// trusted. Such an entry is looked up by the hash of what was expected, and a
// verifier does not tell what differs.
func (t *trust) loggedForAnother(e *entity) bool {
	if len(e.entries) == 0 || !e.entries[0].IsRekorV2() {
		return false
	}
	logged := e.entries[0].PublicKey()
	if logged == nil {
		return false
	}
	for _, key := range t.keys {
		if cryptoutils.EqualKeys(key.public, logged) == nil {
			return false
		}
	}
	return true
}

// explainCertificate says in the words of this package what sigstore-go did not
// accept. sigstore-go verifies in steps, and its messages begin with the step.
func (t *trust) explainCertificate(e *entity, found release.Signer, err error) error {
	var mismatch *verify.ErrNoMatchingCertificateIdentity
	if errors.As(err, &mismatch) {
		return fmt.Errorf("identity: expected %s, found %s", t.expectedIdentities(), found)
	}
	text := err.Error()
	step := func(name string) bool { return strings.HasPrefix(text, "failed to "+name) }
	switch {
	case step("verify log inclusion"):
		return explainLog(e, err)
	case step("verify timestamps"):
		return explainTime(e, err)
	case step("verify leaf certificate"):
		return fmt.Errorf("certificate: expected one of the trusted root's authorities, valid when it signed; found one by %s for %s, %s: %w",
			e.certificate().Issuer, found, validity(e), err)
	case step("verify signed certificate timestamp"):
		return fmt.Errorf("certificate: expected an entry in a certificate log of the trusted root, found none that verifies: %w", err)
	case step("verify signature"):
		return fmt.Errorf("signature: expected one by %s over this content, found one over other content", found)
	default:
		return err
	}
}

// explainTime says why nobody knows when the signature was made. An entry of Rekor
// v2 has no time of its own.
func explainTime(e *entity, err error) error {
	const expected = "time of signing: expected one by a log or a timestamp authority of the trusted root"
	if len(e.stamps) == 0 {
		return fmt.Errorf("%s, found no timestamp and no log entry with one", expected)
	}
	return fmt.Errorf("%s, found %d %s that %s not verify: %w", expected, len(e.stamps), plural(len(e.stamps), "timestamp", "timestamps"),
		plural(len(e.stamps), "does", "do"), err)
}

func validity(e *entity) string {
	cert := e.certificate()
	return "valid from " + cert.NotBefore.UTC().Format(time.RFC3339) + " to " + cert.NotAfter.UTC().Format(time.RFC3339)
}

func explainLog(e *entity, err error) error {
	text := err.Error()
	switch {
	case strings.Contains(text, "unsupported entry type"):
		return fmt.Errorf("%w: log entry: %w", errUnsupported, err)
	case len(e.entries) == 0:
		return errors.New("log entry: expected one in a log of the trusted root, found none")
	case strings.Contains(text, "outside certificate validity"):
		return fmt.Errorf("certificate: expected one valid when the log saw the signature, at %s; found one %s",
			e.entries[0].IntegratedTime().UTC().Format(time.RFC3339), validity(e))
	case strings.Contains(text, "not enough verified log entries"):
		return fmt.Errorf("log entry: expected one in a log of the trusted root, found one in log %s that does not verify",
			hex.EncodeToString([]byte(e.entries[0].LogKeyID())))
	case strings.Contains(text, "log signature does not match"):
		return errors.New("log entry: expected the entry of this signature, found that of another")
	case strings.Contains(text, "log certificate does not match"):
		return errors.New("log entry: expected the entry of this signer, found that of another")
	case e.entries[0].IsRekorV2() && strings.Contains(text, "verifying log entry"):
		return explainInclusion(e, err)
	default:
		return fmt.Errorf("log entry: expected one that verifies: %w", err)
	}
}

// explainInclusion says what differs between a paper and its entry of Rekor v2. The
// verifier makes the entry that it expects of the paper, and knows no more than
// that the log does not have it.
func explainInclusion(e *entity, err error) error {
	entry := e.entries[0]
	const expected = "log entry: expected the entry of this "
	signer, logged := e.certificate(), entry.PublicKey()
	other, _ := logged.(*x509.Certificate)
	digest, _, _ := entry.GetHashedRekordDigest()
	switch {
	case strings.Contains(err.Error(), "checkpoint"):
		return fmt.Errorf("log entry: expected a checkpoint that the trusted root's log %s signed, found none that verifies: %w",
			hex.EncodeToString([]byte(entry.LogKeyID())), err)
	case !bytes.Equal(entry.Signature(), e.content.Signature()):
		return errors.New(expected + "signature, found that of another")
	case signer != nil && !signer.Equal(other):
		return errors.New(expected + "signer, found that of another")
	case !bytes.Equal(digest, e.digest(len(digest))):
		return errors.New(expected + "content, found that of other content")
	default:
		return fmt.Errorf("log entry: expected a proof that leads from it, at index %d, to the log's checkpoint; found one that leads elsewhere", entry.LogIndex())
	}
}
