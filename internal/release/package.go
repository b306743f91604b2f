package release

// Package is one thing that an SBOM lists as shipped.
type Package struct {
	// PURL is the package URL exactly as the document has it, and what identifies
	// the package. Empty when the document gives none.
	PURL string
	// Name and Version are the document's words, for people; they may differ from
	// what the purl says.
	Name    string
	Version string
	// Licences are SPDX identifiers, expressions or names, as in the document.
	Licences []string
	// Entry tells where in the document the package stands, such as
	// "packages[12] (SPDXRef-Package-a)".
	Entry string
}
