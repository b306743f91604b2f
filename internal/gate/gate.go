package gate

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/audit"
	"github.com/tallyman-io/tallyman/internal/facts"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/policy"
	"github.com/tallyman-io/tallyman/internal/receipt"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/vex"
)

// ruleWaivers is the rule that no policy has to name: an expired waiver fails.
const ruleWaivers = "waivers"

// Gate decides.
type Gate struct {
	Policy *policy.Policy
	// PolicyURI is where the policy can be read.
	PolicyURI  string
	Advisories audit.Advisories
	// Waivers may be nil.
	Waivers *Waivers
	// Reachability is nil when nobody was asked to look.
	Reachability *Reachability
	// Versions are of what the gate is made of, by name; Tool is the program itself.
	Versions map[string]string
	Tool     *receipt.Descriptor
	// Stated is when statements are taken to be made that do not say it: the time of the
	// commit, for the files of a checkout.
	Stated time.Time
	Now    time.Time
}

// Finding is a finding of an image. Several packages that advisories know as one have it
// once, under the first of them.
type Finding struct {
	advisory.Finding

	PURL string
	// VEX is the statement that holds for it, nil when there is none.
	VEX        *vex.Statement
	Suppressed bool
}

// Decision is what the gate says of an image.
type Decision struct {
	Image   Image
	Verdict release.Verdict
	// Counts leaves out what is suppressed, Raw does not. Both are nil when Uncounted
	// says why nothing could be counted.
	Counts, Raw *receipt.Counts
	Uncounted   string
	// Findings are those that were found, the worst first.
	Findings []Finding
	// Waivers are those that suppressed a finding, and those that expired.
	Waivers []Waiver
	Receipt receipt.Receipt
}

// Judge decides on an image. The error is of the database or of ctx; what is wrong with
// the image, or not known of it, is in the decision.
func (g *Gate) Judge(ctx context.Context, image Image) (*Decision, error) {
	documents, expired := g.Waivers.at(g.Now)
	reached, err := g.Reachability.statements(image, g.Stated)
	if err != nil {
		return nil, err
	}
	if reached != nil {
		documents = append(documents, *reached)
	}
	looked := facts.Looked{Examination: image.examination(g.Now), Tag: image.Tag}
	looked.Documents = facts.Chosen(facts.Documents(ctx, looked.Examination))
	if len(image.Platforms) == 1 {
		looked.Platforms = []release.Platform{image.Platforms[0].Platform}
	}
	known := looked.Case()
	if known.Packages, err = g.Advisories.Match(looked.Documents, g.Now); err != nil {
		return nil, err
	}
	with, statements, err := g.facts(ctx, &looked, known, documents)
	if err != nil {
		return nil, err
	}
	without, _, err := g.facts(ctx, &looked, known, nil)
	if err != nil {
		return nil, err
	}
	with.BaseImage = image.Base
	d := &Decision{Image: image, Verdict: g.Policy.Judge(ctx, with, g.Now), Uncounted: with.Findings.Reason}
	if err := context.Cause(ctx); err != nil {
		return nil, err // a rule that did not come to its end is no verdict
	}
	d.refuse(expired)
	d.Findings = findingsOf(known, statements, g.Now)
	if with.Findings.Known {
		d.Counts, d.Raw, d.Uncounted = countsOf(&with), countsOf(&without), ""
	}
	d.Waivers = append(g.applied(d.Findings), expired...)
	d.Receipt = g.receipt(d, &with)
	return d, nil
}

// facts counts with some statements.
func (g *Gate) facts(ctx context.Context, looked *facts.Looked, known *ledger.Case, documents []vex.Document) (policy.Facts, *facts.Statements, error) {
	statements := facts.NewStatements(documents)
	if err := statements.Prepare(ctx, looked.Contents, known); err != nil {
		return policy.Facts{}, nil, err
	}
	view := facts.View{At: g.Now, Advisories: g.Advisories.Known(), Statements: statements}
	f, err := view.Facts(known, known.Packages)
	return f, statements, err
}

// refuse fails what expired waivers stood for, whether they still matter or not: one that
// nobody looks after is not to be found in force later.
func (d *Decision) refuse(expired []Waiver) {
	if len(expired) == 0 {
		return
	}
	names := make([]string, len(expired))
	for i := range expired {
		names[i] = expired[i].String()
	}
	reason := release.Reason{Rule: ruleWaivers, Result: release.ResultFail, Message: "expected no expired waiver, found " + strings.Join(names, ", ")}
	d.Verdict.Reasons = append([]release.Reason{reason}, d.Verdict.Reasons...)
	d.Verdict.Result = release.ResultFail
}

func countsOf(f *policy.Facts) *receipt.Counts {
	c := facts.CountsOf(f)
	return &receipt.Counts{
		Critical: c.Critical, High: c.High, Medium: c.Medium, Low: c.Low, None: c.None, Unscored: c.Unscored,
		Suppressed: c.Suppressed, Packages: c.Packages, Unknown: c.Unknown,
	}
}

// findingsOf lists findings as package facts counts them.
func findingsOf(known *ledger.Case, statements *facts.Statements, now time.Time) []Finding {
	type thing struct {
		what, version, id string
		suppressed        bool
	}
	seen := make(map[thing]bool)
	var all []Finding
	for i := range known.Packages {
		p := &known.Packages[i]
		for j := range p.Findings {
			f := Finding{Finding: p.Findings[j].Finding, PURL: p.PURL}
			statement, suppressed := statements.Statement(known, p.PURL, &f.Finding, now)
			if statement.Status != "" {
				f.VEX, f.Suppressed = &statement, suppressed
			}
			// What is suppressed is counted, and stated, for each package.
			what := thing{f.Subject.Release() + "/" + f.Subject.Name, f.Subject.Version, f.ID, suppressed}
			if seen[what] && !suppressed {
				continue
			}
			seen[what] = true
			all = append(all, f)
		}
	}
	slices.SortStableFunc(all, func(a, b Finding) int {
		if a.Severity.Level != b.Severity.Level {
			return int(b.Severity.Level) - int(a.Severity.Level)
		}
		if c := strings.Compare(a.PURL, b.PURL); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all
}

// applied are the waivers that suppressed findings, in the order of those.
func (g *Gate) applied(findings []Finding) []Waiver {
	var all []Waiver
	for i := range findings {
		if !findings[i].Suppressed {
			continue
		}
		w := g.Waivers.of(*findings[i].VEX)
		if w != nil && !slices.ContainsFunc(all, func(o Waiver) bool { return o.Source == w.Source }) {
			all = append(all, *w)
		}
	}
	return all
}

// Outcome is what several decisions come to: the worst of them.
func Outcome(decisions []*Decision) release.Result {
	results := make([]release.Result, len(decisions))
	for i, d := range decisions {
		results[i] = d.Verdict.Result
	}
	return release.Worst(results...)
}

// place names a finding in a receipt.
func (f *Finding) place() string { return fmt.Sprintf("%s %s", f.ID, f.PURL) }
