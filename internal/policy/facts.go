package policy

import (
	"time"

	"github.com/tallyman-io/tallyman/internal/release"
)

// Facts is what is known of a release. docs/policy.md lists the names under which
// policies read them.
type Facts struct {
	Repository string
	// Version is the release's tag, such as v1.4.0-rc.1.
	Version string
	Digest  release.Digest
	// TagMoved: the version was found to name another digest before.
	TagMoved bool
	// Platforms are os/architecture[/variant].
	Platforms []string
	// BaseImage is what the image says that it was built on
	// (org.opencontainers.image.base.name). Not known when empty.
	BaseImage string

	// The evidence is that of the image as a whole.
	Signature  Evidence
	SBOM       Evidence
	Provenance Evidence
	VEX        Evidence
	Summary    Evidence
	// SBOMMissingOn are the platforms that are known to have no verified SBOM, and
	// SBOMUnknownOn those of which it is not known.
	SBOMMissingOn []string
	SBOMUnknownOn []string
	// Rebuilders counts those who vouch for how the image was built, as
	// [release.Rebuilders] does. Not known while the provenance is unknown.
	Rebuilders int

	Packages   Packages
	Findings   Findings
	Advisories Advisories
}

// Evidence is what is known of one kind of papers. The zero value is unknown.
type Evidence struct {
	State release.State
	// Reason is one sentence for people.
	Reason string
	// Signers are the configured names of the keys, and Identities the certificate
	// identities, that signed verified papers.
	Signers    []string
	Identities []string
}

// Packages is what was read from SBOMs. Nothing of it is known unless Known.
type Packages struct {
	Known bool
	// Reason is why not.
	Reason string
	// Trusted: every SBOM that they were read from is verified.
	Trusted bool
	Count   int
	// Unknown counts the packages of which the advisories could not be told, and
	// UnknownReasons has some of their reasons.
	Unknown        int
	UnknownReasons []string
	// Licences are the distinct licences, as the SBOMs write them.
	Licences []string
}

// Findings is what the advisories say of the packages. Nothing of it is known
// unless Known; how recent it is, and what it may lack, Advisories and Packages
// tell.
type Findings struct {
	Known bool
	// Reason is why not.
	Reason string
	// Counts leaves out what VEX suppresses, which Suppressed counts.
	Counts     Counts
	Suppressed int
	// Expired are the statements that would suppress findings, had they not expired, a
	// sentence each.
	Expired []string
	// Raw is what Counts would be if nothing were suppressed.
	Raw Counts
	// Fixable are those of Counts of which a fixed version is known.
	Fixable Counts
	// CriticalSince is when the oldest of the critical findings was first seen.
	// Zero when there is none.
	CriticalSince time.Time
}

// Counts are findings by severity. Unscored ones have no severity.
type Counts struct {
	Critical, High, Medium, Low, None, Unscored int
}

// Total counts all of them.
func (c Counts) Total() int {
	return c.Critical + c.High + c.Medium + c.Low + c.None + c.Unscored
}

// Advisories is what is known of the advisory data.
type Advisories struct {
	// Known: there are data, and their age is known.
	Known bool
	// Reason is why not.
	Reason string
	// Age is how long ago the data were last known to be complete.
	Age time.Duration
	// Missing are the feeds, by ecosystem, of which packages were found and no data
	// is there.
	Missing []string
}

// unknowns says what is not known, a sentence each.
func (f *Facts) unknowns() []string {
	var list []string
	for _, kind := range f.evidence() {
		if !kind.known() {
			list = append(list, kind.name+": "+orNone(kind.Reason))
		}
	}
	for _, platform := range f.SBOMUnknownOn {
		list = append(list, "sbom: not known on "+platform)
	}
	switch p := f.Packages; {
	case !p.Known:
		list = append(list, "packages: "+orNone(p.Reason))
	default:
		if !p.Trusted {
			list = append(list, "packages: read from an SBOM that is not verified")
		}
		if p.Unknown > 0 {
			list = append(list, unjudged(p))
		}
	}
	if !f.Findings.Known {
		list = append(list, "findings: "+orNone(f.Findings.Reason))
	}
	if !f.Advisories.Known {
		list = append(list, "advisories: "+orNone(f.Advisories.Reason))
	}
	for _, feed := range f.Advisories.Missing {
		list = append(list, "advisories: there are none of "+feed)
	}
	return list
}

// named is one kind of evidence under the name that policies use.
type named struct {
	name string
	*Evidence
}

func (n named) known() bool {
	switch n.State {
	case release.StateVerified, release.StateInvalid, release.StateAbsent:
		return true
	default:
		return false
	}
}

func (f *Facts) evidence() [5]named {
	return [...]named{
		{"signature", &f.Signature},
		{"sbom", &f.SBOM},
		{"provenance", &f.Provenance},
		{"vex", &f.VEX},
		{"summary", &f.Summary},
	}
}
