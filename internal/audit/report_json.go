package audit

import (
	"encoding/json"
	"io"
	"time"

	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Schema names the form of [WriteJSON].
const Schema = "https://github.com/tallyman-io/tallyman/verify/v1"

type reportJSON struct {
	Schema string      `json:"schema"`
	Images []imageJSON `json:"images"`
	// Advisories is null when no policy was asked.
	Advisories *advisoriesJSON `json:"advisories"`
}

// advisoriesJSON tells which advisories the findings are from.
type advisoriesJSON struct {
	// Reason is why there are none; everything else is left out then.
	Reason   string     `json:"reason,omitempty"`
	Digest   string     `json:"digest,omitempty"`
	Imported *time.Time `json:"imported,omitempty"`
	// Newest is when the newest record last changed.
	Newest  *time.Time `json:"newest,omitempty"`
	Records int        `json:"records,omitempty"`
}

type imageJSON struct {
	// Reference is what was asked for, and Tag the tag of it that names the digest.
	Reference  string                          `json:"reference"`
	Tag        string                          `json:"tag,omitempty"`
	Repository string                          `json:"repository"`
	Digest     release.Digest                  `json:"digest"`
	At         time.Time                       `json:"at"`
	States     map[release.PaperKind]stateJSON `json:"states"`
	Evidence   []pieceJSON                     `json:"evidence"`
	Other      []paperJSON                     `json:"other"`
	Gaps       []gapJSON                       `json:"gaps"`
	// Verdict is null when no policy was asked, and NotJudged may say why not.
	Verdict   *verdictJSON `json:"verdict"`
	NotJudged string       `json:"notJudged,omitempty"`
}

type verdictJSON struct {
	Result release.Result `json:"result"`
	Policy string         `json:"policy"`
	// PolicyDigest is that of the policy's text.
	PolicyDigest string       `json:"policyDigest"`
	At           time.Time    `json:"at"`
	Reasons      []reasonJSON `json:"reasons"`
	// Counts is null when the findings are not known, and Uncounted says why then.
	Counts    *ledger.Counts `json:"counts"`
	Uncounted string         `json:"uncounted,omitempty"`
	// AgeHours is how long ago the advisories that the packages need were imported; null
	// when that is not known.
	AgeHours *float64 `json:"advisoryAgeHours"`
}

type reasonJSON struct {
	Rule    string         `json:"rule"`
	Result  release.Result `json:"result"`
	Message string         `json:"message"`
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

// WriteJSON writes images for machines, in the form that [Schema] names:
// lists are there when they are empty, times are RFC 3339 in UTC. The documents
// themselves are left out; they are in the registry under the digest of the blob.
func WriteJSON(w io.Writer, images []Image, advisories Advisories) error {
	report := reportJSON{Schema: Schema, Images: make([]imageJSON, 0, len(images))}
	for i := range images {
		report.Images = append(report.Images, imageOf(&images[i]))
		if images[i].Judgement != nil {
			report.Advisories = describe(advisories)
		}
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(report)
}

func describe(a Advisories) *advisoriesJSON {
	if a.DB == nil {
		return &advisoriesJSON{Reason: a.None}
	}
	imported := a.DB.Built().UTC()
	out := &advisoriesJSON{Digest: a.DB.Digest(), Imported: &imported, Records: a.DB.Records()}
	if newest := a.DB.Newest().UTC(); !newest.IsZero() {
		out.Newest = &newest
	}
	return out
}

func verdictOf(j *Judgement) *verdictJSON {
	if j == nil {
		return nil
	}
	out := &verdictJSON{
		Result: j.Verdict.Result, Policy: j.Policy, PolicyDigest: j.Verdict.Policy, At: j.Verdict.At.UTC(),
		Reasons: make([]reasonJSON, 0, len(j.Verdict.Reasons)), Uncounted: j.Uncounted,
	}
	for _, r := range j.Verdict.Reasons {
		out.Reasons = append(out.Reasons, reasonJSON{r.Rule, r.Result, r.Message})
	}
	if j.Counts.Known {
		out.Counts = &j.Counts
	}
	if j.AgeUnknown == "" {
		hours := j.Age.Hours()
		out.AgeHours = &hours
	}
	return out
}

func imageOf(i *Image) imageJSON {
	e := &i.Examination
	image := imageJSON{
		Reference: i.Reference, Tag: i.Tag, Repository: e.Repository, Digest: e.Digest, At: e.At,
		States:   make(map[release.PaperKind]stateJSON),
		Evidence: make([]pieceJSON, 0, len(e.Evidence)), Other: papersOf(e.Other), Gaps: make([]gapJSON, 0, len(e.Gaps)),
		Verdict: verdictOf(i.Judgement), NotJudged: i.NotJudged,
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
