package outbound_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/outbound"
)

func TestHostsMatchByNameAndPort(t *testing.T) {
	t.Parallel()
	hosts := outbound.Hosts{"Registry.example", "mirror.example:5000", "*.cdn.example", "*.ports.example:8443", "10.0.0.5", "[fd00::1]:5000", "*.5", "*", "", "*."}
	tests := map[string]bool{
		"https://registry.example/v2/":          true,
		"https://REGISTRY.example:443/v2/":      true,
		"http://registry.example/":              true,
		"https://registry.example:22/":          false,
		"http://registry.example:443/":          false,
		"https://registry.example./":            false,
		"https://registry.example.evil/":        false,
		"https://evil-registry.example/":        false,
		"https://mirror.example:5000/":          true,
		"https://mirror.example/":               false,
		"https://a.cdn.example/":                true,
		"https://a.b.cdn.example/":              true,
		"https://cdn.example/":                  false,
		"https://.cdn.example/":                 false,
		"https://xcdn.example/":                 false,
		"https://a.ports.example:8443/":         true,
		"https://a.ports.example/":              false,
		"https://10.0.0.5/":                     true,
		"https://10.0.0.6/":                     false,
		"https://1.2.3.5/":                      false,
		"https://[fd00::1]:5000/":               true,
		"https://[fd00::2]:5000/":               false,
		"https://[::ffff:10.0.0.5]/":            false,
		"https://registry.example@evil.test/":   false,
		"https://evil.test/registry.example":    false,
		"https://evil.test#registry.example":    false,
		"https://evil.test?q=@registry.example": false,
		"ftp://registry.example/":               false,
		"https:///":                             false,
	}
	for text, want := range tests {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := hosts.Has(u); got != want {
			t.Errorf("%s: got %t, want %t", text, got, want)
		}
	}
}

func FuzzHostsHas(f *testing.F) {
	for _, seed := range []string{"https://registry.example/", "https://a.cdn.example:443", "http://[::1%25eth0]:80/", "https://x@registry.example:443"} {
		f.Add(seed)
	}
	hosts := outbound.Hosts{"registry.example"}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := url.Parse(text)
		if err != nil {
			return
		}
		port, ok := map[string]string{"https": "443", "http": "80"}[u.Scheme]
		named := ok && strings.EqualFold(u.Hostname(), "registry.example") && (u.Port() == "" || u.Port() == port)
		if hosts.Has(u) && !named {
			t.Errorf("%q was taken for registry.example", text)
		}
	})
}
