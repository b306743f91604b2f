package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/cel-go/common/types"
	"go.yaml.in/yaml/v3"
)

// reader reads a policy and collects what is wrong with it.
type reader struct {
	name     string
	engine   *engine
	facts    []fact
	mistakes []Mistake
}

func (r *reader) mistake(line int, key, format string, args ...any) {
	r.mistakes = append(r.mistakes, Mistake{File: r.name, Line: max(line, 1), Key: key, Problem: fmt.Sprintf(format, args...)})
}

func (r *reader) read(text []byte) *Policy {
	if len(text) > maxFile {
		r.mistake(1, "", "expected at most %d bytes, found %d", maxFile, len(text))
		return nil
	}
	root := r.parse(text)
	if root == nil {
		return nil
	}
	keys := r.members(root, "", "version", "max_age", "rules")
	if keys == nil {
		return nil
	}
	if version := keys["version"]; version == nil {
		r.mistake(root.Line, "version", "expected 1, found nothing")
	} else if !scalar(version) || version.Value != "1" {
		r.mistake(version.Line, "version", "expected 1, found %s", found(version))
	}
	p := &Policy{maxAge: DefaultMaxAge}
	if age := keys["max_age"]; age != nil {
		p.maxAge = r.duration(age)
	}
	p.rules = r.rules(root, keys["rules"])
	return p
}

// yamlLine takes the line from a message of the YAML reader, which has no field for it.
var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

func (r *reader) parse(text []byte) *yaml.Node {
	if !utf8.Valid(text) {
		r.mistake(1, "", "expected UTF-8")
		return nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document, next yaml.Node
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) {
		r.mistake(1, "", "expected a policy, found nothing")
		return nil
	}
	if err == nil {
		if err = decoder.Decode(&next); err == nil {
			r.mistake(next.Line, "", "expected one document, found another")
			return nil
		}
	}
	if !errors.Is(err, io.EOF) {
		m := yamlLine.FindStringSubmatch(err.Error())
		line, problem := 1, err.Error()
		if m != nil {
			problem = problem[len(m[0]):]
			if n, err := strconv.Atoi(m[1]); err == nil {
				line = n
			}
		}
		r.mistake(line, "", "not YAML: %s", problem)
		return nil
	}
	if len(document.Content) != 1 {
		r.mistake(1, "", "expected a policy, found nothing")
		return nil
	}
	return document.Content[0]
}

// members returns the values of a mapping by key, or nil when it is none.
func (r *reader) members(n *yaml.Node, at string, allowed ...string) map[string]*yaml.Node {
	if n.Kind != yaml.MappingNode {
		r.mistake(n.Line, at, "expected the keys %s, found %s", strings.Join(allowed, ", "), found(n))
		return nil
	}
	values := make(map[string]*yaml.Node, len(allowed))
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		name := strings.TrimPrefix(at+"."+key.Value, ".")
		switch {
		case !scalar(key) || !slices.Contains(allowed, key.Value):
			r.mistake(key.Line, at, "unknown key %s; expected one of %s", found(key), strings.Join(allowed, ", "))
		case values[key.Value] != nil:
			r.mistake(key.Line, name, "expected once, found again; the first is in line %d", values[key.Value].Line)
		default:
			values[key.Value] = value
		}
	}
	return values
}

func (r *reader) duration(n *yaml.Node) time.Duration {
	const expected = "expected a duration above 0, such as 48h"
	if !scalar(n) {
		r.mistake(n.Line, "max_age", expected+", found %s", found(n))
		return 0
	}
	d, err := time.ParseDuration(n.Value)
	if err != nil || d <= 0 {
		r.mistake(n.Line, "max_age", expected+", found %s", found(n))
	}
	return d
}

func (r *reader) rules(root, n *yaml.Node) []rule {
	switch {
	case n == nil:
		r.mistake(root.Line, "rules", "expected a list of rules, found nothing")
		return nil
	case n.Kind != yaml.SequenceNode:
		r.mistake(n.Line, "rules", "expected a list of rules, found %s", found(n))
		return nil
	case len(n.Content) == 0 || len(n.Content) > maxRules:
		r.mistake(n.Line, "rules", "expected 1 to %d rules, found %d", maxRules, len(n.Content))
		return nil
	}
	rules := make([]rule, 0, len(n.Content))
	lines := make(map[string]int, len(n.Content))
	for i, item := range n.Content {
		at := fmt.Sprintf("rules[%d]", i)
		keys := r.members(item, at, "name", "description", "pass", "unknown", "message")
		if keys == nil {
			continue
		}
		made := r.rule(item, at, keys)
		if first, twice := lines[made.name]; twice && made.name != "" {
			r.mistake(keys["name"].Line, at+".name", "expected another name, found %q, which the rule in line %d has", made.name, first)
		}
		lines[made.name] = item.Line
		rules = append(rules, made)
	}
	return rules
}

// ruleName is what a rule may be called; it ends up in tables, metrics and URLs.
var ruleName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

func (r *reader) rule(n *yaml.Node, at string, keys map[string]*yaml.Node) rule {
	var made rule
	if name := keys["name"]; name == nil {
		r.mistake(n.Line, at+".name", "expected a name, found nothing")
	} else if !scalar(name) || !ruleName.MatchString(name.Value) {
		r.mistake(name.Line, at+".name", "expected at most 64 small letters, digits and hyphens, found %s", found(name))
	} else {
		made.name = name.Value
	}
	if text := keys["description"]; text != nil {
		if !scalar(text) || len(text.Value) > maxMessage {
			r.mistake(text.Line, at+".description", "expected at most %d bytes of text, found %s", maxMessage, found(text))
		}
		made.description = oneLine(text.Value)
	}
	if keys["pass"] == nil {
		r.mistake(n.Line, at+".pass", "expected an expression, found nothing")
	}
	made.pass = r.expression(keys["pass"], at+".pass", types.BoolType)
	made.unknown = r.expression(keys["unknown"], at+".unknown", types.BoolType)
	made.message = r.expression(keys["message"], at+".message", types.StringType)
	if made.description == "" && keys["pass"] != nil {
		made.description = oneLine(keys["pass"].Value)
	}
	return made
}

// expression compiles one, nil when there is none or it has mistakes.
func (r *reader) expression(n *yaml.Node, key string, want *types.Type) *program {
	if n == nil {
		return nil
	}
	if !scalar(n) || strings.TrimSpace(n.Value) == "" {
		r.mistake(n.Line, key, "expected a CEL expression, found %s", found(n))
		return nil
	}
	compiled, problems := r.engine.compile(n.Value, want)
	for _, p := range problems {
		if p.line == 0 {
			r.mistake(n.Line, key, "%s", p.message)
			continue
		}
		line := n.Line + p.line - 1
		if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
			line++ // the text starts below its key
		}
		r.mistake(line, key, "column %d of the expression: %s%s", p.column, p.message, r.hint(p.message))
	}
	return compiled
}

// hint names the facts that may have been meant. CEL names the first part only of
// a name that it does not know.
func (r *reader) hint(message string) string {
	_, rest, ok := strings.Cut(message, "undeclared reference to '")
	word, _, closed := strings.Cut(rest, "'")
	if !ok || !closed {
		return ""
	}
	var names []string
	for _, f := range r.facts {
		if strings.HasPrefix(f.name, word+".") {
			names = append(names, f.name)
		}
	}
	if len(names) == 0 {
		return "; docs/policy.md lists the facts"
	}
	return "; expected one of " + strings.Join(names, ", ")
}

func scalar(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Tag != "!!null" && n.Tag != "!!binary"
}

// found shows a node in a message.
func found(n *yaml.Node) string {
	switch n.Kind {
	case yaml.ScalarNode:
		if n.Tag == "!!null" {
			return "nothing"
		}
		const shown = 60
		if r := []rune(n.Value); len(r) > shown {
			return strconv.Quote(string(r[:shown]) + "…")
		}
		return strconv.Quote(n.Value)
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a mapping"
	case yaml.AliasNode:
		return "an alias"
	default:
		return "nothing"
	}
}
