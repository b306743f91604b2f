package receipt_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/receipt"
)

func TestRead(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text, wrong string
		critical    int
		counted     bool
	}{
		"with counts":          {text: `{"verificationResult":"PASSED","tallyman_counts":{"critical":2}}`, critical: 2, counted: true},
		"of somebody else":     {text: `{"verifier":{"id":"https://example.com"},"verificationResult":"FAILED"}`},
		"no result":            {text: `{}`, wrong: "expected verificationResult"},
		"less than nothing":    {text: `{"verificationResult":"PASSED","tallyman_counts":{"critical":-1}}`, wrong: "at least 0"},
		"counts that are none": {text: `{"verificationResult":"PASSED","tallyman_counts":{"critical":"none"}}`, wrong: "cannot unmarshal"},
		"not JSON":             {text: `PASSED`, wrong: "invalid character"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := receipt.Read([]byte(tt.text))
			if tt.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wrong) {
					t.Errorf("got %v, want %q", err, tt.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if (got.Counts != nil) != tt.counted || tt.counted && got.Counts.Critical != tt.critical {
				t.Errorf("got %+v", got.Counts)
			}
		})
	}
}

func TestOf(t *testing.T) {
	t.Parallel()
	const digest, other = "sha256:1111111111111111111111111111111111111111111111111111111111111111", "sha256:2222222222222222222222222222222222222222222222222222222222222222"
	for name, c := range map[string]struct {
		uri  string
		want bool
	}{
		"as it is written":        {receipt.ResourceURI("localhost:5000/o/r/Web", digest, "v1.0.0"), true},
		"without a tag":           {receipt.ResourceURI("web", digest, ""), true},
		"not encoded":             {"pkg:oci/web@" + digest, true},
		"a reference":             {"ghcr.io/o/r/web@" + digest, true},
		"another digest":          {receipt.ResourceURI("ghcr.io/o/r/web", other, "v1.0.0"), false},
		"the digest in its place": {receipt.ResourceURI("ghcr.io/o/r/web", other, digest), false},
		"no digest":               {"ghcr.io/o/r/web:v1", false},
		"nothing":                 {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := (receipt.Receipt{ResourceURI: c.uri}).Of(digest); got != c.want {
				t.Errorf("%s: got %t, want %t", c.uri, got, c.want)
			}
		})
	}
	if (receipt.Receipt{ResourceURI: "ghcr.io/o/r/web:v1"}).Of("") {
		t.Error("of no digest: got true, want false")
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"verificationResult":"PASSED","tallyman_counts":{"critical":2}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := receipt.Read(text)
		if err != nil {
			return
		}
		written, err := json.Marshal(r)
		if err != nil {
			t.Skip() // a time that JSON cannot tell
		}
		if _, err := receipt.Read(written); err != nil {
			t.Errorf("what was read cannot be read again: %v\n%s", err, written)
		}
	})
}
