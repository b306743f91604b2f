package facts

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/policy"
	"github.com/tallyman-io/tallyman/internal/release"
)

// papers is what only papers say of an image, as [ledger.Examined] keeps it: the
// evidence of a case has states and reasons alone.
type papers struct {
	// Signers has who signed which kind, on any manifest of the image.
	Signers map[release.PaperKind]signers `json:"signers"`
	// Rebuilders counts those of [release.Rebuilders]. Nil in what was kept before it was
	// counted here: until the next look it is whoever signed provenance, as it was then.
	Rebuilders *int `json:"rebuilders"`
}

// signers are those of verified papers.
type signers struct {
	Keys       []string `json:"keys,omitempty"`
	Identities []string `json:"identities,omitempty"`
}

// OfPapers returns what only the papers of an examination say, as a JSON object for
// [ledger.Examined] and [ledger.Case].
func OfPapers(examination release.Examination) string {
	rebuilders := len(examination.Rebuilders())
	facts := papers{Signers: map[release.PaperKind]signers{}, Rebuilders: &rebuilders}
	for _, e := range examination.Evidence {
		of := facts.Signers[e.Kind]
		for i := range e.Papers {
			p := &e.Papers[i]
			if p.State != release.StateVerified {
				continue
			}
			of.Keys = with(of.Keys, p.Signer.Key)
			of.Identities = with(of.Identities, p.Signer.Identity)
		}
		facts.Signers[e.Kind] = of
	}
	text, err := json.Marshal(facts)
	if err != nil {
		panic(fmt.Sprintf("encode the facts of papers: %v", err)) // strings can be encoded
	}
	return string(text)
}

// with adds a name to a sorted list.
func with(names []string, name string) []string {
	i, found := slices.BinarySearch(names, name)
	if found || name == "" {
		return names
	}
	return slices.Insert(names, i, name)
}

// paperFacts takes the states of the evidence, and who signed it.
func paperFacts(c *ledger.Case) (policy.Facts, error) {
	var said papers
	if err := json.Unmarshal([]byte(c.Facts), &said); err != nil {
		return policy.Facts{}, fmt.Errorf("facts of %s@%s: %w", c.Repository, c.Digest, err)
	}
	f := policy.Examined(release.Examination{Repository: c.Repository, Digest: c.Digest, Evidence: c.Evidence})
	f.TagMoved = !c.MovedAt.IsZero()
	if len(c.Versions) > 0 {
		f.Version = c.Versions[0]
	}
	f.Platforms = nil
	for _, p := range c.Platforms {
		f.Platforms = append(f.Platforms, p.String())
	}
	for kind, e := range map[release.PaperKind]*policy.Evidence{
		release.PaperSignature: &f.Signature, release.PaperSBOM: &f.SBOM, release.PaperProvenance: &f.Provenance,
		release.PaperVEX: &f.VEX, release.PaperSummary: &f.Summary,
	} {
		e.Signers, e.Identities = said.Signers[kind].Keys, said.Signers[kind].Identities
	}
	f.Rebuilders = len(f.Provenance.Signers) + len(f.Provenance.Identities)
	if said.Rebuilders != nil {
		f.Rebuilders = *said.Rebuilders
	}
	return f, nil
}
