package sso

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode"

	"github.com/tallyman-io/tallyman/internal/access"
)

// values are those of a claim: itself when it is a string, its strings when it is a
// list. They are nil when there is no such claim, or it is something else.
func values(claims map[string]any, name string) []string {
	value, ok := claims[name]
	if !ok {
		first, rest, nested := strings.Cut(name, ".")
		if within, isObject := claims[first].(map[string]any); nested && isObject {
			return values(within, rest)
		}
		return nil
	}
	switch v := value.(type) {
	case string:
		return []string{v}
	case []any:
		all := make([]string, 0, len(v))
		for _, item := range v {
			if s, ok := item.(string); ok {
				all = append(all, s)
			}
		}
		return all
	}
	return nil
}

// person is who the claims are about, if they give a role.
func (i *Issuer) person(subject string, claims map[string]any) (access.Person, error) {
	p := access.Person{Subject: subject, Name: nameOf(subject, claims)}
	for _, value := range values(claims, i.cfg.Claim) {
		p.Role = max(p.Role, i.cfg.Roles[value])
	}
	if p.Role == 0 {
		return access.Person{}, &access.RefusedError{
			Subject: subject,
			Why: fmt.Sprintf("The identity provider knows you as %s, but gives you no role here: nothing in your claim %q has one. Ask whoever runs this console.",
				p.Name, i.cfg.Claim),
		}
	}
	return p, nil
}

// nameOf is what people know somebody by.
func nameOf(subject string, claims map[string]any) string {
	const most = 100
	for _, claim := range []string{"preferred_username", "email", "name"} {
		name, ok := claims[claim].(string)
		if !ok {
			continue
		}
		name = strings.TrimSpace(strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) { // nor what turns the direction of a line around
				return -1
			}
			return r
		}, name))
		if len(name) > most {
			name = strings.ToValidUTF8(name[:most], "") + "…"
		}
		if name != "" {
			return name
		}
	}
	return subject
}

// limited bounds the bodies of answers.
type limited struct{ http.RoundTripper }

// RoundTrip is that of [http.RoundTripper].
func (l limited) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := l.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answer.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(answer.Body, bodyLimit), answer.Body}
	return answer, nil
}
