package release

import (
	"fmt"
	"slices"
	"time"
)

// PaperKind says what a paper is evidence of.
type PaperKind string

const (
	// PaperSignature says that somebody stands for the digest.
	PaperSignature PaperKind = "signature"
	// PaperSBOM lists what is inside, as SPDX or CycloneDX.
	PaperSBOM PaperKind = "sbom"
	// PaperProvenance tells how it was built (SLSA provenance).
	PaperProvenance PaperKind = "provenance"
	// PaperVEX says which vulnerabilities do not matter, and why (OpenVEX).
	PaperVEX PaperKind = "vex"
	// PaperSummary says which policy it passed (SLSA verification summary).
	PaperSummary PaperKind = "verification summary"
	// PaperOther is an attestation of any other predicate type.
	PaperOther PaperKind = "other"
)

// PaperKinds are the kinds that every examination answers for, in the order in
// which people want to see them.
func PaperKinds() []PaperKind {
	return []PaperKind{PaperSignature, PaperSBOM, PaperProvenance, PaperVEX, PaperSummary}
}

// State is what is known about evidence. The zero value is not a state.
type State string

const (
	// StateVerified: there is a paper, by somebody who is trusted, about this
	// digest, unchanged.
	StateVerified State = "verified"
	// StateInvalid: there are papers, and none of them holds.
	StateInvalid State = "invalid"
	// StateAbsent: every place was looked at to its end, and there is none.
	StateAbsent State = "absent"
	// StateUnknown: it could not be found out.
	StateUnknown State = "unknown"
)

// Layout is a way in which papers lie beside an image.
type Layout string

const (
	// LayoutReferrers is the referrers API (distribution specification 1.1).
	LayoutReferrers Layout = "referrers API"
	// LayoutFallback is the index under the tag sha256-<hex> (the same, "Referrers
	// Tag Schema").
	LayoutFallback Layout = "fallback tag"
	// LayoutSig is the tag sha256-<hex>.sig of cosign 2, for plain signatures.
	LayoutSig Layout = ".sig tag"
	// LayoutAtt is its tag .att, for attestations.
	LayoutAtt Layout = ".att tag"
	// LayoutSBOM is its tag .sbom, for documents that are attached, not attested.
	LayoutSBOM Layout = ".sbom tag"
	// LayoutIndex is a manifest in the index itself, as BuildKit adds it.
	LayoutIndex Layout = "in the index"
	// LayoutDisk is a manifest in an image layout on disk that has the digest as its
	// subject.
	LayoutDisk Layout = "in the image layout"
)

// Signer is who a signature was made by: a key, or a certificate's identity.
type Signer struct {
	// Key is the name that the configuration gives to the key.
	Key string
	// Identity and Issuer are those of the certificate.
	Identity string
	Issuer   string
}

// String names the signer, or is empty when there is none.
func (s Signer) String() string {
	switch {
	case s.Key != "":
		return "key " + s.Key
	case s.Identity != "" || s.Issuer != "":
		return fmt.Sprintf("%s (issuer %s)", s.Identity, s.Issuer)
	default:
		return ""
	}
}

// Paper is one signature, attestation or attached document that was found.
type Paper struct {
	Kind  PaperKind
	State State
	// Reason says what was expected and what was found, in one sentence. It is
	// empty for a verified paper.
	Reason string
	// Unsigned: nobody signed it, so that it can be neither genuine nor forged. Its
	// state is invalid.
	Unsigned bool
	// Misplaced: it says that it is about another digest, whoever signed it or not.
	// It is not looked at in a paper whose signature does not hold.
	Misplaced bool
	// PredicateType is that of the in-toto statement; empty for a plain signature.
	PredicateType string
	// Found is where it lies, in every layout that lists it.
	Found []Layout
	// Manifest is the artifact that carries it, and Blob its bytes.
	Manifest Digest
	Blob     Digest
	// Signer is who signed, as verified. For a paper that is not verified it is at
	// most what the paper claims.
	Signer Signer
	// SignedAt is when a transparency log or a timestamp authority saw the
	// signature. Zero when neither did, or it is not verified.
	SignedAt time.Time
	// LogIndex is the position in the transparency log, -1 when there is none.
	LogIndex int64
	// Document is the predicate, or the attached document, byte for byte. Nil for
	// a plain signature. What it says is to be believed only of a verified paper.
	Document []byte
}

// Evidence is one piece: all papers of one kind about one digest.
type Evidence struct {
	Kind    PaperKind
	Subject Digest
	// On is "index" or the platform.
	On    string
	State State
	// Reason is one sentence for people, never empty.
	Reason string
	// Papers has the best first; among equals the newest.
	Papers []Paper
}

// Gap is a place that could not be looked at to its end.
type Gap struct {
	Subject Digest
	// Kinds are those of the papers that may lie there.
	Kinds []PaperKind
	// Cause is empty when the place was read, and held more than is taken.
	Cause  Cause
	Reason string
	// RetryAfter is how long the registry asks to be left alone, 0 when it does
	// not say.
	RetryAfter time.Duration
}

// Examination is what looking through the papers of an image found.
type Examination struct {
	Repository string
	Digest     Digest
	At         time.Time
	// Evidence has one piece for each of [PaperKinds], for the index and then for
	// each platform; the same for the manifest alone where there is no index.
	Evidence []Evidence
	// Other are the papers of [PaperOther].
	Other []Paper
	Gaps  []Gap
}

// Of returns the piece of a kind about a digest.
func (e Examination) Of(kind PaperKind, subject Digest) (Evidence, bool) {
	for _, piece := range e.Evidence {
		if piece.Kind == kind && piece.Subject == subject {
			return piece, true
		}
	}
	return Evidence{}, false
}

// State returns what is known of a kind for the image as a whole, and why. The
// index stands for all: its digest fixes those of the platforms. Where it carries
// no verified paper, every platform has to; but not for a signature: what is pulled
// is the index, and signed platforms can be put together to one that nobody signed.
func (e Examination) State(kind PaperKind) (State, string) {
	var top Evidence
	var platforms []Evidence
	for _, piece := range e.Evidence {
		switch {
		case piece.Kind != kind:
		case piece.Subject == e.Digest:
			top = piece
		default:
			platforms = append(platforms, piece)
		}
	}
	if top.State == StateVerified || len(platforms) == 0 {
		return top.State, top.Reason
	}
	worst := Evidence{State: StateVerified, Reason: "verified on every platform"}
	if kind == PaperSignature {
		worst = top
		worst.Reason = top.On + ": " + top.Reason
	}
	for _, piece := range platforms {
		if badness(piece.State) > badness(worst.State) {
			worst = piece
			worst.Reason = piece.On + ": " + piece.Reason
		}
	}
	if worst.State != StateVerified && badness(top.State) > badness(worst.State) {
		return top.State, top.On + ": " + top.Reason
	}
	return worst.State, worst.Reason
}

// badness orders states by what they leave to be found out: what is unknown may
// turn out to be anything.
func badness(s State) int {
	switch s {
	case StateVerified:
		return 0
	case StateAbsent:
		return 1
	case StateInvalid:
		return 2
	default:
		return 3
	}
}

// Disputed reports whether papers of this kind were found that claim a signer and
// do not hold. It is false where nobody signed what was found.
func (e Evidence) Disputed() bool {
	return e.State == StateInvalid && slices.ContainsFunc(e.Papers, func(p Paper) bool { return !p.Unsigned })
}

// Rebuilders returns those who vouch for how an image was built, in order: whoever
// signed verified provenance about its digest, or about each of its platforms. About
// some platforms is not about the image: the rest may have been built anyhow.
//
// signers has the signers of verified provenance by the manifest that it is about: an
// entry for the digest and for each platform, empty where there is none.
func Rebuilders(digest Digest, signers map[Digest][]string) []string {
	platforms, count := make(map[string]int), 0
	var all []string
	for subject, names := range signers {
		names = slices.Compact(slices.Sorted(slices.Values(names)))
		if subject == digest {
			all = append(all, names...)
			continue
		}
		count++
		for _, name := range names {
			platforms[name]++
		}
	}
	for name, on := range platforms {
		if on == count {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Rebuilders is [Rebuilders] of an examination that has papers.
func (e Examination) Rebuilders() []string {
	signers := make(map[Digest][]string)
	for _, piece := range e.Evidence {
		names := signers[piece.Subject]
		for i := range piece.Papers {
			if p := &piece.Papers[i]; piece.Kind == PaperProvenance && p.State == StateVerified {
				names = append(names, p.Signer.String())
			}
		}
		signers[piece.Subject] = names
	}
	return Rebuilders(e.Digest, signers)
}
