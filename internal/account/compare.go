package account

import "github.com/tallyman-io/tallyman/internal/release"

// Comparison is what differs between two releases.
type Comparison struct {
	From, To Standing
	Packages PackageChanges
	// Fixed are findings that only From has, Introduced those that only To has, and
	// Common counts those that both have.
	Fixed, Introduced []Finding
	Common            int
	// Licences that only one of them has.
	LicencesGone, LicencesNew []string
	Sizes                     []SizeChange
	// Signers of the verified signatures.
	FromSigners, ToSigners []string
}

// PackageChanges are the packages that differ, in parts of lists by name.
type PackageChanges struct {
	Added, Removed, Changed List[PackageChange]
	// Same counts those that both have in the same versions.
	Same int
	// Unknown says why the packages of one of them are not known. Empty when they are.
	Unknown string
}

// ComparePages are the parts of the lists of packages that are asked for.
type ComparePages struct{ Added, Removed, Changed Page }

// PackageChange is a package, by its purl without a version, whose versions differ.
type PackageChange struct {
	Package string
	// From and To are the versions, empty where it is not there.
	From, To []string
}

// SizeChange is the size of a platform in both releases, in bytes; -1 where the platform
// is not there.
type SizeChange struct {
	Platform string
	From, To int64
}

// Hit is a release that a search found, and why.
type Hit struct {
	Standing
	// Matches are the packages or advisories by which it was found, at most a few.
	Matches []string
}

// SearchKind says what a search term is.
type SearchKind string

const (
	// SearchDigest: the digest of an image or a platform, or the beginning of one.
	SearchDigest SearchKind = "digest"
	// SearchAdvisory: the id or an alias of an advisory.
	SearchAdvisory SearchKind = "advisory"
	// SearchPackage: a name or purl of a package, with @version or @range behind it.
	SearchPackage SearchKind = "package"
	// SearchRelease: part of a repository, with :version behind it or not.
	SearchRelease SearchKind = "release"
)

// Found is what a search found.
type Found struct {
	Kind SearchKind
	List[Hit]
	// Advisory is what an id names, nil when no feed has it.
	Advisory *Advisory
	// Unknown says why there may be more, such as an advisory that no feed has. Empty when
	// there is no more.
	Unknown string
}

// Layers of a platform.
type Layers struct {
	Platform release.Platform
	Layers   []release.Layer
}
