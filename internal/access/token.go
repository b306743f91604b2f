package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/tallyman-io/tallyman/internal/grant"
)

const (
	// tokenPrefix lets scanners for leaked secrets recognise a token.
	tokenPrefix = "tally_"
	idBytes     = 10 // 80 bits: no two are equal in practice
	secretBytes = 32
	// tokenForm takes those that we make and those that an operator makes up for
	// access.bootstrap_token: tally_first_$(openssl rand -hex 32). 43 characters of 62
	// hold 256 bits.
	tokenForm = `^tally_([a-z0-9]{4,32})_[A-Za-z0-9]{43,128}$` //nolint:gosec // a pattern, not a token
)

// newToken makes a token of 256 random bits, and its id.
func newToken(random io.Reader) (token, id string, err error) {
	b := make([]byte, idBytes+secretBytes)
	if _, err := io.ReadFull(random, b); err != nil {
		return "", "", fmt.Errorf("make a token: read randomness: %w", err)
	}
	text := func(b []byte) string {
		return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
	}
	id = text(b[:idBytes])
	return tokenPrefix + id + "_" + text(b[idBytes:]), id, nil
}

// newID makes a random id of 256 bits, for a cookie.
func newID(random io.Reader) (string, error) {
	b := make([]byte, secretBytes)
	if _, err := io.ReadFull(random, b); err != nil {
		return "", fmt.Errorf("make an id: read randomness: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b), nil
}

// parser takes the id out of what may be a token.
type parser struct{ form *regexp.Regexp }

func newParser() parser { return parser{regexp.MustCompile(tokenForm)} }

// id returns false for what is no token at all.
func (p parser) id(token string) (string, bool) {
	m := p.form.FindStringSubmatch(token)
	if m == nil {
		return "", false
	}
	return m[1], true
}

// hashOf is what is kept of a token or of the id of a session.
func hashOf(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// belongs reports, in a time that does not depend on where they differ, whether a token is the
// one that is kept.
func belongs(token string, kept *grant.Token) bool {
	return subtle.ConstantTimeCompare(hashOf(token), kept.Hash) == 1
}
