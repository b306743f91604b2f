package scan

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/vex"
)

// Image is an image whose papers were looked through.
type Image struct {
	release.Examination

	// Tag is what it was asked for by; empty when it was not by a tag.
	Tag string
	// Platform is that of an image without an index, as its configuration says. It is
	// zero where there is an index, or nobody asks for a platform.
	Platform release.Platform
}

// name is what reports call the image, or a part of it.
func (i Image) name(on string) string {
	name := i.Repository + "@" + string(i.Digest)
	if on == "" || on == onImage {
		return name
	}
	return name + " " + on
}

// Selection says which SBOMs of an image are scanned.
type Selection struct {
	// Platform is that of [release.Platform.String]; every platform when empty.
	Platform string
	// Trusted: there is somebody to trust, so that only verified SBOMs count. Without
	// it all are scanned, and marked as not verified.
	Trusted bool
}

// Papers scans the SBOMs that travel with an image: a document for each, however many
// places it lies in; after them those that were refused, and what could not be told.
// An image of which nothing can be told gives a document with an error, never none.
// The error is of the database or the context.
func (s *Scanner) Papers(ctx context.Context, image Image, selection Selection) ([]Document, error) {
	set, gap := s.statements(image)
	chosen := choose(image, selection.Platform, selection.Trusted)
	documents, err := s.each(ctx, len(chosen.read), func(ctx context.Context, matcher *advisory.Matcher, i int) (Document, error) {
		c := chosen.read[i]
		d, err := Read(ctx, matcher, "", bytes.NewReader(unwrap(c.document)))
		if err != nil {
			return Document{}, err
		}
		d.Source, d.Paper = c.source(image, string(d.SBOM.Format)), &c.Paper
		d.apply(set, s.describes(image, c.Places), s.At)
		return d, nil
	})
	if err != nil {
		return nil, err
	}
	markRepeated(documents)
	for _, c := range chosen.refused {
		documents = append(documents, Document{Source: c.source(image, ""), Paper: &c.Paper, Refused: c.refused})
	}
	if gap != "" && len(chosen.untold) == 0 && slices.ContainsFunc(documents, suppresses) {
		chosen.untold = []Document{{Source: image.name(""), Err: untoldError{gap}}}
	}
	return append(documents, chosen.untold...), nil
}

func suppresses(d Document) bool {
	return slices.ContainsFunc(d.Findings, func(f Finding) bool { return f.Suppressed })
}

// statements are those of the scanner, and of the image's verified OpenVEX
// attestations. The gap says why there may be more, which may take back what these
// say.
func (s *Scanner) statements(image Image) (set *vex.Set, gap string) {
	documents, err := vex.Examined(image.Examination)
	if err != nil {
		gap = "VEX that could not be read: " + err.Error()
	}
	for _, g := range image.Gaps {
		if gap == "" && slices.Contains(g.Kinds, release.PaperVEX) {
			gap = "there may be more VEX: " + g.Reason
		}
	}
	if len(documents) == 0 {
		return s.VEX, gap
	}
	return vex.NewSet(append(slices.Clone(s.VEX.Documents()), documents...)...), gap
}

// describes is the image that statements have to be about. Where it does not lie in a
// registry, the scanner's Image of the same digest says what it is called.
func (s *Scanner) describes(image Image, places []Place) vex.Image {
	described := vex.Image{Repository: image.Repository, Tag: image.Tag, Digest: image.Digest}
	if s.Image.Digest == image.Digest {
		described.Repository, described.Tag = s.Image.Repository, s.Image.Tag
	}
	for _, place := range places {
		described.Platforms = withPlatform(described.Platforms, place.On, place.Subject)
	}
	if len(described.Platforms) == 0 {
		for _, piece := range image.Evidence {
			described.Platforms = withPlatform(described.Platforms, piece.On, piece.Subject)
		}
	}
	return described
}

func withPlatform(platforms []vex.Platform, on string, subject release.Digest) []vex.Platform {
	known := slices.ContainsFunc(platforms, func(p vex.Platform) bool { return p.Digest == subject })
	if parts := strings.Split(on, "/"); len(parts) > 1 && !known {
		return append(platforms, vex.Platform{Digest: subject, Architecture: parts[1]})
	}
	return platforms
}

// source names an SBOM: the image, what it is attached to, the format, and who signed
// it. The format is that of the predicate where the document was not read.
func (c *candidate) source(image Image, format string) string {
	if format == "" {
		format = "SBOM"
		for _, known := range []string{"SPDX", "CycloneDX"} {
			if strings.Contains(strings.ToLower(c.predicateType), strings.ToLower(known)) {
				format = known
			}
		}
	}
	worth := "not verified"
	if c.Verified {
		worth = "signed by " + c.Signer.String()
	}
	return image.name(c.Places[0].On) + " (" + format + ", " + worth + ")"
}

// unwrap takes a document out of what older versions of cosign put around it: a
// string, or an object with Data (cosign, pkg/cosign/attestation).
func unwrap(document []byte) []byte {
	trimmed := bytes.TrimSpace(document)
	if len(trimmed) == 0 {
		return trimmed
	}
	var inner string
	if trimmed[0] == '"' && json.Unmarshal(trimmed, &inner) == nil {
		return []byte(inner)
	}
	var outer struct {
		Data      json.RawMessage
		Timestamp string
	}
	const opening = `{"Data":`
	if bytes.HasPrefix(trimmed, []byte(opening)) && json.Unmarshal(trimmed, &outer) == nil && outer.Timestamp != "" {
		if json.Unmarshal(outer.Data, &inner) == nil {
			return []byte(inner)
		}
		return outer.Data
	}
	return document
}
