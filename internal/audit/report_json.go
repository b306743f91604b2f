package audit

import (
	"encoding/json"
	"io"
	"time"

	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

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
	Reference string `json:"reference"`
	Tag       string `json:"tag,omitempty"`
	evidence.ImageReport

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

// WriteJSON writes images for machines, in the form that [evidence.Schema] names:
// lists are there when they are empty, times are RFC 3339 in UTC. The documents
// themselves are left out; they are in the registry under the digest of the blob.
func WriteJSON(w io.Writer, images []Image, advisories Advisories) error {
	report := reportJSON{Schema: evidence.Schema, Images: make([]imageJSON, 0, len(images))}
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
	return imageJSON{
		Reference: i.Reference, Tag: i.Tag, ImageReport: evidence.ReportOf(i.Examination),
		Verdict: verdictOf(i.Judgement), NotJudged: i.NotJudged,
	}
}
