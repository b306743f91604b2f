package release

// Document is what a paper carries about an image, byte for byte, and what is read
// out of it.
type Document struct {
	// Subject is the manifest that it is about.
	Subject Digest
	Kind    PaperKind
	// Digest is that of Content.
	Digest  Digest
	Content []byte
	// Verified says whether the paper that carries it is. Papers that claim a signer and
	// do not hold are not read at all.
	Verified bool
	// Signer names who vouches for it, empty for an unsigned one.
	Signer string
	// Uploaded names who handed it in. Empty for what was found beside the image.
	Uploaded string
	SBOM     *SBOM
}

// SBOM is what an SBOM lists.
type SBOM struct {
	Format  string // SPDX or CycloneDX
	Version string
	// Failure is why it cannot be read. Packages is not all that it lists then.
	Failure  string
	Packages []Package
	// Unidentified counts the packages without a purl: nothing can be looked up for
	// them.
	Unidentified int
}
