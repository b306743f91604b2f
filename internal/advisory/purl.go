package advisory

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

// maxPURL bounds a package URL, in bytes.
const maxPURL = 8 << 10

// PURL is a package URL taken apart and percent-decoded. Names keep their case:
// OSV writes Go modules with capitals, whatever the purl specification says of them.
type PURL struct {
	Type       string // lower case
	Namespace  string // without leading and trailing slashes; empty when there is none
	Name       string
	Version    string
	Qualifiers map[string]string // keys in lower case; nil when there are none
	Subpath    string
}

// ParsePURL takes a package URL apart (purl specification, "How to parse a purl
// string in its components").
func ParsePURL(s string) (PURL, error) {
	if len(s) > maxPURL {
		return PURL{}, fmt.Errorf("purl: longer than %d bytes", maxPURL)
	}
	if !utf8.ValidString(s) {
		return PURL{}, errors.New("purl: not valid UTF-8")
	}
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || !strings.EqualFold(scheme, "pkg") {
		return PURL{}, fmt.Errorf("purl %q: expected pkg:TYPE/NAME", s)
	}
	p := PURL{}
	rest, subpath, _ := strings.Cut(rest, "#")
	p.Subpath = unescape(strings.Trim(subpath, "/"))
	rest, qualifiers, _ := strings.Cut(rest, "?")
	p.Qualifiers = parseQualifiers(qualifiers)
	rest = strings.Trim(rest, "/")
	kind, rest, _ := strings.Cut(rest, "/")
	p.Type = strings.ToLower(kind)
	rest = strings.TrimLeft(rest, "/")
	// An @ before a slash is part of a scope that was not encoded, as in
	// pkg:npm/@scope/name.
	if at := strings.LastIndexByte(rest, '@'); at > 0 && !strings.Contains(rest[at:], "/") {
		rest, p.Version = rest[:at], unescape(rest[at+1:])
	}
	rest = strings.Trim(rest, "/")
	if slash := strings.LastIndexByte(rest, '/'); slash >= 0 {
		p.Namespace, p.Name = unescape(strings.Trim(rest[:slash], "/")), unescape(rest[slash+1:])
	} else {
		p.Name = unescape(rest)
	}
	if !validType(p.Type) || p.Name == "" {
		return PURL{}, fmt.Errorf("purl %q: expected pkg:TYPE/NAME", s)
	}
	return p, nil
}

// validType holds for ASCII letters, digits, '.', '+' and '-', not starting with a
// digit (purl specification, "Rules for each purl component").
func validType(t string) bool {
	for i := range len(t) {
		c := t[i]
		switch {
		case 'a' <= c && c <= 'z':
		case i > 0 && ('0' <= c && c <= '9' || c == '.' || c == '+' || c == '-'):
		default:
			return false
		}
	}
	return t != ""
}

func parseQualifiers(s string) map[string]string {
	if s == "" {
		return nil
	}
	qualifiers := make(map[string]string, strings.Count(s, "&")+1)
	for pair := range strings.SplitSeq(s, "&") {
		if key, value, ok := strings.Cut(pair, "="); ok && key != "" && value != "" {
			qualifiers[strings.ToLower(key)] = unescape(value)
		}
	}
	return qualifiers
}

// unescape decodes percent signs and leaves what is no escape: some tools write
// versions as they are.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	if decoded, err := url.PathUnescape(s); err == nil {
		return decoded
	}
	return s
}

// path is namespace and name as one, joined as the purl has them.
func (p *PURL) path() string {
	if p.Namespace == "" {
		return p.Name
	}
	return p.Namespace + "/" + p.Name
}
