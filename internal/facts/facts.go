package facts

import (
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

// Advisories is what is known of the advisories. The zero value knows none.
type Advisories struct {
	// None is why there are none at all. Empty where there are some.
	None     string
	Coverage advisory.Coverage
	// Synced is when each feed was last known to be complete, by ecosystem without a
	// release, such as Debian.
	Synced map[string]time.Time
}

// AsOf returns the advisories as if every feed had been synced at that time, for a look
// back: what was known then is as fresh then as it can be.
func (a Advisories) AsOf(at time.Time) Advisories {
	synced := make(map[string]time.Time, len(a.Synced))
	for family, was := range a.Synced {
		if !was.IsZero() {
			synced[family] = at
		}
	}
	a.Synced = synced
	return a
}

// View is how cases look at a time.
type View struct {
	At         time.Time
	Advisories Advisories
	// Statements must have been prepared for the cases.
	Statements *Statements
}

// Facts makes the facts of a case that a policy judges. Packages are those of the case,
// or what was known of them at the time of the view: those with findings or gaps.
func (v *View) Facts(c *ledger.Case, packages []ledger.Package) (policy.Facts, error) {
	f, err := paperFacts(c)
	if err != nil {
		return f, err
	}
	v.packageFacts(c, packages, &f)
	v.findingFacts(c, packages, &f)
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
func (v *View) packageFacts(c *ledger.Case, packages []ledger.Package, f *policy.Facts) {
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
			if gap := v.Advisories.Coverage.Gap(subject); gap != "" && v.Advisories.None == "" {
				open += e.Packages
				missing[subject.Release()] = true
			}
		}
		p.Unknown = max(p.Unknown, open)
		for _, licence := range d.Licences {
			licences[licence] = true
		}
	}
	for i := range packages {
		if gap := packages[i].Gap; gap != "" {
			p.Unknown++
			p.UnknownReasons = append(p.UnknownReasons, packages[i].PURL+": "+gap)
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
func (v *View) ageFacts(sboms []ledger.Document, a *policy.Advisories) {
	var oldest time.Time
	for i := range sboms {
		for _, e := range sboms[i].Ecosystems {
			subject, _, _ := advisory.IdentifyPURL(e.PURL)
			synced := v.Advisories.Synced[subject.Family]
			if synced.IsZero() {
				continue // missing, which is told already
			}
			if oldest.IsZero() || synced.Before(oldest) {
				oldest = synced
			}
		}
	}
	switch {
	case v.Advisories.None != "":
		a.Reason = v.Advisories.None
	case !oldest.IsZero():
		a.Known, a.Age = true, max(v.At.Sub(oldest), 0)
	case len(a.Missing) > 0:
		a.Reason = "no feed that the packages need was ever fetched"
	default:
		a.Reason = "there are no packages to know advisories of"
	}
}

// CountsOf returns what was counted for a verdict.
func CountsOf(f *policy.Facts) ledger.Counts {
	c := f.Findings.Counts
	counts := ledger.Counts{
		Known: f.Findings.Known, Critical: c.Critical, High: c.High, Medium: c.Medium, Low: c.Low, None: c.None, Unscored: c.Unscored,
		Suppressed: f.Findings.Suppressed, Fixable: f.Findings.Fixable.Total(), Packages: f.Packages.Count, Unknown: f.Packages.Unknown,
	}
	if counts.Suppressed > 0 {
		counts.Raw = ledger.Levels(f.Findings.Raw)
	}
	return counts
}

// findingFacts counts findings. Several packages that advisories know as one, such as
// the binaries of a source package, have them once.
func (v *View) findingFacts(c *ledger.Case, packages []ledger.Package, f *policy.Facts) {
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
	seen, raw, expired := make(map[[3]string]bool), make(map[[3]string]bool), make(map[string]bool)
	for i := range packages {
		p := &packages[i]
		for j := range p.Findings {
			found := &p.Findings[j]
			what := [3]string{found.Subject.Release() + "/" + found.Subject.Name, found.Subject.Version, found.ID}
			if !raw[what] {
				raw[what] = true
				count(&of.Raw, found.Severity.Level)
			}
			holds, suppressed := v.Statements.Statement(c, p.PURL, &found.Finding, v.At)
			if suppressed {
				of.Suppressed++
				continue
			}
			if ended := holds.Ended(); ended != "" {
				expired[ended+" for "+found.ID] = true
			}
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
	of.Expired = slices.Sorted(maps.Keys(expired))
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
