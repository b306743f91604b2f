package evidence

import (
	"errors"
	"fmt"

	"github.com/tallyman-io/tallyman/internal/release"
)

// assess reads a paper, and verifies one that is signed.
func (t *trust) assess(l leaf, blob []byte, subject release.Digest, paper *release.Paper) {
	var signed *entity
	var err error
	switch {
	case l.format == formatStatement, l.format == formatAttached:
		t.assessUnsigned(l.format, blob, subject, paper)
		return
	case l.format == formatBundle:
		signed, err = recovered(func() (*entity, error) { return fromBundle(blob) })
	case l.format == formatEnvelope && t.nobody:
		// What would prove the signature is not looked at, and may be in a form that
		// is not supported.
		signed, err = recovered(func() (*entity, error) { return fromTag(l.format, blob, nil) })
	default:
		signed, err = recovered(func() (*entity, error) { return fromTag(l.format, blob, l.layer.Annotations) })
	}
	if err != nil {
		paper.State, paper.Reason = release.StateInvalid, clip(err.Error())
		if errors.Is(err, errUnsupported) {
			paper.State = release.StateUnknown
		}
		return
	}
	paper.Kind = release.PaperSignature
	if signed.statement != nil {
		paper.PredicateType, paper.Document = signed.statement.predicateType, signed.statement.predicate
		paper.Kind = kindOf(paper.PredicateType)
	}
	t.judge(signed, subject, paper)
}

// recovered runs a parser of foreign bytes; its panic is an error of the paper.
func recovered(parse func() (*entity, error)) (e *entity, err error) {
	defer func() {
		if p := recover(); p != nil {
			e, err = nil, fmt.Errorf("malformed paper: %v", p)
		}
	}()
	return parse()
}

// assessUnsigned reads what nobody signed: an attestation of BuildKit, or an SBOM
// that was attached. It is there, and it proves nothing. The artifact of an attached
// SBOM may be signed itself (`cosign sign --attachment sbom`); that does not say
// which image it is about, so that one moved here from another image would pass.
func (t *trust) assessUnsigned(f format, blob []byte, subject release.Digest, paper *release.Paper) {
	paper.State, paper.Kind, paper.Document, paper.Unsigned = release.StateInvalid, release.PaperSBOM, blob, true
	paper.Reason = "unsigned: expected a signature by " + t.expected() + ", found none"
	if f == formatAttached {
		return
	}
	parsed, err := parseStatement(blob)
	if err != nil {
		paper.Kind, paper.Document, paper.Reason = "", nil, clip(err.Error())
		return
	}
	paper.PredicateType, paper.Document = parsed.predicateType, parsed.predicate
	paper.Kind = kindOf(parsed.predicateType)
	if err := parsed.about(subject); err != nil {
		paper.Misplaced = true
		paper.Reason += "; " + clip(err.Error())
	}
}
