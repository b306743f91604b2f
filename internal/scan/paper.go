package scan

import (
	"errors"
	"fmt"

	"github.com/tallyman-io/tallyman/internal/release"
)

// Paper says where the SBOM of an image lies, and what its signature is worth.
type Paper struct {
	// Image is repository@digest, the digest being that of the index where there is
	// one.
	Image string
	// Digest is that of the SBOM itself, however it is wrapped.
	Digest release.Digest
	// Verified: somebody trusted signed it, for what it is attached to.
	Verified bool
	// Reason says why it is not verified. It is empty for a verified one.
	Reason string
	Signer release.Signer
	// Places has every place where the same SBOM lies, those on platforms first.
	Places []Place
}

// Place is where an SBOM is attached to an image.
type Place struct {
	// On is "index", the platform, or "image" where there is no index.
	On      string
	Subject release.Digest
	// Manifest is the artifact, and Blob its layer with the SBOM.
	Manifest release.Digest
	Blob     release.Digest
	Found    []release.Layout
}

// subject is the manifest that the SBOM is taken to describe.
func (p *Paper) subject() release.Digest { return p.Places[0].Subject }

// untoldError says of an image what could not be found out.
type untoldError struct{ reason string }

func (e untoldError) Error() string { return e.reason }

// trouble says why a document says nothing; it is empty for one that was read.
func trouble(d *Document) string {
	var untold untoldError
	switch {
	case errors.As(d.Err, &untold):
		return "could not tell: " + untold.reason
	case d.Err != nil:
		return "could not be read: " + d.Err.Error()
	case d.Refused != "":
		return "not scanned: " + d.Refused
	default:
		return ""
	}
}

// repeated counts the findings that another document has too.
func (d *Document) repeated() int {
	n := 0
	for i := range d.Findings {
		if d.Findings[i].Repeated {
			n++
		}
	}
	return n
}

// unknown counts the packages that only this document has.
func (d *Document) unknown() int {
	n := 0
	for i := range d.Unknown {
		if !d.Unknown[i].Repeated {
			n++
		}
	}
	return n
}

// markRepeated marks what several SBOMs of one manifest say, such as the one in SPDX
// and the one in CycloneDX, in all but the first. What VEX suppresses is not the same
// as what it does not.
func markRepeated(documents []Document) {
	seen := make(map[string]bool)
	again := func(key string) bool {
		before := seen[key]
		seen[key] = true
		return before
	}
	for i := range documents {
		d := &documents[i]
		if d.Paper == nil {
			continue
		}
		at := d.Paper.Image + " " + string(d.Paper.subject())
		for j := range d.Findings {
			f := &d.Findings[j]
			f.Repeated = again(fmt.Sprintf("finding %s %q %q %q %q %t", at, f.Ecosystem, f.Subject.Name, f.Subject.Version, f.ID, f.Suppressed))
		}
		for j := range d.Unknown {
			u := &d.Unknown[j]
			u.Repeated = again(fmt.Sprintf("unknown %s %q %q %q", at, u.PURL, u.Name, u.Reason))
		}
	}
}

// notes are the notifications of SARIF about a document as a whole.
func notes(d *Document) []sarifNotification {
	said := trouble(d)
	switch {
	case d.Err != nil:
		return []sarifNotification{{"error", sarifText{d.Source + ": " + said}}}
	case said != "":
		return []sarifNotification{{"warning", sarifText{d.Source + ": " + said}}}
	case d.Paper != nil && !d.Paper.Verified:
		return []sarifNotification{{"warning", sarifText{d.Source + ": not verified: " + d.Paper.Reason}}}
	default:
		return nil
	}
}

// jsonPaper is a [Paper] in the JSON answer.
type jsonPaper struct {
	Image    string         `json:"image"`
	Digest   release.Digest `json:"digest,omitempty"`
	Verified bool           `json:"verified"`
	Reason   string         `json:"reason,omitempty"`
	Key      string         `json:"key,omitempty"`
	Identity string         `json:"identity,omitempty"`
	Issuer   string         `json:"issuer,omitempty"`
	Places   []jsonPlace    `json:"places"`
}

type jsonPlace struct {
	On       string           `json:"on"`
	Subject  release.Digest   `json:"subject"`
	Manifest release.Digest   `json:"manifest"`
	Blob     release.Digest   `json:"blob"`
	Found    []release.Layout `json:"found"`
}

func paperJSON(p *Paper) *jsonPaper {
	if p == nil {
		return nil
	}
	out := &jsonPaper{
		Image: p.Image, Digest: p.Digest, Verified: p.Verified, Reason: p.Reason,
		Key: p.Signer.Key, Identity: p.Signer.Identity, Issuer: p.Signer.Issuer, Places: make([]jsonPlace, 0, len(p.Places)),
	}
	for _, place := range p.Places {
		out.Places = append(out.Places, jsonPlace(place))
	}
	return out
}
