package policy_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/policy"
)

func TestMistakesOfAPolicyAreToldAtOnce(t *testing.T) {
	t.Parallel()
	_, err := policy.Parse("p.yaml", []byte(`version: 2
max_age: soon
colour: red
rules:
  - name: Signed
    pass: signature.stat == "verified"
  - name: a
    pas: x
    pass: counts.critical
    message: 1 + 1
  - name: a
    pass: |
      counts.critical == 0 &&
      counts.high == "none"
  - just text
  - pass: [1]
`))
	var mistakes policy.Mistakes
	if !errors.As(err, &mistakes) {
		t.Fatalf("got %v, want mistakes", err)
	}
	for _, want := range []string{
		`p.yaml:1: version: expected 1, found "2"`,
		`p.yaml:2: max_age: expected a duration above 0, such as 48h, found "soon"`,
		`p.yaml:3: unknown key "colour"; expected one of version, max_age, rules`,
		`p.yaml:5: rules[0].name: expected at most 64 small letters, digits and hyphens, found "Signed"`,
		`p.yaml:6: rules[0].pass: column 1 of the expression: undeclared reference to 'signature' (in container ''); expected one of signature.state, signature.reason, signature.signers, signature.identities`,
		`p.yaml:8: rules[1]: unknown key "pas"; expected one of name, description, pass, unknown, message`,
		`p.yaml:9: rules[1].pass: expected an expression of type bool, found one of type int`,
		`p.yaml:10: rules[1].message: expected an expression of type string, found one of type int`,
		`p.yaml:11: rules[2].name: expected another name, found "a", which the rule in line 7 has`,
		`p.yaml:14: rules[2].pass: column 13 of the expression: found no matching overload for '_==_' applied to '(int, string)'`,
		`p.yaml:15: rules[3]: expected the keys name, description, pass, unknown, message, found "just text"`,
		`p.yaml:16: rules[4].name: expected a name, found nothing`,
		`p.yaml:16: rules[4].pass: expected a CEL expression, found a list`,
	} {
		if !strings.Contains("\n"+err.Error()+"\n", "\n"+want+"\n") {
			t.Errorf("%q is not a line of\n%s", want, err)
		}
	}
	if len(mistakes) != 13 {
		t.Errorf("got %d mistakes, want 13:\n%s", len(mistakes), err)
	}
}

func TestPoliciesThatAreNone(t *testing.T) {
	t.Parallel()
	rule := "  - name: a\n    pass: 'true'\n"
	for name, c := range map[string]struct{ text, want string }{
		"empty":               {"", "expected a policy, found nothing"},
		"only a comment":      {"# nothing\n", "expected a policy, found nothing"},
		"not YAML":            {"a: [\n", "not YAML"},
		"not UTF-8":           {"version: \xff", "expected UTF-8"},
		"text":                {"allow everything", `expected the keys version, max_age, rules, found "allow everything"`},
		"two documents":       {"version: 1\nrules:\n" + rule + "---\nversion: 1\n", "expected one document, found another"},
		"no version":          {"rules:\n" + rule, "version: expected 1, found nothing"},
		"no rules":            {"version: 1\n", "rules: expected a list of rules, found nothing"},
		"an empty list":       {"version: 1\nrules: []\n", "expected 1 to 100 rules, found 0"},
		"too many rules":      {"version: 1\nrules:\n" + strings.Repeat(rule, 101), "expected 1 to 100 rules, found 101"},
		"rules that are none": {"version: 1\nrules: signed\n", `expected a list of rules, found "signed"`},
		"a key twice":         {"version: 1\nversion: 1\nrules:\n" + rule, "p.yaml:2: version: expected once, found again; the first is in line 1"},
		"an alias":            {"version: 1\nrules:\n  - name: a\n    pass: &p 'true'\n  - name: b\n    pass: *p\n", "expected a CEL expression, found an alias"},
		"an empty expression": {"version: 1\nrules:\n  - name: a\n    pass: ''\n", `expected a CEL expression, found ""`},
		"no expression":       {"version: 1\nrules:\n  - name: a\n", "rules[0].pass: expected an expression, found nothing"},
		"a broken expression": {"version: 1\nrules:\n  - name: a\n    pass: 'counts.critical =='\n", "Syntax error"},
		"a broken pattern":    {"version: 1\nrules:\n  - name: a\n    pass: version.matches('(')\n", "error parsing regexp: missing closing )"},
		"a broken duration":   {"version: 1\nrules:\n  - name: a\n    pass: now > now - duration('soon')\n", "type conversion error from 'string' to 'google.protobuf.Duration'"},
		"an unknown type":     {"version: 1\nrules:\n  - name: a\n    pass: 'dyn(true)'\n", "expected an expression of type bool, found one of type dyn"},
		"a fact that is none": {"version: 1\nrules:\n  - name: a\n    pass: signed\n", "undeclared reference to 'signed' (in container ''); docs/policy.md lists the facts"},
		"too deep":            {"version: 1\nrules:\n  - name: a\n    pass: " + strings.Repeat("(", 300) + "true" + strings.Repeat(")", 300) + "\n", "recursion limit exceeded"},
		"a long expression":   {"version: 1\nrules:\n  - name: a\n    pass: version != \"" + strings.Repeat("x", 5000) + "\"\n", "size exceeds limit"},
		"too large":           {strings.Repeat("#", 300<<10), "expected at most 262144 bytes, found 307200"},
	} {
		_, err := policy.Parse("p.yaml", []byte(c.text))
		var mistakes policy.Mistakes
		if !errors.As(err, &mistakes) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(builtIn(f).Source())
	f.Add([]byte("version: 1\nrules:\n  - name: a\n    pass: licences.all(l, l.matches('^[A-Z]') && size(l) < 3)\n"))
	f.Add([]byte("version: 2\nmax_age: x\nrules: [{name: a, pass: 1 +}]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := policy.Parse("p.yaml", text)
		if err != nil {
			var mistakes policy.Mistakes
			if !errors.As(err, &mistakes) || len(mistakes) == 0 {
				t.Fatalf("not a list of mistakes: %v", err)
			}
			for _, m := range mistakes {
				if m.Line < 1 || m.Problem == "" {
					t.Fatalf("a mistake without place or problem: %+v", m)
				}
			}
			return
		}
		verdict := p.Judge(t.Context(), sound(), at)
		if len(verdict.Reasons) != len(p.Rules()) {
			t.Fatalf("got %d reasons for %d rules", len(verdict.Reasons), len(p.Rules()))
		}
		for _, reason := range verdict.Reasons {
			if reason.Message == "" {
				t.Fatalf("rule %s says nothing", reason.Rule)
			}
		}
	})
}
