package evidence

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/tallyman-io/tallyman/internal/release"
)

// Schema names the form of [WriteJSON].
const Schema = "https://github.com/tallyman-io/tallyman/verify/v1"

// WriteTable writes examinations for people: for each image a line for each piece
// of evidence, on the index and on each platform.
func WriteTable(w io.Writer, examinations []release.Examination) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, e := range examinations {
		if _, err := fmt.Fprintf(table, "%s@%s\n", e.Repository, e.Digest); err != nil {
			return err
		}
		for _, piece := range e.Evidence {
			if _, err := fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", piece.On, piece.Kind, piece.State, piece.Reason); err != nil {
				return err
			}
		}
	}
	return table.Flush()
}

type reportJSON struct {
	Schema string        `json:"schema"`
	Images []ImageReport `json:"images"`
}

// ImageReport is an examination in JSON. Who says more of an image puts it beside these
// fields.
type ImageReport struct {
	Repository string                          `json:"repository"`
	Digest     release.Digest                  `json:"digest"`
	At         time.Time                       `json:"at"`
	States     map[release.PaperKind]stateJSON `json:"states"`
	Evidence   []pieceJSON                     `json:"evidence"`
	Other      []paperJSON                     `json:"other"`
	Gaps       []gapJSON                       `json:"gaps"`
}

type stateJSON struct {
	State  release.State `json:"state"`
	Reason string        `json:"reason"`
}

type pieceJSON struct {
	Kind    release.PaperKind `json:"kind"`
	On      string            `json:"on"`
	Subject release.Digest    `json:"subject"`
	stateJSON
	Papers []paperJSON `json:"papers"`
}

type paperJSON struct {
	stateJSON
	PredicateType string           `json:"predicateType,omitempty"`
	Found         []release.Layout `json:"found"`
	Manifest      release.Digest   `json:"manifest"`
	Blob          release.Digest   `json:"blob"`
	Unsigned      bool             `json:"unsigned,omitempty"`
	Key           string           `json:"key,omitempty"`
	Identity      string           `json:"identity,omitempty"`
	Issuer        string           `json:"issuer,omitempty"`
	SignedAt      *time.Time       `json:"signedAt,omitempty"`
	LogIndex      *int64           `json:"logIndex,omitempty"`
}

type gapJSON struct {
	Subject           release.Digest      `json:"subject"`
	Kinds             []release.PaperKind `json:"kinds"`
	Cause             release.Cause       `json:"cause,omitempty"`
	Reason            string              `json:"reason"`
	RetryAfterSeconds int64               `json:"retryAfterSeconds,omitempty"`
}

// WriteJSON writes examinations for machines, in the form that [Schema] names:
// lists are there when they are empty, times are RFC 3339 in UTC. The documents
// themselves are left out; they are in the registry under the digest of the blob.
func WriteJSON(w io.Writer, examinations []release.Examination) error {
	report := reportJSON{Schema: Schema, Images: make([]ImageReport, 0, len(examinations))}
	for _, e := range examinations {
		report.Images = append(report.Images, ReportOf(e))
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(report)
}

// ReportOf returns the form of an examination in JSON, in which [WriteJSON] writes it.
func ReportOf(e release.Examination) ImageReport {
	image := ImageReport{
		Repository: e.Repository, Digest: e.Digest, At: e.At,
		States:   make(map[release.PaperKind]stateJSON),
		Evidence: make([]pieceJSON, 0, len(e.Evidence)), Other: papersOf(e.Other), Gaps: make([]gapJSON, 0, len(e.Gaps)),
	}
	for _, kind := range release.PaperKinds() {
		state, reason := e.State(kind)
		image.States[kind] = stateJSON{state, reason}
	}
	for _, piece := range e.Evidence {
		image.Evidence = append(image.Evidence, pieceJSON{
			Kind: piece.Kind, On: piece.On, Subject: piece.Subject,
			stateJSON: stateJSON{piece.State, piece.Reason}, Papers: papersOf(piece.Papers),
		})
	}
	for _, gap := range e.Gaps {
		image.Gaps = append(image.Gaps, gapJSON{
			Subject: gap.Subject, Kinds: gap.Kinds, Cause: gap.Cause, Reason: gap.Reason,
			RetryAfterSeconds: int64(gap.RetryAfter / time.Second),
		})
	}
	return image
}

func papersOf(papers []release.Paper) []paperJSON {
	all := make([]paperJSON, 0, len(papers))
	for _, p := range papers {
		paper := paperJSON{
			stateJSON: stateJSON{p.State, p.Reason}, PredicateType: p.PredicateType, Found: p.Found,
			Manifest: p.Manifest, Blob: p.Blob, Unsigned: p.Unsigned,
			Key: p.Signer.Key, Identity: p.Signer.Identity, Issuer: p.Signer.Issuer,
		}
		if !p.SignedAt.IsZero() {
			paper.SignedAt = &p.SignedAt
		}
		if p.LogIndex >= 0 {
			paper.LogIndex = &p.LogIndex
		}
		all = append(all, paper)
	}
	return all
}
