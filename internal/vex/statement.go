package vex

import (
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/release"
)

// Status is how a product relates to a vulnerability (specification, "Status
// Labels").
type Status string

const (
	// StatusNotAffected: nothing has to be done about the vulnerability.
	StatusNotAffected Status = "not_affected"
	// StatusAffected: something should be done.
	StatusAffected Status = "affected"
	// StatusFixed: the product has a fix.
	StatusFixed Status = "fixed"
	// StatusUnderInvestigation: it is not known yet.
	StatusUnderInvestigation Status = "under_investigation"
)

func (s Status) valid() bool {
	switch s {
	case StatusNotAffected, StatusAffected, StatusFixed, StatusUnderInvestigation:
		return true
	default:
		return false
	}
}

// statuses are the valid ones, for people.
const statuses = "not_affected, affected, fixed or under_investigation"

// Justification is why a product is not affected (specification, "Status
// Justifications").
type Justification string

func (j Justification) valid() bool {
	switch j {
	case "component_not_present", "vulnerable_code_not_present", "vulnerable_code_not_in_execute_path",
		"vulnerable_code_cannot_be_controlled_by_adversary", "inline_mitigations_already_exist":
		return true
	default:
		return false
	}
}

// justifications are the valid ones, for people.
const justifications = "component_not_present, vulnerable_code_not_present, vulnerable_code_not_in_execute_path, " +
	"vulnerable_code_cannot_be_controlled_by_adversary or inline_mitigations_already_exist"

// Origin is where a document was found: a verified paper, or a file that whoever
// runs the program named.
type Origin struct {
	// Paper is the digest of the attestation's blob, and Signer who signed it.
	Paper  release.Digest
	Signer release.Signer
	// File is empty for a paper.
	File string
}

// String names the origin for people.
func (o Origin) String() string {
	if o.Paper == "" {
		return "file " + o.File
	}
	text := "attestation " + string(o.Paper)
	if signer := o.Signer.String(); signer != "" {
		text += " signed by " + signer
	}
	return text
}

// Statement is what somebody says of a vulnerability in products.
type Statement struct {
	// Vulnerability is its name, and Aliases further ones.
	Vulnerability string
	Aliases       []string
	Status        Status
	// Justification and Impact say why a product is not affected; at least one of
	// them does.
	Justification Justification
	Impact        string
	// Action is what to do about a product that is affected.
	Action string
	Notes  string
	// Expires is the last moment at which the statement holds, as the notes say; zero when
	// it has no end. Only of one that suppresses the notes are asked.
	Expires time.Time
	// Over is set by [Set.Apply]: the statement would suppress the finding, had it not
	// expired.
	Over bool
	// Timestamp is when the statement was known to be true: its own, or that of its
	// document.
	Timestamp time.Time
	// Document is the document's @id, Author who made it.
	Document string
	Author   string
	Origin   Origin

	products []product
}

// Suppresses reports whether a finding that the statement is about does not count, while
// the statement holds; see [Statement.SuppressesAt].
func (s Statement) Suppresses() bool {
	switch s.Status {
	case StatusFixed:
		return true
	case StatusNotAffected:
		return s.Justification != "" || s.Impact != ""
	default:
		return false
	}
}

// String says who states what, and why, in one sentence.
func (s Statement) String() string {
	var b strings.Builder
	if ended := s.Ended(); ended != "" {
		b.WriteString(ended + ": ")
	}
	b.WriteString(strings.ReplaceAll(string(s.Status), "_", " "))
	if s.Justification != "" {
		b.WriteString(" (" + string(s.Justification) + ")")
	}
	b.WriteString(" according to " + s.Author + ", " + s.Origin.String())
	for _, words := range []string{s.Impact, s.Action, s.Notes} {
		if words != "" {
			b.WriteString(": " + words)
			break
		}
	}
	return b.String()
}
