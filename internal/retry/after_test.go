package retry_test

import (
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/retry"
)

func TestParseAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC)
	tests := map[string]struct {
		want time.Duration
		ok   bool
	}{
		"":                              {},
		"soon":                          {},
		"-1":                            {},
		"1.5":                           {},
		"0":                             {0, true},
		"120":                           {2 * time.Minute, true},
		"4294967295":                    {retry.MaxAfter, true},
		"Wed, 04 Mar 2026 05:07:07 GMT": {time.Minute, true},
		"Wed, 04 Mar 2026 05:05:07 GMT": {0, true},
		"Thu, 04 Mar 2027 05:05:07 GMT": {retry.MaxAfter, true},
	}
	for header, tt := range tests {
		got, err := retry.ParseAfter(header, now)
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("ParseAfter(%q): got %s, %v; want %s, ok %t", header, got, err, tt.want, tt.ok)
		}
	}
}

func FuzzParseAfter(f *testing.F) {
	for _, seed := range []string{"", "120", "-1", "Wed, 04 Mar 2026 05:07:07 GMT", "99999999999999999999"} {
		f.Add(seed)
	}
	now := time.Date(2026, time.March, 4, 5, 6, 7, 0, time.UTC)
	f.Fuzz(func(t *testing.T, header string) {
		got, _ := retry.ParseAfter(header, now)
		if got < 0 || got > retry.MaxAfter {
			t.Errorf("ParseAfter(%q): got %s, want 0 to %s", header, got, retry.MaxAfter)
		}
	})
}
