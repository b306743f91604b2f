package advisory

import (
	"fmt"
	"slices"
	"strings"
)

// Entry is what a record says of one package, compiled for an [Evaluator]. Data is
// of the form that the database file has; it is not stable between versions of this
// program that differ in [EntryFormat].
type Entry struct {
	Family    string
	Ecosystem string // with its release, such as Debian:12
	Name      string // as [Subject.Name]
	Data      []byte
}

// EntryFormat numbers the form of [Entry.Data].
const EntryFormat = format

// Entries returns what a record that an ecosystem's feed publishes says of packages
// of that ecosystem: a feed speaks for its own. It is to be ignored from when the
// record is withdrawn.
func (r *Record) Entries(feed string) []Entry {
	var entries []Entry
	for i := range r.Affected {
		a := &r.Affected[i]
		f := family(a.Package.Ecosystem)
		if a.Package.Name == "" || f != feed {
			continue // GIT ranges of a repository are not of a package
		}
		if data := encodeAffected(a); data != nil {
			entries = append(entries, Entry{Family: f, Ecosystem: a.Package.Ecosystem, Name: foldName(f, a.Package.Name), Data: data})
		}
	}
	return entries
}

// Candidate is an entry that names a package, and the advisory that it belongs to.
type Candidate struct {
	Advisory  Advisory
	Ecosystem string
	Data      []byte
}

// Evaluator compares packages with entries. It remembers versions that it has
// parsed, and must be used by one goroutine at a time.
type Evaluator struct {
	versions map[string]map[string]*version // by family and text
	events   []event                        // used again for each range
}

// maxVersions bounds what an Evaluator remembers, for those that live long.
const maxVersions = 1 << 16

// NewEvaluator returns an evaluator that knows no versions yet.
func NewEvaluator() *Evaluator {
	return &Evaluator{versions: make(map[string]map[string]*version)}
}

// Evaluate says what the candidates mean for a package: all entries that have the
// subject's name in its family. The error is of the entries' data, not of the
// package.
func (v *Evaluator) Evaluate(s Subject, candidates []Candidate) (Result, error) {
	r := Result{Subject: s}
	candidates = slices.DeleteFunc(slices.Clone(candidates), func(c Candidate) bool { return !s.Covers(c.Ecosystem) })
	if len(candidates) > 0 && s.Version == "" {
		r.Unknown = versionless(len(candidates))
		return r, nil
	}
	numbers := make(map[string]uint64, len(candidates))
	e := v.begin(&r.Subject, func(number uint64) (Advisory, error) { return candidates[number].Advisory, nil })
	for i, c := range candidates {
		number, ok := numbers[c.Advisory.ID]
		if !ok {
			number = uint64(i)
			numbers[c.Advisory.ID] = number
		}
		if err := e.entry(number, c.Data, c.Ecosystem); err != nil {
			return Result{}, fmt.Errorf("%s: %w", c.Advisory.ID, err)
		}
	}
	r.Matches, r.Unknown = e.result()
	return r, nil
}

// Covers reports whether an ecosystem, with its release, is the subject's.
func (s Subject) Covers(ecosystem string) bool {
	if s.In != nil {
		return s.In(ecosystem)
	}
	return ecosystem == s.Ecosystem
}

// Coverage tells which ecosystems there are advisories of.
type Coverage struct {
	// Families are those that a feed was imported for. What other feeds mention of
	// a family does not count.
	Families map[string]bool
	// Ecosystems are those that advisories name, with their releases.
	Ecosystems map[string]bool
}

// Gap returns why nothing can be told of a subject, or "" when the advisories cover
// it.
func (c Coverage) Gap(s Subject) string {
	if c.Families[s.Family] {
		if s.In == nil && c.Ecosystems[s.Ecosystem] {
			return ""
		}
		for e := range c.Ecosystems {
			if s.In != nil && s.In(e) {
				return ""
			}
		}
	}
	return uncovered(s)
}

func uncovered(s Subject) string {
	if s.Ecosystem != "" {
		return "the database has no advisories of " + s.Ecosystem
	}
	return "the database has no advisories of " + s.Family + " for this release"
}

func versionless(n int) string {
	return fmt.Sprintf("no version is given, and %d advisories name the package", n)
}

func (v *Evaluator) begin(s *Subject, advisory func(uint64) (Advisory, error)) *evaluation {
	if s.Doubt == "" && s.Version != "" && semverLike[s.Family] && !strings.ContainsAny(s.Version[:min(2, len(s.Version))], "0123456789") {
		s.Doubt = fmt.Sprintf("%q is no version number; it counts as older than every release", shorten(s.Version))
	}
	known := v.versions[s.Family]
	if known == nil || len(known) > maxVersions {
		known = make(map[string]*version)
		v.versions[s.Family] = known
	}
	return &evaluation{evaluator: v, advisory: advisory, subject: s, version: newVersion(s.Family, s.Version), known: known}
}
