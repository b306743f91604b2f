package chart

import (
	"html"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Labels are cut to these lengths, in characters: what is drawn has little room,
// and nobody reads ten thousand characters in a table either.
const (
	longestText = 300
	longestName = 64
)

// markup writes elements that are well-formed both as XML and as HTML. Whatever is
// written through it is escaped.
type markup struct {
	b    strings.Builder
	open []string
}

// pair is an attribute.
type pair struct{ name, value string }

func class(names string) pair { return pair{"class", names} }

// num is an attribute that is a number.
func num(name string, value float64) pair { return pair{name, number(value)} }

// number has at most two digits behind the point: more would be below a pixel.
func number(f float64) string {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		f = 0
	}
	s := strings.TrimRight(strings.TrimRight(strconv.FormatFloat(f, 'f', 2, 64), "0"), ".")
	if s == "-0" {
		return "0"
	}
	return s
}

// start opens an element, which end closes.
func (m *markup) start(element string, attributes ...pair) {
	m.tag(element, attributes)
	m.b.WriteByte('>')
	m.open = append(m.open, element)
}

// end closes the element that was opened last.
func (m *markup) end() {
	last := len(m.open) - 1
	m.b.WriteString("</" + m.open[last] + ">")
	m.open = m.open[:last]
}

// leaf writes an element that holds text.
func (m *markup) leaf(element, text string, attributes ...pair) {
	m.start(element, attributes...)
	m.text(text)
	m.end()
}

// shape writes an element of SVG that holds nothing. HTML allows elements of SVG,
// and only those, to close themselves.
func (m *markup) shape(element string, attributes ...pair) {
	m.tag(element, attributes)
	m.b.WriteString("/>")
}

func (m *markup) tag(element string, attributes []pair) {
	m.b.WriteString("<" + element)
	for _, a := range attributes {
		m.b.WriteString(" " + a.name + `="`)
		m.text(a.value)
		m.b.WriteByte('"')
	}
}

// text writes text, which may be anything, as text.
func (m *markup) text(s string) {
	m.b.WriteString(html.EscapeString(clean(s, math.MaxInt)))
}

// clean returns at most longest characters of s, with an ellipsis for the rest.
// White space becomes a space; what XML forbids, what is not UTF-8 and other
// control characters become U+FFFD, so that one sees that something was there;
// controls of bidirectional text, with which a label could rewrite its
// neighbours, are dropped.
func clean(s string, longest int) string {
	if len(s) <= longest && strings.IndexFunc(s, remarkable) < 0 {
		return s
	}
	var b strings.Builder
	written := 0
	for _, r := range s {
		switch {
		case unicode.Is(unicode.Bidi_Control, r):
			continue
		case unicode.IsSpace(r):
			r = ' '
		case unicode.IsControl(r), r == 0xFFFE, r == 0xFFFF:
			r = utf8.RuneError
		}
		if written == longest {
			return strings.TrimRight(cutLast(b.String()), " ") + "…"
		}
		b.WriteRune(r)
		written++
	}
	return b.String()
}

// remarkable tells what is not printable ASCII, of which charts are mostly made.
func remarkable(r rune) bool { return r < ' ' || r > '~' }

func cutLast(s string) string {
	_, size := utf8.DecodeLastRuneInString(s)
	return s[:len(s)-size]
}

// identifier makes an id that can stand in url(#…) and aria-labelledby.
func identifier(s string) string {
	var b strings.Builder
	for _, r := range s {
		ok := r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_')
		if b.Len() == longestName {
			break
		}
		if !ok {
			r = '-'
		}
		b.WriteRune(r)
	}
	if b.Len() == 0 {
		return "chart"
	}
	return b.String()
}

// textWidth estimates, on the wide side, how many units a text takes.
// The fonts that browsers use where nothing is embedded differ by a tenth or so.
func textWidth(s string) float64 {
	var em float64
	for _, r := range s {
		switch {
		case r == '.' || r == ',' || r == ' ' || r == 'i' || r == 'l' || r == ':':
			em += 0.33
		case r == 'm' || r == 'w' || r == 'M' || r == 'W':
			em += 0.98
		case r >= 0x1100:
			em += 1.05
		default:
			em += 0.64
		}
	}
	return em * fontSize
}
