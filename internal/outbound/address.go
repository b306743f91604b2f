package outbound

import (
	"fmt"
	"net/netip"
)

// reach is how far an address reaches.
type reach int

const (
	// public addresses may belong to any host.
	public reach = iota
	// private addresses may belong to hosts that the operator named.
	private
	// special addresses are contacted only where the operator wrote the address
	// itself: what answers there speaks for the machine, or the network, that asks.
	special
)

// block is a range of addresses that is not public.
type block struct {
	prefix netip.Prefix
	reach  reach
	name   string
}

// blocks are the special-purpose addresses of IANA's registries (RFC 6890 and its
// updates), narrower ranges first, with the addresses at which clouds keep the
// metadata of their machines, which hold credentials.
func blocks() []block {
	all := []struct {
		reach reach
		name  string
		of    []string
	}{
		{special, "the address of a cloud's metadata", []string{
			"169.254.169.254/32", "169.254.170.2/32", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32",
			"fd00:ec2::254/128", "fd00:ec2::23/128", "fd20:ce::254/128",
		}},
		{special, "an unspecified address", []string{"0.0.0.0/8", "::/128"}},
		{special, "a link-local address", []string{"169.254.0.0/16", "fe80::/10"}},
		{special, "a multicast address", []string{"224.0.0.0/4", "ff00::/8"}},
		{special, "a reserved address", []string{"240.0.0.0/4"}},
		{private, "a loopback address", []string{"127.0.0.0/8", "::1/128"}},
		{private, "a private address", []string{"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fec0::/10", "64:ff9b:1::/48"}},
		{private, "an address shared by a carrier's customers", []string{"100.64.0.0/10"}},
		{private, "an address with a special purpose", []string{
			"192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
			"100::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16",
		}},
	}
	var flat []block
	for _, group := range all {
		for _, prefix := range group.of {
			flat = append(flat, block{netip.MustParsePrefix(prefix), group.reach, group.name})
		}
	}
	return flat
}

// embedding are the ranges whose addresses stand for an IPv4 address, which is at
// the given byte: NAT64 (RFC 6052), IPv4-translated (RFC 2765), 6to4 (RFC 3056) and
// IPv4-compatible addresses (RFC 4291, section 2.5.5.1).
func embedding() []struct {
	prefix netip.Prefix
	at     int
} {
	return []struct {
		prefix netip.Prefix
		at     int
	}{
		{netip.MustParsePrefix("64:ff9b::/96"), 12},
		{netip.MustParsePrefix("::ffff:0:0:0/96"), 12},
		{netip.MustParsePrefix("2002::/16"), 2},
		{netip.MustParsePrefix("::/96"), 12},
	}
}

// guide tells how far addresses reach.
type guide struct{ blocks []block }

func newGuide() *guide { return &guide{blocks: blocks()} }

// look returns how far the address reaches, and what is to be said of one that is
// not public.
func (g *guide) look(addr netip.Addr) (reach, string) {
	addr = addr.WithZone("").Unmap()
	for _, b := range g.blocks {
		if b.prefix.Contains(addr) {
			return b.reach, b.name
		}
	}
	if addr.Is4() {
		return public, ""
	}
	for _, e := range embedding() {
		if e.prefix.Contains(addr) {
			bytes := addr.As16()
			inner := netip.AddrFrom4([4]byte(bytes[e.at : e.at+4]))
			far, name := g.look(inner)
			if far != public {
				name = fmt.Sprintf("%s (%s)", name, inner)
			}
			return far, name
		}
	}
	return public, ""
}
