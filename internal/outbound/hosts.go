package outbound

import (
	"net/netip"
	"net/url"
	"strings"
)

// Hosts are patterns of hosts. Each is a host, a host:port, or *.suffix with or
// without a port, which stands for every name below the suffix and for no address.
// Without a port a pattern stands for the port that the scheme has. What is no
// host matches nothing.
type Hosts []string

// Has reports whether the URL's host and port match one of the patterns.
func (h Hosts) Has(u *url.URL) bool {
	host, port := hostPort(u)
	for _, pattern := range h {
		if matches(pattern, host, port, u.Scheme) {
			return true
		}
	}
	return false
}

// names reports whether the URL's host is named in full.
func (h Hosts) names(u *url.URL) bool {
	host, port := hostPort(u)
	for _, pattern := range h {
		if !strings.HasPrefix(pattern, "*.") && matches(pattern, host, port, u.Scheme) {
			return true
		}
	}
	return false
}

func matches(pattern, host, port, scheme string) bool {
	want, wantPort := cutPort(pattern)
	if wantPort == "" {
		wantPort = defaultPort(scheme)
	}
	if port != wantPort || port == "" || want == "" {
		return false
	}
	if suffix, ok := strings.CutPrefix(want, "*"); ok {
		// A label must stand in for the star, and an address has none.
		return len(suffix) > 1 && suffix[0] == '.' && strings.HasSuffix(host, suffix) && len(host) > len(suffix) && !isAddress(host)
	}
	return host == want
}

// hostPort returns the host in lower case and without brackets, and the port,
// which is the scheme's where the URL has none.
func hostPort(u *url.URL) (host, port string) {
	host, port = strings.ToLower(u.Hostname()), u.Port()
	if port == "" {
		port = defaultPort(u.Scheme)
	}
	return host, port
}

func cutPort(pattern string) (host, port string) {
	pattern = strings.ToLower(pattern)
	if i := strings.LastIndexByte(pattern, ':'); i >= 0 && !strings.HasSuffix(pattern, "]") {
		pattern, port = pattern[:i], pattern[i+1:]
	}
	return strings.TrimSuffix(strings.TrimPrefix(pattern, "["), "]"), port
}

func defaultPort(scheme string) string {
	switch scheme {
	case "https":
		return "443"
	case "http":
		return "80"
	default:
		return ""
	}
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}
