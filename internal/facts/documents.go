package facts

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/sbom"
)

// maxPackages bounds how many packages of one SBOM are taken in.
const maxPackages = 200_000

// Documents returns what the papers of an examination carry, except those that claim a
// signer and do not hold, and those that say that they are about another image. What is
// not verified is marked so.
func Documents(ctx context.Context, examination release.Examination) []release.Document {
	var all []release.Document
	// What lies on the index and on a platform is read once.
	known := make(map[release.Digest]*release.SBOM)
	for _, e := range examination.Evidence {
		for i := range e.Papers {
			p := &e.Papers[i]
			if p.Document == nil || p.Misplaced || p.State == release.StateInvalid && !p.Unsigned {
				continue
			}
			d := release.Document{
				Subject: e.Subject, Kind: e.Kind, Digest: DigestOf(p.Document), Content: p.Document,
				Verified: p.State == release.StateVerified, Signer: p.Signer.String(),
			}
			if e.Kind == release.PaperSBOM {
				if known[d.Digest] == nil {
					known[d.Digest] = ReadSBOM(ctx, p.Document)
				}
				d.SBOM = known[d.Digest]
			}
			all = append(all, d)
		}
	}
	return all
}

// DigestOf is the digest that documents are kept by.
func DigestOf(content []byte) release.Digest {
	sum := sha256.Sum256(content)
	return release.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// ReadSBOM reads an SBOM. One that cannot be read to its end says so, and lists
// nothing: half a list would pass for a whole one.
func ReadSBOM(ctx context.Context, content []byte) *release.SBOM {
	s := new(release.SBOM)
	document, err := func() (sbom.Document, error) {
		in, err := sbom.Open(bytes.NewReader(content))
		if err != nil {
			return sbom.Document{}, err
		}
		defer in.Close()
		return sbom.Read(interruptible{ctx, in}, func(p release.Package) error {
			if len(s.Packages) >= maxPackages {
				return fmt.Errorf("expected at most %d packages, found more", maxPackages)
			}
			s.Packages = append(s.Packages, p)
			return nil
		})
	}()
	s.Format, s.Version, s.Unidentified = string(document.Format), document.Version, document.Unidentified
	if err != nil {
		s.Failure, s.Packages = err.Error(), nil
	}
	return s
}

// interruptible is a reader that ends with its context.
type interruptible struct {
	ctx context.Context //nolint:containedctx // it lives as long as one call
	in  io.Reader
}

func (r interruptible) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.in.Read(p) //nolint:wrapcheck // a reader
}
