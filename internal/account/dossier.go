package account

import (
	"time"

	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

// DossierState says how far the dossier of a release is.
type DossierState string

// The states of a dossier.
const (
	// DossierNone: nobody asked for one, or it is no longer kept.
	DossierNone DossierState = "none"
	// DossierMaking: it was asked for, and is not made yet.
	DossierMaking DossierState = "making"
	// DossierReady: it can be had.
	DossierReady DossierState = "ready"
	// DossierFailed: it could not be made; Failure says why. It may be asked for again.
	DossierFailed DossierState = "failed"
)

const (
	// DossierKept is how long a dossier can be had.
	DossierKept = 24 * time.Hour
	// DossierLost is how long one may be in the making before it is taken for lost.
	DossierLost = 30 * time.Minute
	// DossierMost bounds the file of a dossier, in bytes.
	DossierMost = 64 << 20
)

// Dossier is how the dossier of the papers of an image stands.
type Dossier struct {
	// ID is the store's name of it; 0 in the state none.
	ID    int64
	State DossierState
	// AskedBy and AskedAt are who asked for it, and when; empty in the state none.
	AskedBy string
	AskedAt time.Time
	// Progress is how far the making is; nil unless it has begun.
	Progress *ledger.Progress
	// Failure is why it could not be made; only of the state failed.
	Failure string

	// Of the state ready: MadeAt and ExpiresAt are when it was made, and how long it can be
	// had.
	MadeAt, ExpiresAt time.Time
	// Digest covers everything in the dossier: it is what `tallyman dossier verify` prints.
	Digest release.Digest
	// File is the SHA-256 of the file, and Size its bytes.
	File release.Digest
	Size int64
	// Outdated: evidence of the image has changed since it was asked for. Asking again makes
	// another.
	Outdated bool
}
