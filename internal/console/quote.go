package console

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
)

// What is put into a command or a manifest comes from registries, and may be anything:
// each of these makes it one word of the language that it is pasted into.

// shell makes text one word of a POSIX shell. Control characters, which a terminal
// might obey, become U+FFFD.
func shell(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_-"
	if text != "" && onlyOf(text, plain) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

func onlyOf(text, allowed string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return !strings.ContainsRune(allowed, r) }) < 0
}

// quoted makes text a string of JSON, which is one of YAML too.
func quoted(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(fmt.Sprintf("encode a string: %v", err)) // every string can be encoded
	}
	return string(b)
}

// nomadText is text in which Nomad fills nothing in.
func nomadText(text string) string {
	return strings.NewReplacer("${", "$${", "%{", "%%{").Replace(text)
}

// composed makes text a string of YAML in which Compose fills nothing in.
func composed(text string) string { return strings.ReplaceAll(quoted(text), "$", "$$") }

// label makes text a name of DNS (RFC 1123), as platforms want names: lower-case letters,
// digits and hyphens.
func label(text string) string {
	const most = 40
	var b strings.Builder
	for _, r := range strings.ToLower(text) {
		if b.Len() == most {
			break
		}
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else if b.Len() > 0 {
			b.WriteByte('-')
		}
	}
	if name := strings.Trim(b.String(), "-"); name != "" {
		return name
	}
	return "image"
}
