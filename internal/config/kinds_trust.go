package config

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"strings"
)

// identities are divided by white space alone, because a pattern may hold a
// comma, as in {1,3}. White space in one is written as \s.
func identities() kind[[]Identity] {
	const expected = "ISSUER=SUBJECT for an exact subject, or ISSUER=~^PATTERN$ for a regular expression (RE2) of the whole subject; " +
		"the issuer an http or https URL"
	return listOf(listForm[Identity]{
		item: "issuer=subject ", expected: expected, separators: whiteSpace,
		schema: map[string]any{"type": "string", "pattern": `^https?://[^=\s]+=(~\^\S+\$|[^~\s]\S*)$`},
		parse: func(s string) (Identity, *problem) {
			identity, err := parseIdentity(s)
			if err != nil {
				return Identity{}, &problem{found: s, what: err.Error()}
			}
			return identity, nil
		},
		show: Identity.String,
	})
}

// String is the identity as it is configured.
func (i Identity) String() string {
	if i.Pattern != "" {
		return i.Issuer + "=~" + i.Pattern
	}
	return i.Issuer + "=" + i.Subject
}

// parseIdentity divides at the first equals sign: an issuer has neither query
// nor fragment (OpenID Connect Core 1.0, section 2, iss), where one could be.
func parseIdentity(s string) (Identity, error) {
	issuer, subject, ok := strings.Cut(s, "=")
	if !ok {
		return Identity{}, errors.New("there is no = behind the issuer")
	}
	if what := webURLProblem(issuer); what != "" || strings.Contains(issuer, "?") {
		return Identity{}, errors.New("the issuer is not a URL without a query")
	}
	if subject == "" {
		return Identity{}, errors.New("there is no subject")
	}
	pattern, ok := strings.CutPrefix(subject, "~")
	if !ok {
		return Identity{Issuer: issuer, Subject: subject}, nil
	}
	if err := anchored(pattern); err != nil {
		return Identity{}, err
	}
	return Identity{Issuer: issuer, Pattern: pattern}, nil
}

// anchored refuses a pattern that matches anything but whole subjects: it would
// accept whoever puts the wanted text into a longer name. An anchor inside an
// alternative, as in ^a|b$, binds that alternative only.
func anchored(pattern string) error {
	if _, err := regexp.Compile(pattern); err != nil {
		return errors.New("the pattern is no regular expression: " + strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	parsed, err := syntax.Parse(pattern, syntax.Perl)
	if err == nil && parsed.Op == syntax.OpConcat && len(parsed.Sub) > 1 &&
		parsed.Sub[0].Op == syntax.OpBeginText && parsed.Sub[len(parsed.Sub)-1].Op == syntax.OpEndText {
		return nil
	}
	return errors.New("the pattern is not anchored from ^ to $ around all alternatives, as in ^(…|…)$")
}

// yesNoName stands for a truth value in the flags' help. The flag alone means
// true.
const yesNoName = "true|false"

func yesNo() kind[bool] {
	return kind[bool]{
		name: yesNoName, expected: "true or false", schema: map[string]any{"type": "boolean"},
		parse: func(s string) (bool, []problem) {
			if s != "true" && s != "false" {
				return false, unexpected()
			}
			return s == "true", nil
		},
		text: func(v any) (string, bool) {
			b, ok := v.(bool)
			if b {
				return "true", ok
			}
			return "false", ok
		},
		show: func(b bool) any { return b },
	}
}
