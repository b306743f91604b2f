package ledger

import (
	"time"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Case is what is known of an image, for the judge.
type Case struct {
	// Key is the store's.
	Key        int64
	Repository string
	Digest     release.Digest
	// ReleasedAt is when the image became a release.
	ReleasedAt time.Time
	// Versions are the version tags that name it now, newest first; MovedAt is when one
	// of them was last found to have named another digest.
	Versions  []string
	MovedAt   time.Time
	Platforms []release.Platform
	// Evidence has states and reasons, no papers.
	Evidence []release.Evidence
	// Facts is what [Examined] has.
	Facts     string
	Documents []Document
	// Packages are those with findings or gaps.
	Packages []Package
	// AtRelease and Last are the verdicts that were reached before, nil when none was.
	AtRelease, Last *Verdict
}

// Document is a document that counts for an image.
type Document struct {
	Subject  release.Digest
	Kind     release.PaperKind
	Digest   release.Digest
	Verified bool
	Signer   string
	// Of an SBOM:
	Failure      string
	Packages     int
	Unidentified int
	// Unmatchable counts packages that no advisory can speak of; WhyNot tells of one.
	Unmatchable int
	WhyNot      string
	Licences    []string
	// Ecosystems has one purl for each ecosystem, and how many packages are of it.
	Ecosystems []EcosystemCount
}

// EcosystemCount is how many packages of a document one ecosystem has, with the purl of
// one of them.
type EcosystemCount struct {
	PURL     string `json:"purl"`
	Packages int    `json:"packages"`
}

// Package is a package that advisories say something of.
type Package struct {
	Key  int64
	PURL string
	Name string
	// Gap is why there may be more findings. Empty when these are all.
	Gap      string
	Findings []Finding
}

// Finding is a finding and when it was first known: the earliest of what was merged
// into it.
type Finding struct {
	advisory.Finding
	Since time.Time
}

// Place is where a document has a package.
type Place struct {
	Document release.Digest
	Subject  release.Digest
	// Position counts the packages of the document that have a purl, from 0;
	// sbom.Entry reads it.
	Position int
}
