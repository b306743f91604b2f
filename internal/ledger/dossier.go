package ledger

import "github.com/tallyman-io/tallyman/internal/release"

// Dossier is one that was asked for, and is to be made.
type Dossier struct {
	// ID is the store's name of it.
	ID int64
	// Versions are the version tags that name the image.
	Versions []string
}

// DossierFile is a dossier that was made.
type DossierFile struct {
	// Digest is that of the dossier, File the SHA-256 of its file.
	Digest, File release.Digest
	// Size is in bytes.
	Size int64
}
