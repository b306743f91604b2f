package config

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// kind is a type of setting: how its text is understood and described.
type kind[T any] struct {
	// name stands for the value in the flags' help.
	name string
	// expected completes the sentence "expected …".
	expected string
	// schema is the JSON Schema of the value in a configuration file.
	schema map[string]any
	// parse understands the text of a flag, a variable or a default.
	parse func(text string) (T, []problem)
	// text turns the value of a configuration file into the text that parse
	// understands; false when it has the wrong type.
	text func(v any) (string, bool)
	// show is the value for config print: a string, a number or a list.
	show func(T) any
}

// problem is what a kind finds wrong with a value.
type problem struct {
	// suffix goes behind the key: [2] for the third item of a list.
	suffix string
	// found is the part that is wrong, when it is not the whole value.
	found string
	// what says what is wrong when the kind's expectation alone would not.
	what string
}

// unexpected is the problem of a value that is simply not what was expected.
func unexpected() []problem { return []problem{{}} }

// matches holds for what a pattern matches. It is compiled when a value is there to be
// looked at, so that starting does not wait for those of settings that nobody has set.
func matches(pattern string) func(string) bool {
	var once sync.Once
	var compiled *regexp.Regexp
	return func(s string) bool {
		once.Do(func() { compiled = regexp.MustCompile(pattern) })
		return compiled.MatchString(s)
	}
}

// matchesOrEmpty holds for nothing too.
func matchesOrEmpty(pattern string) func(string) bool {
	matched := matches(pattern)
	return func(s string) bool { return s == "" || matched(s) }
}

func onlyString(v any) (string, bool) {
	s, ok := v.(string)
	return s, ok
}

// stringKind is a setting that is a string, which valid holds to be right.
func stringKind(name, expected string, schema map[string]any, valid func(string) bool) kind[string] {
	schema["type"] = "string"
	return kind[string]{
		name: name, expected: expected, schema: schema,
		parse: func(s string) (string, []problem) {
			if !valid(s) {
				return "", unexpected()
			}
			return s, nil
		},
		text: onlyString,
		show: func(s string) any { return s },
	}
}

func oneOf(allowed ...string) kind[string] {
	return stringKind("name", "one of "+strings.Join(allowed, ", "), map[string]any{"enum": allowed},
		func(s string) bool { return slices.Contains(allowed, s) })
}

func listenAddress() kind[string] {
	return stringKind("host:port", "host:port with a port from 1 to 65535, the host empty for every interface",
		map[string]any{"pattern": `^.*:[0-9]{1,5}$`},
		func(s string) bool {
			host, port, ok := cutPort(s)
			return ok && validPort(port) && (host == "" || validHost(host))
		})
}

func imageDigest() kind[string] {
	const pattern = `^(sha256:[0-9a-f]{64})?$`
	return stringKind("digest", "sha256: and 64 lower-case hexadecimal digits, or nothing",
		map[string]any{"pattern": pattern}, matchesOrEmpty(pattern))
}

// databaseURL checks the form only; whether something answers there is seen
// when the store is opened.
func databaseURL() kind[Secret] {
	return kind[Secret]{
		name:     "url",
		expected: "sqlite:PATH, sqlite:///absolute/path or postgres://user:password@host:port/database",
		schema:   map[string]any{"type": "string", "pattern": `^(sqlite:|postgres(ql)?://)`, "writeOnly": true},
		parse: func(s string) (Secret, []problem) {
			if what := databaseURLProblem(s); what != "" {
				return Secret{}, []problem{{what: what}}
			}
			return NewSecret(s), nil
		},
		text: onlyString,
		show: func(s Secret) any { return s.Redacted() },
	}
}

// databaseURLProblem never quotes its argument, which may hold a password.
func databaseURLProblem(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "a control character or line break in the URL"
	}
	if path, ok := strings.CutPrefix(s, "sqlite:"); ok {
		return sqlitePathProblem(path)
	}
	if scheme, _, ok := strings.Cut(s, "://"); !ok || !isPostgres(scheme) {
		return "not a URL of a database that is supported"
	}
	u, err := url.Parse(s)
	if err != nil || u.Fragment != "" || strings.Contains(u.Path+u.RawQuery, "@") {
		return "the URL cannot be understood; special characters in a password must be percent-encoded"
	}
	if u.Host == "" && !u.Query().Has("host") {
		return "no host is named"
	}
	return ""
}

func sqlitePathProblem(path string) string {
	if rest, ok := strings.CutPrefix(path, "//"); ok && !strings.HasPrefix(rest, "/") {
		return "sqlite:// needs a third slash before an absolute path"
	}
	switch _, err := url.PathUnescape(path); {
	case path == "" || strings.HasSuffix(path, "/"):
		return "no file is named"
	case strings.Contains(path, ":memory:"):
		return "a database in memory cannot be shared by web and worker"
	case strings.ContainsAny(path, "?#"):
		return "the file takes no parameters"
	case err != nil:
		return "a percent sign must be written as %25"
	}
	return ""
}

func whole(least, most int) kind[int] {
	return kind[int]{
		name:     "number",
		expected: fmt.Sprintf("a whole number from %d to %d", least, most),
		schema:   map[string]any{"type": "integer", "minimum": least, "maximum": most},
		parse: func(s string) (int, []problem) {
			n, err := strconv.Atoi(s)
			if err != nil || n < least || n > most {
				return 0, unexpected()
			}
			return n, nil
		},
		text: func(v any) (string, bool) {
			switch v.(type) {
			case int, int64, uint64, json.Number:
				return fmt.Sprint(v), true
			}
			return "", false
		},
		show: func(n int) any { return n },
	}
}

// duration is written as Go writes it, with a unit: a bare number is refused,
// because nobody can tell seconds from milliseconds.
func duration(least, most time.Duration) kind[time.Duration] {
	return kind[time.Duration]{
		name:     "duration",
		expected: fmt.Sprintf("a duration from %s to %s, such as 90s or 1h30m", durationText(least), durationText(most)),
		schema:   map[string]any{"type": "string", "pattern": `^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$`},
		parse: func(s string) (time.Duration, []problem) {
			d, err := time.ParseDuration(s)
			if err != nil || d < least || d > most {
				return 0, unexpected()
			}
			return d, nil
		},
		text: onlyString,
		show: func(d time.Duration) any { return durationText(d) },
	}
}

// durationText is d without units that are zero: 5m, not 5m0s.
func durationText(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// A repository's path as the OCI distribution specification 1.1 has it, under
// "Pulling manifests": <name>.
const repositoryPath = `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*`

func repositories() kind[[]string] {
	path := matches(`^` + repositoryPath + `$`)
	return list("repository", "registry/path without a tag or digest, such as ghcr.io/tallyman-io/tallyman/web",
		`^[^/@]+/`+repositoryPath+`$`,
		func(s string) bool {
			registry, name, ok := strings.Cut(s, "/")
			// Without a dot or a port the first part is a path on a default
			// registry, which is never what an operator means here.
			named := strings.ContainsAny(registry, ".:") || registry == "localhost"
			return ok && named && validHostPort(registry) && len(s) <= 255 && path(name)
		})
}

func registryHosts() kind[[]string] {
	return list("host", "host or host:port of a registry, without a scheme or a path", `^[^/@]+$`, validHostPort)
}

// hostPatterns are hosts, or every name below a suffix. A suffix has a dot, because
// every name of a top-level domain is never what an operator means.
func hostPatterns() kind[[]string] {
	return list("host", "host, host:port or *.suffix, without a scheme or a path", `^(\*\.)?[^/@*]+$`, func(s string) bool {
		suffix, ok := strings.CutPrefix(s, "*.")
		if !ok {
			return validHostPort(s)
		}
		host, _, _ := cutPort(suffix)
		dot := strings.LastIndexByte(host, '.')
		// The last label of an address is a number.
		return validHostPort(suffix) && dot > 0 && strings.Trim(host[dot+1:], "0123456789") != ""
	})
}

// sharedSecret can be written in a header and in the user part of a URL as it is.
func sharedSecret() kind[Secret] {
	const form = `^([A-Za-z0-9._~-]{24,256})?$`
	valid := matchesOrEmpty(form)
	return kind[Secret]{
		name: "secret", expected: "24 to 256 of A-Z, a-z, 0-9, dot, dash, underscore and tilde",
		schema: map[string]any{"type": "string", "pattern": form, "writeOnly": true},
		parse: func(s string) (Secret, []problem) {
			if !valid(s) {
				return Secret{}, []problem{{what: "too short, too long, or with other characters"}}
			}
			return NewSecret(s), nil
		},
		text: onlyString,
		show: func(s Secret) any { return s.Redacted() },
	}
}

// validHostPort holds for host and host:port.
func validHostPort(s string) bool {
	if host, port, ok := cutPort(s); ok {
		return validHost(host) && validPort(port)
	}
	return validHost(s)
}

// cutPort divides at the colon of the port, which an IPv6 address in brackets
// has behind them.
func cutPort(s string) (host, port string, ok bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 || strings.HasSuffix(s, "]") {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

func validPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0 && s[0] != '0'
}

func validHost(s string) bool {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		inner, closed := strings.CutSuffix(inner, "]")
		addr, err := netip.ParseAddr(inner)
		return closed && err == nil && addr.Is6()
	}
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if !validLabel(label) {
			return false
		}
	}
	return true
}

// validLabel holds for a label of a host name as RFC 1123, section 2.1, allows it.
func validLabel(s string) bool {
	return s != "" && len(s) <= 63 && s[0] != '-' && s[len(s)-1] != '-' &&
		!strings.ContainsFunc(s, func(r rune) bool {
			return r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
		})
}
