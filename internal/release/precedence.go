package release

import (
	"strings"

	"golang.org/x/mod/semver"
)

// The bytes of a precedence. They keep the order of the parts that they stand for:
// the end of a pre-release before any further identifier, numbers before words, and no
// pre-release behind all of them.
const (
	precedenceEnd    = 0x00
	precedenceNumber = 0x01
	precedenceWord   = 0x02
	precedenceNone   = 0xff
)

// Precedence returns bytes that compare as versions do (Semantic Versioning 2.0.0,
// 11), for an index of a database, which cannot compare versions. What is no version
// comes before all that are.
func Precedence(version string) []byte {
	if !semver.IsValid(version) {
		return nil
	}
	pre := semver.Prerelease(version)
	core := strings.TrimSuffix(strings.TrimPrefix(semver.Canonical(version), "v"), pre)
	var key []byte
	for number := range strings.SplitSeq(core, ".") {
		key = appendNumber(key, number)
	}
	if pre == "" {
		return append(key, precedenceNone)
	}
	for identifier := range strings.SplitSeq(pre[1:], ".") {
		if strings.Trim(identifier, "0123456789") == "" {
			key = appendNumber(append(key, precedenceNumber), identifier)
			continue
		}
		key = append(append(append(key, precedenceWord), identifier...), precedenceEnd)
	}
	return append(key, precedenceEnd)
}

// appendNumber writes digits so that longer numbers, which have no leading zeros, are
// larger. A tag has at most 128 characters (OCI distribution specification, "Pulling
// manifests").
func appendNumber(key []byte, digits string) []byte {
	return append(append(key, byte(len(digits))), digits...) //nolint:gosec // see above: at most 128
}
