package policy

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// DefaultMaxAge is how old advisory data may be where a policy does not say.
const DefaultMaxAge = 48 * time.Hour

const (
	// maxFile bounds a policy, in bytes, maxRules its rules and maxExpression each
	// expression, in characters.
	maxFile       = 256 << 10
	maxRules      = 100
	maxExpression = 4096
	// maxNesting bounds how deep an expression may nest.
	maxNesting = 64
	// maxCost bounds an expression that goes through lists more than once, in the
	// units of CEL: about one for each step.
	maxCost = 200_000
	// interruptEvery is after how many steps of a list the context is asked.
	interruptEvery = 100
	// maxMessage bounds a message, in bytes.
	maxMessage = 1000
)

//go:embed default.yaml
var defaultText string

// defaultLine is the line of the built-in policy that Default replaces.
const defaultLine = "\nmax_age: 48h\n"

// Policy is a list of rules. It is safe for concurrent use.
type Policy struct {
	digest string
	source []byte
	maxAge time.Duration
	rules  []rule
	// values are those of the facts, by name.
	values map[string]func(*scene) any
}

// rule is one of a policy; unknown and message are nil when it has none.
type rule struct {
	name        string
	description string
	pass        *program
	unknown     *program
	message     *program
}

// Default returns the built-in policy: signed by a configured identity, a verified
// SBOM of every platform, no critical finding, advisory data younger than maxAge,
// nothing unknown. 0 stands for [DefaultMaxAge].
func Default(maxAge time.Duration) (*Policy, error) {
	text := defaultText
	if maxAge != 0 {
		text = strings.Replace(text, defaultLine, "\nmax_age: "+maxAge.String()+"\n", 1)
	}
	return Parse("built-in policy", []byte(text))
}

// Parse reads a policy, as docs/policy.md describes it. The error lists every
// mistake ([Mistakes]); name stands for the file in it.
func Parse(name string, text []byte) (*Policy, error) {
	facts := catalogue()
	engine, err := newEngine(facts)
	if err != nil {
		return nil, err
	}
	r := reader{name: name, engine: engine, facts: facts}
	p := r.read(text)
	if len(r.mistakes) > 0 {
		slices.SortStableFunc(r.mistakes, func(a, b Mistake) int { return a.Line - b.Line })
		return nil, Mistakes(r.mistakes)
	}
	sum := sha256.Sum256(text)
	p.digest, p.source = "sha256:"+hex.EncodeToString(sum[:]), slices.Clone(text)
	p.values = make(map[string]func(*scene) any, len(facts))
	for _, f := range facts {
		p.values[f.name] = f.value
	}
	return p, nil
}

// Digest is that of the policy's text, as "sha256:<hex>".
func (p *Policy) Digest() string { return p.digest }

// Source is the policy's text, whose SHA-256 is the digest.
func (p *Policy) Source() []byte { return slices.Clone(p.source) }

// MaxAge is how old advisory data may be.
func (p *Policy) MaxAge() time.Duration { return p.maxAge }

// Rules are the names of the rules, in order.
func (p *Policy) Rules() []string {
	names := make([]string, len(p.rules))
	for i := range p.rules {
		names[i] = p.rules[i].name
	}
	return names
}

// Mistake is one thing that is wrong with a policy.
type Mistake struct {
	File string
	// Line counts from 1.
	Line int
	// Key is where in the policy, such as rules[2].pass; empty for the whole.
	Key string
	// Problem says what was found, and what is expected.
	Problem string
}

// String is the mistake on one line.
func (m Mistake) String() string {
	key := ""
	if m.Key != "" {
		key = m.Key + ": "
	}
	return fmt.Sprintf("%s:%d: %s%s", m.File, m.Line, key, oneLine(m.Problem))
}

// Mistakes is everything that is wrong with a policy, by line.
type Mistakes []Mistake

// Error lists the mistakes, one on each line.
func (ms Mistakes) Error() string {
	lines := make([]string, len(ms))
	for i, m := range ms {
		lines[i] = m.String()
	}
	return strings.Join(lines, "\n")
}

// oneLine folds line breaks and other control characters to spaces, and bounds
// what people have to read.
func oneLine(s string) string {
	if len(s) > maxMessage {
		s = strings.ToValidUTF8(s[:maxMessage], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || 0x7f <= r && r < 0xa0 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}
