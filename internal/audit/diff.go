package audit

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/evidence"
	"github.com/tallyman-io/tallyman/internal/facts"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/vex"
)

// Side is what one side of a comparison is: an image, or an SBOM by itself.
type Side struct {
	// Name is what it was asked for by.
	Name string
	// Image is nil for an SBOM; Document is the bytes of it then.
	Image    *Image
	Document []byte
	// Shape is that of the image, zero where ShapeUnknown says why it could not be read.
	Shape        evidence.Shape
	ShapeUnknown string
}

// Known is something that may not be known: the value, or why there is none.
type Known[T any] struct {
	Value T
	// Unknown is empty where the value is known.
	Unknown string
}

// Told is what one side of a comparison tells of itself.
type Told struct {
	Name string
	// Digest of the image; empty for an SBOM.
	Digest release.Digest
	// Signers of the verified signatures.
	Signers Known[[]string]
	// Base is the base image: what verified provenance says, or else what the image
	// claims.
	Base Known[string]
	// Tools are the versions that the builder states, by name.
	Tools    Known[map[string]string]
	Duration Known[time.Duration]
	// Verified: its packages are known, of SBOMs that are all verified. Unverified: they are
	// known, of one that is not.
	Verified, Unverified bool
}

// Changed is a finding that only one side has.
type Changed struct {
	ledger.Finding

	PURL string
	// Suppressed: a VEX statement says that it does not count.
	Suppressed bool
}

// Comparison is what differs between two images or SBOMs.
type Comparison struct {
	From, To Told
	Packages account.PackageChanges
	// LicencesGone and LicencesNew are known when the packages are.
	LicencesGone, LicencesNew []string
	Sizes                     Known[[]account.SizeChange]
	// Fixed are findings that only From has, Introduced those that only To has, the worst
	// first; Common counts those that both have. They are known when FindingsUnknown is
	// empty.
	Fixed, Introduced []Changed
	Common            int
	FindingsUnknown   string
}

// Comparer compares images and SBOMs.
type Comparer struct {
	Advisories Advisories
	VEX        []vex.Document
	// Nobody is trusted: papers were read and not verified.
	Nobody bool
	Now    time.Time
}

// Compare returns what differs between two sides. The error is of the database or of ctx.
func (c *Comparer) Compare(ctx context.Context, from, to Side) (*Comparison, error) {
	a, err := c.see(ctx, from)
	if err != nil {
		return nil, err
	}
	b, err := c.see(ctx, to)
	if err != nil {
		return nil, err
	}
	out := &Comparison{From: a.told, To: b.told}
	if out.Packages.Unknown = cmp.Or(a.shipped.Unknown, b.shipped.Unknown); out.Packages.Unknown == "" {
		out.Packages = account.ComparePackages(a.shipped.Value.packages, b.shipped.Value.packages, account.ComparePages{})
		out.LicencesGone = account.OnlyIn(a.shipped.Value.licences, b.shipped.Value.licences)
		out.LicencesNew = account.OnlyIn(b.shipped.Value.licences, a.shipped.Value.licences)
	}
	if out.Sizes.Unknown = cmp.Or(from.ShapeUnknown, to.ShapeUnknown); out.Sizes.Unknown == "" {
		out.Sizes.Value = account.CompareSizes(from.Shape.Platforms, to.Shape.Platforms)
	}
	if out.FindingsUnknown = cmp.Or(a.findings.Unknown, b.findings.Unknown); out.FindingsUnknown == "" {
		out.Fixed, out.Introduced = without(a.findings.Value, b.findings.Value), without(b.findings.Value, a.findings.Value)
		out.Common = len(a.findings.Value) - len(out.Fixed)
	}
	return out, nil
}

// shipment is what a side ships.
type shipment struct {
	packages account.Shipped
	licences map[string]bool
}

// seen is a side that was read.
type seen struct {
	told     Told
	shipped  Known[shipment]
	findings Known[map[findingKey]Changed]
}

// findingKey is a vulnerability of a package, whatever the version.
type findingKey struct{ id, pkg string }

func (c *Comparer) see(ctx context.Context, side Side) (*seen, error) {
	image := Image{Reference: side.Name}
	const silent = "an SBOM does not say"
	s := &seen{told: Told{
		Name: side.Name, Signers: Known[[]string]{Unknown: silent}, Base: Known[string]{Unknown: silent},
		Tools: Known[map[string]string]{Unknown: silent}, Duration: Known[time.Duration]{Unknown: silent},
	}}
	if side.Image != nil {
		image = *side.Image
		s.tell(side, c.Nobody)
	} else {
		image.Examination = asAttached(side)
	}
	sight, err := newSight(ctx, image, c.Advisories, c.VEX, c.Now)
	if err != nil {
		return nil, err
	}
	if p := sight.facts.Packages; side.Image != nil && p.Known {
		s.told.Verified, s.told.Unverified = p.Trusted, !p.Trusted
	}
	s.shipped = shippedBy(side.Name, sight)
	if !sight.facts.Findings.Known {
		s.findings.Unknown = side.Name + ": " + sight.facts.Findings.Reason
		return s, nil
	}
	s.findings.Value = findingsOf(sight)
	return s, nil
}

// asAttached is an SBOM as an examination would find it beside an image.
func asAttached(side Side) release.Examination {
	paper := release.Paper{Kind: release.PaperSBOM, State: release.StateUnknown, Reason: "a file", Unsigned: true, Document: side.Document}
	return release.Examination{Repository: side.Name, Evidence: []release.Evidence{
		{Kind: release.PaperSBOM, On: "file", State: release.StateUnknown, Reason: "a file", Papers: []release.Paper{paper}},
	}}
}

// tell fills in what only an image tells.
func (s *seen) tell(side Side, nobody bool) {
	e := &side.Image.Examination
	s.told.Digest = e.Digest
	s.told.Signers = signersOf(e)
	why := buildUnknown(e, nobody)
	build := facts.BuildOf(*e)
	s.told.Base = Known[string]{Value: side.Shape.Base, Unknown: side.ShapeUnknown}
	if build != nil && build.Base != "" {
		s.told.Base = Known[string]{Value: build.Base}
	} else if s.told.Base.Value == "" && s.told.Base.Unknown == "" {
		s.told.Base.Unknown = "neither its provenance nor the image names one; " + why
	}
	s.told.Tools, s.told.Duration = Known[map[string]string]{Unknown: why}, durationOf(build, why)
	if build != nil {
		s.told.Tools = Known[map[string]string]{Value: build.Tools}
		if len(build.Tools) == 0 {
			s.told.Tools.Unknown = "the provenance names none"
		}
	}
}

// buildUnknown is why nothing is known of how an image was built, for one without
// verified provenance.
func buildUnknown(e *release.Examination, nobody bool) string {
	state, reason := e.State(release.PaperProvenance)
	if nobody && state != release.StateAbsent {
		return "no key or identity was given to verify provenance with"
	}
	return fmt.Sprintf("provenance is %s: %s", state, reason)
}

func durationOf(build *release.Build, why string) Known[time.Duration] {
	took, ok := build.Duration()
	switch {
	case ok:
		return Known[time.Duration]{Value: took}
	case build != nil:
		return Known[time.Duration]{Unknown: "the provenance does not say when it began and ended"}
	default:
		return Known[time.Duration]{Unknown: why}
	}
}

func signersOf(e *release.Examination) Known[[]string] {
	var names []string
	for _, piece := range e.Evidence {
		for i := range piece.Papers {
			if p := &piece.Papers[i]; piece.Kind == release.PaperSignature && p.State == release.StateVerified {
				names = append(names, p.Signer.String())
			}
		}
	}
	if names = sorted(names); len(names) == 0 {
		state, reason := e.State(release.PaperSignature)
		return Known[[]string]{Unknown: fmt.Sprintf("signature is %s: %s", state, reason)}
	}
	return Known[[]string]{Value: names}
}

func shippedBy(name string, s *sight) Known[shipment] {
	if !s.facts.Packages.Known {
		return Known[shipment]{Unknown: name + ": " + s.facts.Packages.Reason}
	}
	out := shipment{licences: make(map[string]bool)}
	var purls []string
	for i := range s.looked.Documents {
		sbom := s.looked.Documents[i].SBOM
		if sbom == nil {
			continue
		}
		for j := range sbom.Packages {
			if sbom.Packages[j].PURL == "" {
				continue
			}
			purls = append(purls, sbom.Packages[j].PURL)
			for _, licence := range sbom.Packages[j].Licences {
				out.licences[licence] = true
			}
		}
	}
	out.packages = account.NewShipped(purls)
	return Known[shipment]{Value: out}
}

func findingsOf(s *sight) map[findingKey]Changed {
	all := make(map[findingKey]Changed)
	for i := range s.known.Packages {
		p := &s.known.Packages[i]
		base, _ := account.SplitPURL(p.PURL)
		for _, f := range p.Findings {
			_, suppressed := s.statements.Statement(s.known, p.PURL, &f.Finding, s.at)
			key := findingKey{f.ID, base}
			// Of several versions of a package, what is not suppressed counts.
			if known, ok := all[key]; !ok || known.Suppressed && !suppressed {
				all[key] = Changed{Finding: f, PURL: p.PURL, Suppressed: suppressed}
			}
		}
	}
	return all
}

// without returns the findings of a that b has not, the worst first.
func without(a, b map[findingKey]Changed) []Changed {
	var all []Changed
	for _, key := range slices.SortedFunc(maps.Keys(a), func(x, y findingKey) int {
		return cmp.Or(strings.Compare(x.pkg, y.pkg), strings.Compare(x.id, y.id))
	}) {
		if _, both := b[key]; !both {
			all = append(all, a[key])
		}
	}
	slices.SortStableFunc(all, func(x, y Changed) int { return int(y.Severity.Level) - int(x.Severity.Level) })
	return all
}

// Worst is the worst level among the findings that To introduces and VEX does not
// suppress, and false when there is none.
func (c *Comparison) Worst() (worst advisory.Level, found bool) {
	for i := range c.Introduced {
		f := &c.Introduced[i]
		if !f.Suppressed && (!found || f.Severity.Level > worst) {
			worst, found = f.Severity.Level, true
		}
	}
	return worst, found
}
