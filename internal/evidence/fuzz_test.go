package evidence

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/release"
)

// seed adds what real cosign made, and what breaks readers.
func seed(f *testing.F) {
	f.Helper()
	for _, layout := range []string{"tags", "bundles"} {
		b, err := os.ReadFile(filepath.Join("testdata", "cosign-"+layout+".json"))
		if err != nil {
			f.Fatal(err)
		}
		var r struct{ Blobs []struct{ Body string } }
		if err := json.Unmarshal(b, &r); err != nil {
			f.Fatal(err)
		}
		for _, blob := range r.Blobs {
			f.Add([]byte(blob.Body))
		}
	}
	for _, s := range []string{"", "{}", "null", `{"payload":1}`, strings.Repeat("[", 300), `{"subject":[{"digest":{"sha256":"` + "\xff" + `"}}]}`} {
		f.Add([]byte(s))
	}
}

func FuzzEnvelope(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		envelope, payload, err := parseEnvelope(b)
		if (err == nil) != (envelope != nil) {
			t.Fatalf("got %v, %v", envelope, err)
		}
		if err == nil && len(payload) > len(b) {
			t.Errorf("a payload of %d bytes out of %d", len(payload), len(b))
		}
	})
}

func FuzzStatement(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseStatement(b)
		if err != nil {
			return
		}
		if s.predicateType == "" {
			t.Error("a statement without a predicate type")
		}
		if s.predicate != nil && !json.Valid(s.predicate) {
			t.Errorf("predicate %q", s.predicate)
		}
	})
}

// FuzzLayer reads a layer in every format. Whatever it holds, it must not be
// verified: nobody's key is trusted.
func FuzzLayer(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, format := range []format{formatSimple, formatEnvelope, formatBundle, formatStatement, formatAttached} {
			var paper release.Paper
			l := leaf{format: format}
			l.layer.Annotations = map[string]string{annotationSignature: "AAAA", annotationLog: string(b)}
			(&trust{}).assess(l, b, "sha256:"+release.Digest(strings.Repeat("0", 64)), &paper)
			if paper.State != release.StateInvalid && paper.State != release.StateUnknown || paper.Reason == "" {
				t.Errorf("%s: got %s: %q", format, paper.State, paper.Reason)
			}
		}
	})
}

func TestKindOfPredicate(t *testing.T) {
	t.Parallel()
	for predicate, want := range map[string]release.PaperKind{
		"https://spdx.dev/Document":                release.PaperSBOM,
		"https://spdx.dev/Document/v2.3":           release.PaperSBOM,
		"https://cyclonedx.org/bom/v1.5":           release.PaperSBOM,
		"https://slsa.dev/provenance/v0.2":         release.PaperProvenance,
		"https://openvex.dev/ns/v0.2.0":            release.PaperVEX,
		"https://slsa.dev/verification_summary/v1": release.PaperSummary,
		"https://sigstore.dev/cosign/sign/v1":      release.PaperSignature,
		"https://spdx.dev/Documentary":             release.PaperOther,
		"https://example.com/spdx.dev/Document":    release.PaperOther,
		"":                                         release.PaperOther,
	} {
		if got := kindOf(predicate); got != want {
			t.Errorf("kindOf(%q): got %s, want %s", predicate, got, want)
		}
	}
}
