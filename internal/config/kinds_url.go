package config

import (
	"encoding/base64"
	"net/url"
	"path"
	"strings"
)

// webURLProblem says why s is no plain http or https URL, or returns "". It
// never quotes s, which may hold a token.
func webURLProblem(s string) string {
	u, err := url.Parse(s)
	switch {
	case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return "white space or a control character in the URL"
	case err != nil:
		return "the URL cannot be understood"
	case u.Scheme != "http" && u.Scheme != "https":
		return "not an http or https URL"
	case u.User != nil:
		return "a user in the URL"
	case u.Fragment != "" || strings.Contains(s, "#"):
		return "a fragment in the URL"
	case !validHostPort(u.Host):
		return "no host is named, or none that can be one"
	}
	return ""
}

// feedURL never has a secret in it, so that it may be shown with every count.
func feedURL() kind[string] {
	return plainURL("http://host/path, https://host/path or file:///absolute/path",
		`^(https?://[^/]|file:///)`, func(s string) string {
			rest, ok := strings.CutPrefix(s, "file://")
			if !ok {
				return webURLProblem(s)
			}
			decoded, err := url.PathUnescape(rest)
			switch {
			case err != nil:
				return "a percent sign must be written as %25"
			case !path.IsAbs(decoded) || strings.ContainsRune(decoded, 0):
				return "file:// needs a third slash before an absolute path"
			}
			return ""
		})
}

func consoleURL() kind[string] {
	return plainURL("http://host/path, https://host/path, or nothing", `^(https?://[^/].*)?$`, func(s string) string {
		if s == "" {
			return ""
		}
		return webURLProblem(s)
	})
}

// plainURL is a URL without a query.
func plainURL(expected, pattern string, what func(string) string) kind[string] {
	return kind[string]{
		name: "url", expected: expected,
		schema: map[string]any{"type": "string", "pattern": pattern},
		parse: func(s string) (string, []problem) {
			p := what(s)
			if p == "" && strings.ContainsAny(s, "?#") {
				p = "a query or a fragment in the URL"
			}
			switch {
			case p == "":
				return s, nil
			case strings.ContainsAny(s, "@?#"):
				// What stands beside these may be a password.
				return "", []problem{{what: p, found: NewSecret(s).Redacted()}}
			}
			return "", []problem{{what: p}}
		},
		text: onlyString,
		show: func(s string) any { return s },
	}
}

// messageURLs are URLs that hold a token more often than not.
func messageURLs() kind[[]Secret] {
	return listOf(listForm[Secret]{
		item: "url", expected: "http://host/path or https://host/path, without a user", separators: commas + whiteSpace,
		schema: map[string]any{"type": "string", "pattern": `^https?://[^/@]`, "writeOnly": true},
		parse: func(s string) (Secret, *problem) {
			if what := webURLProblem(s); what != "" {
				return Secret{}, &problem{what: what}
			}
			return NewSecret(s), nil
		},
		show: Secret.Redacted,
	})
}

const (
	secretPrefix = "whsec_"
	signingForm  = "whsec_ and 24 to 64 random bytes in base64"
)

// signingSecret is written as Standard Webhooks 1.0.0 has it, under "Signature
// scheme".
func signingSecret() kind[Secret] {
	const least, most = 24, 64
	return kind[Secret]{
		name: "secret", expected: signingForm,
		schema: map[string]any{"type": "string", "pattern": `^(whsec_[A-Za-z0-9+/]+=*)?$`, "writeOnly": true},
		parse: func(s string) (Secret, []problem) {
			encoded, ok := strings.CutPrefix(s, secretPrefix)
			key, err := base64.StdEncoding.Strict().DecodeString(encoded)
			switch {
			case s == "":
				return Secret{}, nil
			case !ok:
				return Secret{}, []problem{{what: "it does not begin with " + secretPrefix}}
			case err != nil || strings.ContainsAny(encoded, lineEnds):
				return Secret{}, []problem{{what: "what is behind " + secretPrefix + " is not base64"}}
			case len(key) < least:
				return Secret{}, []problem{{what: "too short to be a secret"}}
			case len(key) > most:
				return Secret{}, []problem{{what: "too long"}}
			}
			return NewSecret(s), nil
		},
		text: onlyString,
		show: func(s Secret) any { return s.Redacted() },
	}
}
