package rebuild

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/tallyman-io/tallyman/internal/provenance"
	"github.com/tallyman-io/tallyman/internal/release"
)

// ErrNoClaim means that no verified provenance says what an image was built from.
var ErrNoClaim = errors.New("no verified provenance to rebuild from")

// Claim is what provenance says an image was built from.
type Claim struct {
	// Source is where the repository is cloned from: an https or file URL.
	Source string `json:"source"`
	// Tag is the git tag, a version such as v1.2.3.
	Tag string `json:"tag"`
	// Commit is 40 hexadecimal digits, or 64 of a SHA-256 repository.
	Commit string `json:"commit"`
	// Image is the name of the image in the release: web or worker.
	Image string `json:"image"`
	// Signer vouches for it.
	Signer string `json:"signer"`
}

// ClaimOf returns what the verified provenance about the digest says. It is an error
// that wraps ErrNoClaim when there is none, and when those who are trusted say
// different things: then nobody knows what to rebuild.
func ClaimOf(examination release.Examination) (Claim, error) {
	state, reason := examination.State(release.PaperProvenance)
	refuse := func(format string, args ...any) (Claim, error) {
		return Claim{}, fmt.Errorf("%s@%s: %w: %s", examination.Repository, examination.Digest, ErrNoClaim, fmt.Sprintf(format, args...))
	}
	if state != release.StateVerified {
		return refuse("expected it verified, found it %s: %s", state, reason)
	}
	var claims []Claim
	var unread []string
	for _, piece := range examination.Evidence {
		if piece.Kind != release.PaperProvenance || piece.Subject != examination.Digest {
			continue
		}
		for i := range piece.Papers {
			paper := &piece.Papers[i]
			if paper.State != release.StateVerified {
				continue
			}
			claim, err := ParseClaim(paper.Document)
			if err != nil {
				unread = append(unread, fmt.Sprintf("that of %s: %v", paper.Signer, err))
				continue
			}
			claim.Signer = paper.Signer.String()
			claims = append(claims, claim)
		}
	}
	if len(claims) == 0 {
		return refuse("%s", or(strings.Join(unread, "; ")))
	}
	// The order of papers is by time; the order of a report is not to depend on who was
	// last to rebuild.
	slices.SortStableFunc(claims, func(a, b Claim) int { return strings.Compare(a.Signer, b.Signer) })
	for _, other := range claims[1:] {
		if other.Commit != claims[0].Commit || other.Tag != claims[0].Tag || other.Source != claims[0].Source || other.Image != claims[0].Image {
			return refuse("expected one source, found %s by %s and %s by %s", claims[0], claims[0].Signer, other, other.Signer)
		}
	}
	return claims[0], nil
}

// String names the commit, as people would.
func (c Claim) String() string { return fmt.Sprintf("%s of %s %s", c.Commit, c.Source, c.Tag) }

// maxClaim bounds provenance that is parsed, in bytes.
const maxClaim = 4 << 20

// ParseClaim reads the predicate of SLSA provenance v1 whose build type is
// [provenance.BuildType]: docs/release.md, "Build type v1". What it returns is safe to
// hand to git and make; anything else is an error that says what was expected.
func ParseClaim(predicate []byte) (Claim, error) {
	if len(predicate) > maxClaim {
		return Claim{}, fmt.Errorf("expected provenance of at most %d bytes, found %d", maxClaim, len(predicate))
	}
	var p provenance.Predicate
	if err := json.Unmarshal(predicate, &p); err != nil {
		return Claim{}, fmt.Errorf("expected SLSA provenance v1: %w", err)
	}
	d := p.BuildDefinition
	if d.BuildType != provenance.BuildType {
		return Claim{}, fmt.Errorf("build type: expected %s, found %q", provenance.BuildType, clip(d.BuildType))
	}
	if d.ExternalParameters.Config != ".goreleaser.yaml" {
		return Claim{}, fmt.Errorf("config: expected .goreleaser.yaml, found %q", clip(d.ExternalParameters.Config))
	}
	c := Claim{Image: d.ExternalParameters.Image}
	if !plain(c.Image) {
		return Claim{}, fmt.Errorf("image: expected a name of lower-case letters, digits and -, found %q", clip(c.Image))
	}
	var err error
	if c.Source, c.Tag, err = location(d.ExternalParameters.Source); err != nil {
		return Claim{}, err
	}
	for _, dependency := range d.ResolvedDependencies {
		if dependency.URI == d.ExternalParameters.Source {
			c.Commit = dependency.Digest["gitCommit"]
		}
	}
	if !isCommit(c.Commit) {
		return Claim{}, fmt.Errorf("gitCommit of %s: expected 40 or 64 lower-case hexadecimal digits, found %q", clip(d.ExternalParameters.Source), clip(c.Commit))
	}
	return c, nil
}

// location takes git+https://host/path@refs/tags/TAG apart (SPDX 2.3, section 7.7,
// "Package download location field").
func location(s string) (source, tag string, err error) {
	expected := func(found string) error {
		return fmt.Errorf("source: expected git+https://host/path@refs/tags/VERSION, found %q", clip(found))
	}
	rest, isGit := strings.CutPrefix(s, "git+")
	source, tag, hasTag := strings.Cut(rest, "@refs/tags/")
	if !isGit || !hasTag || release.KindOfTag(tag) != release.TagVersion {
		return "", "", expected(s)
	}
	if err := checkURL(source); err != nil {
		return "", "", fmt.Errorf("source: %w", err)
	}
	return source, tag, nil
}

// checkURL refuses what git is not to be given: other transports, credentials, options.
func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return fmt.Errorf("expected an https or file URL, found %q", clip(s))
	}
	switch {
	case u.User != nil, u.RawQuery != "", u.Fragment != "", u.Opaque != "":
		return fmt.Errorf("expected a URL without user, query and fragment, found %q", clip(u.Redacted()))
	case u.Scheme == "https" && u.Host != "" && !strings.HasPrefix(u.Host, "-"), u.Scheme == "file" && u.Host == "" && strings.HasPrefix(u.Path, "/"):
		return nil
	default:
		return fmt.Errorf("expected an https or file URL, found %q", clip(s))
	}
}

// Owner is the owner/name that the labels of the image are made with
// (GITHUB_REPOSITORY of .goreleaser.yaml), or "" where the source lies elsewhere.
func (c Claim) Owner() string {
	path, onGitHub := strings.CutPrefix(c.Source, "https://github.com/")
	if !onGitHub || strings.Count(path, "/") != 1 || strings.Trim(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/") != "" {
		return ""
	}
	return path
}

func isCommit(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}

func plain(s string) bool {
	return s != "" && len(s) <= 64 && s[0] != '-' && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}
