package advisory

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Advisory is what a finding tells of an advisory.
type Advisory struct {
	ID        string
	Modified  time.Time
	Published time.Time
	Severity  Severity
	Summary   string
	Aliases   []string
}

// Match is one advisory that one package is affected by.
type Match struct {
	Advisory Advisory
	// Ecosystem is where the advisory has the package, such as Debian:12.
	Ecosystem string
	// Fixed are the versions that end the range which the version is in.
	Fixed []string
	// Why says which range, events and comparison made it a match.
	Why string
}

// Result is what the advisories say of one package.
type Result struct {
	Subject Subject
	// Matches are in the order of the advisories' ids, one for each.
	Matches []Match
	// Unknown says why there may be more. Empty when Matches is all there is.
	Unknown string
	// Carrier is true for images, which are no packages: nothing is said of them.
	Carrier bool
}

// Matcher finds advisories of packages. It remembers versions that it has parsed,
// and must be used by one goroutine at a time.
type Matcher struct {
	db         *Database
	versions   map[string]map[string]*version // by family and text
	advisories map[uint64]Advisory
	events     []event // used again for each range
}

// NewMatcher returns a matcher for a database, which must stay open.
func NewMatcher(db *Database) *Matcher {
	return &Matcher{db: db, versions: make(map[string]map[string]*version), advisories: make(map[uint64]Advisory)}
}

// Match looks a purl up. The error is of the database, not of the purl: what
// cannot be said of a purl is in Result.Unknown.
func (m *Matcher) Match(purl string) (Result, error) {
	p, err := ParsePURL(purl)
	if err != nil {
		return Result{Unknown: err.Error()}, nil
	}
	subject, err := Identify(p)
	if errors.Is(err, ErrCarrier) {
		return Result{Carrier: true}, nil
	} else if err != nil {
		return Result{Unknown: err.Error()}, nil
	}
	return m.MatchSubject(subject)
}

// MatchSubject is [Matcher.Match] for a purl that was identified before.
func (m *Matcher) MatchSubject(s Subject) (Result, error) {
	r := Result{Subject: s}
	ecosystems := m.ecosystems(s)
	if len(ecosystems) == 0 {
		name := s.Ecosystem
		if name == "" {
			name = s.Family + " for this release"
		}
		r.Unknown = "the database has no advisories of " + name
		return r, nil
	}
	e := evaluation{matcher: m, subject: &r.Subject, version: newVersion(s.Family, s.Version), known: m.versionsOf(s.Family)}
	if r.Subject.Doubt == "" && s.Version != "" && semverLike[s.Family] && !strings.ContainsAny(s.Version[:min(2, len(s.Version))], "0123456789") {
		r.Subject.Doubt = fmt.Sprintf("%q is no version number; it counts as older than every release", shorten(s.Version))
	}
	for _, number := range ecosystems {
		c, n, err := m.db.affected(number, s.Name)
		if err != nil {
			return Result{}, err
		}
		if n > 0 && s.Version == "" {
			r.Unknown = fmt.Sprintf("no version is given, and %d advisories name the package", n)
			return r, nil
		}
		for range n {
			advisory := c.uint()
			if err := e.entry(advisory, c.bytes(), m.db.meta.Ecosystems[number]); err != nil {
				return Result{}, err
			}
		}
		if c.damaged {
			return Result{}, badDatabase("its packages are damaged")
		}
	}
	r.Matches, r.Unknown = e.matches, e.unknown
	slices.SortFunc(r.Matches, func(a, b Match) int { return strings.Compare(a.Advisory.ID, b.Advisory.ID) })
	return r, nil
}

// ecosystems returns the numbers of those that are meant. None of a family whose
// feed was not imported counts: other feeds may mention a few of its packages.
func (m *Matcher) ecosystems(s Subject) []uint32 {
	if !m.db.families[s.Family] {
		return nil
	}
	if s.In == nil {
		if number, ok := m.db.ecosystems[s.Ecosystem]; ok {
			return []uint32{number}
		}
		return nil
	}
	var numbers []uint32
	for i, e := range m.db.meta.Ecosystems {
		if s.In(e) {
			numbers = append(numbers, uint32(i))
		}
	}
	return numbers
}

func (m *Matcher) versionsOf(family string) map[string]*version {
	known := m.versions[family]
	if known == nil {
		known = make(map[string]*version)
		m.versions[family] = known
	}
	return known
}

func (m *Matcher) advisory(number uint64) (Advisory, error) {
	if a, ok := m.advisories[number]; ok {
		return a, nil
	}
	a, err := m.db.advisory(number)
	if err == nil {
		m.advisories[number] = a
	}
	return a, err
}

// evaluation is one subject on its way through its advisories.
type evaluation struct {
	matcher *Matcher
	subject *Subject
	version *version
	known   map[string]*version
	matches []Match
	numbers []uint64 // of the advisories of matches
	unknown string
}

// entry evaluates one affected package of a record.
func (e *evaluation) entry(number uint64, data []byte, ecosystem string) error {
	c := cursor{b: data}
	match := Match{Ecosystem: ecosystem}
	matched := false
	var ends []string // fixes of any range, for a version that is only listed
	for range c.count() {
		s := e.span(&c)
		h, on, err := walk(s.events, e.version)
		switch {
		case err != nil:
			if err := e.cannotTell(number, err); err != nil {
				return err
			}
		case on:
			matched = true
			match.Fixed = appendFix(match.Fixed, h.until)
			if match.Why == "" {
				match.Why = e.explain(s, h, ecosystem)
			}
		default:
			ends = e.fixesAbove(ends, s)
		}
	}
	if !matched {
		for range c.count() {
			if string(c.bytes()) == e.subject.Version {
				matched = true
				match.Fixed = ends
				match.Why = fmt.Sprintf("%s %s is one of the versions that it lists for %s", e.subject.Name, e.subject.Version, ecosystem)
				break
			}
		}
	}
	if c.damaged {
		return badDatabase("its packages are damaged")
	}
	if !matched {
		return nil
	}
	return e.add(number, match)
}

// span reads a range. Its events are valid until the next one is read.
func (e *evaluation) span(c *cursor) span {
	s := span{kind: "SEMVER"}
	if c.byte() != 0 {
		s.kind = "ECOSYSTEM"
	}
	events := e.matcher.events[:0]
	for range c.count() {
		kind := eventKind(c.byte()) & 3
		text := c.bytes()
		if len(text) == 0 {
			events = append(events, event{kind, nil})
			continue
		}
		v, ok := e.known[string(text)]
		if !ok {
			v = newVersion(e.subject.Family, string(text))
			e.known[v.text] = v
		}
		events = append(events, event{kind, v})
	}
	e.matcher.events, s.events = events, events
	return s
}

func appendFix(fixes []string, until *event) []string {
	if until != nil && until.kind == fixed && !slices.Contains(fixes, until.version()) {
		return append(fixes, until.version())
	}
	return fixes
}

func (e *evaluation) fixesAbove(fixes []string, s span) []string {
	for i := range s.events {
		if ev := &s.events[i]; ev.kind == fixed && ev.at != nil {
			if c, err := e.version.compare(ev.at); err == nil && c < 0 {
				return appendFix(fixes, ev)
			}
		}
	}
	return fixes
}

func (e *evaluation) explain(s span, h hit, ecosystem string) string {
	comparison := fmt.Sprintf("%s (introduced) <= %s", h.from.version(), e.subject.Version)
	switch {
	case h.until == nil:
		comparison += ", and no fix is known"
	case h.until.kind == fixed:
		comparison += " < " + h.until.version() + " (fixed)"
	default:
		comparison += " <= " + h.until.version() + " (last affected)"
	}
	return fmt.Sprintf("%s %s is in the %s range of %s [%s]: %s", e.subject.Name, e.subject.Version, s.kind, ecosystem, s, comparison)
}

func (e *evaluation) cannotTell(number uint64, cause error) error {
	a, err := e.matcher.advisory(number)
	if err != nil {
		return err
	}
	if e.unknown == "" {
		e.unknown = fmt.Sprintf("%s: %v", a.ID, cause)
	}
	return nil
}

// add records a match, once for each advisory: a record may list a package several
// times.
func (e *evaluation) add(number uint64, match Match) error {
	if i := slices.Index(e.numbers, number); i >= 0 {
		for _, fix := range match.Fixed {
			if !slices.Contains(e.matches[i].Fixed, fix) {
				e.matches[i].Fixed = append(e.matches[i].Fixed, fix)
			}
		}
		return nil
	}
	var err error
	if match.Advisory, err = e.matcher.advisory(number); err != nil {
		return err
	}
	e.numbers = append(e.numbers, number)
	e.matches = append(e.matches, match)
	return nil
}
