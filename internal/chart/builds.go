package chart

import "github.com/a-h/templ"

// Build is how long the build of a release took.
type Build struct {
	Version string
	// Took is in nanoseconds: Known(d) of a time.Duration.
	Took Value
}

// BuildDuration draws a bar for each release, the oldest first. A duration that is
// not known leaves a gap with a mark in it.
func BuildDuration(about About, builds []Build) templ.Component {
	f := figure{About: about, height: plotHeight + 22}
	if len(builds) == 0 {
		f.nothing = "No build to draw yet. The duration comes from a release's provenance."
		return f.component()
	}
	drawn := latest(builds, mostColumns)
	values := make([]Value, len(drawn))
	labels := make([]string, len(drawn))
	for i, b := range drawn {
		values[i], labels[i] = b.Took, b.Version
	}
	most, known := largest(values...)
	a := durationAxis(most)
	if known == 0 {
		a = a.bare()
	}
	f.says = sayBuilds(builds) + leftOut(len(builds), len(drawn), "build", "builds")
	f.table = buildTable(builds)
	f.legend = []key{{"chart-series-1", "build"}}
	if known < len(drawn) {
		f.legend = append(f.legend, key{"chart-unknown", "unknown"})
	}
	f.draw = func(c *canvas) {
		k := newColumns(newPlot(c, a), len(drawn), 28)
		k.grid(c)
		for i, b := range drawn {
			c.start("g")
			c.leaf("title", clean(b.Version, longestName)+": "+b.Took.text(duration))
			k.bare(c, i, "chart-series-1", b.Took)
			c.end()
		}
		k.base(c)
		k.names(c, labels)
		if known == 0 {
			k.remark(c, "no duration is known")
		}
	}
	return f.component()
}

// bare draws a bar for a value of which 0 is nothing special, or the mark of a gap.
func (k columns) bare(c *canvas, i int, classes string, v Value) {
	if !v.known {
		k.gap(c, k.x(i), k.bar)
		return
	}
	y := min(k.y(v.float()), k.bottom-1.5)
	c.rect(classes, k.x(i), y, k.bar, k.bottom-y)
}

// gap marks that a bar is missing because its length is not known.
func (k columns) gap(c *canvas, x, w float64) {
	c.unknown(x+0.5, k.bottom-12, w-1, 12)
	if w >= 6 {
		c.label("chart-name", "middle", x+w/2, k.bottom-16, "?")
	}
}

func sayBuilds(builds []Build) string {
	last := builds[len(builds)-1]
	s := "The build of " + clean(last.Version, longestName) + ", the latest, took " + last.Took.text(duration) + "."
	if !last.Took.known {
		s = "How long the build of " + clean(last.Version, longestName) + ", the latest, took is unknown."
	}
	var shortest, longest Value
	unknown := 0
	for _, b := range builds {
		switch {
		case !b.Took.known:
			unknown++
			continue
		case !shortest.known:
			shortest, longest = b.Took, b.Took
		}
		shortest.n, longest.n = min(shortest.n, b.Took.n), max(longest.n, b.Took.n)
	}
	if longest.n > shortest.n {
		s += " The shortest took " + duration(shortest.n) + ", the longest " + duration(longest.n) + "."
	}
	if unknown > 0 && len(builds) > 1 {
		s += " Of " + plural(len(builds), "build", "builds") + ", " + count(int64(unknown)) + " " + is(unknown) + " unknown."
	}
	return s
}

func buildTable(builds []Build) table {
	t := table{head: []heading{{"Release", false}, {"Build took", true}}}
	var reasons []string
	for _, b := range builds {
		t.rows = append(t.rows, []string{b.Version, b.Took.text(duration)})
		reasons = append(reasons, whys(b.Took))
	}
	return t.withReasons(reasons)
}
