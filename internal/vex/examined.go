package vex

import (
	"errors"

	"github.com/tallyman-io/tallyman/internal/release"
)

// Examined reads the documents in the verified papers of an examination. What the
// error tells of could not be read: it is not known whether it suppresses, or takes
// back what the others say.
func Examined(e release.Examination) ([]Document, error) {
	var documents []Document
	var failed error
	for _, piece := range e.Evidence {
		if piece.Kind != release.PaperVEX {
			continue
		}
		for _, paper := range piece.Papers {
			if paper.State != release.StateVerified {
				continue
			}
			d, err := Parse(paper.Document, Origin{Paper: paper.Blob, Signer: paper.Signer}, piece.Subject)
			if err != nil {
				failed = errors.Join(failed, err)
				continue
			}
			documents = append(documents, d)
		}
	}
	return documents, failed
}
