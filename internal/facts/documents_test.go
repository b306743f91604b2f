package facts_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/facts"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

const sbom = `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"name":"a","purl":"pkg:golang/example.com/a@v1.0.0"}]}`

func TestDocumentsThatCount(t *testing.T) {
	t.Parallel()
	signed := release.Paper{State: release.StateVerified, Document: []byte(sbom), Signer: release.Signer{Key: "release.pub"}}
	unsigned := release.Paper{State: release.StateInvalid, Unsigned: true, Document: []byte(sbom + " ")}
	forged := release.Paper{State: release.StateInvalid, Document: []byte(sbom)}
	unsupported := release.Paper{State: release.StateUnknown, Document: []byte(sbom)}
	misplaced := release.Paper{State: release.StateInvalid, Unsigned: true, Misplaced: true, Document: []byte(sbom)}
	tests := map[string]struct {
		papers []release.Paper
		want   []bool // verified or not
	}{
		"a verified one":                     {[]release.Paper{signed}, []bool{true}},
		"a verified one beside an unsigned":  {[]release.Paper{signed, unsigned}, []bool{true}},
		"an unsigned one":                    {[]release.Paper{unsigned}, []bool{false}},
		"one that could not be verified":     {[]release.Paper{unsupported}, []bool{false}},
		"a forged one":                       {[]release.Paper{forged}, nil},
		"one about another image":            {[]release.Paper{misplaced}, nil},
		"a signature, which has no document": {[]release.Paper{{State: release.StateVerified}}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := release.Examination{Digest: "index", Evidence: []release.Evidence{{Kind: release.PaperSBOM, Subject: "index", On: "index", Papers: tt.papers}}}
			var got []bool
			for _, d := range facts.Chosen(facts.Documents(t.Context(), e)) {
				got = append(got, d.Verified)
				if d.SBOM == nil || len(d.SBOM.Packages) != 1 {
					t.Errorf("got SBOM %+v, want one package", d.SBOM)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatOnlyPapersSayIsKeptAsJSON(t *testing.T) {
	t.Parallel()
	e := release.Examination{Digest: "index", Evidence: []release.Evidence{
		{Kind: release.PaperProvenance, Subject: "index", Papers: []release.Paper{
			{State: release.StateVerified, Signer: release.Signer{Key: "b"}},
			{State: release.StateVerified, Signer: release.Signer{Key: "a"}},
			{State: release.StateVerified, Signer: release.Signer{Key: "a"}},
			{State: release.StateInvalid, Signer: release.Signer{Key: "forged"}},
		}},
	}}
	if got, want := facts.OfPapers(e), `{"signers":{"provenance":{"keys":["a","b"]}},"rebuilders":2}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRebuildersOfBeforeTheyWereCounted(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		`{"signers":{"provenance":{"keys":["a"],"identities":["b"]}}}`:                2,
		`{"signers":{"provenance":{"keys":["a"],"identities":["b"]}},"rebuilders":1}`: 1,
		`{"signers":{"provenance":{"keys":["a"]}},"rebuilders":0}`:                    0,
	} {
		view := facts.View{Statements: facts.NewStatements(nil)}
		got, err := view.Facts(&ledger.Case{Facts: text}, nil)
		if err != nil || got.Rebuilders != want {
			t.Errorf("%s: got %d, %v, want %d", text, got.Rebuilders, err, want)
		}
	}
}
