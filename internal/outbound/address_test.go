package outbound

import (
	"net/netip"
	"testing"
)

func TestHowFarAnAddressReaches(t *testing.T) {
	t.Parallel()
	tests := map[string]reach{
		"8.8.8.8":         public,
		"172.32.0.1":      public,
		"100.128.0.1":     public,
		"2606:4700::1111": public,

		"10.0.0.5":       private,
		"172.16.0.1":     private,
		"172.31.255.255": private,
		"192.168.1.1":    private,
		"127.0.0.1":      private,
		"127.255.0.1":    private,
		"::1":            private,
		"fd12::1":        private,
		"fec0::1":        private,
		"100.64.0.1":     private,
		"198.18.0.1":     private,
		"192.0.2.1":      private,
		"2001:db8::1":    private,
		"2001:0:1::1":    private, // Teredo

		"169.254.169.254": special,
		"169.254.0.1":     special,
		"fe80::1":         special,
		"fe80::1%eth0":    special,
		"fd00:ec2::254":   special,
		"100.100.100.200": special,
		"168.63.129.16":   special,
		"0.0.0.0":         special,
		"0.1.2.3":         special,
		"::":              special,
		"224.0.0.1":       special,
		"ff02::1":         special,
		"240.0.0.1":       special,
		"255.255.255.255": special,

		// What stands for an IPv4 address reaches as far as that.
		"::ffff:10.0.0.5":          private,
		"::ffff:169.254.169.254":   special,
		"::ffff:8.8.8.8":           public,
		"64:ff9b::10.0.0.5":        private,
		"64:ff9b::169.254.169.254": special,
		"64:ff9b::8.8.8.8":         public,
		"64:ff9b:1::8.8.8.8":       private,
		"::ffff:0:127.0.0.1":       private,
		"2002:0a00:0005::1":        private,
		"2002:a9fe:a9fe::1":        special,
		"2002:0808:0808::1":        public,
		"::127.0.0.1":              private,
		"::169.254.169.254":        special,
	}
	g := newGuide()
	for text, want := range tests {
		got, name := g.look(netip.MustParseAddr(text))
		if got != want {
			t.Errorf("%s: got %d (%s), want %d", text, got, name, want)
		}
		if (name == "") != (got == public) {
			t.Errorf("%s: reaches %d and is called %q", text, got, name)
		}
	}
}
