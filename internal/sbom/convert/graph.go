package convert

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// graph is what both formats can say.
type graph struct {
	format string
	spdx   bool
	// id is the documentNamespace or the serialNumber; empty when there is none.
	id      string
	name    string
	created string
	tools   []tool
	persons []string
	makers  []string // organizations
	// roots are the refs of what the document is about.
	roots []string
	// parts are in the order of the document, refs has them by their ref.
	parts []*part
	refs  map[string]*part
	// contains and depends are pairs of refs.
	contains, depends [][2]string
	// texts are of licences that have no name of their own, by LicenseRef.
	texts map[string]licence
	lost  losses
}

type tool struct{ name, version string }

// part is a package, a file or a component.
type part struct {
	ref, name, version string
	// kind is a type of CycloneDX; empty when it is not said.
	kind                   string
	description, copyright string
	declared, concluded    []licence
	hashes                 []hash
	purls, cpes            []string
	supplier, originator   party
	download, homepage     string
}

// hash is a digest, its algorithm as CycloneDX calls it.
type hash struct{ algorithm, value string }

// party is somebody: an organization, or a person.
type party struct {
	name, email string
	person      bool
}

// licence is an expression, or else what somebody calls it.
type licence struct {
	expression string
	name, text string
}

// losses counts what is not carried over, by its place.
type losses map[string]int

func (l losses) list() []string {
	var all []string
	for _, what := range slices.Sorted(maps.Keys(l)) {
		all = append(all, fmt.Sprintf("%s (%d)", what, l[what]))
	}
	return all
}

// add takes a part in. Its ref is made up where it has none.
func (g *graph) add(p *part, where string) error {
	if p.name == "" {
		return fmt.Errorf("%s: expected a name, found none", where)
	}
	for n := len(g.parts) + 1; p.ref == ""; n++ {
		if made := fmt.Sprintf("unnamed-%d", n); g.refs[made] == nil {
			p.ref = made
		}
	}
	if g.refs[p.ref] != nil {
		return fmt.Errorf("%s: expected %.100q once, found it twice", where, p.ref)
	}
	g.refs[p.ref] = p
	g.parts = append(g.parts, p)
	return nil
}

// check leaves out relations to what is not in the document, and what is said twice.
func (g *graph) check() error {
	if g.created != "" {
		at, err := time.Parse(time.RFC3339, g.created)
		if err != nil {
			return fmt.Errorf("time of the document: expected one such as 2026-01-31T12:00:00Z, found %.60q", g.created)
		}
		g.created = at.UTC().Format("2006-01-02T15:04:05Z")
	}
	g.roots = slices.DeleteFunc(g.roots, func(ref string) bool { return g.refs[ref] == nil })
	g.roots = distinct(g.roots)
	g.contains, g.depends = g.among(g.contains), g.among(g.depends)
	return nil
}

func (g *graph) among(pairs [][2]string) [][2]string {
	seen := make(map[[2]string]bool, len(pairs))
	var kept [][2]string
	for _, pair := range pairs {
		switch {
		case seen[pair]:
		case g.refs[pair[0]] == nil || g.refs[pair[1]] == nil:
			g.lost["relations to what is not in the document"]++
		default:
			seen[pair] = true
			kept = append(kept, pair)
		}
	}
	return kept
}

// distinct keeps the first of each.
func distinct(list []string) []string {
	seen := make(map[string]bool, len(list))
	return slices.DeleteFunc(list, func(s string) bool {
		was := seen[s]
		seen[s] = true
		return was
	})
}

// algorithms are those of SPDX under the name of CycloneDX.
//
//nolint:gochecknoglobals // a table that does not change
var algorithms = map[string]string{
	"MD5": "MD5", "SHA1": "SHA-1", "SHA256": "SHA-256", "SHA384": "SHA-384", "SHA512": "SHA-512",
	"SHA3-256": "SHA3-256", "SHA3-384": "SHA3-384", "SHA3-512": "SHA3-512",
	"BLAKE2b-256": "BLAKE2b-256", "BLAKE2b-384": "BLAKE2b-384", "BLAKE2b-512": "BLAKE2b-512", "BLAKE3": "BLAKE3",
}

// purposes are those of SPDX (2.3, 7.24) as types of CycloneDX.
//
//nolint:gochecknoglobals // a table that does not change
var purposes = map[string]string{
	"APPLICATION": "application", "FRAMEWORK": "framework", "LIBRARY": "library", "CONTAINER": "container",
	"OPERATING_SYSTEM": "operating-system", "OPERATING-SYSTEM": "operating-system", "DEVICE": "device", "FIRMWARE": "firmware", "FILE": "file",
}
