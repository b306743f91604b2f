package ledger

import "github.com/tallyman-io/tallyman/internal/release"

// Upload is an SBOM that somebody handed in for an image.
type Upload struct {
	// Subject is the manifest that it is about.
	Subject release.Digest
	Content []byte
	// By names who handed it in.
	By string
}
