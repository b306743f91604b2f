package scan

import (
	"encoding/json"
	"slices"

	"github.com/tallyman-io/tallyman/internal/release"
)

// Attached is an SBOM of an image as it was attested.
type Attached struct {
	Paper

	// Source names it for people: the image, what it is attached to, and its signer.
	Source string
	// Format is "spdx" or "cyclonedx", as the document says itself; empty for neither.
	Format string
	// Document has the bytes of the predicate, without what older cosign put around it.
	Document []byte
}

// SBOMs returns the SBOMs of an image that count for the selection, each document once.
// When there is none, and only then, the state and the reason say why: it is unknown where one may lie
// in a place that could not be read, and never absent then.
func SBOMs(image Image, selection Selection) (all []Attached, state release.State, reason string) {
	chosen := choose(image, selection.Platform, selection.Trusted)
	for _, c := range chosen.read {
		document := unwrap(c.document)
		format := formatOf(document)
		all = append(all, Attached{Paper: c.Paper, Source: c.source(image, titles[format]), Format: format, Document: document})
	}
	if len(all) > 0 {
		return all, "", ""
	}
	pieces, err := image.pieces(selection.Platform)
	if err != nil {
		return nil, release.StateUnknown, err.Error()
	}
	found := worst(pieces)
	state, reason = found.State, found.Reason
	if len(chosen.refused) > 0 && state == release.StateAbsent {
		state, reason = release.StateInvalid, chosen.refused[0].refused
	}
	gap := slices.IndexFunc(image.Gaps, func(g release.Gap) bool { return slices.Contains(g.Kinds, release.PaperSBOM) })
	if gap >= 0 && state == release.StateAbsent {
		state, reason = release.StateUnknown, image.Gaps[gap].Reason
	}
	return nil, state, reason
}

// titles are the formats as reports write them.
//
//nolint:gochecknoglobals // a table that does not change
var titles = map[string]string{"spdx": "SPDX", "cyclonedx": "CycloneDX"}

// formatOf reads what a document says that it is (SPDX 2.3 section 6.1, CycloneDX
// bomFormat).
func formatOf(document []byte) string {
	var says struct {
		SPDXVersion string `json:"spdxVersion"`
		BOMFormat   string `json:"bomFormat"`
	}
	switch err := json.Unmarshal(document, &says); {
	case err != nil:
		return ""
	case says.SPDXVersion != "":
		return "spdx"
	case says.BOMFormat == "CycloneDX":
		return "cyclonedx"
	default:
		return ""
	}
}
