package ledger

import (
	"maps"
	"slices"

	"github.com/tallyman-io/tallyman/internal/advisory"
)

// Summary is what is kept of the packages of an SBOM beside the packages themselves: the
// same for a document in the store and for one that a command reads and forgets. The
// zero value is that of a document without packages.
type Summary struct {
	// Ecosystems are in the order in which the document first names them.
	Ecosystems []EcosystemCount
	// Unmatchable counts packages that no advisory can speak of; WhyNot tells of the
	// first.
	Unmatchable int
	WhyNot      string

	at       map[string]int
	licences map[string]bool
}

// Add counts a package, which must not have been added before under the same purl.
// subject, carrier and gap are what [advisory.IdentifyPURL] says of it.
func (s *Summary) Add(purl string, subject advisory.Subject, carrier bool, gap string, licences []string) {
	if s.at == nil {
		s.at, s.licences = make(map[string]int), make(map[string]bool)
	}
	for _, licence := range licences {
		s.licences[licence] = true
	}
	switch {
	case gap != "":
		s.Unmatchable++
		if s.WhyNot == "" {
			s.WhyNot = purl + ": " + gap
		}
	case !carrier:
		i, ok := s.at[subject.Release()]
		if !ok {
			i = len(s.Ecosystems)
			s.at[subject.Release()] = i
			s.Ecosystems = append(s.Ecosystems, EcosystemCount{PURL: purl})
		}
		s.Ecosystems[i].Packages++
	}
}

// Licences are the distinct ones, in order.
func (s *Summary) Licences() []string { return slices.Sorted(maps.Keys(s.licences)) }
