package convert

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// expressionOf is what a field of SPDX says, nothing when it does not know.
func expressionOf(s string) []licence {
	if s = known(s); s == "" {
		return nil
	}
	return []licence{{expression: s}}
}

// words are the licences as a table writes them.
func (p *part) words() []string {
	var all []string
	for _, l := range slices.Concat(p.declared, p.concluded) {
		if l.expression != "" {
			all = append(all, l.expression)
		} else {
			all = append(all, l.name)
		}
	}
	return distinct(all)
}

const (
	licenceRef = "LicenseRef-"
	// noText stands where SPDX wants the text of a licence, and nobody gave it.
	noText = "The SBOM that this was converted from does not have the text."
	// maxExpression bounds how deep an expression is nested.
	maxExpression = 100
)

// extracted are the licences of a document that SPDX has no name for, by their LicenseRef.
type extracted map[string]licence

// expression writes licences as SPDX does (annex D): all of them hold.
func (e extracted) expression(list []licence) string {
	if len(list) == 0 {
		return noAssertion
	}
	var all []string
	for _, l := range list {
		text := l.expression
		switch {
		case text == none || text == noAssertion:
			continue
		case text == "" || !isExpression(text):
			text = e.ref(licence{name: l.expression + l.name, text: l.text})
		default:
			e.name(text)
		}
		if len(list) > 1 && strings.Contains(text, " ") {
			text = "(" + text + ")"
		}
		all = append(all, text)
	}
	if len(all) == 0 {
		return noAssertion
	}
	return strings.Join(distinct(all), " AND ")
}

// ref returns the LicenseRef of a licence, a new one where there is none yet.
func (e extracted) ref(l licence) string {
	base := licenceRef + idString(l.name)
	for n := 1; ; n++ {
		id := base
		if n > 1 {
			id += "-" + strconv.Itoa(n)
		}
		if was, taken := e[id]; !taken || was == l {
			e[id] = l
			return id
		}
	}
}

// name makes sure of those that an expression names itself.
func (e extracted) name(expression string) {
	for _, word := range tokens(expression) {
		if _, taken := e[word]; !taken && strings.HasPrefix(word, licenceRef) {
			e[word] = licence{}
		}
	}
}

func (e extracted) list() []any {
	var all []any
	for _, id := range slices.Sorted(maps.Keys(e)) {
		l := e[id]
		entry := map[string]any{"licenseId": id, "extractedText": noText}
		if l.text != "" {
			entry["extractedText"] = l.text
		}
		if l.name != "" {
			entry["name"] = l.name
		}
		all = append(all, entry)
	}
	return all
}

// idString keeps what SPDX allows in its names: letters, digits, dots and hyphens.
func idString(s string) string {
	kept := strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '.', r == '-':
			return r
		default:
			return '-'
		}
	}, s), "-")
	if len(kept) > 100 {
		kept = kept[:100]
	}
	if kept == "" {
		return "unnamed"
	}
	return kept
}

func tokens(s string) []string {
	return strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(s))
}

// isExpression reports whether a text is built as a licence expression is. Whether its
// names are of the SPDX list it does not know.
func isExpression(s string) bool {
	left := tokens(s)
	return alternatives(&left, 0) && len(left) == 0
}

// alternatives reads operands with AND and OR between them.
func alternatives(left *[]string, depth int) bool {
	for {
		if !operand(left, depth) {
			return false
		}
		if len(*left) == 0 || (*left)[0] != "AND" && (*left)[0] != "OR" {
			return true
		}
		*left = (*left)[1:]
	}
}

// operand reads a name, with its exception, or what parentheses hold.
func operand(left *[]string, depth int) bool {
	if len(*left) == 0 || depth > maxExpression {
		return false
	}
	first := (*left)[0]
	*left = (*left)[1:]
	if first == "(" {
		if !alternatives(left, depth+1) || len(*left) == 0 || (*left)[0] != ")" {
			return false
		}
		*left = (*left)[1:]
		return true
	}
	if !isName(strings.TrimSuffix(first, "+")) {
		return false
	}
	if len(*left) > 0 && (*left)[0] == "WITH" {
		if len(*left) < 2 || !isName((*left)[1]) {
			return false
		}
		*left = (*left)[2:]
	}
	return true
}

func isName(s string) bool {
	switch s {
	case "", "AND", "OR", "WITH", "(", ")", none, noAssertion:
		return false
	}
	s = strings.TrimPrefix(s, "DocumentRef-")
	document, rest, two := strings.Cut(s, ":")
	if two && (!strings.HasPrefix(rest, licenceRef) || idString(document) != document) {
		return false
	} else if two {
		s = rest
	}
	return idString(s) == s
}

// choices writes the licences of a part as CycloneDX does: one expression, or a list of
// licences.
func (g *graph) choices(p *part) []any {
	declared, concluded := p.declared, p.concluded
	if slices.Equal(declared, concluded) {
		concluded = nil
	}
	if len(declared)+len(concluded) == 0 {
		return nil
	}
	if len(declared)+len(concluded) == 1 {
		said, l := "declared", slices.Concat(declared, concluded)[0]
		if len(declared) == 0 {
			said = "concluded"
		}
		if _, own := g.texts[l.expression]; !own && isExpression(l.expression) {
			g.textsLost(l.expression)
			return []any{map[string]any{"expression": l.expression, "acknowledgement": said}}
		}
	}
	var all []any
	for _, group := range []struct {
		said string
		list []licence
	}{{"declared", declared}, {"concluded", concluded}} {
		for _, l := range group.list {
			named := map[string]any{"name": l.expression + l.name, "acknowledgement": group.said}
			if own, ok := g.texts[l.expression]; ok {
				if own.name != "" {
					named["name"] = own.name
				}
				if own.text != "" {
					named["text"] = map[string]any{"content": own.text, "contentType": "text/plain"}
				}
			} else {
				g.textsLost(l.expression)
			}
			all = append(all, map[string]any{"license": named})
		}
	}
	return all
}

// textsLost counts the texts of licences inside an expression.
func (g *graph) textsLost(expression string) {
	for _, word := range tokens(expression) {
		if l := g.texts[word]; l.text != "" {
			g.lost["hasExtractedLicensingInfos.extractedText of a licence in an expression"]++
		}
	}
}
