package apitest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Call is an operation of an OpenAPI document, as far as a fuzzer has to know it.
type Call struct {
	Method, Path string
	Parameters   []Parameter
	// Media are the types of what may be sent, none when nothing may.
	Media []string
	// Answers are the media types of what each status comes with, none when nothing does.
	Answers map[int][]string
}

// Parameter is one of a path or a query.
type Parameter struct {
	Name, In string
	// Good are values that it may have.
	Good []string
}

// Known gives values, of a parameter of a path of the document, that the tally knows
// something of, so that a fuzzer gets behind the first door; nil where the document's
// example has to do.
type Known func(path, name string) []string

// document is an OpenAPI document, as far as calls are made from it.
type document struct {
	Paths map[string]map[string]struct {
		Parameters []struct {
			Name, In string // "" of a reference
			Example  any
			Schema   struct {
				Type string
				Enum []string
			}
		}
		RequestBody struct{ Content map[string]any }
		Responses   map[string]response
	}
	Components struct{ Responses map[string]response }
}

type response struct {
	Ref     string `json:"$ref"`
	Content map[string]any
}

// Calls reads the operations out of a document: nothing else knows what there is. They are
// in the order of their paths.
func Calls(raw []byte, known Known) ([]Call, error) {
	var d document
	if err := json.Unmarshal(raw, &d); err != nil {
		return nil, fmt.Errorf("read the OpenAPI document: %w", err)
	}
	var all []Call
	for _, path := range slices.Sorted(maps.Keys(d.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(d.Paths[path])) {
			o := d.Paths[path][method]
			c := Call{Method: strings.ToUpper(method), Path: path, Media: slices.Sorted(maps.Keys(o.RequestBody.Content)), Answers: make(map[int][]string)}
			for _, p := range o.Parameters {
				described := Parameter{p.Name, p.In, p.Schema.Enum}
				of := known(path, p.Name)
				if text, ok := p.Example.(string); ok && of == nil {
					of = []string{text}
				}
				switch p.Schema.Type {
				case "integer":
					described.Good = append(described.Good, "1", "7")
				case "boolean":
					described.Good = append(described.Good, "true")
				}
				described.Good = append(described.Good, of...)
				if p.Name != "" {
					c.Parameters = append(c.Parameters, described)
				}
			}
			for status, r := range o.Responses {
				number, err := strconv.Atoi(status)
				if err != nil {
					return nil, fmt.Errorf("%s %s: status %q: expected a number", method, path, status)
				}
				if name, ok := strings.CutPrefix(r.Ref, "#/components/responses/"); ok {
					r = d.Components.Responses[name]
				}
				c.Answers[number] = slices.Sorted(maps.Keys(r.Content))
			}
			all = append(all, c)
		}
	}
	return all, nil
}

// Request makes a request: each byte of choices chooses a value that is good (its last two
// bits are 0 or 1), that with the hostile one behind it (2), or the hostile one (3). What
// there are no choices for is left empty.
func (c *Call) Request(ctx context.Context, choices []byte, hostile string, body []byte) *http.Request {
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
	path, query := c.Path, url.Values{}
	for _, p := range c.Parameters {
		value := choose(p.Good)
		if p.In == "path" {
			if value == "" || value == "." || value == ".." {
				value = "~"
			}
			path = strings.ReplaceAll(path, "{"+p.Name+"}", url.PathEscape(value))
			continue
		}
		query[p.Name] = append(query[p.Name], value)
	}
	r := httptest.NewRequestWithContext(ctx, c.Method, "/", strings.NewReader(string(body)))
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
	if len(c.Media) > 0 && len(hostile)%2 == 0 {
		r.Header.Set("Content-Type", c.Media[len(hostile)/2%len(c.Media)])
	}
	return r
}

// Hostile are texts that a fuzzer begins with.
func Hostile() []string {
	return []string{
		"../../etc/passwd", "%2e%2e%2f", "a\r\nSet-Cookie: x=1", "'; DROP TABLE release;--", "\x00", "\xff\xfe", strings.Repeat("9", 400), "-1", "1e9", "NaN", "{{7*7}}",
		"${jndi:ldap://x}", "<script>alert(1)</script>", "*", `"`, "bytes=0-0", "limit=1&limit=2", "%zz;", "sha256:" + strings.Repeat("0", 64), "\u202e", "pkg:golang/a@<1 || >2", "~~", "ghcr.io/a:b@c:d",
	}
}
