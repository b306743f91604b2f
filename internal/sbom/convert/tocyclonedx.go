package convert

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/sbom"
)

// toCycloneDX writes CycloneDX 1.6.
func (g *graph) toCycloneDX(original Original) ([]byte, error) {
	root, inside := g.root(), g.inside()
	children := make(map[string][]*part)
	for _, p := range g.parts {
		if p.ref != root {
			children[inside[p.ref]] = append(children[inside[p.ref]], p)
		}
	}
	var components []any
	for _, p := range children[""] {
		components = append(components, g.componentOf(p, children))
	}
	metadata := map[string]any{"timestamp": g.created, "tools": map[string]any{"components": g.cycloneDXTools(original)}}
	if root != "" {
		metadata["component"] = g.componentOf(g.refs[root], nil)
	}
	var authors []any
	for _, who := range distinct(slices.Clone(g.persons)) {
		p := partyOf("Person: " + who)
		author := map[string]any{"name": p.name}
		set(author, "email", p.email)
		authors = append(authors, author)
	}
	if len(authors) > 0 {
		metadata["authors"] = authors
	}
	for i, who := range distinct(slices.Clone(g.makers)) {
		if i == 0 {
			metadata["manufacturer"] = map[string]any{"name": who}
		} else {
			g.lost["creationInfo.creators: further organizations"]++
		}
	}
	document := map[string]any{
		"$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", "bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1,
		"metadata": metadata, "dependencies": g.dependencies(),
	}
	if len(components) > 0 {
		document["components"] = components
	}
	if g.id != "" && isIRI(g.id) {
		document["externalReferences"] = []any{map[string]any{
			"type": "bom", "url": g.id, "comment": "the attested SBOM that this was converted from", "hashes": sha256Of(original.Digest),
		}}
	}
	// All losses are known by now.
	properties := []any{property("tallyman:converted-from", g.format+" "+string(original.Digest)), property("tallyman:attested", "false")}
	for _, what := range g.lost.list() {
		properties = append(properties, property("tallyman:not-carried-over", what))
	}
	metadata["properties"] = properties
	id, err := sbom.ContentUUID(document)
	if err != nil {
		return nil, err
	}
	document["serialNumber"] = "urn:uuid:" + id
	return sbom.Encode(document)
}

func property(name, value string) map[string]any { return map[string]any{"name": name, "value": value} }

func sha256Of(digest release.Digest) []any {
	return []any{map[string]any{"alg": "SHA-256", "content": strings.TrimPrefix(string(digest), "sha256:")}}
}

func (g *graph) cycloneDXTools(original Original) []any {
	own := tool{original.Tool, original.Version}
	all := []any{map[string]any{"type": "application", "name": own.name, "version": own.version}}
	for _, t := range g.tools {
		if t.name == "" || t == own {
			continue
		}
		one := map[string]any{"type": "application", "name": t.name}
		set(one, "version", t.version)
		all = append(all, one)
	}
	return all
}

// root is what the document is about, which CycloneDX has one of; empty when that is not
// known.
func (g *graph) root() string {
	switch len(g.roots) {
	case 0:
		return ""
	case 1:
		return g.roots[0]
	default:
		g.lost["DESCRIBES: CycloneDX is about one thing"] += len(g.roots)
		return ""
	}
}

// inside tells in what a part lies, where it is not the whole. What lies in two has no
// place for the second.
func (g *graph) inside() map[string]string {
	const lost = "relationships.CONTAINS: in more than one, in itself, or too deep"
	root := ""
	if len(g.roots) == 1 {
		root = g.roots[0]
	}
	parents := make(map[string]string)
	for _, pair := range g.contains {
		parent, child := pair[0], pair[1]
		switch {
		case parent == root && child != root: // all components are in it
		case child == root || parents[child] != "" || g.within(parent, child, parents):
			g.lost[lost]++
		default:
			parents[child] = parent
		}
	}
	// What was put together from below is deeper than it looked.
	for _, p := range g.parts {
		if parents[p.ref] != "" && g.within(p.ref, "", parents) {
			delete(parents, p.ref)
			g.lost[lost]++
		}
	}
	return parents
}

// within reports whether a part is in another one, or so deep that readers refuse it.
func (*graph) within(part, other string, parents map[string]string) bool {
	for range maxNested / 2 {
		if part == "" {
			return false
		}
		if part == other {
			return true
		}
		part = parents[part]
	}
	return part != ""
}

// dependencies writes each part's, in the order of the parts.
func (g *graph) dependencies() []any {
	on := make(map[string][]string)
	for _, pair := range g.depends {
		if pair[0] == pair[1] {
			g.lost["relationships: of itself"]++
			continue
		}
		on[pair[0]] = append(on[pair[0]], pair[1])
	}
	all := []any{}
	for _, p := range g.parts {
		one := map[string]any{"ref": p.ref}
		if list := on[p.ref]; len(list) > 0 {
			one["dependsOn"] = list
			all = append(all, one)
		}
	}
	return all
}

// componentOf writes a part, and those inside it.
func (g *graph) componentOf(p *part, children map[string][]*part) map[string]any {
	out := map[string]any{"type": or(p.kind, "library"), "bom-ref": p.ref, "name": p.name}
	set(out, "version", p.version)
	set(out, "description", p.description)
	set(out, "copyright", p.copyright)
	setParty(out, "supplier", p.supplier)
	if p.originator.person {
		author := map[string]any{"name": p.originator.name}
		set(author, "email", p.originator.email)
		out["authors"] = []any{author}
	} else {
		setParty(out, "manufacturer", p.originator)
	}
	if list := g.choices(p); len(list) > 0 {
		out["licenses"] = list
	}
	var hashes, references, properties []any
	for _, h := range p.hashes {
		hashes = append(hashes, map[string]any{"alg": h.algorithm, "content": h.value})
	}
	for _, r := range [][2]string{{"distribution", p.download}, {"website", p.homepage}} {
		if r[1] == "" {
			continue
		}
		if !isIRI(r[1]) {
			g.lost[r[0]+" that is no URL"]++
			continue
		}
		references = append(references, map[string]any{"type": r[0], "url": r[1]})
	}
	for _, several := range []struct {
		key, name string
		values    []string
	}{{"purl", propertyPURL, p.purls}, {"cpe", propertyCPE, p.cpes}} {
		for i, value := range several.values {
			if i == 0 && (several.key == "purl" || isCPE(value)) {
				out[several.key] = value
			} else {
				properties = append(properties, property(several.name, value))
			}
		}
	}
	for key, list := range map[string][]any{"hashes": hashes, "externalReferences": references, "properties": properties} {
		if len(list) > 0 {
			out[key] = list
		}
	}
	var inside []any
	for _, child := range children[p.ref] {
		inside = append(inside, g.componentOf(child, children))
	}
	if len(inside) > 0 {
		out["components"] = inside
	}
	return out
}

func setParty(out map[string]any, key string, p party) {
	switch {
	case p.name == "":
	case p.person:
		contact := map[string]any{"name": p.name}
		set(contact, "email", p.email)
		out[key] = map[string]any{"contact": []any{contact}}
	default:
		entity := map[string]any{"name": p.name}
		if p.email != "" {
			entity["contact"] = []any{map[string]any{"email": p.email}}
		}
		out[key] = entity
	}
}

// isIRI reports whether it can be a reference (RFC 3987).
func isIRI(s string) bool {
	_, err := url.Parse(s)
	return err == nil && !strings.ContainsAny(s, " \t\r\n<>\"{}|\\^`")
}

// isCPE reports whether it is a CPE as the schema of CycloneDX asks for, roughly: one of
// another form is kept as a property.
func isCPE(s string) bool {
	return strings.HasPrefix(s, "cpe:2.3:") && len(strings.FieldsFunc(strings.ReplaceAll(s, `\:`, ""), func(r rune) bool { return r == ':' })) == 13 &&
		fmt.Sprintf("%q", s) == `"`+strings.ReplaceAll(s, `\`, `\\`)+`"`
}
