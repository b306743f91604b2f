package config

import (
	"encoding/pem"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// networks are in CIDR notation; an address alone is a network of one.
func networks() kind[[]netip.Prefix] {
	return listOf(listForm[netip.Prefix]{
		item: "network", expected: "a network such as 10.0.0.0/8 or fd00::/8, or an address", separators: commas + whiteSpace,
		schema: map[string]any{"type": "string", "pattern": `^[0-9a-fA-F.:]+(/[0-9]{1,3})?$`},
		parse: func(s string) (netip.Prefix, *problem) {
			if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
				addr = addr.Unmap()
				return netip.PrefixFrom(addr, addr.BitLen()), nil
			}
			network, err := netip.ParsePrefix(s)
			switch {
			case err != nil:
				return netip.Prefix{}, &problem{found: s}
			case network.Bits() == 0:
				return netip.Prefix{}, &problem{found: s, what: "everybody would be believed"}
			case network.Masked() != network:
				return netip.Prefix{}, &problem{found: s, what: "not the first address of a network, which is " + network.Masked().String()}
			}
			return network, nil
		},
		show: netip.Prefix.String,
	})
}

// bootstrapToken has the form of the tokens that internal/access makes.
func bootstrapToken() kind[Secret] {
	const form = `^(tally_[a-z0-9]{4,32}_[A-Za-z0-9]{43,128})?$`
	return secretOf("tally_<id>_<secret>: an id of 4 to 32 of a-z and 0-9, a secret of 43 to 128 of A-Z, a-z and 0-9", form, matchesOrEmpty(form),
		"not of the form of a token")
}

func clientSecret() kind[Secret] {
	return secretOf("a secret on one line", `^[^\r\n]*$`, func(s string) bool { return printable(s, 1024) },
		"a control character or line break, or too long")
}

func secretOf(expected, form string, valid func(string) bool, what string) kind[Secret] {
	return kind[Secret]{
		name: "secret", expected: expected,
		schema: map[string]any{"type": "string", "pattern": form, "writeOnly": true},
		parse: func(s string) (Secret, []problem) {
			if !valid(s) {
				return Secret{}, []problem{{what: what}}
			}
			return NewSecret(s), nil
		},
		text: onlyString,
		show: func(s Secret) any { return s.Redacted() },
	}
}

func printable(s string, most int) bool {
	return len(s) <= most && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// oneLiner is text without control characters, or nothing.
func oneLiner(name string, most int) kind[string] {
	return stringKind(name, "text on one line", map[string]any{"pattern": `^[^\r\n]*$`}, func(s string) bool { return printable(s, most) })
}

const issuerForm = "https://host/path, or http on a loopback host"

// issuerURL is that of an issuer (OpenID Connect Discovery 1.0, section 2). Without TLS
// whoever is on the way decides who gets in.
func issuerURL() kind[string] {
	return plainURL(issuerForm+", or nothing", `^(https?://[^/].*)?$`, func(s string) string {
		if s == "" {
			return ""
		}
		if what := webURLProblem(s); what != "" {
			return what
		}
		u, err := url.Parse(s)
		if err != nil {
			return "the URL cannot be understood"
		}
		addr, err := netip.ParseAddr(u.Hostname())
		if u.Scheme == "http" && u.Hostname() != "localhost" && (err != nil || !addr.IsLoopback()) {
			return "an issuer without TLS"
		}
		return ""
	})
}

const rolesForm = "VALUE=viewer, VALUE=auditor or VALUE=operator"

// claimedRoles are divided at the last equals sign: a value may be cn=admins,dc=example.
func claimedRoles() kind[[]ClaimedRole] {
	roles := []string{"viewer", "auditor", "operator"}
	return listOf(listForm[ClaimedRole]{
		item: "value=role ", expected: rolesForm, separators: ";",
		schema: map[string]any{"type": "string", "pattern": `^.+=(` + strings.Join(roles, "|") + `)$`},
		parse: func(s string) (ClaimedRole, *problem) {
			at := strings.LastIndexByte(s, '=')
			if at < 1 || !slices.Contains(roles, s[at+1:]) {
				return ClaimedRole{}, &problem{found: s}
			}
			return ClaimedRole{Value: s[:at], Role: s[at+1:]}, nil
		},
		show: func(r ClaimedRole) string { return r.Value + "=" + r.Role },
	})
}

func oidcScopes() kind[[]string] {
	// RFC 6749, section 3.3: scope-token, without what divides our lists.
	const pattern = `^[!#-+\--\[\]-~]+$`
	return list("scope", "a scope of OpenID Connect, such as groups", pattern, matches(pattern))
}

func certificateProblem(content []byte) string {
	if block, _ := pem.Decode(content); block == nil || block.Type != "CERTIFICATE" {
		return "no certificate in PEM at its beginning"
	}
	return ""
}

// keyProblem does not say what else is in the file.
func keyProblem(content []byte) string {
	if block, _ := pem.Decode(content); block == nil || !strings.HasSuffix(block.Type, "PRIVATE KEY") {
		return "no private key in PEM at its beginning"
	}
	return ""
}
