// Package cosign signs and verifies with the cosign command, the way that
// anybody outside can repeat: what it runs is what docs/verify.md tells an
// auditor to run.
package cosign

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/retry"
	"github.com/tallyman-io/tallyman/internal/tool"
)

// Predicate types of the papers, by the names that `cosign attest --type`
// gives them.
const (
	SPDX       = "spdxjson"
	CycloneDX  = "cyclonedx"
	Provenance = "slsaprovenance1"
	VEX        = "openvex"
	// Summary has no short name.
	Summary = "https://slsa.dev/verification_summary/v1"
)

// Identity says whose signature counts, and how one is made.
//
// With Key set, a key signs: a file, or a KMS or hardware URI that cosign
// understands. Otherwise signing is keyless, and Subject and Issuer name the
// only certificate identity that verifies.
type Identity struct {
	Key       string // private key: file or URI
	PublicKey string // public key file; derived from Key when empty
	Subject   string // certificate identity, exact
	Issuer    string // OIDC issuer, exact
	// Log uploads signatures made with a key to the transparency log, and
	// demands the entry when verifying. Keyless always does both.
	Log bool
}

// IdentityFromEnv reads the identity that the release's environment gives:
// COSIGN_KEY, COSIGN_PUBLIC_KEY and TALLYMAN_TLOG for a key; for keyless
// TALLYMAN_SIGN_IDENTITY and TALLYMAN_SIGN_ISSUER, which GitHub Actions gives
// by itself (GITHUB_WORKFLOW_REF).
func IdentityFromEnv(getenv func(string) string) Identity {
	id := Identity{
		Key:       getenv("COSIGN_KEY"),
		PublicKey: getenv("COSIGN_PUBLIC_KEY"),
		Subject:   getenv("TALLYMAN_SIGN_IDENTITY"),
		Issuer:    getenv("TALLYMAN_SIGN_ISSUER"),
		Log:       getenv("TALLYMAN_TLOG") == "true",
	}
	if ref := getenv("GITHUB_WORKFLOW_REF"); id.Subject == "" && ref != "" {
		id.Subject = "https://github.com/" + ref
	}
	if id.Issuer == "" && getenv("GITHUB_ACTIONS") == "true" {
		id.Issuer = "https://token.actions.githubusercontent.com"
	}
	return id
}

// ErrNoIdentity is returned when there is nothing to sign or verify with.
var ErrNoIdentity = errors.New("nothing to sign with")

// CheckSigning says whether a signature could be made at all, before anything
// is built. getenv is asked for the OIDC token sources that cosign knows.
func (id Identity) CheckSigning(getenv func(string) string) error {
	if id.Key != "" {
		if strings.Contains(id.Key, "://") {
			return nil
		}
		if _, err := os.Stat(id.Key); err != nil {
			return fmt.Errorf("%w: COSIGN_KEY: %w; expected the file of a private key, or a KMS URI", ErrNoIdentity, err)
		}
		return nil
	}
	if getenv("ACTIONS_ID_TOKEN_REQUEST_URL") == "" && getenv("SIGSTORE_ID_TOKEN") == "" {
		return fmt.Errorf("%w: COSIGN_KEY is not set and there is no OIDC token "+
			"(GitHub Actions: `id-token: write`; elsewhere: SIGSTORE_ID_TOKEN)", ErrNoIdentity)
	}
	return id.checkKeyless()
}

func (id Identity) checkKeyless() error {
	if id.Subject == "" || id.Issuer == "" {
		return fmt.Errorf("%w: keyless needs an exact identity and issuer: set TALLYMAN_SIGN_IDENTITY and TALLYMAN_SIGN_ISSUER, "+
			"found %q and %q", ErrNoIdentity, id.Subject, id.Issuer)
	}
	return nil
}

// Client runs cosign as one identity.
type Client struct {
	box    tool.Box
	id     Identity
	pubKey string
	pause  retry.Wait
}

// New returns a client. stateDir keeps the public half of a key that only its
// private half was given of.
func New(ctx context.Context, box tool.Box, id Identity, stateDir string) (*Client, error) {
	c := &Client{box: box, id: id, pubKey: id.PublicKey, pause: retry.Sleep}
	if id.Key == "" && id.PublicKey == "" {
		return c, id.checkKeyless()
	}
	if c.pubKey != "" {
		return c, nil
	}
	pem, err := box.Run(ctx, "cosign", "public-key", "--key", id.Key)
	if err != nil {
		return nil, fmt.Errorf("derive the public key of COSIGN_KEY: %w", err)
	}
	if err := os.MkdirAll(stateDir, 0o750); err != nil {
		return nil, fmt.Errorf("keep the public key: %w", err)
	}
	c.pubKey = filepath.Join(stateDir, "cosign.pub")
	if err := os.WriteFile(c.pubKey, pem, 0o644); err != nil { //nolint:gosec // a public key
		return nil, fmt.Errorf("keep the public key: %w", err)
	}
	return c, nil
}

// Keyed reports whether a key verifies, rather than a certificate identity.
func (c *Client) Keyed() bool { return c.pubKey != "" }

// VerifyFlags are the flags of `cosign verify…` that name this identity: what
// an outsider would type.
func (c *Client) VerifyFlags() []string {
	if !c.Keyed() {
		return []string{"--certificate-identity", c.id.Subject, "--certificate-oidc-issuer", c.id.Issuer}
	}
	flags := []string{"--key", c.pubKey}
	if !c.id.Log {
		flags = append(flags, "--insecure-ignore-tlog=true")
	}
	return flags
}

func (c *Client) signFlags() []string {
	flags := []string{"--yes"}
	if c.id.Key != "" {
		flags = append(flags, "--key", c.id.Key, fmt.Sprintf("--tlog-upload=%t", c.id.Log))
	}
	return flags
}

// SignIndex signs ref (name@digest of an index) and each of its platform
// manifests.
func (c *Client) SignIndex(ctx context.Context, ref string) error {
	args := append([]string{"sign", "--recursive"}, c.signFlags()...)
	if _, err := c.retry(ctx, append(args, ref)...); err != nil {
		return fmt.Errorf("sign %s: %w", ref, err)
	}
	return nil
}

// Attest puts the predicate in file on ref (name@digest) as an in-toto
// attestation of the given type.
func (c *Client) Attest(ctx context.Context, ref, predicateType, file string) error {
	args := append([]string{"attest", "--type", predicateType, "--predicate", file}, c.signFlags()...)
	if _, err := c.retry(ctx, append(args, ref)...); err != nil {
		return fmt.Errorf("attest %s with %s: %w", ref, predicateType, err)
	}
	return nil
}

// SignBlob signs a file and writes the Sigstore bundle.
func (c *Client) SignBlob(ctx context.Context, file, bundle string) error {
	args := append([]string{"sign-blob", "--bundle", bundle}, c.signFlags()...)
	if _, err := c.retry(ctx, append(args, file)...); err != nil {
		return fmt.Errorf("sign %s: %w", file, err)
	}
	return nil
}

// VerifyBlob checks that the Sigstore bundle has a signature of the identity over the
// file.
func (c *Client) VerifyBlob(ctx context.Context, file, bundle string) error {
	args := append([]string{"verify-blob", "--bundle", bundle}, c.VerifyFlags()...)
	if _, err := c.retry(ctx, append(args, file)...); err != nil {
		return fmt.Errorf("verify %s: %w", file, err)
	}
	return nil
}

// Verify checks that ref carries a signature of the identity.
func (c *Client) Verify(ctx context.Context, ref string) error {
	args := append([]string{"verify", "--output", "json"}, c.VerifyFlags()...)
	if _, err := c.retry(ctx, append(args, ref)...); err != nil {
		return fmt.Errorf("verify %s: %w", ref, err)
	}
	return nil
}

// Attestations returns the predicates of one type on ref whose signatures
// verify, as raw JSON. None at all is an error: cosign does not tell "absent"
// from "invalid".
func (c *Client) Attestations(ctx context.Context, ref, predicateType string) ([]json.RawMessage, error) {
	args := append([]string{"verify-attestation", "--type", predicateType, "--output", "json"}, c.VerifyFlags()...)
	out, err := c.retry(ctx, append(args, ref)...)
	if err != nil {
		return nil, fmt.Errorf("verify %s attestation of %s: %w", predicateType, ref, err)
	}
	predicates, err := parseEnvelopes(out)
	if err != nil {
		return nil, fmt.Errorf("verify %s attestation of %s: read cosign's answer: %w", predicateType, ref, err)
	}
	return predicates, nil
}

// parseEnvelopes reads what `cosign verify-attestation` prints: one DSSE
// envelope a line, whose payload is an in-toto statement.
func parseEnvelopes(out []byte) ([]json.RawMessage, error) {
	var predicates []json.RawMessage
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 256<<20)
	for lines.Scan() {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 || line[0] != '{' {
			continue
		}
		var envelope struct {
			Payload string `json:"payload"`
		}
		if err := json.Unmarshal(line, &envelope); err != nil {
			return nil, fmt.Errorf("envelope: %w", err)
		}
		payload, err := base64.StdEncoding.DecodeString(envelope.Payload)
		if err != nil {
			return nil, fmt.Errorf("payload: %w", err)
		}
		var statement struct {
			Predicate json.RawMessage `json:"predicate"`
		}
		if err := json.Unmarshal(payload, &statement); err != nil {
			return nil, fmt.Errorf("statement: %w", err)
		}
		predicates = append(predicates, statement.Predicate)
	}
	return predicates, lines.Err()
}

// retry runs cosign again while the registry, or a Sigstore service, only
// asks for patience.
func (c *Client) retry(ctx context.Context, args ...string) (out []byte, err error) {
	err = retry.Do(ctx, c.pause, func() (err error) {
		out, err = c.box.Run(ctx, "cosign", args...)
		return err
	}, func(err error) (time.Duration, bool) { return 0, Passing(err) })
	return out, err
}

// passingSigns are fragments of cosign's messages for faults that a later
// attempt may not meet.
var passingSigns = []string{ //nolint:gochecknoglobals // a constant list
	// Error codes of registries: distribution specification, "Error Codes", and
	// UNAVAILABLE, which the reference implementation answers 503 with.
	"TOOMANYREQUESTS", "UNAVAILABLE: ", "429 Too Many Requests", "status code 429",
	"500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout",
	"status code 500", "status code 502", "status code 503", "status code 504",
	"connection reset by peer", "connection refused", "unexpected EOF", ": EOF", "i/o timeout", "TLS handshake timeout",
	"broken pipe", "server closed idle connection",
}

// Passing reports whether a failed command met a fault that may pass: the
// registry throttled it, broke, or the connection was cut.
func Passing(err error) bool {
	var failure *tool.Failure
	if !errors.As(err, &failure) {
		return false
	}
	for _, sign := range passingSigns {
		if strings.Contains(failure.Stderr, sign) {
			return true
		}
	}
	return false
}
