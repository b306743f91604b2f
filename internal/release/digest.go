package release

import (
	"fmt"
	"strings"
)

// Digest identifies content by its hash, as "sha256:<64 hex digits>". The zero
// value is no digest.
//
// Only SHA-256 is accepted: it is the one algorithm that every registry must
// support (OCI image specification, descriptor.md, "Registered algorithms").
type Digest string

const (
	digestPrefix = "sha256:"
	digestHexLen = 64
)

// ParseDigest returns s as a digest. The error says what was expected.
func ParseDigest(s string) (Digest, error) {
	hex, ok := strings.CutPrefix(s, digestPrefix)
	if !ok || len(hex) != digestHexLen || strings.Trim(hex, "0123456789abcdef") != "" {
		return "", fmt.Errorf("digest %q: expected sha256: and %d lower-case hexadecimal digits", s, digestHexLen)
	}
	return Digest(s), nil
}

// Short returns the first twelve hexadecimal digits, enough to tell digests
// apart by eye. It is not an identifier.
func (d Digest) Short() string {
	const n = 12
	hex := strings.TrimPrefix(string(d), digestPrefix)
	return hex[:min(n, len(hex))]
}
