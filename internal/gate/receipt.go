package gate

import (
	"slices"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/facts"
	"github.com/tallyman-io/tallyman/internal/policy"
	"github.com/tallyman-io/tallyman/internal/receipt"
	"github.com/tallyman-io/tallyman/internal/release"
)

// VerifierID is the gate as a verifier (SLSA verification summary, "verifier.id").
const VerifierID = "https://github.com/tallyman-io/tallyman/blob/main/docs/gate.md"

// slsaVersion is the version of SLSA that the form is of.
const slsaVersion = "1.0"

// receipt writes the decision down.
func (g *Gate) receipt(d *Decision, f *policy.Facts) receipt.Receipt {
	now := g.Now.UTC().Truncate(time.Second)
	r := receipt.Receipt{
		Verifier:     receipt.Verifier{ID: VerifierID, Version: g.Versions},
		TimeVerified: now,
		ResourceURI:  receipt.ResourceURI(d.Image.Repository, string(d.Image.Digest), d.Image.Tag),
		Policy:       receipt.Descriptor{URI: g.PolicyURI, Digest: digestSet(g.Policy.Digest())},
		Inputs:       g.inputs(d),
		Result:       receipt.Failed, Levels: []string{receipt.Failed}, SLSAVersion: slsaVersion,
		Verdict: &receipt.Verdict{Result: string(d.Verdict.Result), Reasons: make([]receipt.Reason, 0, len(d.Verdict.Reasons))},
		Counts:  d.Counts, Raw: d.Raw, Tool: g.Tool,
	}
	if d.Verdict.Result == release.ResultPass {
		r.Result, r.Levels = receipt.Passed, []string{receipt.Unevaluated}
	}
	for _, reason := range d.Verdict.Reasons {
		r.Verdict.Reasons = append(r.Verdict.Reasons, receipt.Reason{Rule: reason.Rule, Result: string(reason.Result), Message: reason.Message})
	}
	if db := g.Advisories.DB; db != nil {
		r.Advisories = &receipt.Advisories{
			Digest: db.Digest(), Newest: db.Newest().UTC(), Records: db.Records(), MaxAgeSeconds: int64(g.Policy.MaxAge() / time.Second),
		}
		if f.Advisories.Known {
			r.Advisories.AgeSeconds = int64(f.Advisories.Age / time.Second)
			r.Advisories.AsOf = now.Add(-f.Advisories.Age).Truncate(time.Second)
		}
	}
	for i := range d.Waivers {
		r.Waivers = append(r.Waivers, g.waiver(d, &d.Waivers[i]))
	}
	r.Reachability = g.reachability(d)
	return r
}

// inputs are the documents that the decision was made of, by their own digests: they are
// attested later, and envelopes have others.
func (g *Gate) inputs(d *Decision) []receipt.Descriptor {
	var all []receipt.Descriptor
	add := func(document Document, mediaType string) {
		all = append(all, receipt.Descriptor{
			Name: document.Name, Digest: digestSet(string(facts.DigestOf(document.Content))), MediaType: mediaType,
		})
	}
	for i := range d.Image.Platforms {
		for _, document := range d.Image.Platforms[i].SBOMs {
			add(document, mediaTypeOf(document.Name))
		}
	}
	if g.Waivers != nil {
		for _, document := range g.Waivers.files {
			add(document, mediaTypeOf(document.Name))
		}
	}
	return all
}

func mediaTypeOf(name string) string {
	switch {
	case strings.HasSuffix(name, ".spdx.json"):
		return "application/spdx+json"
	case strings.HasSuffix(name, ".cdx.json"):
		return "application/vnd.cyclonedx+json"
	case strings.HasSuffix(name, ".json"):
		return "application/json"
	default:
		return "application/yaml"
	}
}

// digestSet is in-toto's DigestSet of "sha256:<hex>".
func digestSet(digest string) map[string]string {
	algorithm, hex, _ := strings.Cut(digest, ":")
	return map[string]string{algorithm: hex}
}

func (g *Gate) waiver(d *Decision, w *Waiver) receipt.Waiver {
	out := receipt.Waiver{
		Vulnerability: w.Vulnerability, Status: string(w.Status), Justification: string(w.Justification), Reason: w.Reason, By: w.By,
		Source: w.Source, Signed: w.Signed, Expires: w.Expires.UTC(), Expired: w.Expired(g.Now), Findings: []string{},
	}
	for i := range d.Findings {
		if f := &d.Findings[i]; f.Suppressed && f.VEX.Origin.File == w.Source {
			out.Findings = append(out.Findings, f.place())
		}
	}
	return out
}

func (g *Gate) reachability(d *Decision) *receipt.Reachability {
	if g.Reachability == nil {
		return nil
	}
	out := &receipt.Reachability{Tool: g.Reachability.Tool, Database: g.Reachability.Database, Skipped: g.Reachability.Skipped}
	for i := range d.Findings {
		if f := &d.Findings[i]; f.Suppressed && f.VEX.Origin.File == reachabilityFile && !slices.Contains(out.Unreachable, f.ID) {
			out.Unreachable = append(out.Unreachable, f.ID)
		}
	}
	return out
}
