package convert

import (
	"fmt"
	"strings"

	"github.com/tallyman-io/tallyman/internal/sbom"
)

// namespace is what the documentNamespace of a conversion begins with (SPDX 2.3, 6.5):
// a UUID of the content follows.
const namespace = "https://github.com/tallyman-io/tallyman/converted/"

// toSPDX writes SPDX 2.3.
func (g *graph) toSPDX(original Original) ([]byte, error) {
	ids, texts := g.spdxIDs(), make(extracted)
	var packages []any
	for _, p := range g.parts {
		packages = append(packages, g.spdxOf(p, ids[p.ref], texts))
	}
	relations := []any{}
	relate := func(from, kind, to string) {
		relations = append(relations, map[string]any{"spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to})
	}
	for _, root := range g.roots {
		relate(documentRef, "DESCRIBES", ids[root])
	}
	for _, pair := range g.contains {
		relate(ids[pair[0]], "CONTAINS", ids[pair[1]])
	}
	for _, pair := range g.depends {
		relate(ids[pair[0]], "DEPENDS_ON", ids[pair[1]])
	}
	name := g.name
	if name == "" {
		name = string(original.Digest)
	}
	document := map[string]any{
		"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": documentRef, "name": name,
		"creationInfo": map[string]any{"created": g.created, "creators": g.creators(original), "comment": g.comment(original)},
		"packages":     packages, "relationships": relations,
	}
	if list := texts.list(); len(list) > 0 {
		document["hasExtractedLicensingInfos"] = list
	}
	if len(packages) == 0 {
		delete(document, "packages")
	}
	id, err := sbom.ContentUUID(document)
	if err != nil {
		return nil, err
	}
	document["documentNamespace"] = namespace + id
	return sbom.Encode(document)
}

// comment says what the document is.
func (g *graph) comment(original Original) string {
	text := fmt.Sprintf("Converted by %s from %s, %s", original.Tool, g.format, original.Digest)
	if g.id != "" {
		text += " (" + g.id + ")"
	}
	text += ". This document was not attested; that one was."
	if lost := g.lost.list(); len(lost) > 0 {
		text += " Not carried over: " + strings.Join(lost, ", ") + "."
	}
	return text
}

func (g *graph) creators(original Original) []string {
	all := []string{"Tool: " + original.Tool + "-" + original.Version}
	for _, t := range g.tools {
		name := t.name
		if t.version != "" {
			name += "-" + t.version
		}
		if name != "" {
			all = append(all, "Tool: "+name)
		}
	}
	for _, who := range g.makers {
		all = append(all, "Organization: "+who)
	}
	for _, who := range g.persons {
		if who != "" {
			all = append(all, "Person: "+who)
		}
	}
	return distinct(all)
}

// spdxIDs gives each part an id of SPDX (7.2).
func (g *graph) spdxIDs() map[string]string {
	ids, taken := make(map[string]string, len(g.parts)), map[string]bool{documentRef: true}
	for _, p := range g.parts {
		base := "SPDXRef-" + idString(strings.TrimPrefix(p.ref, "SPDXRef-"))
		id := base
		for n := 2; taken[id]; n++ {
			id = fmt.Sprintf("%s-%d", base, n)
		}
		ids[p.ref], taken[id] = id, true
	}
	return ids
}

func (g *graph) spdxOf(p *part, id string, texts extracted) map[string]any {
	out := map[string]any{
		"SPDXID": id, "name": p.name, "downloadLocation": or(p.download, noAssertion), "copyrightText": or(p.copyright, noAssertion),
		"licenseDeclared": texts.expression(p.declared), "licenseConcluded": texts.expression(p.concluded), "filesAnalyzed": false,
	}
	set(out, "versionInfo", p.version)
	set(out, "description", p.description)
	set(out, "homepage", p.homepage)
	set(out, "supplier", p.supplier.spdx())
	set(out, "originator", p.originator.spdx())
	if purpose := purposeOf(p.kind); purpose != "" {
		out["primaryPackagePurpose"] = purpose
	} else if p.kind != "" {
		out["primaryPackagePurpose"] = "OTHER"
		g.lost["type of a component: "+fmt.Sprintf("%.40s", p.kind)]++
	}
	var sums, refs []any
	for _, h := range p.hashes {
		sums = append(sums, map[string]any{"algorithm": spdxAlgorithm(h.algorithm), "checksumValue": h.value})
	}
	for _, purl := range p.purls {
		refs = append(refs, map[string]any{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl})
	}
	for _, cpe := range p.cpes {
		kind := "cpe23Type"
		if strings.HasPrefix(cpe, "cpe:/") {
			kind = "cpe22Type"
		}
		refs = append(refs, map[string]any{"referenceCategory": "SECURITY", "referenceType": kind, "referenceLocator": cpe})
	}
	if len(sums) > 0 {
		out["checksums"] = sums
	}
	if len(refs) > 0 {
		out["externalRefs"] = refs
	}
	return out
}

func (p party) spdx() string {
	switch {
	case p.name == "":
		return ""
	case p.person:
		return "Person: " + p.String()
	default:
		return "Organization: " + p.String()
	}
}

// purposeOf is the purpose of SPDX for a type, empty when there is none.
func purposeOf(kind string) string {
	if kind == "operating-system" {
		return "OPERATING_SYSTEM" // as the JSON schema of SPDX 2.3 has it
	}
	for purpose, is := range purposes {
		if is == kind {
			return purpose
		}
	}
	return ""
}

func set(out map[string]any, key, value string) {
	if value != "" {
		out[key] = value
	}
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
