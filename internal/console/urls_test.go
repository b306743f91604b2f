package console

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// An address that is made for a repository and a release names them again when it is
// asked for, whatever they are called.
func TestAddressesNameWhatTheyWereMadeFor(t *testing.T) {
	t.Parallel()
	const digest = "sha256:1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f1f"
	for _, tt := range []target{
		{Repository: "alpine"},
		{Repository: "ghcr.io/tallyman-io/tallyman/web"},
		{Repository: "localhost:5000/tallyman/web", Name: "v1.2.3"},
		{Repository: "ghcr.io/a/b", Name: digest},
		{Repository: "ghcr.io/a/b", Name: "v1.2.3-rc.1", List: "packages"},
		{Repository: "ghcr.io/a/packages", Name: "findings", List: "findings"},
		{Repository: "ghcr.io/a--b/c-", Name: "-"},
		{Repository: "../../etc/passwd", Name: ".."},
		{Repository: "a/./b", Name: "."},
		{Repository: "evil/%2e%2e/?x=1#y", Name: "a?b#c%2F"},
		{Repository: "<script>/\"'`", Name: "\x00\r\nSet-Cookie: a=b"},
		{Repository: "ünï/日本", Name: "v1+meta"},
	} {
		address := componentURL(tt.Repository)
		if tt.Name != "" {
			address = releaseURL(tt.Repository, tt.Name, nonEmpty(tt.List)...)
		}
		if strings.ContainsAny(address, "\r\n\x00 <>\"") || strings.Contains(address, "/../") {
			t.Errorf("%+v: the address %q would be read in another way", tt, address)
		}
		got, ok := routed(t, address)
		if !ok || got != tt {
			t.Errorf("%s: got %+v, %t, want %+v", address, got, ok, tt)
		}
	}
}

func nonEmpty(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

// routed is what the router hands to the page for an address.
func routed(t *testing.T, address string) (target, bool) {
	t.Helper()
	var got target
	var ok bool
	mux := http.NewServeMux()
	mux.HandleFunc("GET /components/{path...}", func(_ http.ResponseWriter, r *http.Request) { got, ok = parseTarget(r.PathValue("path")) })
	u, err := url.Parse(address)
	if err != nil {
		t.Fatalf("%q: %v", address, err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.URL = u
	mux.ServeHTTP(httptest.NewRecorder(), r)
	return got, ok
}

func TestPathsThatNameNothingAreNoPages(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"", "/", "a/", "/a", "a/-/", "a/-/v1/unknown", "a/-/v1/packages/more", "-/v1", "/-/v1", "a/-/v1/"} {
		if got, ok := parseTarget(path); ok && path != "-/v1" {
			t.Errorf("%q: got %+v, want no page", path, got)
		}
	}
}

func TestOnlyAddressesThatReadAsTheyLookBecomeLinks(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"https://go.dev/cl/1", "https://github.com/a/b/commit/0#diff", "https://nvd.nist.gov/vuln/detail?id=1"} {
		if got := safeLink(address); got != address {
			t.Errorf("%q: got %q", address, got)
		}
	}
	for _, address := range []string{
		"", "http://go.dev", "javascript:alert(1)", "JAVASCRIPT:alert(1)", "//evil.example", "/local", "https://", "https:///x", "https:\\\\evil",
		"https://user@evil.example/", "https://go.dev@evil.example", "https://evil.example/\" onclick=\"x", "https://evil\u202e.example", "https://a b",
		"data:text/html,x", "https://?x", "https://" + strings.Repeat("a", 3000), "ht\ntps://x", "https://x/\n",
	} {
		if got := safeLink(address); got != "" {
			t.Errorf("%q: got a link, want text", address)
		}
	}
}

func FuzzParseTarget(f *testing.F) {
	for _, path := range []string{"", "a/-/v1", "ghcr.io/a/b/-/v1/packages", "a/-/-/-/b"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		got, ok := parseTarget(path)
		if ok && got.Repository == "" {
			t.Errorf("%q: got a page without a repository", path)
		}
	})
}
