package vex

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Set is the statements of documents. It is safe for concurrent use.
type Set struct {
	documents []Document
	// about has the places of the statements that name a vulnerability, in small
	// letters, in the order of documents and statements.
	about map[string][]place
}

type place struct{ document, statement int }

// NewSet combines documents. Of those with one @id, author and signer only the
// latest version counts: whoever made it took back what it no longer says.
func NewSet(documents ...Document) *Set {
	type series struct {
		id, author string
		signer     release.Signer
		file       bool
	}
	latest := make(map[series]int)
	of := func(d Document) series { return series{d.ID, d.Author, d.Origin.Signer, d.Origin.Paper == ""} }
	for _, d := range documents {
		latest[of(d)] = max(latest[of(d)], d.Version)
	}
	s := &Set{about: make(map[string][]place)}
	for _, d := range documents {
		if d.Version < latest[of(d)] {
			continue
		}
		for i, statement := range d.Statements {
			here := place{len(s.documents), i}
			for _, name := range append([]string{statement.Vulnerability}, statement.Aliases...) {
				name = strings.ToLower(name)
				if places := s.about[name]; len(places) == 0 || places[len(places)-1] != here {
					s.about[name] = append(places, here)
				}
			}
		}
		s.documents = append(s.documents, d)
	}
	return s
}

// Documents are those that count.
func (s *Set) Documents() []Document {
	if s == nil {
		return nil
	}
	return s.documents
}

// Apply returns the statement that holds at a time for a finding of an image, and whether
// it suppresses the finding: on every platform, and for every package of it. The
// statement is the zero value when there is none.
//
// The latest statement holds; of one time, the last in its document. Where documents
// contradict each other at one time, the one that does not suppress holds; where they
// agree, the one that ends last. A statement that expired suppresses nothing, and gives
// no way to those before it: it took their place.
func (s *Set) Apply(image Image, finding Finding, at time.Time) (Statement, bool) {
	if s == nil || len(s.about) == 0 {
		return Statement{}, false
	}
	places := s.places(finding.Names)
	if len(places) == 0 {
		return Statement{}, false
	}
	packages := []*advisory.PURL{}
	for _, text := range finding.PURLs {
		var pkg *advisory.PURL
		if purl, err := advisory.ParsePURL(text); err == nil {
			pkg = &purl
		}
		packages = append(packages, pkg)
	}
	if len(packages) == 0 {
		packages = append(packages, nil)
	}
	var holds, against *Statement
	open := false // for some platform or package nothing suppresses
	for _, m := range image.manifests() {
		for _, pkg := range packages {
			switch statement := s.holding(places, m, pkg); {
			case statement == nil:
				open = true
			case statement.SuppressesAt(at):
				holds = statement
			case against == nil:
				against = statement
			}
		}
	}
	switch {
	case against != nil:
		told := *against
		told.Over = told.Suppresses()
		return told, false
	case open || holds == nil:
		return Statement{}, false
	default:
		return *holds, true
	}
}

// places are where statements name one of the vulnerability's names, in order.
func (s *Set) places(names []string) []place {
	var places []place
	for _, name := range names {
		places = append(places, s.about[strings.ToLower(name)]...)
	}
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.document, b.document), cmp.Compare(a.statement, b.statement))
	})
	return slices.Compact(places)
}

// holding is the statement that holds for one package on one platform, nil when
// there is none.
func (s *Set) holding(places []place, image manifest, pkg *advisory.PURL) *Statement {
	var winner *Statement
	for len(places) > 0 {
		in := places[0].document
		var last *Statement // of this document
		for len(places) > 0 && places[0].document == in {
			statement := &s.documents[in].Statements[places[0].statement]
			places = places[1:]
			if last != nil && statement.Timestamp.Before(last.Timestamp) {
				continue
			}
			if slices.ContainsFunc(statement.products, func(p product) bool { return p.covers(image, pkg) }) {
				last = statement
			}
		}
		switch {
		case last == nil:
		case winner == nil, last.Timestamp.After(winner.Timestamp):
			winner = last
		case last.Timestamp.Equal(winner.Timestamp) && winner.Suppresses() && (!last.Suppresses() || last.lasts(winner)):
			winner = last
		}
	}
	return winner
}
