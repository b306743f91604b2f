package sbom

import (
	"errors"
	"slices"
	"strconv"

	"github.com/tallyman-io/tallyman/internal/release"
)

// entry collects the fields of one package; its slices are used again for the next.
type entry struct {
	name, version, ref, kind []byte
	purl                     []byte
	others                   []string // further purls of an SPDX package
	licences                 []string
}

func (e *entry) reset() {
	e.name, e.version, e.ref, e.kind, e.purl = e.name[:0], e.version[:0], e.ref[:0], e.kind[:0], e.purl[:0]
	e.others, e.licences = e.others[:0], e.licences[:0]
}

// place is where an entry stands: put into words only when somebody asks, because
// most entries of some documents are files.
type place struct {
	list  string
	index int // negative when list is no list
}

func (p place) String() string {
	if p.index < 0 {
		return p.list
	}
	return p.list + "[" + strconv.Itoa(p.index) + "]"
}

// locatedError says in which entry something is wrong.
type locatedError struct {
	at  string
	err error
}

func (e *locatedError) Error() string { return e.at + ": " + e.err.Error() }

func (e *locatedError) Unwrap() error { return e.err }

// located adds the place to an error, unless an entry inside that place did.
func located(at place, err error) error {
	if inner := new(locatedError); errors.As(err, &inner) {
		return err
	}
	return &locatedError{at.String(), err}
}

// field reads a string over dst.
func (p *parser) field(dst *[]byte) error {
	s, ok, err := p.optional()
	if ok {
		*dst = append((*dst)[:0], s...)
	}
	return err
}

// emit hands the collected package on, once for each of its purls.
func (p *parser) emit(at place) error {
	e := &p.entry
	if len(e.purl) == 0 {
		p.document.Unidentified++
		return nil
	}
	where := at.String()
	if len(e.ref) > 0 {
		where += " (" + text(e.ref) + ")"
	}
	pkg := release.Package{
		PURL: text(e.purl), Name: text(e.name), Version: text(e.version),
		Licences: append([]string(nil), e.licences...), Entry: where,
	}
	if err := p.count(pkg); err != nil {
		return err
	}
	for _, purl := range e.others {
		pkg.PURL = purl
		if err := p.count(pkg); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) count(pkg release.Package) error {
	if p.document.Packages++; p.document.Packages > MaxPackages {
		return p.errorf("more than %d packages", MaxPackages)
	}
	return p.yield(pkg)
}

// spdxPackage reads one element of packages (SPDX 2.3, clause 7).
func (p *parser) spdxPackage(index int) error {
	e := &p.entry
	e.reset()
	if err := p.object(func(key []byte) error {
		switch string(key) {
		case "name":
			return p.field(&e.name)
		case "versionInfo":
			return p.field(&e.version)
		case "SPDXID":
			return p.field(&e.ref)
		case "licenseConcluded", "licenseDeclared":
			return p.licence()
		case "externalRefs":
			return p.list(func(int) error { return p.externalRef() })
		}
		return p.skip()
	}); err != nil {
		return located(place{"packages", index}, err)
	}
	return p.emit(place{"packages", index})
}

// externalRef reads a reference and keeps it when it is a purl (SPDX 2.3, 7.21
// and annex F.3).
func (p *parser) externalRef() error {
	e := &p.entry
	// The fields are in any order; kind is free in SPDX packages, others holds the rest.
	e.kind = e.kind[:0]
	var locator []byte
	if err := p.object(func(key []byte) error {
		switch string(key) {
		case "referenceType":
			return p.field(&e.kind)
		case "referenceLocator":
			s, ok, err := p.optional()
			if ok && len(s) > 4 && string(s[:4]) == "pkg:" {
				locator = append([]byte(nil), s...)
			}
			return err
		}
		return p.skip()
	}); err != nil {
		return err
	}
	switch {
	case string(e.kind) != "purl" || len(locator) == 0 || string(locator) == string(e.purl):
	case len(e.purl) == 0:
		e.purl = append(e.purl, locator...)
	case !slices.Contains(e.others, text(locator)):
		e.others = append(e.others, text(locator))
	}
	return nil
}

// licence keeps a licence unless the document says that it does not know.
func (p *parser) licence() error {
	s, ok, err := p.optional()
	if err != nil || !ok {
		return err
	}
	switch string(s) {
	case "", "NOASSERTION", "NONE":
		return nil
	}
	if word := p.intern(s); !slices.Contains(p.entry.licences, word) {
		p.entry.licences = append(p.entry.licences, word)
	}
	return nil
}

// metadata reads the component that the document is about: it ships too.
func (p *parser) metadata() error {
	return p.nested(func() error {
		return p.object(func(key []byte) error {
			if string(key) != "component" {
				return p.skip()
			}
			return p.nested(func() error {
				unidentified := p.document.Unidentified
				err := p.component(place{"metadata.component", -1})
				p.document.Unidentified = unidentified // a folder or an image is no package
				return err
			})
		})
	})
}

// component reads a component and those inside it (CycloneDX 1.6, components).
func (p *parser) component(where place) error {
	e := &p.entry
	e.reset()
	if err := p.object(func(key []byte) error {
		switch string(key) {
		case "name":
			return p.field(&e.name)
		case "version":
			return p.field(&e.version)
		case "bom-ref":
			return p.field(&e.ref)
		case "type":
			return p.field(&e.kind)
		case "purl":
			return p.field(&e.purl)
		case "licenses":
			return p.list(func(int) error { return p.licenceChoice() })
		case "components":
			// The parent's fields may follow its children, who need the same room.
			outer := p.entry
			p.entry = entry{}
			err := p.list(func(i int) error { return p.component(place{where.String() + ".components", i}) })
			p.entry = outer
			return err
		}
		return p.skip()
	}); err != nil {
		return located(where, err)
	}
	if len(e.purl) == 0 && (string(e.kind) == "file" || string(e.kind) == "operating-system") {
		return nil
	}
	return p.emit(where)
}

// licenceChoice reads an element of licenses: a license with id or name, or an
// expression.
func (p *parser) licenceChoice() error {
	return p.object(func(key []byte) error {
		switch string(key) {
		case "expression":
			return p.licence()
		case "license":
			return p.nested(func() error {
				return p.object(func(key []byte) error {
					if k := string(key); k == "id" || k == "name" {
						return p.licence()
					}
					return p.skip()
				})
			})
		}
		return p.skip()
	})
}
