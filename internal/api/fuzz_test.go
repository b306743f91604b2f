package api_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/api/apitest"
)

// known are values that the tally of the tests knows something of.
func known(_, name string) []string {
	return map[string][]string{
		"name": {"v1.1.0", "v1.2.0"}, "id": {"GO-2026-0001"}, "digest": {string(arm64)}, "platform": {"linux/amd64", "index"},
		"from": {"ghcr.io/acme/web:v1.0.0"}, "to": {"ghcr.io/acme/web:v1.1.0"}, "q": {"CVE-2026-1", "a@>=1"}, "cursor": {"x"},
	}[name]
}

// FuzzNoRequestMakesTheServerFail makes requests from the OpenAPI document, whatever is in
// them. cmd/web does the same with the program on real stores.
func FuzzNoRequestMakesTheServerFail(f *testing.F) {
	s := serve(f, &memory{})
	all, err := apitest.Calls(s.api.OpenAPI(), known)
	if err != nil {
		f.Fatal(err)
	}
	for i := range all {
		f.Add(uint8(i), []byte{0, 4, 8, 12}, "", spdx)
		// Each text for some operations: a fuzzer runs all of these before it begins.
		for j, hostile := range apitest.Hostile() {
			if (i+j)%5 > 0 {
				continue
			}
			f.Add(uint8(i), []byte{3, 3, 3, 3, 3, 3, 3, 3}, hostile, []byte(hostile))
			f.Add(uint8(i), []byte{0, 0, 2, 3, 3, 3, 0, 1}, hostile, []byte(`{"spdxVersion":"SPDX-2.3","packages":[`+hostile))
		}
	}
	f.Fuzz(func(t *testing.T, number uint8, choices []byte, hostile string, body []byte) {
		c := &all[int(number)%len(all)]
		r := c.Request(t.Context(), choices, hostile, body)
		if strings.Contains(c.Path, "/hooks/") && len(hostile)%3 > 0 {
			r.Header.Set("Authorization", "Bearer "+hookSecret)
		}
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		apitest.Record(t, r, body, w)
		if err := c.Check(r, w); err != nil {
			t.Error(err)
		}
	})
}
