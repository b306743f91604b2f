package evidence

import (
	"slices"
	"strings"

	"github.com/tallyman-io/tallyman/internal/release"
)

// signaturePredicate is the predicate type of an attestation that says no more
// than a signature does, as cosign makes it in the bundle format.
const signaturePredicate = "https://sigstore.dev/cosign/sign/v1"

// predicates maps prefixes of predicate types to kinds. Types carry versions in
// several ways (…/bom/v1.5, …/Document/v2.3, …/ns/v0.2.0), so that a prefix has to
// end where the type does or at a slash.
func predicates() map[string]release.PaperKind {
	return map[string]release.PaperKind{
		signaturePredicate:                      release.PaperSignature,
		"https://spdx.dev/Document":             release.PaperSBOM,
		"https://spdx.github.io/spdx-spec":      release.PaperSBOM,
		"https://cyclonedx.org/bom":             release.PaperSBOM,
		"https://cyclonedx.org/schema":          release.PaperSBOM,
		"https://slsa.dev/provenance":           release.PaperProvenance,
		"https://openvex.dev/ns":                release.PaperVEX,
		"https://slsa.dev/verification_summary": release.PaperSummary,
	}
}

// kindOf returns the kind of a predicate type.
func kindOf(predicateType string) release.PaperKind {
	for prefix, kind := range predicates() {
		if rest, ok := strings.CutPrefix(predicateType, prefix); ok && (rest == "" || rest[0] == '/') {
			return kind
		}
	}
	return release.PaperOther
}

// format is how a layer carries a paper.
type format string

const (
	formatSimple    format = "simple signing"
	formatEnvelope  format = "DSSE envelope"
	formatBundle    format = "Sigstore bundle"
	formatStatement format = "in-toto statement"
	formatAttached  format = "attached document"
)

// formatOf tells the format by the media type of a layer, "" when it is no paper.
func formatOf(mediaType string) format {
	mediaType, _, _ = strings.Cut(mediaType, ";")
	switch {
	case mediaType == "application/vnd.dev.cosign.simplesigning.v1+json":
		return formatSimple
	case mediaType == "application/vnd.dsse.envelope.v1+json":
		return formatEnvelope
	case strings.HasPrefix(mediaType, "application/vnd.dev.sigstore.bundle"):
		return formatBundle
	case mediaType == "application/vnd.in-toto+json":
		return formatStatement
	case slices.Contains([]string{
		"text/spdx+json", "application/spdx+json", "application/vnd.cyclonedx+json",
	}, mediaType):
		return formatAttached
	default:
		return ""
	}
}

// Annotations that name the predicate type before the paper is read: those of
// cosign on a layer, BuildKit on a layer, and cosign on the manifest of a bundle.
const (
	annotationPredicate       = "predicateType"
	annotationInToto          = "in-toto.io/predicate-type"
	annotationBundlePredicate = "dev.sigstore.bundle.predicateType"
	annotationBundleContent   = "dev.sigstore.bundle.content"
)

// mayBe returns the kinds of paper that a layer may carry, as far as can be told
// without reading it.
func mayBe(f format, annotations ...map[string]string) []release.PaperKind {
	switch f {
	case formatSimple:
		return []release.PaperKind{release.PaperSignature}
	case formatAttached:
		return []release.PaperKind{release.PaperSBOM}
	}
	for _, set := range annotations {
		for _, name := range []string{annotationPredicate, annotationInToto, annotationBundlePredicate} {
			if kind := kindOf(set[name]); set[name] != "" {
				return []release.PaperKind{kind}
			}
		}
		if set[annotationBundleContent] == "message-signature" {
			return []release.PaperKind{release.PaperSignature}
		}
	}
	return anyKind()
}

func anyKind() []release.PaperKind { return append(release.PaperKinds(), release.PaperOther) }

// attestationKinds are those that lie under an .att tag.
func attestationKinds() []release.PaperKind {
	return slices.DeleteFunc(anyKind(), func(k release.PaperKind) bool { return k == release.PaperSignature })
}
