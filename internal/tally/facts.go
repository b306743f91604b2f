package tally

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/policy"
	"github.com/tallyman-io/tallyman/internal/release"
)

// paperFacts is what only papers say of an image: who signed which kind, as
// [ledger.Examined] keeps it.
type paperFacts struct {
	Signers map[release.PaperKind]signers `json:"signers"`
}

// signers are those of verified papers.
type signers struct {
	Keys       []string `json:"keys,omitempty"`
	Identities []string `json:"identities,omitempty"`
}

// factsOf gathers what only the papers of an examination say.
func factsOf(examination release.Examination) string {
	facts := paperFacts{Signers: map[release.PaperKind]signers{}}
	for _, e := range examination.Evidence {
		of := facts.Signers[e.Kind]
		for i := range e.Papers {
			p := &e.Papers[i]
			if p.State != release.StateVerified {
				continue
			}
			of.Keys = with(of.Keys, p.Signer.Key)
			of.Identities = with(of.Identities, p.Signer.Identity)
		}
		facts.Signers[e.Kind] = of
	}
	text, err := json.Marshal(facts)
	if err != nil {
		panic(fmt.Sprintf("encode the facts of papers: %v", err)) // strings can be encoded
	}
	return string(text)
}

// with adds a name to a sorted list.
func with(names []string, name string) []string {
	i, found := slices.BinarySearch(names, name)
	if found || name == "" {
		return names
	}
	return slices.Insert(names, i, name)
}

// data is what is known of the advisories, for all cases of a wave.
type data struct {
	coverage advisory.Coverage
	// synced is when each feed was last known to be complete.
	synced map[string]time.Time
	vex    *statements
}

// view is how a case looks at a time.
type view struct {
	at       time.Time
	packages []ledger.Package
	data     *data
}

// facts makes the facts of a case that a policy judges.
func (v *view) facts(c *ledger.Case) (policy.Facts, error) {
	var papers paperFacts
	if err := json.Unmarshal([]byte(c.Facts), &papers); err != nil {
		return policy.Facts{}, fmt.Errorf("facts of %s@%s: %w", c.Repository, c.Digest, err)
	}
	f := policy.Examined(release.Examination{Repository: c.Repository, Digest: c.Digest, Evidence: c.Evidence})
	f.TagMoved = !c.MovedAt.IsZero()
	if len(c.Versions) > 0 {
		f.Version = c.Versions[0]
	}
	f.Platforms = nil
	for _, p := range c.Platforms {
		f.Platforms = append(f.Platforms, p.String())
	}
	// The evidence of a case has no papers: who signed them is kept beside it.
	for kind, e := range map[release.PaperKind]*policy.Evidence{
		release.PaperSignature: &f.Signature, release.PaperSBOM: &f.SBOM, release.PaperProvenance: &f.Provenance,
		release.PaperVEX: &f.VEX, release.PaperSummary: &f.Summary,
	} {
		e.Signers, e.Identities = papers.Signers[kind].Keys, papers.Signers[kind].Identities
	}
	f.Rebuilders = len(f.Provenance.Signers) + len(f.Provenance.Identities)
	v.packageFacts(c, &f)
	v.findingFacts(c, &f)
	return f, nil
}

// sbomsOf returns the SBOMs that count for a case.
func sbomsOf(c *ledger.Case) []ledger.Document {
	return slices.DeleteFunc(slices.Clone(c.Documents), func(d ledger.Document) bool { return d.Kind != release.PaperSBOM })
}

// someReasons bounds the reasons that facts name; all are counted.
const someReasons = 5

// packageFacts tells how well the packages are known. Documents of one image list
// mostly the same packages: of what each leaves open, the most counts.
func (v *view) packageFacts(c *ledger.Case, f *policy.Facts) {
	p, a := &f.Packages, &f.Advisories
	sboms := sbomsOf(c)
	if len(sboms) == 0 {
		p.Reason = "there is no SBOM to read them from"
	}
	p.Known, p.Trusted = len(sboms) > 0, len(sboms) > 0
	licences, missing := map[string]bool{}, map[string]bool{}
	for i := range sboms {
		d := &sboms[i]
		if d.Failure != "" {
			p.Known, p.Reason = false, "an SBOM cannot be read: "+d.Failure
		}
		p.Trusted = p.Trusted && d.Verified
		p.Count = max(p.Count, d.Packages+d.Unidentified)
		open := d.Unidentified + d.Unmatchable
		if d.Unidentified > 0 {
			p.UnknownReasons = append(p.UnknownReasons, fmt.Sprintf("%d packages have no purl", d.Unidentified))
		}
		if d.WhyNot != "" {
			p.UnknownReasons = append(p.UnknownReasons, d.WhyNot)
		}
		for _, e := range d.Ecosystems {
			subject, _, _ := advisory.IdentifyPURL(e.PURL)
			if gap := v.data.coverage.Gap(subject); gap != "" {
				open += e.Packages
				missing[subject.Release()] = true
			}
		}
		p.Unknown = max(p.Unknown, open)
		for _, licence := range d.Licences {
			licences[licence] = true
		}
	}
	for i := range v.packages {
		if gap := v.packages[i].Gap; gap != "" {
			p.Unknown++
			p.UnknownReasons = append(p.UnknownReasons, v.packages[i].PURL+": "+gap)
		}
	}
	slices.Sort(p.UnknownReasons)
	p.UnknownReasons = slices.Compact(p.UnknownReasons)
	p.UnknownReasons = p.UnknownReasons[:min(len(p.UnknownReasons), someReasons)]
	p.Licences = slices.Sorted(maps.Keys(licences))
	a.Missing = slices.Sorted(maps.Keys(missing))
	v.ageFacts(sboms, a)
}

// ageFacts tells how old the advisories are: as old as the oldest feed that the
// packages need.
func (v *view) ageFacts(sboms []ledger.Document, a *policy.Advisories) {
	var oldest time.Time
	for i := range sboms {
		for _, e := range sboms[i].Ecosystems {
			subject, _, _ := advisory.IdentifyPURL(e.PURL)
			synced := v.data.synced[subject.Family]
			if synced.IsZero() {
				continue // missing, which is told already
			}
			if oldest.IsZero() || synced.Before(oldest) {
				oldest = synced
			}
		}
	}
	switch {
	case !oldest.IsZero():
		a.Known, a.Age = true, max(v.at.Sub(oldest), 0)
	case len(a.Missing) > 0:
		a.Reason = "no feed that the packages need was ever fetched"
	default:
		a.Reason = "there are no packages to know advisories of"
	}
}

func countsOf(f *policy.Facts) string {
	c := f.Findings.Counts
	return ledger.Counts{
		Known: f.Findings.Known, Critical: c.Critical, High: c.High, Medium: c.Medium, Low: c.Low, None: c.None, Unscored: c.Unscored,
		Suppressed: f.Findings.Suppressed, Fixable: f.Findings.Fixable.Total(), Packages: f.Packages.Count, Unknown: f.Packages.Unknown,
	}.String()
}

// findingFacts counts findings. Several packages that advisories know as one, such as
// the binaries of a source package, have them once.
func (v *view) findingFacts(c *ledger.Case, f *policy.Facts) {
	of := &f.Findings
	switch {
	case !f.Packages.Known:
		of.Reason = "the packages are not known: " + f.Packages.Reason
		return
	case !f.Advisories.Known:
		of.Reason = "the advisories are not known: " + f.Advisories.Reason
		return
	case len(f.Advisories.Missing) > 0:
		// What was counted without them would pass for all there is.
		of.Reason = "there are no advisories of " + strings.Join(f.Advisories.Missing, ", ")
		return
	}
	of.Known = true
	seen := make(map[[3]string]bool)
	for i := range v.packages {
		p := &v.packages[i]
		for j := range p.Findings {
			found := &p.Findings[j]
			if _, suppressed := v.data.vex.statement(c, p.PURL, &found.Finding); suppressed {
				of.Suppressed++
				continue
			}
			what := [3]string{found.Subject.Release() + "/" + found.Subject.Name, found.Subject.Version, found.ID}
			if seen[what] {
				continue
			}
			seen[what] = true
			count(&of.Counts, found.Severity.Level)
			if len(found.Fixed) > 0 {
				count(&of.Fixable, found.Severity.Level)
			}
			if found.Severity.Level == advisory.Critical && (of.CriticalSince.IsZero() || found.Since.Before(of.CriticalSince)) {
				of.CriticalSince = found.Since
			}
		}
	}
}

func count(c *policy.Counts, level advisory.Level) {
	switch level {
	case advisory.Critical:
		c.Critical++
	case advisory.High:
		c.High++
	case advisory.Medium:
		c.Medium++
	case advisory.Low:
		c.Low++
	case advisory.None:
		c.None++
	default:
		c.Unscored++
	}
}
