package access

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

// FuzzLocalPath holds that nothing which is redirected to leads elsewhere, as a browser
// reads it (WHATWG URL, sections 4.4: a backslash is a slash, tabs and line ends are nothing).
func FuzzLocalPath(f *testing.F) {
	for _, seed := range []string{"/", "/a?b=//c", "//evil", `/\evil`, "/\t/evil", "https://evil", "/%2f/evil", "/.//evil", "/a/..//evil", "/%5cevil", "\u2028//evil", "/@evil"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := localPath(s)
		if got != s && got != "/" {
			t.Fatalf("%q became %q", s, got)
		}
		asBrowser := strings.NewReplacer("\\", "/", "\t", "", "\n", "", "\r", "").Replace(strings.Trim(got, " \x00"))
		if !strings.HasPrefix(asBrowser, "/") || strings.HasPrefix(asBrowser, "//") {
			t.Fatalf("%q leads elsewhere", got)
		}
		base := &url.URL{Scheme: "https", Host: "tally.example", Path: "/login"}
		to, err := base.Parse(got)
		if err != nil || to.Host != "tally.example" || to.Scheme != "https" {
			t.Fatalf("%q leads to %v, %v", got, to, err)
		}
	})
}

// FuzzForwarded holds that what a header says never makes a proxy of somebody, and that
// without a trusted peer it says nothing at all.
func FuzzForwarded(f *testing.F) {
	f.Add("10.0.0.1:1", "198.51.100.1, 10.0.0.2")
	f.Add("192.0.2.1:1", "10.0.0.2")
	f.Add("[fd00::1%eth0]:1", "[::1]:80,,")
	trusted := proxies{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, remote, header string) {
		r := &http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": {header}, "X-Forwarded-Proto": {"https"}}}
		addr, secure := trusted.client(r)
		peer, ok := parseHop(remote)
		if (!ok || !trusted.has(peer)) && (addr != peer || secure) {
			t.Fatalf("%q, %q: got %s, %t of an untrusted peer", remote, header, addr, secure)
		}
	})
}
