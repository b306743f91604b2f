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
