package badge

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ContentType is the media type of a badge.
const ContentType = "image/svg+xml"

// Tone is what a message means. It chooses the colour behind the message, on which
// white text has a contrast of at least 4.5 to 1. The zero value is Unknown.
type Tone int

// What a message can mean.
const (
	Unknown Tone = iota // could not be told: neither good nor bad
	Good
	Bad
)

// colour is that of the console's light theme for the same thing.
func (t Tone) colour() string {
	switch t {
	case Good:
		return "#0d5566"
	case Bad:
		return "#a4221c"
	default:
		return "#7a5410"
	}
}

const labelColour = "#33414c"

// longest is how many characters a badge shows of either text.
const longest = 40

// Verdict is the badge "tallyman | pass", "fail" or "unknown". Every other outcome
// is unknown. The note is of how old what it says is; see [SVG].
func Verdict(outcome, note string) []byte {
	switch outcome {
	case "pass":
		return SVG("tallyman", "pass", note, Good)
	case "fail":
		return SVG("tallyman", "fail", note, Bad)
	default:
		return SVG("tallyman", "unknown", note, Unknown)
	}
}

// Critical is the badge "critical | 3". Where the number is not known, or below
// zero, it is "critical | unknown" and never 0. The note is of how old what it says is;
// see [SVG].
func Critical(n int, known bool, note string) []byte {
	switch {
	case !known || n < 0:
		return SVG("critical", "unknown", note, Unknown)
	case n == 0:
		return SVG("critical", "0", note, Good)
	default:
		return SVG("critical", strconv.Itoa(n), note, Bad)
	}
}

// SVG is a badge with any label and message, and a note for those who hover over it or
// have it read out; empty for none. All may come from anybody: they are escaped, freed of
// what XML forbids, and cut to 40 characters.
func SVG(label, message, note string, tone Tone) []byte {
	label, message = clean(label), clean(message)
	const pad, height = 6.0, 20.0
	left, right := textWidth(label)+2*pad, textWidth(message)+2*pad
	title := escape(label + ": " + message)
	if note != "" {
		title += " (" + escape(clean(note)) + ")"
	}
	whole := number(left + right)

	var b strings.Builder
	b.WriteString(`<svg xmlns="http://www.w3.org/2000/svg" width="` + whole + `" height="` + number(height) + `" viewBox="0 0 ` + whole + " " + number(height) +
		`" role="img" aria-label="` + title + `">` + "\n<title>" + title + "</title>\n")
	rect := func(x, w float64, colour string) {
		b.WriteString(`<rect x="` + number(x) + `" width="` + number(w) + `" height="` + number(height) + `" fill="` + colour + `"/>` + "\n")
	}
	text := func(x, w float64, s string) {
		b.WriteString(`<text x="` + number(x) + `" y="14" textLength="` + number(w-2*pad) + `" lengthAdjust="spacingAndGlyphs">` + escape(s) + "</text>\n")
	}
	rect(0, left, labelColour)
	rect(left, right, tone.colour())
	b.WriteString(`<g fill="#fff" font-family="Verdana,Geneva,DejaVu Sans,sans-serif" font-size="11">` + "\n")
	text(pad, left, label)
	text(left+pad, right, message)
	b.WriteString("</g>\n</svg>\n")
	return []byte(b.String())
}

// clean replaces what XML forbids, what is not UTF-8 and what controls the text
// around it, and cuts what is too long.
func clean(s string) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			r = ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == 0xFFFE, r == 0xFFFF:
			r = utf8.RuneError
		}
		if n == longest {
			return b.String() + "…"
		}
		b.WriteRune(r)
		n++
	}
	return b.String()
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;").Replace(s)
}

// number has a digit behind the point at most.
func number(f float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(f, 'f', 1, 64), ".0")
}
