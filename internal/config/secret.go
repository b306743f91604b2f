package config

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// redacted stands where a secret would be. It needs no escaping in a URL, in
// JSON or in YAML.
const redacted = "REDACTED"

// Secret is a string that does not print itself: whichever way it is
// formatted or encoded, only Redacted shows. The zero value is the empty secret.
type Secret struct{ value string }

// NewSecret keeps value from being printed.
func NewSecret(value string) Secret { return Secret{value: value} }

// Reveal returns the secret itself, to be handed to whatever connects with it.
func (s Secret) Reveal() string { return s.value }

// Redacted returns as much of the secret as may be seen: a database URL
// without its password, of another URL its host, and nothing at all of
// anything else.
func (s Secret) Redacted() string {
	switch {
	case s.value == "":
		return ""
	case strings.HasPrefix(s.value, "sqlite:"):
		return s.value
	}
	u, err := url.Parse(s.value)
	if err == nil && isWeb(u) {
		return u.Scheme + "://" + u.Host + "/" + redacted
	}
	// An @ behind the authority means that an unescaped character of the
	// password has cut the URL in the wrong place.
	if err != nil || !isPostgres(u.Scheme) || u.Opaque != "" || u.Fragment != "" || strings.Contains(u.Path+u.RawQuery, "@") {
		return redacted
	}
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, RawQuery: redactedQuery(u.Query())}
	if u.User != nil {
		shown.User = url.User(u.User.Username())
		if _, ok := u.User.Password(); ok {
			shown.User = url.UserPassword(u.User.Username(), redacted)
		}
	}
	return shown.String()
}

// harmless names the connection parameters whose values may be seen; all others
// are hidden, so that a parameter nobody thought of cannot leak.
func harmless(parameter string) bool {
	switch parameter {
	case "application_name", "connect_timeout", "dbname", "host", "port", "search_path",
		"sslcert", "sslkey", "sslmode", "sslrootcert", "statement_timeout", "target_session_attrs", "user":
		return true
	}
	return false
}

func redactedQuery(q url.Values) string {
	for name := range q {
		if !harmless(name) {
			q[name] = []string{redacted}
		}
	}
	return q.Encode()
}

func isPostgres(scheme string) bool { return scheme == "postgres" || scheme == "postgresql" }

// isWeb reports whether u is an http or https URL whose host is no part of a
// password.
func isWeb(u *url.URL) bool {
	return (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" &&
		!strings.Contains(u.Path+u.RawQuery+u.Fragment, "@")
}

// longEnough is the length from which a password is looked for on its own in a
// text. A shorter one is likely to be a word of the text.
const longEnough = 12

// Needles returns the strings that must not appear in any output: the secret
// and the password inside it, in the spellings in which a library could quote
// them.
func (s Secret) Needles() []string {
	if s.value == "" || s.Redacted() == s.value {
		return nil
	}
	needles := []string{s.value}
	if u, err := url.Parse(s.value); err == nil {
		passwords := []string{u.Query().Get("password"), u.Query().Get("sslpassword")}
		if u.User != nil {
			plain, _ := u.User.Password()
			_, escaped, _ := strings.Cut(u.User.String(), ":")
			for _, p := range []string{plain, escaped} {
				passwords = append(passwords, p)
				if p != "" {
					needles = append(needles, ":"+p+"@")
				}
			}
		}
		if isWeb(u) {
			passwords = append(passwords, u.RequestURI(), u.Path)
		}
		if key, ok := strings.CutPrefix(s.value, secretPrefix); ok {
			passwords = append(passwords, key)
		}
		for _, p := range passwords {
			if len(p) >= longEnough {
				needles = append(needles, p)
			}
		}
	}
	for _, n := range slices.Clone(needles) {
		if quoted, err := json.Marshal(n); err == nil {
			needles = append(needles, strings.Trim(string(quoted), `"`))
		}
	}
	slices.Sort(needles)
	needles = slices.Compact(needles)
	// The longest first, so that a part does not spoil the match of the whole.
	slices.SortStableFunc(needles, func(a, b string) int { return len(b) - len(a) })
	return needles
}

// Format implements fmt.Formatter, so that no verb reaches the value.
func (s Secret) Format(f fmt.State, verb rune) {
	text := s.Redacted()
	if verb == 'q' || f.Flag('#') {
		text = fmt.Sprintf("%q", text)
	}
	// A failed write is the concern of whoever owns the writer behind f.
	_, _ = f.Write([]byte(text))
}

// String implements fmt.Stringer.
func (s Secret) String() string { return s.Redacted() }

// GoString implements fmt.GoStringer.
func (s Secret) GoString() string { return fmt.Sprintf("%q", s.Redacted()) }

// MarshalText implements encoding.TextMarshaler, and with it YAML and TOML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.Redacted()), nil }

// MarshalJSON implements json.Marshaler.
func (s Secret) MarshalJSON() ([]byte, error) {
	b, err := json.Marshal(s.Redacted())
	if err != nil {
		return nil, fmt.Errorf("encode redacted secret: %w", err)
	}
	return b, nil
}
