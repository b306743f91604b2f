package advisory

import "time"

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
	evaluator  *Evaluator
	advisories map[uint64]Advisory
	// past is nil for one that knows what the database knows.
	past *Past
}

// NewMatcher returns a matcher for a database, which must stay open.
func NewMatcher(db *Database) *Matcher {
	return &Matcher{db: db, evaluator: NewEvaluator(), advisories: make(map[uint64]Advisory)}
}

// Match looks a purl up. The error is of the database, not of the purl: what
// cannot be said of a purl is in Result.Unknown.
func (m *Matcher) Match(purl string) (Result, error) {
	subject, carrier, gap := IdentifyPURL(purl)
	if carrier || gap != "" {
		return Result{Carrier: carrier, Unknown: gap}, nil
	}
	return m.MatchSubject(subject)
}

// MatchSubject is [Matcher.Match] for a purl that was identified before.
func (m *Matcher) MatchSubject(s Subject) (Result, error) {
	r := Result{Subject: s}
	ecosystems := m.ecosystems(s)
	if len(ecosystems) == 0 {
		r.Unknown = uncovered(s)
		return r, nil
	}
	e := m.evaluator.begin(&r.Subject, m.advisory)
	for _, number := range ecosystems {
		c, n, err := m.db.affected(number, s.Name)
		if err != nil {
			return Result{}, err
		}
		if n > 0 && s.Version == "" {
			r.Unknown = versionless(n)
			return r, nil
		}
		for range n {
			advisory, data := c.uint(), c.bytes()
			if later, err := m.later(advisory); err != nil {
				return Result{}, err
			} else if later {
				continue
			}
			if err := e.entry(advisory, data, m.db.meta.Ecosystems[number]); err != nil {
				return Result{}, err
			}
		}
		if c.damaged {
			return Result{}, badDatabase("its packages are damaged")
		}
		if err := m.withdrawn(e, m.db.meta.Ecosystems[number], s.Name); err != nil {
			return Result{}, err
		}
	}
	r.Matches, r.Unknown = e.result()
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

// later reports whether an advisory is of after the time that the matcher looks back to.
func (m *Matcher) later(number uint64) (bool, error) {
	if m.past == nil {
		return false, nil
	}
	a, err := m.advisory(number)
	return err == nil && m.past.unpublished(a), err
}

// withdrawn evaluates what was withdrawn since the time that the matcher looks back to.
func (m *Matcher) withdrawn(e *evaluation, ecosystem, name string) error {
	if m.past == nil {
		return nil
	}
	for _, entry := range m.past.withdrawn[pastKey{ecosystem, name}] {
		if m.past.unpublished(m.past.advisories[entry.number-pastNumbers]) {
			continue
		}
		if err := e.entry(entry.number, entry.data, ecosystem); err != nil {
			return err
		}
	}
	return nil
}

func (m *Matcher) advisory(number uint64) (Advisory, error) {
	if number >= pastNumbers && m.past != nil && number-pastNumbers < uint64(len(m.past.advisories)) {
		return m.past.advisories[number-pastNumbers], nil
	}
	if a, ok := m.advisories[number]; ok {
		return a, nil
	}
	a, err := m.db.advisory(number)
	if err == nil {
		m.advisories[number] = a
	}
	return a, err
}
