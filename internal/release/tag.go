package release

import (
	"strings"
	"time"

	"golang.org/x/mod/semver"
)

// TagKind says what a tag is for, judged by its name alone.
type TagKind string

const (
	// TagVersion is a full semantic version with a leading v, such as v1.4.0 or
	// v1.4.0-rc.1. It promises to name one digest for ever.
	TagVersion TagKind = "version"
	// TagMoving is vX, vX.Y or latest. It follows the newest release of its line.
	TagMoving TagKind = "moving"
	// TagCommit is sha-<commit>: where a build is pushed before it is a release.
	TagCommit TagKind = "commit"
	// TagPaper is sha256-<hex>, with or without a suffix such as .sig: signatures
	// and attestations beside an image, not an image (OCI distribution
	// specification, "Referrers tag schema", and cosign's tag layout).
	TagPaper TagKind = "paper"
	// TagOther is every other name.
	TagOther TagKind = "other"
)

// KindOfTag returns the kind of a tag by its name.
func KindOfTag(name string) TagKind {
	switch {
	case isPaperTag(name):
		return TagPaper
	case isCommitTag(name):
		return TagCommit
	case name == "latest":
		return TagMoving
	case !semver.IsValid(name), semver.Build(name) != "":
		return TagOther
	// semver.IsValid takes v1 and v1.2 for v1.0.0 and v1.2.0; as tags they move.
	case strings.Count(name, ".") < 2:
		return TagMoving
	default:
		return TagVersion
	}
}

func isCommitTag(name string) bool {
	commit, ok := strings.CutPrefix(name, "sha-")
	return ok && len(commit) >= 7 && len(commit) <= 64 && isHex(commit)
}

func isPaperTag(name string) bool {
	rest, ok := strings.CutPrefix(name, "sha256-")
	if !ok || len(rest) < 64 || !isHex(rest[:64]) {
		return false
	}
	suffix, ok := strings.CutPrefix(rest[64:], ".")
	if !ok || suffix == "" {
		return rest[64:] == ""
	}
	return !strings.ContainsFunc(suffix, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
	})
}

// isHex holds for lower-case hexadecimal digits alone.
func isHex(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'f') })
}

// Tag is one span of a tag's history: from FirstSeen on, Name meant Digest.
type Tag struct {
	Repository string
	Name       string
	Digest     Digest
	// Generation counts the digests that the tag has named, from 1. A version
	// tag with a generation above 1 has moved, which it never should.
	Generation int
	FirstSeen  time.Time
	// GoneAt is when a complete look no longer found the tag under this digest:
	// it moved, or was deleted. Zero while it stands.
	GoneAt time.Time
}

// Move is a tag found to name another digest than before.
type Move struct {
	Repository string    `json:"repository"`
	Tag        string    `json:"tag"`
	From       Digest    `json:"from"`
	To         Digest    `json:"to"`
	At         time.Time `json:"at"`
}

// Alarming reports whether the tag is a version, which promised not to move.
func (m Move) Alarming() bool { return KindOfTag(m.Tag) == TagVersion }

// CompareVersions orders version tags by semantic version precedence (semver.org,
// section 11): negative if a is older than b. A name that is no version is older
// than every version.
func CompareVersions(a, b string) int { return semver.Compare(a, b) }

// IsPrerelease reports whether a version tag has a pre-release part, as v1.0.0-rc.1.
func IsPrerelease(version string) bool { return semver.Prerelease(version) != "" }
