package chart

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/a-h/templ"
)

// Sizes in units of the drawing.
const (
	width      = 360.0
	fontSize   = 11.0
	lineHeight = 16.0
	plotHeight = 132.0
	// mostColumns fit side by side and can still be told apart; the latest are kept.
	mostColumns = 60
)

// About is what every chart is told about itself.
type About struct {
	// ID is the id of the figure, unique in the page; the ids inside begin with it.
	// Characters other than ASCII letters, digits, - and _ become -.
	ID string
	// Title names the chart. It is shown.
	Title string
	// Note is shown behind the description, as in "Advisories of 3 hours ago."
	// It may be empty.
	Note string
}

// figure is a chart, ready to be written.
type figure struct {
	About
	says    string // describes the drawing in a sentence or two
	nothing string // why there is no drawing; everything below is empty then
	legend  []key
	height  float64 // of the drawing, without the legend
	draw    func(c *canvas)
	table   table
}

// key is an entry of a legend.
type key struct{ class, label string }

// table holds every number of a chart. The first cell of a row is its header.
type table struct {
	head []heading
	rows [][]string
}

// heading is that of a column. Numbers, and the word unknown, are not broken.
type heading struct {
	text   string
	number bool
}

// canvas is what a chart draws on.
type canvas struct {
	markup
	id  string
	top float64 // where the drawing begins, below the legend
}

// component hands the figure to templ.
func (f figure) component() templ.Component {
	return templ.ComponentFunc(func(_ context.Context, w io.Writer) error {
		if _, err := io.WriteString(w, f.markup()); err != nil {
			return fmt.Errorf("write chart: %w", err)
		}
		return nil
	})
}

func (f figure) markup() string {
	f.ID, f.Title, f.Note = identifier(f.ID), clean(f.Title, longestText), clean(f.Note, longestText)
	c := &canvas{id: f.ID}
	c.start("figure", class("chart"), pair{"id", f.ID})
	c.start("figcaption")
	c.leaf("span", f.Title, class("chart-title"))
	if f.nothing == "" {
		c.text(" ")
		c.leaf("span", f.note(), class("chart-note"))
	}
	c.end()
	if f.nothing != "" {
		c.leaf("p", f.nothing, class("chart-nothing"))
	} else {
		f.svg(c)
		f.details(c)
	}
	c.end()
	return c.b.String()
}

func (f figure) note() string {
	if f.Note == "" {
		return f.says
	}
	return f.says + " " + f.Note
}

func (f figure) svg(c *canvas) {
	places, rows := placeLegend(f.legend)
	c.top = float64(rows)*lineHeight + 8
	c.start("svg", class("chart-drawing"), pair{"xmlns", "http://www.w3.org/2000/svg"}, pair{"role", "img"},
		pair{"aria-labelledby", f.ID + "-title"}, pair{"aria-describedby", f.ID + "-desc"},
		pair{"viewBox", "0 0 " + number(width) + " " + number(c.top+f.height)},
		num("width", width), num("height", c.top+f.height), num("font-size", fontSize))
	c.leaf("title", f.Title, pair{"id", f.ID + "-title"})
	c.leaf("desc", f.says, pair{"id", f.ID + "-desc"})
	c.hatch()
	for i, k := range f.legend {
		c.swatch(k.class, places[i].x, places[i].y)
		c.leaf("text", k.label, class("chart-label"), num("x", places[i].x+15), num("y", places[i].y+9))
	}
	f.draw(c)
	c.end()
}

// hatch defines the pattern of what is unknown.
func (c *canvas) hatch() {
	c.start("defs")
	c.start("pattern", pair{"id", c.id + "-hatch"}, num("width", 5), num("height", 5),
		pair{"patternUnits", "userSpaceOnUse"}, pair{"patternTransform", "rotate(45)"})
	c.shape("path", class("chart-hatch"), pair{"d", "M0 0V5"}, num("stroke-width", 3))
	c.end()
	c.end()
}

// unknown draws the place of something that is not known.
func (c *canvas) unknown(x, y, w, h float64) {
	c.shape("rect", class("chart-unknown"), num("x", x), num("y", y), num("width", w), num("height", h),
		pair{"fill", "url(#" + c.id + "-hatch)"}, pair{"stroke-dasharray", "3 2"})
}

// rect draws a bar. Bars with an outline keep it inside.
func (c *canvas) rect(classes string, x, y, w, h float64) {
	c.shape("rect", class(classes), num("x", x+0.5), num("y", y+0.5), num("width", max(0.5, w-1)), num("height", max(0.5, h-1)))
}

// label writes a word into the drawing.
func (c *canvas) label(classes, anchor string, x, y float64, text string) {
	c.leaf("text", text, class(classes), pair{"text-anchor", anchor}, num("x", x), num("y", y))
}

func (c *canvas) line(classes string, x1, y1, x2, y2 float64) {
	c.shape("path", class(classes), pair{"d", "M" + number(x1) + " " + number(y1) + "L" + number(x2) + " " + number(y2)})
}

func (c *canvas) swatch(classes string, x, y float64) {
	switch {
	case classes == "chart-unknown":
		c.unknown(x+0.5, y+0.5, 9, 9)
	case strings.HasPrefix(classes, "chart-step"):
		c.line(classes, x, y+5, x+10, y+5)
	default:
		c.rect(classes, x, y, 10, 10)
	}
}

type place struct{ x, y float64 }

// placeLegend breaks the legend into rows.
func placeLegend(keys []key) (places []place, rows int) {
	var x float64
	for _, k := range keys {
		w := 15 + textWidth(k.label) + 14
		if rows == 0 || x+w-14 > width {
			x = 0
			rows++
		}
		places = append(places, place{x, float64(rows-1) * lineHeight})
		x += w
	}
	return places, rows
}

// details writes the table that holds every number.
func (f figure) details(c *canvas) {
	c.start("details", class("chart-data"))
	c.start("summary")
	c.text("Numbers")
	c.leaf("span", " of: "+f.Title, class("chart-hidden"))
	c.end()
	c.start("table")
	c.start("thead")
	c.start("tr")
	for _, h := range f.table.head {
		c.leaf("th", h.text, pair{"scope", "col"})
	}
	c.end()
	c.end()
	c.start("tbody")
	for _, row := range f.table.rows {
		c.start("tr")
		for i, cell := range row {
			cell = clean(cell, longestText)
			switch {
			case i == 0:
				c.leaf("th", cell, pair{"scope", "row"})
			case f.table.head[i].number:
				c.leaf("td", cell, class("chart-number"))
			default:
				c.leaf("td", cell)
			}
		}
		c.end()
	}
	c.end()
	c.end()
	c.end()
}

// withReasons adds a column for why something is unknown, when a row has a reason.
func (t table) withReasons(reasons []string) table {
	if !slices.ContainsFunc(reasons, func(r string) bool { return r != "" }) {
		return t
	}
	t.head = append(t.head, heading{text: "Why unknown"})
	for i := range t.rows {
		t.rows[i] = append(t.rows[i], reasons[i])
	}
	return t
}

// plural counts things in words.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(int64(n)) + " " + many
}
