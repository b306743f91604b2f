package scan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/tallyman-io/tallyman/internal/release"
)

// ParsePlatform reads os/architecture[/variant].
func ParsePlatform(s string) (release.Platform, error) {
	parts := strings.Split(s, "/")
	if len(parts) < 2 || len(parts) > 3 || slices.Contains(parts, "") {
		return release.Platform{}, fmt.Errorf("platform %q: expected os/architecture[/variant], such as linux/amd64", s)
	}
	p := release.Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) > 2 {
		p.Variant = parts[2]
	}
	return p, nil
}

// onIndex and onImage are what package evidence calls an index, and a manifest
// without one.
const (
	onIndex = "index"
	onImage = "image"
)

// candidate is an SBOM of an image, with the bytes.
type candidate struct {
	Paper

	predicateType string
	document      []byte
	// refused is why it is not to be read.
	refused string
}

// choice is what an image has: SBOMs to read, others that do not count, and what
// could not be told.
type choice struct {
	read, refused []*candidate
	untold        []Document
}

// choose picks the SBOMs of an image that are to be scanned. When somebody is trusted
// only verified ones count. An SBOM on the index stands for every platform; without
// one each platform has to have its own.
func choose(image Image, platform string, trusted bool) choice {
	pieces, err := image.pieces(platform)
	if err != nil {
		return choice{untold: []Document{{Source: image.name(""), Err: err}}}
	}
	c := choice{}
	for _, piece := range pieces {
		for i := range piece.Papers {
			c.add(image.name(""), piece, &piece.Papers[i], trusted)
		}
	}
	if platform != "" {
		c.narrow(image, pieces, trusted)
	}
	c.judge(image, pieces)
	return c
}

// pieces are those about SBOMs: all of them, or the platform's and the index's. Of an
// image that could not be read nobody knows the platforms.
func (i Image) pieces(platform string) ([]release.Evidence, error) {
	var all, chosen []release.Evidence
	var known []string
	for _, piece := range i.Evidence {
		if piece.Kind != release.PaperSBOM {
			continue
		}
		on := piece.On
		if on == onImage {
			on = i.Platform.String()
		}
		all = append(all, piece)
		unread := piece.On == onImage && i.Platform.Digest == "" && i.Platform.String() == "unknown"
		if unread || on == onIndex || on == platform || strings.HasPrefix(on, platform+"/") {
			chosen = append(chosen, piece)
		}
		if on != onIndex {
			known = append(known, on)
		}
	}
	if platform == "" {
		return all, nil
	}
	if len(chosen) == 0 || len(chosen) == 1 && chosen[0].On == onIndex {
		return nil, untoldError{fmt.Sprintf("expected platform %s, found %s", platform, strings.Join(known, ", "))}
	}
	// The platform's own come first, so that one on both is taken for the platform's.
	slices.SortStableFunc(chosen, func(a, b release.Evidence) int {
		return platformsFirst(a.On, b.On)
	})
	return chosen, nil
}

// platformsFirst puts what is on the index last.
func platformsFirst(a, b string) int {
	last := map[bool]int{true: 1}
	return last[a == onIndex] - last[b == onIndex]
}

func digestOf(b []byte) release.Digest {
	sum := sha256.Sum256(b)
	return release.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// add takes a paper, once for the same document.
func (c *choice) add(image string, piece release.Evidence, paper *release.Paper, trusted bool) {
	next := &candidate{
		Paper: Paper{
			Image: image, Signer: paper.Signer, Verified: paper.State == release.StateVerified, Reason: paper.Reason,
			Places: []Place{{On: piece.On, Subject: piece.Subject, Manifest: paper.Manifest, Blob: paper.Blob, Found: paper.Found}},
		},
		predicateType: paper.PredicateType, document: paper.Document,
	}
	if paper.Document != nil {
		next.Digest = digestOf(paper.Document)
	}
	among := &c.read
	if !counts(paper, trusted) {
		among, next.refused = &c.refused, paper.Reason
	}
	for _, known := range *among {
		if known.Digest != next.Digest || known.refused != next.refused || next.Digest == "" && known.Places[0].Blob != paper.Blob {
			continue
		}
		known.Places = append(known.Places, next.Places...)
		slices.SortStableFunc(known.Places, func(a, b Place) int { return platformsFirst(a.On, b.On) })
		return
	}
	*among = append(*among, next)
}

// counts reports whether a paper is scanned. With nobody to trust, what is unsigned
// or could not be verified is, and what is about another image is not.
func counts(paper *release.Paper, trusted bool) bool {
	if trusted || paper.State == release.StateVerified {
		return paper.State == release.StateVerified
	}
	return paper.Document != nil && !paper.Misplaced && (paper.Unsigned || paper.State == release.StateUnknown)
}

// narrow leaves what is about the one platform: its own SBOMs, or else those on the
// index that are not those of another platform.
func (c *choice) narrow(image Image, pieces []release.Evidence, trusted bool) {
	own := func(x *candidate) bool { return x.Places[0].On != onIndex }
	if slices.ContainsFunc(c.read, own) {
		c.read = slices.DeleteFunc(c.read, func(x *candidate) bool { return !own(x) })
		return
	}
	elsewhere := make(map[release.Digest]bool)
	for _, piece := range image.Evidence {
		if piece.Kind != release.PaperSBOM || slices.ContainsFunc(pieces, func(p release.Evidence) bool { return p.Subject == piece.Subject }) {
			continue
		}
		for i := range piece.Papers {
			if p := &piece.Papers[i]; counts(p, trusted) {
				elsewhere[digestOf(p.Document)] = true
			}
		}
	}
	c.read = slices.DeleteFunc(c.read, func(x *candidate) bool { return elsewhere[x.Digest] })
}

// judge says what could not be told: a platform without an SBOM, and places that may
// have one and could not be read.
func (c *choice) judge(image Image, pieces []release.Evidence) {
	covered := make(map[string]bool)
	for _, x := range c.read {
		for _, place := range x.Places {
			covered[place.On] = true
		}
	}
	var bare []release.Evidence
	told := make(map[release.Digest]bool)
	for _, piece := range pieces {
		if piece.On == onIndex && len(pieces) > 1 || covered[piece.On] || covered[onIndex] {
			continue
		}
		bare = append(bare, piece)
		told[piece.Subject] = true
	}
	if len(c.read) == 0 {
		c.untold = []Document{{Source: image.name(""), Err: untoldError{"no SBOM to scan: " + worst(pieces).Reason}}}
		return
	}
	for _, piece := range bare {
		c.untold = append(c.untold, Document{Source: image.name(piece.On), Err: untoldError{"no SBOM to scan: " + piece.Reason}})
	}
	var reasons []string
	for _, gap := range image.Gaps {
		looked := slices.ContainsFunc(pieces, func(p release.Evidence) bool { return p.Subject == gap.Subject })
		if looked && !told[gap.Subject] && slices.Contains(gap.Kinds, release.PaperSBOM) {
			reasons = append(reasons, gap.Reason)
		}
	}
	if len(reasons) > 0 {
		reason := "there may be more SBOMs: " + reasons[0]
		if more := len(reasons) - 1; more > 0 {
			reason += fmt.Sprintf("; and %d more that could not be read", more)
		}
		c.untold = append(c.untold, Document{Source: image.name(""), Err: untoldError{reason}})
	}
}

// worst is the piece that leaves most to be found out.
func worst(pieces []release.Evidence) release.Evidence {
	order := []release.State{release.StateUnknown, release.StateInvalid}
	for _, state := range order {
		if i := slices.IndexFunc(pieces, func(p release.Evidence) bool { return p.State == state }); i >= 0 {
			return pieces[i]
		}
	}
	return pieces[0]
}
