package sbom

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/tallyman-io/tallyman/internal/release"
)

// Format is the specification that a document follows.
type Format string

const (
	// FormatSPDX is SPDX 2.x as JSON.
	FormatSPDX Format = "SPDX"
	// FormatCycloneDX is CycloneDX 1.x as JSON.
	FormatCycloneDX Format = "CycloneDX"
)

// Document is what [Read] learns of a document beside its packages.
type Document struct {
	Format  Format
	Version string // 2.3, 1.6
	// Packages counts the entries that have a purl.
	Packages int
	// Unidentified counts the packages without one: nothing can be looked up for
	// them. Files are not packages.
	Unidentified int
}

// Read reads an SPDX 2.x or CycloneDX 1.x document as UTF-8 JSON, also when it is
// the predicate of an in-toto statement, and hands each package that has a purl
// to yield, in the document's order. It streams: memory does not grow with the
// document. A key that occurs twice in a package counts with its last value; a
// list that occurs twice counts with both, so that nothing can hide behind another.
//
// An error of yield ends the reading and is returned. After any error the packages
// seen so far are not the whole document.
func Read(r io.Reader, yield func(release.Package) error) (Document, error) {
	p := &parser{lexer: newLexer(r), yield: yield, words: make(map[string]string)}
	if c, err := p.peek(); err != nil {
		return Document{}, fmt.Errorf("read SBOM: %w", err)
	} else if c != '{' {
		return Document{}, fmt.Errorf("read SBOM: %w", p.errorf("expected a JSON object, found %q", c))
	}
	if err := p.root(); err != nil {
		return Document{}, fmt.Errorf("read SBOM: %w", err)
	}
	if err := p.done(); err != nil {
		return Document{}, fmt.Errorf("read SBOM: %w", err)
	}
	if err := p.identify(); err != nil {
		return Document{}, fmt.Errorf("read SBOM: %w", err)
	}
	return p.document, nil
}

// ReadAll is [Read] for those who want the packages at once.
func ReadAll(r io.Reader) (Document, []release.Package, error) {
	var packages []release.Package
	document, err := Read(r, func(p release.Package) error {
		packages = append(packages, p)
		return nil
	})
	if err != nil {
		return Document{}, nil, err
	}
	return document, packages, nil
}

type parser struct {
	*lexer

	yield    func(release.Package) error
	document Document
	words    map[string]string // licences and such, each stored once

	spdxVersion, bomFormat, specVersion string
	hasPackages, hasComponents          bool
	entry                               entry
}

// root reads the members of the document itself.
func (p *parser) root() error {
	return p.object(func(key []byte) error {
		switch string(key) {
		case "spdxVersion":
			return p.value(&p.spdxVersion)
		case "bomFormat":
			return p.value(&p.bomFormat)
		case "specVersion":
			return p.value(&p.specVersion)
		case "packages":
			p.hasPackages = true
			return p.list(p.spdxPackage)
		case "components":
			p.hasComponents = true
			return p.list(func(i int) error { return p.component(place{"components", i}) })
		case "metadata":
			return p.metadata()
		case "predicate", "sbom": // in-toto statement; GitHub's dependency graph
			return p.nested(p.root)
		}
		return p.skip()
	})
}

// identify says what the document is, or why it is nothing that can be read.
func (p *parser) identify() error {
	switch {
	case p.spdxVersion != "" && p.bomFormat != "":
		return fmt.Errorf("expected one format, found spdxVersion %q and bomFormat %q", p.spdxVersion, p.bomFormat)
	case p.spdxVersion != "":
		version, ok := strings.CutPrefix(p.spdxVersion, "SPDX-2.")
		if !ok {
			return fmt.Errorf("spdxVersion: expected SPDX-2.x, found %q", p.spdxVersion)
		}
		if p.hasComponents {
			return errors.New("expected the packages of SPDX, found components")
		}
		p.document.Format, p.document.Version = FormatSPDX, "2."+version
	case p.bomFormat == "CycloneDX":
		if !strings.HasPrefix(p.specVersion, "1.") {
			return fmt.Errorf("specVersion: expected 1.x, found %q", p.specVersion)
		}
		if p.hasPackages {
			return errors.New("expected the components of CycloneDX, found packages")
		}
		p.document.Format, p.document.Version = FormatCycloneDX, p.specVersion
	case p.bomFormat != "":
		return fmt.Errorf("bomFormat: expected CycloneDX, found %q", p.bomFormat)
	default:
		return errors.New("expected SPDX 2.x (spdxVersion) or CycloneDX 1.x (bomFormat) as JSON, found neither")
	}
	return nil
}

// value reads a string into dst, and skips what is none.
func (p *parser) value(dst *string) error {
	s, ok, err := p.optional()
	if err != nil || !ok {
		return err
	}
	*dst = p.intern(s)
	return nil
}

// optional reads a string, or skips a value of another kind.
func (p *parser) optional() ([]byte, bool, error) {
	c, err := p.peek()
	if err != nil {
		return nil, false, err
	}
	if c != '"' {
		return nil, false, p.skip()
	}
	s, err := p.str()
	return s, err == nil, err
}

// nested runs read on an object, and skips what is none.
func (p *parser) nested(read func() error) error {
	if c, err := p.peek(); err != nil {
		return err
	} else if c != '{' {
		return p.skip()
	}
	return read()
}

// list runs element on each object of an array, and skips what is none.
func (p *parser) list(element func(int) error) error {
	if c, err := p.peek(); err != nil {
		return err
	} else if c != '[' {
		return p.skip()
	}
	return p.array(func(i int) error {
		return p.nested(func() error { return element(i) })
	})
}

const maxWords = 10_000

func (p *parser) intern(s []byte) string {
	if word, ok := p.words[string(s)]; ok {
		return word
	}
	word := text(s)
	if len(p.words) < maxWords {
		p.words[word] = word
	}
	return word
}

// text is s as text that can be stored: what is no UTF-8 cannot, nor can a zero byte,
// which JSON allows. Both become U+FFFD.
func text(s []byte) string {
	return strings.ReplaceAll(strings.ToValidUTF8(string(s), "\uFFFD"), "\x00", "\uFFFD")
}
