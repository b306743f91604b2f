package console

import (
	"context"
	"fmt"
	"strings"

	"github.com/a-h/templ"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/release"
)

// releaseFrame is the head of all pages of a release.
type releaseFrame struct {
	Standing standing
	// Label names the release in headings: repository and version, or digest.
	Label string
	// Name is its version or the beginning of its digest.
	Name                                        string
	ComponentURL, URL, FindingsURL, PackagesURL string
	// Tab is "", "findings" or "packages".
	Tab string
	// Versions are the other versions, and Tags the tags, that name the same image.
	Versions, Tags []string
	Examined       *moment
}

// releaseView is the page of a release.
type releaseView struct {
	Frame   releaseFrame
	Verdict verdict
	// AtRelease is the verdict at release, nil when there was none.
	AtRelease *verdict
	Evidence  []piece
	Findings  findingsTable
	FoundSays string
	Packages  packagesTable
	PackSays  string
	// PackagesUnknown says why the packages are not known, or not all.
	PackagesUnknown string
	Receipt         gateReceipt
	Counted         []countedLine
	Provenance      *provenance
	// NoProvenance says why there is none.
	NoProvenance string
	Layers       []layers
	NoLayers     string // the platforms whose layers were not recorded
	Documents    []document
	// Dossier is nil where there is no API to have it from.
	Dossier *dossier
	// Downloads are made from what is known, where there is an API.
	Downloads   []download
	Run         []snippet
	Verify      verifyGuide
	Reproduce   []snippet
	History     *history
	Over        templ.Component
	PreviousURL string // compares with the release before, empty where there is none
	// Asked is a rescan that was just asked for, nil when none was.
	Asked *request
}

// verdict is a verdict with its reasons.
type verdict struct {
	State   state
	Reasons []reason
	Counts  counts
	At      *moment
	Policy  string
}

type reason struct {
	State   state
	Rule    string
	Message string
}

func newVerdict(v *account.Verdict, p *page) verdict {
	view := verdict{State: verdictState(v), Counts: newCounts(v)}
	if v == nil {
		return view
	}
	view.At, view.Policy = optional(v.At, p.at), v.Policy
	for _, r := range v.Reasons {
		view.Reasons = append(view.Reasons, reason{State: resultState(r.Result), Rule: r.Rule, Message: r.Message})
	}
	return view
}

// headline is the verdict in a sentence.
func (v verdict) headline() string {
	failed, unknown := 0, 0
	for _, r := range v.Reasons {
		switch r.State.Class {
		case "bad":
			failed++
		case "unknown":
			unknown++
		}
	}
	all := plural(len(v.Reasons), "rule")
	switch {
	case len(v.Reasons) == 0:
		return "This image was not judged yet, so nothing can be said of it."
	case failed > 0 && unknown > 0:
		return fmt.Sprintf("%d of %s failed, and %d could not be answered.", failed, all, unknown)
	case failed > 0:
		return fmt.Sprintf("%d of %s failed.", failed, all)
	case unknown > 0:
		return fmt.Sprintf("No rule failed, and %d of %s could not be answered.", unknown, all)
	default:
		return "All of " + all + " hold."
	}
}

func newReleaseFrame(r *account.Release, tab string, p *page) releaseFrame {
	f := releaseFrame{
		Standing: newStanding(&r.Standing, p.at), Name: r.Version, Tab: tab,
		ComponentURL: componentURL(r.Image.Repository), URL: standingURL(&r.Standing),
		FindingsURL: standingURL(&r.Standing, "findings"), PackagesURL: standingURL(&r.Standing, "packages"),
		Tags: r.Tags, Examined: optional(r.ExaminedAt, p.at),
	}
	if f.Name == "" {
		f.Name = short(string(r.Image.Digest))
	}
	f.Label = r.Image.Repository + " " + f.Name
	for _, v := range r.Versions {
		if v != r.Version {
			f.Versions = append(f.Versions, v)
		}
	}
	return f
}

func (c *Console) releasePage(ctx context.Context, p *page, t target) (templ.Component, error) {
	s := c.cfg.Store
	found, err := s.Release(ctx, account.Ref{Repository: t.Repository, Name: t.Name})
	if err != nil {
		return nil, fmt.Errorf("read release: %w", err)
	}
	findings, err := c.findings(ctx, found.Key, account.FindingQuery{}, account.Page{Limit: excerptPart})
	if err != nil {
		return nil, err
	}
	packages, err := c.packages(ctx, found.Key, account.PackageQuery{}, account.Page{Limit: excerptPart})
	if err != nil {
		return nil, err
	}
	component, err := s.Component(ctx, t.Repository)
	if err != nil {
		return nil, fmt.Errorf("read component: %w", err)
	}
	v := newReleaseView(&found, p)
	if v.History, err = c.history(ctx, &found, p); err != nil {
		return nil, err
	}
	v.Findings.fill(findings.Items, p.at)
	v.FoundSays = pagerOf(p.q, len(findings.Items), findings.Next, findings.Total, "finding").Says
	v.Packages.fill(packages.Items)
	v.PackSays = pagerOf(p.q, len(packages.Items), packages.Next, packages.Total, "package").Says
	if v.PreviousURL, err = c.previousURL(ctx, &found.Standing, component.Trend); err != nil {
		return nil, err
	}
	if v.Receipt, err = c.receipt(ctx, &found, p); err != nil {
		return nil, err
	}
	v.Counted = newCounted(&found, &v.Receipt)
	if p.Docs != "" {
		v.Downloads = downloads(&found)
		d, err := s.Dossier(ctx, t.Repository, found.Image.Digest)
		if err != nil {
			return nil, fmt.Errorf("read dossier: %w", err)
		}
		made := newDossier(&d, &found, p)
		v.Dossier = &made
	}
	if v.Asked, err = c.asked(ctx, p, subject{t.Repository, found.Image.Digest}); err != nil {
		return nil, err
	}
	p.Title = v.Frame.Label
	return releaseContent(p, v), nil
}

func newReleaseView(r *account.Release, p *page) *releaseView {
	v := &releaseView{Frame: newReleaseFrame(r, "", p), Verdict: newVerdict(r.Now, p), Evidence: newPieces(r, p)}
	if r.AtRelease != nil {
		then := newVerdict(r.AtRelease, p)
		v.AtRelease = &then
	}
	v.Findings = findingsTable{
		ID: "findings", Caption: "Findings of " + v.Frame.Label,
		Severity: column{Label: "Severity"}, IDHead: column{Label: "Advisory"}, PackageHead: column{Label: "Package"}, Known: column{Label: "When"},
	}
	v.Packages = packagesTable{
		ID: "packages", Caption: "Packages of " + v.Frame.Label,
		Name: column{Label: "Package"}, Version: column{Label: "Version"}, Findings: column{Label: "Findings"},
	}
	v.PackagesUnknown = packagesUnknown(r)
	v.Provenance = newProvenance(r, p)
	if v.Provenance == nil {
		v.NoProvenance = why(r, release.PaperProvenance)
	}
	v.Layers, v.NoLayers = newLayers(r)
	v.Documents = newDocuments(r.Documents)
	v.Run = runSnippets(r)
	v.Verify = newVerifyGuide(r)
	v.Reproduce = reproduceSnippets(r)
	v.Over = overTime(r, p)
	return v
}

// why is the reason for the state of a kind of evidence, of the index first.
func why(r *account.Release, kind release.PaperKind) string {
	for _, e := range r.Pieces {
		if e.Kind == kind && e.State != release.StateVerified {
			return evidenceState(e.State).Word + ": " + e.Reason
		}
	}
	return "Unknown: the papers of this image were not looked at yet"
}

// previousURL compares a release with the one before it: that of the trend, which is read
// already, or where that does not go back so far the one that the store knows.
func (c *Console) previousURL(ctx context.Context, s *account.Standing, trend []account.Standing) (string, error) {
	if s.Version == "" {
		return "", nil
	}
	before := ""
	for i := range trend {
		if i > 0 && trend[i].Version == s.Version {
			before = trend[i-1].Version
		}
	}
	if before == "" {
		var err error
		if before, err = c.cfg.Store.Before(ctx, s.Image.Repository, s.Version); err != nil {
			return "", fmt.Errorf("read the release before: %w", err)
		}
	}
	if before == "" {
		return "", nil
	}
	return compareURL(s.Image.Repository, before, refName(s)), nil
}

// layers are those of a platform.
type layers struct {
	Platform string
	Total    string
	Layers   []layer
}

type layer struct {
	Number    string
	Digest    string
	Size      string
	Share     string // of the platform, in percent
	MediaType string
}

func newLayers(r *account.Release) (all []layers, missing string) {
	var names []string
	recorded := map[release.Digest]bool{}
	for _, l := range r.Layers {
		if len(l.Layers) == 0 {
			continue
		}
		recorded[l.Platform.Digest] = true
		v := layers{Platform: l.Platform.String()}
		var total int64
		for _, one := range l.Layers {
			total += one.Size
		}
		v.Total = size(total)
		for i, one := range l.Layers {
			row := layer{Number: fmt.Sprint(i + 1), Digest: string(one.Digest), Size: size(one.Size), MediaType: one.MediaType}
			if total > 0 {
				row.Share = fmt.Sprintf("%.1f %%", 100*float64(one.Size)/float64(total))
			}
			v.Layers = append(v.Layers, row)
		}
		all = append(all, v)
	}
	for _, p := range r.Image.Platforms {
		if !recorded[p.Digest] {
			names = append(names, p.String())
		}
	}
	return all, strings.Join(names, ", ")
}

// kindName is a kind of paper as people write it.
func kindName(k release.PaperKind) string {
	switch k {
	case release.PaperSBOM:
		return "SBOM"
	case release.PaperVEX:
		return "VEX"
	case release.PaperSummary:
		return "Gate receipt"
	case release.PaperSignature:
		return "Signature"
	case release.PaperProvenance:
		return "Provenance"
	default:
		return string(k)
	}
}

// nameOf is what the release of a frame is asked for by.
func nameOf(f releaseFrame) string {
	if f.Standing.Version != "" {
		return f.Standing.Version
	}
	return f.Standing.Digest
}
