package chart

// plot is the area in which values are drawn, with the axis at its left.
type plot struct {
	left, top, right, bottom float64
	axis                     axis
}

// newPlot leaves room at the left for the labels of the axis.
func newPlot(c *canvas, a axis) plot {
	left := 6.0
	for _, t := range a.ticks {
		left = max(left, textWidth(t.label)+7)
	}
	return plot{left: left, top: c.top + 6, right: width - 4, bottom: c.top + plotHeight, axis: a}
}

// y is where a value is drawn.
func (p plot) y(value float64) float64 {
	return p.bottom - (p.bottom-p.top)*min(1, value/p.axis.top)
}

// grid draws the axis: a line for each tick, and the base line over them.
func (p plot) grid(c *canvas) {
	for _, t := range p.axis.ticks {
		if t.at > 0 {
			c.line("chart-grid", p.left, p.y(t.at), p.right, p.y(t.at))
		}
		c.label("chart-label", "end", p.left-5, p.y(t.at)+4, t.label)
	}
}

// base draws the base line, over the bars that stand on it.
func (p plot) base(c *canvas) { c.line("chart-base", p.left, p.bottom, p.right, p.bottom) }

// columns are the places of releases, the oldest at the left.
type columns struct {
	plot
	n    int
	slot float64 // the width of a place
	bar  float64 // the width of what is drawn in it
}

func newColumns(p plot, n int, widest float64) columns {
	slot := (p.right - p.left) / float64(n)
	return columns{plot: p, n: n, slot: slot, bar: min(slot*0.72, widest)}
}

// center is the middle of a column.
func (k columns) center(i int) float64 { return k.left + k.slot*(float64(i)+0.5) }

// x is where what is drawn in a column begins.
func (k columns) x(i int) float64 { return k.center(i) - k.bar/2 }

// names writes the labels below the columns: every one if there is room, and
// otherwise every second, third, and so on, counted back from the latest.
func (k columns) names(c *canvas, labels []string) {
	short := make([]string, len(labels))
	for i, l := range labels {
		short[i] = clean(l, 14)
	}
	every := 1
	for every < len(labels) && !k.fit(short, every) {
		every++
	}
	for i := len(labels) - 1; i >= 0; i -= every {
		x, _ := k.under(i, short[i])
		c.line("chart-base", k.center(i), k.bottom, k.center(i), k.bottom+3)
		c.label("chart-label", "middle", x, k.bottom+15, short[i])
	}
}

// fit tells whether every so many labels leave each other room.
func (k columns) fit(labels []string, every int) bool {
	const gap = 7
	free := width + gap
	for i := len(labels) - 1; i >= 0; i -= every {
		x, half := k.under(i, labels[i])
		if x+half+gap > free {
			return false
		}
		free = x - half
	}
	return true
}

// under is the middle of a label below a column, as near to the column's as the
// edges of the drawing allow, and half of its width.
func (k columns) under(i int, label string) (x, half float64) {
	half = textWidth(label) / 2
	return max(half, min(k.center(i), width-half)), half
}

// unknownColumn hatches a column from the base line, or what is known of it, to the
// top, and names it.
func (k columns) unknownColumn(c *canvas, i int, bottom float64) {
	c.unknown(k.x(i)+0.5, k.top, k.bar-1, bottom-k.top)
	name := func(text, anchor string, x, y float64, more ...pair) {
		c.leaf("text", text, append([]pair{class("chart-name"), {"text-anchor", anchor}, num("x", x), num("y", y)}, more...)...)
	}
	x := k.center(i)
	switch {
	case k.slot >= 13 && bottom-k.top > 60:
		y := (k.top + bottom) / 2
		name("unknown", "middle", x, y, pair{"transform", "rotate(-90 " + number(x) + " " + number(y) + ")"}, num("dy", 3.8))
	case k.slot >= 7:
		name("?", "middle", x, k.top+13)
	}
}

// zero marks a column that is known to be 0, so that it is not taken for nothing.
func (k columns) zero(c *canvas, i int) {
	c.line("chart-zero", k.x(i), k.bottom-1.5, k.x(i)+k.bar, k.bottom-1.5)
	if k.slot >= 9 {
		c.label("chart-name", "middle", k.center(i), k.bottom-6, "0")
	}
}

// remark says in the middle of a plot why it is empty.
func (p plot) remark(c *canvas, text string) {
	c.label("chart-label", "middle", (p.left+p.right)/2, (p.top+p.bottom)/2, text)
}

// latest keeps the last n.
func latest[T any](all []T, n int) []T { return all[max(0, len(all)-n):] }

// leftOut tells that not everything is drawn.
func leftOut(all, drawn int, one, many string) string {
	if all <= drawn {
		return ""
	}
	return " Of " + plural(all, one, many) + " the last " + count(int64(drawn)) + " are drawn; all are in the table."
}
