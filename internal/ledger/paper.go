package ledger

import (
	"time"

	"github.com/tallyman-io/tallyman/internal/release"
)

// Examined is what a look through the papers of an image found, and what is read out
// of them.
type Examined struct {
	Examination release.Examination
	Documents   []release.Document
	// Facts is what only the papers say, as a JSON object; the store keeps it for who
	// judges.
	Facts string
	// Build is what verified provenance says of the build, nil where none does.
	Build *release.Build
}

// Paper is a paper as table evidence keeps it. The document is kept by digest.
type Paper struct {
	State         release.State    `json:"state"`
	Reason        string           `json:"reason,omitempty"`
	Unsigned      bool             `json:"unsigned,omitempty"`
	PredicateType string           `json:"predicate_type,omitempty"`
	Found         []release.Layout `json:"found"`
	Manifest      release.Digest   `json:"manifest,omitempty"`
	Blob          release.Digest   `json:"blob,omitempty"`
	Signer        string           `json:"signer,omitempty"`
	SignedAt      time.Time        `json:"signed_at,omitzero"`
	LogIndex      int64            `json:"log_index"`
	Document      release.Digest   `json:"document,omitempty"`
}
