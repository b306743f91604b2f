package convert

import (
	"fmt"
	"strings"
)

const (
	// noAssertion and none are what SPDX says where it says nothing, or that there is
	// nothing.
	noAssertion = "NOASSERTION"
	none        = "NONE"
	// documentRef is the document itself.
	documentRef = "SPDXRef-DOCUMENT"
)

// readSPDX reads a document of SPDX 2.x, clauses 6 to 11.
func (g *graph) readSPDX(o *node) error {
	g.id, g.name = o.text("documentNamespace"), o.text("name")
	o.text("SPDXID")
	o.text("dataLicense")
	if info := o.child("creationInfo"); info != nil {
		g.created = info.text("created")
		for _, creator := range info.texts("creators") {
			g.creator(creator)
		}
		o.take(info.done())
	}
	g.texts = make(map[string]licence)
	o.each("hasExtractedLicensingInfos", func(n *node) error {
		id := n.text("licenseId")
		g.texts[id] = licence{name: known(n.text("name")), text: n.verbatim("extractedText")}
		return nil
	})
	o.each("packages", func(n *node) error { return g.spdxPackage(n) })
	o.each("files", func(n *node) error { return g.spdxFile(n) })
	g.roots = append(g.roots, o.texts("documentDescribes")...)
	o.each("relationships", func(n *node) error {
		g.relationship(n)
		return nil
	})
	return o.err
}

// creator reads an element of creators (6.8).
func (g *graph) creator(text string) {
	kind, name, _ := strings.Cut(text, ":")
	switch name = strings.TrimSpace(name); kind {
	case "Tool":
		t := tool{name: name}
		if i := strings.LastIndexByte(name, '-'); i > 0 && i+1 < len(name) && strings.ContainsAny(name[i+1:i+2], "0123456789v") {
			t = tool{name[:i], name[i+1:]}
		}
		g.tools = append(g.tools, t)
	case "Organization":
		g.makers = append(g.makers, name)
	default:
		g.persons = append(g.persons, name)
	}
}

func (g *graph) spdxPackage(n *node) error {
	p := &part{
		ref: n.text("SPDXID"), name: n.text("name"), version: n.text("versionInfo"), description: n.text("description"),
		copyright: known(n.text("copyrightText")), download: known(n.text("downloadLocation")), homepage: known(n.text("homepage")),
		supplier: partyOf(n.text("supplier")), originator: partyOf(n.text("originator")),
		declared: expressionOf(n.text("licenseDeclared")), concluded: expressionOf(n.text("licenseConcluded")),
	}
	if summary := n.text("summary"); p.description == "" {
		p.description = summary
	} else if summary != "" {
		n.lose("summary")
	}
	if purpose := n.text("primaryPackagePurpose"); purpose != "" {
		if p.kind = purposes[purpose]; p.kind == "" {
			n.lose("primaryPackagePurpose")
		}
	}
	checksums(n, p)
	n.each("externalRefs", func(r *node) error {
		kind, locator := r.text("referenceType"), r.text("referenceLocator")
		r.text("referenceCategory")
		switch {
		case kind == "purl" && strings.HasPrefix(locator, "pkg:"):
			p.purls = append(p.purls, locator)
		case kind == "cpe23Type" || kind == "cpe22Type":
			p.cpes = append(p.cpes, locator)
		default:
			r.lose("other than purl and cpe")
		}
		return nil
	})
	p.purls, p.cpes = distinct(p.purls), distinct(p.cpes)
	if n.err != nil {
		return n.err
	}
	return g.add(p, n.at)
}

func (g *graph) spdxFile(n *node) error {
	p := &part{
		ref: n.text("SPDXID"), name: n.text("fileName"), kind: "file", copyright: known(n.text("copyrightText")),
		concluded: expressionOf(n.text("licenseConcluded")),
	}
	checksums(n, p)
	if n.err != nil {
		return n.err
	}
	return g.add(p, n.at)
}

func checksums(n *node, p *part) {
	n.each("checksums", func(c *node) error {
		algorithm, value := c.text("algorithm"), strings.ToLower(c.text("checksumValue"))
		if name := algorithms[algorithm]; name != "" && isDigest(value) {
			p.hashes = append(p.hashes, hash{name, value})
		} else {
			c.lose("of algorithm " + fmt.Sprintf("%.20q", algorithm))
		}
		return nil
	})
}

// isDigest reports whether CycloneDX takes it for the value of a hash.
func isDigest(value string) bool {
	switch len(value) {
	case 32, 40, 64, 96, 128:
		return strings.Trim(value, "0123456789abcdef") == ""
	default:
		return false
	}
}

// relationship reads one (clause 11). Those that CycloneDX has too are kept.
func (g *graph) relationship(n *node) {
	from, to, kind := n.text("spdxElementId"), n.text("relatedSpdxElement"), n.text("relationshipType")
	switch {
	case kind == "DESCRIBES" && from == documentRef, kind == "CONTAINS" && from == documentRef:
		g.roots = append(g.roots, to)
	case kind == "DESCRIBED_BY" && to == documentRef:
		g.roots = append(g.roots, from)
	case kind == "CONTAINS":
		g.contains = append(g.contains, [2]string{from, to})
	case kind == "CONTAINED_BY":
		g.contains = append(g.contains, [2]string{to, from})
	case kind == "DEPENDS_ON":
		g.depends = append(g.depends, [2]string{from, to})
	case kind == "DEPENDENCY_OF":
		g.depends = append(g.depends, [2]string{to, from})
	default:
		n.lose(fmt.Sprintf("%.40s", kind))
	}
}

// known is what a field says, empty when it says that it does not know.
func known(s string) string {
	if s == noAssertion || s == none {
		return ""
	}
	return s
}

// partyOf reads `Organization: NAME (EMAIL)`, or the same of a person (7.5).
func partyOf(s string) party {
	kind, name, ok := strings.Cut(known(s), ":")
	if !ok {
		return party{}
	}
	p := party{name: strings.TrimSpace(name), person: kind == "Person"}
	if i := strings.LastIndexByte(p.name, '('); i > 0 && strings.HasSuffix(p.name, ")") {
		p.name, p.email = strings.TrimSpace(p.name[:i]), strings.TrimSuffix(p.name[i+1:], ")")
	}
	return p
}
