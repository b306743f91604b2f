package policy

import (
	"slices"

	"github.com/tallyman-io/tallyman/internal/release"
)

// Examined returns the facts that an examination tells: those of the papers, and
// the platforms of an index. A platform has an SBOM when a verified one is about its own
// manifest: one about the index rarely tells of all of them.
func Examined(e release.Examination) Facts {
	f := Facts{
		Repository: e.Repository,
		Digest:     e.Digest,
		Signature:  evidenceOf(e, release.PaperSignature),
		SBOM:       evidenceOf(e, release.PaperSBOM),
		Provenance: evidenceOf(e, release.PaperProvenance),
		VEX:        evidenceOf(e, release.PaperVEX),
		Summary:    evidenceOf(e, release.PaperSummary),
	}
	for _, piece := range e.Evidence {
		if piece.Kind != release.PaperSBOM || piece.Subject == e.Digest {
			continue
		}
		f.Platforms = append(f.Platforms, piece.On)
		switch piece.State {
		case release.StateVerified:
		case release.StateAbsent, release.StateInvalid:
			f.SBOMMissingOn = append(f.SBOMMissingOn, piece.On)
		default:
			f.SBOMUnknownOn = append(f.SBOMUnknownOn, piece.On)
		}
	}
	f.Rebuilders = len(e.Rebuilders())
	return f
}

func evidenceOf(e release.Examination, kind release.PaperKind) Evidence {
	var out Evidence
	out.State, out.Reason = e.State(kind)
	for _, piece := range e.Evidence {
		if piece.Kind != kind {
			continue
		}
		for _, paper := range verified(piece) {
			if key := paper.Signer.Key; key != "" {
				out.Signers = append(out.Signers, key)
			}
			if identity := paper.Signer.Identity; identity != "" {
				out.Identities = append(out.Identities, identity)
			}
		}
	}
	out.Signers, out.Identities = distinct(out.Signers), distinct(out.Identities)
	return out
}

func verified(piece release.Evidence) []release.Paper {
	var papers []release.Paper
	for _, paper := range piece.Papers {
		if paper.State == release.StateVerified {
			papers = append(papers, paper)
		}
	}
	return papers
}

func distinct(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
