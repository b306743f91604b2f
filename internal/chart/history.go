package chart

import (
	"fmt"
	"slices"
	"sort"
	"time"

	"github.com/a-h/templ"
)

// Moment is what became known of a release at a time, and was so until the next.
type Moment struct {
	At             time.Time
	Critical, High Value
}

// span is a time for which the counts stayed as they were.
type span struct {
	from, until    time.Time
	critical, high Value
}

func (s span) known() bool { return s.critical.known && s.high.known }

// SeverityOverTime draws the critical and the high findings of one release as steps
// from its release until a time, which is now as a rule. What is not known, and the
// time before the first moment, is a hatched gap. Moments may come in any order; of
// those at the same time the last counts, and those after until are left out.
func SeverityOverTime(about About, from, until time.Time, moments []Moment) templ.Component {
	f := figure{About: about, height: plotHeight + 22}
	spans := newSpans(from, until, moments)
	if len(spans) == 0 {
		f.nothing = "No history yet. It begins when this release is judged for the first time."
		return f.component()
	}
	f.says = sayHistory(spans)
	f.table = historyTable(spans)
	f.legend = []key{{"chart-step-critical", "critical"}, {"chart-high", "high"}}
	var values []Value
	gaps := false
	for _, s := range spans {
		values = append(values, s.critical, s.high)
		gaps = gaps || !s.known()
	}
	if gaps {
		f.legend = append(f.legend, key{"chart-unknown", "unknown"})
	}
	most, known := largest(values...)
	a := countAxis(most)
	if known == 0 {
		a = a.bare()
	}
	f.draw = func(c *canvas) {
		p := newPlot(c, a)
		p.right -= 22
		k := course{plot: p, from: spans[0].from, until: spans[len(spans)-1].until}
		k.draw(c, spans)
	}
	return f.component()
}

// newSpans puts moments into order, and between from and until.
func newSpans(from, until time.Time, moments []Moment) []span {
	all := slices.Clone(moments)
	sort.SliceStable(all, func(i, j int) bool { return all[i].At.Before(all[j].At) })
	if !until.After(from) {
		until = from
	}
	var spans []span
	if len(all) > 0 && all[0].At.After(from) {
		reason := Unknown("not judged yet")
		spans = append(spans, span{from: from, critical: reason, high: reason})
	}
	for _, m := range all {
		if m.At.After(until) {
			break
		}
		at := m.At
		if at.Before(from) {
			at = from
		}
		s := span{from: at, critical: m.Critical, high: m.High}
		if last := len(spans) - 1; last >= 0 && !spans[last].from.Before(at) {
			spans[last] = s
			continue
		}
		spans = append(spans, s)
	}
	return untilNext(merge(spans), until)
}

// merge joins neighbours that say the same.
func merge(spans []span) []span {
	return slices.CompactFunc(spans, func(a, b span) bool { return a.critical == b.critical && a.high == b.high })
}

func untilNext(spans []span, until time.Time) []span {
	for i := range spans {
		spans[i].until = until
		if i+1 < len(spans) {
			spans[i].until = spans[i+1].from
		}
	}
	return spans
}

// course is a plot with time from left to right.
type course struct {
	plot
	from, until time.Time
}

// x is where a time is drawn. Seconds are counted, as a Duration ends at 292 years.
func (k course) x(t time.Time) float64 {
	all := float64(k.until.Unix()) - float64(k.from.Unix())
	if all <= 0 {
		return k.left
	}
	return k.left + (k.right-k.left)*(float64(t.Unix())-float64(k.from.Unix()))/all
}

func (k course) draw(c *canvas, spans []span) {
	k.grid(c)
	k.base(c)
	for _, s := range spans {
		if !s.known() {
			k.gap(c, s)
		}
	}
	k.area(c, spans)
	k.steps(c, "chart-step-high", spans, func(s span) Value { return s.high })
	k.steps(c, "chart-step-critical", spans, func(s span) Value { return s.critical })
	k.times(c)
	k.ends(c, spans[len(spans)-1])
}

func (k course) gap(c *canvas, s span) {
	x, end := k.x(s.from), k.end(s)
	c.start("g")
	c.leaf("title", "unknown, "+day(s.from)+" to "+day(s.until))
	c.unknown(x, k.top, end-x, k.bottom-k.top)
	if end-x > textWidth("unknown")+4 {
		c.label("chart-name", "middle", (x+end)/2, k.top+14, "unknown")
	}
	c.end()
}

// end is where a span ends: two units from its beginning at least, so that what was
// short is not lost.
func (k course) end(s span) float64 {
	if !k.until.After(k.from) {
		return k.right
	}
	return max(k.x(s.until), k.x(s.from)+2)
}

// steps draws one of the counts as a line with a gap wherever it is not known.
func (k course) steps(c *canvas, classes string, spans []span, of func(span) Value) {
	d := ""
	for i, s := range spans {
		v := of(s)
		if !v.known {
			continue
		}
		verb := "M"
		if i > 0 && of(spans[i-1]).known {
			verb = "L"
		}
		y := number(k.y(v.float()))
		d += verb + number(k.x(s.from)) + " " + y + "L" + number(k.end(s)) + " " + y
	}
	if d != "" {
		c.shape("path", class(classes), pair{"d", d})
	}
}

// area fills what is below the high findings, so that they are seen where the line
// of the critical ones covers theirs.
func (k course) area(c *canvas, spans []span) {
	d := ""
	for _, s := range spans {
		if s.high.known && s.high.n > 0 {
			d += "M" + number(k.x(s.from)) + " " + number(k.bottom) + "V" + number(k.y(s.high.float())) + "H" + number(k.end(s)) + "V" + number(k.bottom) + "Z"
		}
	}
	if d != "" {
		c.shape("path", class("chart-area-high"), pair{"d", d})
	}
}

// ends writes the last counts at the right of their lines.
func (k course) ends(c *canvas, last span) {
	critical, high := k.y(last.critical.float())+4, k.y(last.high.float())+4
	if last.known() {
		const apart = fontSize + 1
		switch {
		case high <= critical && critical-high < apart:
			high = min(high, k.bottom+4-apart)
			critical = high + apart
		case critical < high && high-critical < apart:
			critical = min(critical, k.bottom+4-apart)
			high = critical + apart
		}
	}
	write := func(classes string, v Value, y float64) {
		if v.known {
			c.label(classes, "start", k.right+6, y, short(v.float(), 1000, ""))
		}
	}
	write("chart-end-high", last.high, high)
	write("chart-end-critical", last.critical, critical)
}

// times writes the labels of the time axis.
func (k course) times(c *canvas) {
	const gap = 8
	free := 0.0
	for _, t := range timeTicks(k.from, k.until) {
		half := textWidth(t.label) / 2
		at := k.x(t.at)
		x := max(half, min(at, width-half))
		if x-half < free {
			continue
		}
		c.line("chart-base", at, k.bottom, at, k.bottom+3)
		c.label("chart-label", "middle", x, k.bottom+15, t.label)
		free = x + half + gap
	}
}

func day(t time.Time) string { return t.UTC().Format("2 Jan 2006") }

func sayHistory(spans []span) string {
	last := spans[len(spans)-1]
	s := fmt.Sprintf("From %s to %s. At the end: %s.", day(spans[0].from), day(last.until), severities(last.critical, last.high))
	var most Value
	for _, p := range spans {
		if p.critical.known && (!most.known || p.critical.n > most.n) {
			most = p.critical
		}
	}
	if most.known && most.n > 0 {
		s += " At most " + count(most.n) + " critical at a time."
	}
	if unknown := slices.ContainsFunc(spans, func(s span) bool { return !s.known() }); unknown && last.known() {
		s += " For a part of that time the counts are unknown."
	}
	return s
}

func historyTable(spans []span) table {
	t := table{head: []heading{{"From (UTC)", false}, {"Critical", true}, {"High", true}}}
	var reasons []string
	for _, s := range spans {
		t.rows = append(t.rows, []string{s.from.UTC().Format("2 Jan 2006, 15:04"), s.critical.text(count), s.high.text(count)})
		reasons = append(reasons, whys(s.critical, s.high))
	}
	return t.withReasons(reasons)
}
