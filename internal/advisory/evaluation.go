package advisory

import (
	"fmt"
	"slices"
	"strings"
)

// evaluation is one subject on its way through its advisories.
type evaluation struct {
	evaluator *Evaluator
	// advisory reads what an entry's number stands for.
	advisory func(number uint64) (Advisory, error)
	subject  *Subject
	version  *version
	known    map[string]*version
	matches  []Match
	numbers  []uint64 // of the advisories of matches
	unknown  string
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
	events := e.evaluator.events[:0]
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
	e.evaluator.events, s.events = events, events
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
	a, err := e.advisory(number)
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
	if match.Advisory, err = e.advisory(number); err != nil {
		return err
	}
	e.numbers = append(e.numbers, number)
	e.matches = append(e.matches, match)
	return nil
}

// result returns the matches in the order of their ids, and why there may be more.
func (e *evaluation) result() ([]Match, string) {
	slices.SortFunc(e.matches, func(a, b Match) int { return strings.Compare(a.Advisory.ID, b.Advisory.ID) })
	return e.matches, e.unknown
}
