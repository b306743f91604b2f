package evidence

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/tallyman-io/tallyman/internal/release"
)

// Trust says whose signatures count. A paper holds when any one of the keys or
// identities made it.
type Trust struct {
	Keys       []Key
	Identities []Identity
	// TrustedRoot is a Sigstore trusted root (trusted_root.json) with the
	// certificate authorities, logs and timestamp authorities. Identities need it:
	// a certificate has to have a signed certificate timestamp, and a signature a
	// log entry, when the root has such logs.
	TrustedRoot []byte
	// RequireLog demands a log entry of signatures by key as well.
	RequireLog bool
	// Nobody is trust in nobody: papers are found and read, and a signed one is
	// unknown, not verified. Nothing else is set then.
	Nobody bool
}

// Key is a public key.
type Key struct {
	// Name is what people call it, such as the name of its file.
	Name string
	PEM  []byte
}

// Identity is who a certificate has to be for, exactly: a subject or a pattern of
// subjects, and the issuer of the token that proved it.
type Identity struct {
	Subject string
	// Pattern is a regular expression (RE2) for the whole subject, from ^ to $.
	Pattern string
	Issuer  string
}

// String names the identity in messages.
func (i Identity) String() string {
	subject := i.Subject
	if i.Pattern != "" {
		subject = "pattern " + i.Pattern
	}
	return release.Signer{Identity: subject, Issuer: i.Issuer}.String()
}

// trust is a Trust that was checked.
type trust struct {
	nobody     bool
	keys       []trialKey
	identities []Identity
	// keyless is nil without identities, and matching has one policy for each.
	keyless  *verify.Verifier
	matching verify.CertificateIdentities
	// logged: signatures by certificate, or by key, need a log entry.
	loggedCertificates, loggedKeys bool
}

// trialKey is a key with one verifier for each way in which it may have signed.
type trialKey struct {
	name      string
	public    crypto.PublicKey
	verifiers []*verify.Verifier
}

// compile checks a Trust. The error has every mistake.
func compile(t Trust) (*trust, error) {
	var mistakes []error
	if t.Nobody {
		if len(t.Keys)+len(t.Identities)+len(t.TrustedRoot) > 0 || t.RequireLog {
			return nil, errors.New("trust: expected either nobody or somebody, found both")
		}
		return &trust{nobody: true}, nil
	}
	if len(t.Keys) == 0 && len(t.Identities) == 0 {
		mistakes = append(mistakes, errors.New("trust: expected a key or an identity, found neither"))
	}
	var material root.TrustedMaterial = &root.BaseTrustedMaterial{}
	if len(t.TrustedRoot) > 0 {
		parsed, err := root.NewTrustedRootFromJSON(t.TrustedRoot)
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("trusted root: expected the JSON of a Sigstore trusted root: %w", err))
		} else {
			material = parsed
		}
	}
	c := &trust{identities: t.Identities, loggedKeys: t.RequireLog}
	if t.RequireLog && len(t.Keys) > 0 && len(material.RekorLogs()) == 0 {
		mistakes = append(mistakes, errors.New("trusted root: log entries are required, expected one with a transparency log, found none"))
	}
	for _, key := range t.Keys {
		trial, err := compileKey(key, material, t.RequireLog)
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("key %s: %w", key.Name, err))
		}
		c.keys = append(c.keys, trial)
	}
	if len(t.Identities) > 0 {
		mistakes = append(mistakes, c.compileKeyless(t, material))
	}
	if err := errors.Join(mistakes...); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *trust) compileKeyless(t Trust, material root.TrustedMaterial) error {
	var mistakes []error
	for _, identity := range t.Identities {
		if err := identity.check(); err != nil {
			mistakes = append(mistakes, err)
			continue
		}
		policy, err := verify.NewShortCertificateIdentity(identity.Issuer, "", identity.Subject, identity.Pattern)
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("identity %s: %w", identity, err))
		}
		c.matching = append(c.matching, policy)
	}
	if len(t.TrustedRoot) == 0 {
		mistakes = append(mistakes, errors.New("trusted root: identities need one, found none"))
		return errors.Join(mistakes...)
	}
	options := []verify.VerifierOption{verify.WithObserverTimestamps(1)}
	c.loggedCertificates = len(material.RekorLogs()) > 0
	if c.loggedCertificates {
		options = append(options, verify.WithTransparencyLog(1))
	}
	if len(material.CTLogs()) > 0 {
		options = append(options, verify.WithSignedCertificateTimestamps(1))
	}
	if len(material.FulcioCertificateAuthorities()) == 0 {
		mistakes = append(mistakes, errors.New("trusted root: identities need a certificate authority, found none"))
	}
	if !c.loggedCertificates && len(material.TimestampingAuthorities()) == 0 {
		mistakes = append(mistakes, errors.New("trusted root: expected a transparency log or a timestamp authority, "+
			"to know when a short-lived certificate signed; found neither"))
	}
	var err error
	c.keyless, err = verify.NewVerifier(material, options...)
	return errors.Join(append(mistakes, err)...)
}

func (i Identity) check() error {
	var mistakes []error
	if i.Issuer == "" {
		mistakes = append(mistakes, fmt.Errorf("identity %s: expected an exact issuer, found none", i))
	}
	switch {
	case (i.Subject == "") == (i.Pattern == ""):
		mistakes = append(mistakes, fmt.Errorf("identity %s: expected either a subject or a pattern, found %q and %q", i, i.Subject, i.Pattern))
	case i.Pattern != "":
		if err := anchored(i.Pattern); err != nil {
			mistakes = append(mistakes, fmt.Errorf("identity pattern %q: %w", i.Pattern, err))
		}
	}
	return errors.Join(mistakes...)
}

// anchored reports whether a pattern matches nothing but whole subjects. An
// unanchored one accepts whoever puts the wanted text into a longer name, and an
// anchor inside an alternative, as in ^a|b$, binds that alternative only.
func anchored(pattern string) error {
	if _, err := regexp.Compile(pattern); err != nil {
		return fmt.Errorf("expected a regular expression: %w", err)
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return fmt.Errorf("expected a regular expression: %w", err)
	}
	if parsed.Op == syntax.OpConcat && len(parsed.Sub) > 1 &&
		parsed.Sub[0].Op == syntax.OpBeginText && parsed.Sub[len(parsed.Sub)-1].Op == syntax.OpEndText {
		return nil
	}
	return errors.New("expected it anchored, from ^ to $ around all alternatives, as in ^(…|…)$")
}

func compileKey(key Key, material root.TrustedMaterial, logged bool) (trialKey, error) {
	trial := trialKey{name: key.Name}
	public, err := cryptoutils.UnmarshalPEMToPublicKey(key.PEM)
	if err != nil {
		return trial, fmt.Errorf("expected a public key in PEM: %w", err)
	}
	trial.public = public
	candidates, err := verifiersOf(public)
	if err != nil {
		return trial, err
	}
	options := []verify.VerifierOption{verify.WithNoObserverTimestamps()}
	if logged {
		options = append(options, verify.WithTransparencyLog(1))
	}
	for _, candidate := range candidates {
		v, err := verify.NewVerifier(keyMaterial{material, root.NewExpiringKey(candidate, time.Time{}, time.Time{})}, options...)
		if err != nil {
			return trial, err
		}
		trial.verifiers = append(trial.verifiers, v)
	}
	return trial, nil
}

// verifiersOf returns the ways in which signers use a key: with SHA-256 for every
// type, as cosign 2 does, and with the algorithm that Sigstore's registry has for
// the key since.
func verifiersOf(public crypto.PublicKey) ([]signature.Verifier, error) {
	plain, err := signature.LoadVerifier(public, crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("expected an ECDSA, RSA or Ed25519 key: %w", err)
	}
	verifiers := []signature.Verifier{plain}
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		if hash := hashOf(key.Curve); hash != crypto.SHA256 {
			v, err := signature.LoadVerifier(key, hash)
			if err != nil {
				return nil, err
			}
			verifiers = append(verifiers, v)
		}
	case ed25519.PublicKey:
		v, err := signature.LoadED25519phVerifier(key)
		if err != nil {
			return nil, err
		}
		verifiers = append(verifiers, v)
	}
	return verifiers, nil
}

func hashOf(curve elliptic.Curve) crypto.Hash {
	switch curve {
	case elliptic.P384():
		return crypto.SHA384
	case elliptic.P521():
		return crypto.SHA512
	default:
		return crypto.SHA256
	}
}

// keyMaterial is a trusted root with one key, which is tried whatever hint a
// bundle gives.
type keyMaterial struct {
	root.TrustedMaterial

	key root.TimeConstrainedVerifier
}

// PublicKeyVerifier implements [root.TrustedMaterial].
func (m keyMaterial) PublicKeyVerifier(string) (root.TimeConstrainedVerifier, error) {
	return m.key, nil
}

// expectedKeys and expectedIdentities say in messages what was expected.
func (c *trust) expectedKeys() string {
	names := make([]string, 0, len(c.keys))
	for _, key := range c.keys {
		names = append(names, release.Signer{Key: key.name}.String())
	}
	return strings.Join(names, " or ")
}

func (c *trust) expectedIdentities() string {
	names := make([]string, 0, len(c.identities))
	for _, identity := range c.identities {
		names = append(names, identity.String())
	}
	return strings.Join(names, " or ")
}

func (c *trust) expected() string {
	switch {
	case c.nobody:
		return "anybody"
	case len(c.keys) == 0:
		return expectedCertificate + c.expectedIdentities()
	case len(c.identities) == 0:
		return c.expectedKeys()
	default:
		return c.expectedKeys() + ", or " + expectedCertificate + c.expectedIdentities()
	}
}

const expectedCertificate = "a certificate for "
