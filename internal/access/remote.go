package access

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// proxies are the networks of proxies that are believed.
type proxies []netip.Prefix

func (p proxies) has(addr netip.Addr) bool {
	return slices.ContainsFunc(p, func(network netip.Prefix) bool { return network.Contains(addr) })
}

// client returns the address that a request comes from, and whether it came by TLS. What
// headers say counts as far as trusted proxies wrote it: the client is the rightmost
// address that is none of theirs.
func (p proxies) client(r *http.Request) (addr netip.Addr, tls bool) {
	addr, ok := parseHop(r.RemoteAddr)
	if !ok {
		return netip.Addr{}, r.TLS != nil
	}
	if !p.has(addr) {
		return addr, r.TLS != nil
	}
	protos := members(r.Header.Values("X-Forwarded-Proto"))
	tls = r.TLS != nil
	if len(protos) > 0 {
		tls = strings.EqualFold(protos[len(protos)-1], "https")
	}
	for _, hop := range slices.Backward(members(r.Header.Values("X-Forwarded-For"))) {
		next, ok := parseHop(hop)
		if !ok {
			break // written by somebody who is not to be believed
		}
		if addr = next; !p.has(addr) {
			break
		}
	}
	return addr, tls
}

// members are the members of a header that may be there more than once.
func members(values []string) []string {
	var all []string
	for _, v := range values {
		for member := range strings.SplitSeq(v, ",") {
			all = append(all, strings.TrimSpace(member))
		}
	}
	return all
}

// parseHop understands an address with and without a port.
func parseHop(s string) (netip.Addr, bool) {
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil {
		both, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}, false
		}
		addr = both.Addr()
	}
	return addr.Unmap().WithZone(""), true
}

// onThisMachine reports whether the host of a URL is one that browsers take for their own
// machine, and keep secure cookies for without TLS (W3C Secure Contexts, section 3.1).
func onThisMachine(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.Trim(host, "[]"))
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && addr.IsLoopback()
}

// localPath returns s when it is a path of ours, with or without a query, and "/" when it
// is anything that could lead elsewhere.
func localPath(s string) string {
	const most = 2048
	bad := func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' }
	if s == "" || len(s) > most || s[0] != '/' || strings.HasPrefix(s, "//") || strings.ContainsFunc(s, bad) {
		return "/"
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" || u.Fragment != "" {
		return "/"
	}
	// http.Redirect cleans a path; what it makes of it must not begin with // either.
	if strings.Contains(u.Path, "//") || strings.Contains(u.Path, "\\") || strings.ContainsFunc(u.Path, bad) {
		return "/"
	}
	return s
}
