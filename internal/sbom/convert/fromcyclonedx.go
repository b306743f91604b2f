package convert

import (
	"fmt"
	"strings"
)

// maxNested bounds how deep components lie in each other.
const maxNested = 64

// Properties under which a conversion into CycloneDX keeps what it has one place for.
const (
	propertyPURL = "tallyman:purl"
	propertyCPE  = "tallyman:cpe"
)

// readCycloneDX reads a document of CycloneDX 1.2 to 1.6.
func (g *graph) readCycloneDX(o *node) error {
	g.id = o.text("serialNumber")
	o.seen["$schema"], o.seen["version"] = true, true
	if metadata := o.child("metadata"); metadata != nil {
		g.created = metadata.text("timestamp")
		g.readTools(metadata)
		metadata.each("authors", func(n *node) error {
			g.persons = append(g.persons, party{name: n.text("name"), email: n.text("email")}.String())
			return nil
		})
		for _, key := range []string{"manufacturer", "manufacture"} {
			if maker := metadata.organization(key); maker.name != "" {
				g.makers = append(g.makers, maker.name)
			}
		}
		if component := metadata.child("component"); component != nil {
			ref, err := g.component(component, "", 0)
			metadata.take(err)
			metadata.take(component.done())
			g.roots = append(g.roots, ref)
			if p := g.refs[ref]; p != nil {
				g.name = p.name
			}
		}
		o.take(metadata.done())
	}
	parent := ""
	if len(g.roots) > 0 {
		parent = g.roots[0]
	}
	o.each("components", func(n *node) error {
		ref, err := g.component(n, parent, 0)
		if parent == "" {
			g.roots = append(g.roots, ref)
		}
		return err
	})
	o.each("dependencies", func(n *node) error {
		from := n.text("ref")
		for _, to := range n.texts("dependsOn") {
			g.depends = append(g.depends, [2]string{from, to})
		}
		return nil
	})
	return o.err
}

// readTools reads the tools, as a list until 1.4, as an object since.
func (g *graph) readTools(metadata *node) {
	read := func(n *node) error {
		g.tools = append(g.tools, tool{n.text("name"), n.text("version")})
		n.seen["type"], n.seen["bom-ref"] = true, true
		return nil
	}
	if _, list := metadata.fields["tools"].([]any); list {
		metadata.each("tools", read)
		return
	}
	if tools := metadata.child("tools"); tools != nil {
		tools.each("components", read)
		metadata.take(tools.done())
	}
}

// component reads one and those inside it, and returns its ref.
func (g *graph) component(n *node, parent string, depth int) (string, error) {
	if depth > maxNested {
		return "", fmt.Errorf("%s: expected components at most %d deep in each other", n.at, maxNested)
	}
	p := &part{
		ref: n.text("bom-ref"), name: n.text("name"), version: n.text("version"), kind: n.text("type"),
		description: n.text("description"), copyright: n.text("copyright"), supplier: n.organization("supplier"),
		originator: n.organization("manufacturer"),
	}
	if group := n.text("group"); group != "" && p.name != "" {
		p.name = group + "/" + p.name
	}
	n.each("authors", func(a *node) error {
		if p.originator.name == "" {
			p.originator = party{name: a.text("name"), email: a.text("email"), person: true}
		} else {
			a.lose("further ones")
			a.seen["name"], a.seen["email"] = true, true
		}
		return nil
	})
	if purl := n.text("purl"); purl != "" {
		p.purls = append(p.purls, purl)
	}
	if cpe := n.text("cpe"); cpe != "" {
		p.cpes = append(p.cpes, cpe)
	}
	p.more(n)
	n.each("licenses", func(c *node) error {
		p.choice(c)
		return nil
	})
	if n.err != nil {
		return "", n.err
	}
	if err := g.add(p, n.at); err != nil {
		return "", err
	}
	if parent != "" {
		g.contains = append(g.contains, [2]string{parent, p.ref})
	}
	n.each("components", func(c *node) error {
		_, err := g.component(c, p.ref, depth+1)
		return err
	})
	return p.ref, n.err
}

// more reads the lists of a component that say more of it.
func (p *part) more(n *node) {
	n.each("hashes", func(h *node) error {
		algorithm, value := h.text("alg"), strings.ToLower(h.text("content"))
		if spdxAlgorithm(algorithm) == "" || !isDigest(value) {
			h.lose("of algorithm " + fmt.Sprintf("%.20q", algorithm))
			return nil
		}
		p.hashes = append(p.hashes, hash{algorithm, value})
		return nil
	})
	n.each("externalReferences", func(r *node) error {
		switch kind, url := r.text("type"), r.text("url"); {
		case kind == "website" && p.homepage == "":
			p.homepage = url
		case kind == "distribution" && p.download == "":
			p.download = url
		default:
			r.lose("of type " + fmt.Sprintf("%.30s", kind))
		}
		return nil
	})
	n.each("properties", func(r *node) error {
		switch name, value := r.text("name"), r.text("value"); name {
		case propertyPURL:
			p.purls = append(p.purls, value)
		case propertyCPE, "syft:cpe23":
			p.cpes = append(p.cpes, value)
		default:
			r.lose(fmt.Sprintf("%.60s", name))
		}
		return nil
	})
	p.purls, p.cpes = distinct(p.purls), distinct(p.cpes)
}

// choice reads an element of licenses.
func (p *part) choice(n *node) {
	var read licence
	said := n.text("acknowledgement")
	n.seen["bom-ref"] = true
	if read.expression = n.text("expression"); read.expression == "" {
		l := n.child("license")
		if l == nil {
			return
		}
		l.seen["bom-ref"] = true
		read.expression, read.name = l.text("id"), l.text("name")
		if said == "" {
			said = l.text("acknowledgement")
		}
		if text := l.child("text"); text != nil {
			if text.text("encoding") == "" && read.expression == "" {
				read.text = text.verbatim("content")
				text.seen["contentType"] = true
			} else {
				text.lose("that is encoded, or of a licence of the SPDX list")
				text.seen["content"], text.seen["contentType"] = true, true
			}
			n.take(text.done())
		}
		n.take(l.done())
	}
	switch {
	case read.expression == "" && read.name == "":
	case said == "concluded":
		p.concluded = append(p.concluded, read)
	default:
		p.declared = append(p.declared, read)
	}
}

// organization reads a name, and the first way to reach it.
func (n *node) organization(key string) party {
	o := n.child(key)
	if o == nil {
		return party{}
	}
	p := party{name: o.text("name")}
	o.each("contact", func(c *node) error {
		switch {
		case p.name == "" && c.fields["name"] != nil:
			p.name, p.email, p.person = c.text("name"), c.text("email"), true
		case p.email == "":
			p.email = c.text("email")
		default:
			c.seen["email"] = true
			c.lose("further ones")
		}
		return nil
	})
	n.take(o.done())
	return p
}

// spdxAlgorithm is the name that SPDX has for an algorithm.
func spdxAlgorithm(name string) string {
	for spdx, cyclonedx := range algorithms {
		if cyclonedx == name {
			return spdx
		}
	}
	return ""
}

// String writes the party as SPDX does, without its kind.
func (p party) String() string {
	if p.email == "" {
		return p.name
	}
	return p.name + " (" + p.email + ")"
}
