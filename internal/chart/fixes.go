package chart

import (
	"strings"

	"github.com/a-h/templ"
)

// Fix is how long a critical finding was there before a release without it, or how
// long it has been there until now.
type Fix struct {
	Advisory string // as in CVE-2026-1234
	// Took is in nanoseconds, until now if the finding is open.
	Took Value
	Open bool
}

const (
	mostRows  = 20
	rowHeight = 19.0
)

// TimeToFix draws a bar for each critical finding, in the order given; one that is
// open has an open end. The first twenty are drawn, all are in the table.
func TimeToFix(about About, fixes []Fix) templ.Component {
	f := figure{About: about}
	if len(fixes) == 0 {
		f.nothing = strings.TrimSpace("No critical finding so far, so there was nothing to fix. " + about.Note)
		return f.component()
	}
	drawn := fixes[:min(len(fixes), mostRows)]
	f.height = float64(len(drawn))*rowHeight + 26
	f.says = sayFixes(fixes)
	if len(fixes) > len(drawn) {
		f.says += " The first " + count(int64(len(drawn))) + " are drawn; all are in the table."
	}
	f.table = fixTable(fixes)
	f.legend = fixLegend(drawn)
	var most float64
	known := 0
	names := make([]string, len(drawn))
	var left float64
	for i, x := range drawn {
		m, n := largest(x.Took)
		most, known = max(most, m), known+n
		names[i] = clean(x.Advisory, 19)
		left = max(left, textWidth(names[i])+7)
	}
	// A day at least: below that the axis would be of hours, in fractions of days.
	a := dayAxis(max(most, 24*3600*1e9))
	if known == 0 {
		a = a.bare()
	}
	f.draw = func(c *canvas) {
		p := plot{left: min(left, 150), top: c.top + 2, right: width - 4, bottom: c.top + 4 + float64(len(drawn))*rowHeight, axis: a}
		p.days(c)
		for i, x := range drawn {
			c.start("g")
			c.leaf("title", clean(x.Advisory, longestName)+": "+x.words())
			y := p.top + float64(i)*rowHeight
			c.label("chart-name", "end", p.left-6, y+13.5, names[i])
			x.draw(c, p, y)
			c.end()
		}
		c.line("chart-base", p.left, p.top, p.left, p.bottom)
	}
	return f.component()
}

// room is what is kept at the right of the longest bar for its words.
const room = 60.0

// x is where a value ends, for bars that lie.
func (p plot) x(value float64) float64 {
	return p.left + (p.right-room-p.left)*min(1, value/p.axis.top)
}

func (p plot) days(c *canvas) {
	for _, t := range p.axis.ticks {
		c.line("chart-grid", p.x(t.at), p.top, p.x(t.at), p.bottom+3)
		c.label("chart-label", "middle", p.x(t.at), p.bottom+15, t.label)
	}
	if len(p.axis.ticks) > 0 {
		c.label("chart-label", "end", p.right, p.bottom+15, "days")
	}
}

// draw draws one bar, and its length in days behind it.
func (x Fix) draw(c *canvas, p plot, y float64) {
	const h = 12.0
	if !x.Took.known {
		c.unknown(p.left+0.5, y+3, 20, h)
		c.label("chart-name", "start", p.left+26, y+13.5, "unknown"+x.still())
		return
	}
	end := max(p.left+2, p.x(x.Took.float()))
	if !x.Open {
		c.rect("chart-fixed", p.left, y+3, end-p.left, h)
		c.label("chart-name", "start", end+5, y+13.5, x.brief())
		return
	}
	c.shape("path", class("chart-open"), pair{"d", "M" + number(end) + " " + number(y+3.5) + "H" + number(p.left) +
		"V" + number(y+2.5+h) + "H" + number(end)}, pair{"stroke-dasharray", "4 2"})
	c.shape("path", class("chart-arrow"), pair{"d", "M" + number(end) + " " + number(y+2) + "L" + number(end+7) + " " + number(y+3+h/2) +
		"L" + number(end) + " " + number(y+4+h) + "Z"})
	c.label("chart-name", "start", end+11, y+13.5, x.brief()+x.still())
}

func (x Fix) still() string {
	if x.Open {
		return ", open"
	}
	return ""
}

// brief is the number of days alone, as on the axis.
func (x Fix) brief() string {
	const day = 24 * 3600 * 1e9
	if x.Took.float() < day {
		return "<1"
	}
	return short(float64(int64(x.Took.float()/day)), 10_000, "")
}

func (x Fix) words() string {
	switch {
	case x.Open && !x.Took.known:
		return "still open, since when is unknown"
	case x.Open:
		return "still open after " + days(x.Took.n)
	case !x.Took.known:
		return "fixed, after how long is unknown"
	default:
		return "fixed after " + days(x.Took.n)
	}
}

func fixLegend(fixes []Fix) []key {
	var fixed, open, unknown bool
	for _, x := range fixes {
		unknown = unknown || !x.Took.known
		fixed = fixed || x.Took.known && !x.Open
		open = open || x.Took.known && x.Open
	}
	var keys []key
	if fixed {
		keys = append(keys, key{"chart-fixed", "fixed"})
	}
	if open {
		keys = append(keys, key{"chart-open", "still open"})
	}
	if unknown {
		keys = append(keys, key{"chart-unknown", "unknown"})
	}
	return keys
}

func sayFixes(fixes []Fix) string {
	open := 0
	var longest Value
	for _, x := range fixes {
		if x.Open {
			open++
		} else if x.Took.known && (!longest.known || x.Took.n > longest.n) {
			longest = x.Took
		}
	}
	s := plural(len(fixes), "critical finding", "critical findings") + ", " + count(int64(open)) + " still open."
	if longest.known {
		s += " The slowest fix took " + days(longest.n) + "."
	}
	return s
}

func fixTable(fixes []Fix) table {
	t := table{head: []heading{{"Advisory", false}, {"State", false}, {"Days", true}}}
	var reasons []string
	for _, x := range fixes {
		state := "fixed"
		if x.Open {
			state = "still open"
		}
		t.rows = append(t.rows, []string{x.Advisory, state, x.Took.text(inDays)})
		reasons = append(reasons, whys(x.Took))
	}
	return t.withReasons(reasons)
}

// inDays is a duration in days, to the tenth.
func inDays(n int64) string { return trim(float64(n)/(24*3600*1e9), 1) }
