package api_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/api/apitest"
)

// call is an operation of the OpenAPI document, as far as a fuzzer has to know it.
type call struct {
	method, path string
	parameters   []parameter
	media        []string
}

type parameter struct {
	name, in string
	good     []string // values that it may have
}

// calls reads the operations out of the document: nothing else knows what there is.
func calls(t testing.TB, document []byte) []call {
	t.Helper()
	var d struct {
		Paths map[string]map[string]struct {
			Parameters []struct {
				Name, In string
				Example  any
				Schema   struct {
					Type string
					Enum []string
				}
			}
			RequestBody struct{ Content map[string]any }
		}
	}
	if err := json.Unmarshal(document, &d); err != nil {
		t.Fatal(err)
	}
	var all []call
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(d.Paths[path])) {
			o := d.Paths[path][method]
			c := call{method: strings.ToUpper(method), path: path, media: slices.Sorted(maps.Keys(o.RequestBody.Content))}
			for _, p := range o.Parameters {
				described := parameter{p.Name, p.In, p.Schema.Enum}
				if text, ok := p.Example.(string); ok {
					described.good = append(described.good, text)
				}
				switch p.Schema.Type {
				case "integer":
					described.good = append(described.good, "1", "7")
				case "boolean":
					described.good = append(described.good, "true")
				}
				described.good = append(described.good, known(p.Name)...)
				if p.Name != "" { // not a reference
					c.parameters = append(c.parameters, described)
				}
			}
			all = append(all, c)
		}
	}
	return all
}

// known are values that the tally of the tests knows something of, so that a fuzzer gets
// behind the first door.
func known(name string) []string {
	return map[string][]string{
		"name": {"v1.1.0", "v1.2.0"}, "id": {"GO-2026-0001"}, "digest": {string(arm64)}, "platform": {"linux/amd64", "index"},
		"from": {"ghcr.io/acme/web:v1.0.0"}, "to": {"ghcr.io/acme/web:v1.1.0"}, "q": {"CVE-2026-1", "a@>=1"}, "cursor": {"x"},
	}[name]
}

// build makes a request: each byte of choices chooses a value that is good, or the
// hostile one.
func (c *call) build(ctx context.Context, choices []byte, hostile string, body []byte) *http.Request {
	choose := func(good []string) string {
		if len(choices) == 0 {
			return ""
		}
		n := int(choices[0])
		choices = choices[1:]
		switch {
		case n%4 == 3 || len(good) == 0:
			return hostile
		case n%4 == 2:
			return good[n/4%len(good)] + hostile
		default:
			return good[n/4%len(good)]
		}
	}
	path, query := c.path, url.Values{}
	for _, p := range c.parameters {
		value := choose(p.good)
		if p.in == "path" {
			if value == "" || value == "." || value == ".." {
				value = "~"
			}
			path = strings.ReplaceAll(path, "{"+p.name+"}", url.PathEscape(value))
			continue
		}
		query[p.name] = append(query[p.name], value)
	}
	r := httptest.NewRequestWithContext(ctx, c.method, "/", strings.NewReader(string(body)))
	r.URL.Path, r.URL.RawPath = "", ""
	if u, err := url.Parse(path); err == nil {
		r.URL = u
	}
	if r.URL.RawQuery = query.Encode(); len(choices) > 0 && choices[0]%2 == 1 {
		r.URL.RawQuery = hostile // not even name=value pairs
	}
	for _, header := range []string{"If-None-Match", "Accept", "Range", "X-Request-Id", "Content-Type"} {
		r.Header[header] = []string{hostile}
	}
	if strings.Contains(c.path, "/hooks/") && len(hostile)%3 > 0 {
		r.Header.Set("Authorization", "Bearer "+hookSecret)
	}
	if len(c.media) > 0 && len(hostile)%2 == 0 {
		r.Header.Set("Content-Type", c.media[len(hostile)/2%len(c.media)])
	}
	return r
}

// hostileTexts are what a fuzzer begins with.
func hostileTexts() []string {
	return []string{
		"../../etc/passwd", "%2e%2e%2f", "a\r\nSet-Cookie: x=1", "'; DROP TABLE release;--", "\x00", "\xff\xfe", strings.Repeat("9", 400), "-1", "1e9", "NaN", "{{7*7}}",
		"${jndi:ldap://x}", "<script>alert(1)</script>", "*", `"`, "bytes=0-0", "limit=1&limit=2", "%zz;", "sha256:" + strings.Repeat("0", 64), "\u202e", "pkg:golang/a@<1 || >2", "~~", "ghcr.io/a:b@c:d",
	}
}

// FuzzNoRequestMakesTheServerFail makes requests from the OpenAPI document: whatever is in
// them, the answer is no 5xx, an error is a problem, and nothing that was sent gets into a
// header of its own.
func FuzzNoRequestMakesTheServerFail(f *testing.F) {
	s := serve(f, &memory{})
	all := calls(f, s.api.OpenAPI())
	for i := range all {
		f.Add(uint8(i), []byte{0, 4, 8, 12}, "", spdx)
		// Each text for some operations: a fuzzer runs all of these before it begins.
		for j, hostile := range hostileTexts() {
			if (i+j)%5 > 0 {
				continue
			}
			f.Add(uint8(i), []byte{3, 3, 3, 3, 3, 3, 3, 3}, hostile, []byte(hostile))
			f.Add(uint8(i), []byte{0, 0, 2, 3, 3, 3, 0, 1}, hostile, []byte(`{"spdxVersion":"SPDX-2.3","packages":[`+hostile))
		}
	}
	f.Fuzz(func(t *testing.T, number uint8, choices []byte, hostile string, body []byte) {
		c := &all[int(number)%len(all)]
		r := c.build(t.Context(), choices, hostile, body)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		apitest.Record(t, r, body, w)
		if w.Code >= http.StatusInternalServerError {
			t.Fatalf("%s %s: got %d %s", r.Method, r.URL, w.Code, w.Body)
		}
		for name, values := range w.Header() {
			if strings.ContainsAny(name+strings.Join(values, ""), "\r\n\x00") || name == "Set-Cookie" {
				t.Errorf("%s %s: header %s: %q", r.Method, r.URL, name, values)
			}
		}
		if w.Code >= http.StatusBadRequest && w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s: got %d as %s, want a problem", r.Method, r.URL, w.Code, w.Header().Get("Content-Type"))
		}
		if strings.HasSuffix(w.Header().Get("Content-Type"), "json") && w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s %s: not JSON: %.300q", r.Method, r.URL, w.Body)
		}
	})
}
