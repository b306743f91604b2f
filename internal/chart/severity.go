package chart

import (
	"fmt"

	"github.com/a-h/templ"
)

// Release is how many critical and high findings a release has.
type Release struct {
	Version        string
	Critical, High Value
}

// SeverityPerRelease draws a column for each release, the oldest first: its critical
// findings, and on them its high ones.
func SeverityPerRelease(about About, releases []Release) templ.Component {
	f := figure{About: about, height: plotHeight + 22}
	if len(releases) == 0 {
		f.nothing = "No release to draw yet. The first one that is judged appears here."
		return f.component()
	}
	drawn := latest(releases, mostColumns)
	f.says = saySeverity(releases) + leftOut(len(releases), len(drawn), "release", "releases")
	f.table = severityTable(releases)
	most, known, all := highest(drawn)
	f.legend = []key{{"chart-critical", "critical"}, {"chart-high", "high"}}
	if known < all {
		f.legend = append(f.legend, key{"chart-unknown", "unknown"})
	}
	a := countAxis(most)
	if known == 0 {
		a = a.bare()
	}
	f.draw = func(c *canvas) {
		k := newColumns(newPlot(c, a), len(drawn), 28)
		k.grid(c)
		labels := make([]string, len(drawn))
		for i, r := range drawn {
			labels[i] = r.Version
			r.draw(c, k, i)
		}
		k.base(c)
		k.names(c, labels)
		if most == 0 && known == all {
			k.remark(c, "nothing critical or high")
		}
	}
	return f.component()
}

func (r Release) draw(c *canvas, k columns, i int) {
	c.start("g")
	defer c.end()
	c.leaf("title", clean(r.Version, longestName)+": "+severities(r.Critical, r.High))
	foot := k.bottom
	if r.Critical.known && r.Critical.n > 0 {
		foot = k.y(r.Critical.float())
		c.rect("chart-critical", k.x(i), foot, k.bar, k.bottom-foot)
	}
	switch {
	case !r.Critical.known || !r.High.known:
		k.unknownColumn(c, i, foot)
	case r.High.n > 0:
		y := k.y(r.Critical.float() + r.High.float())
		c.rect("chart-high", k.x(i), y, k.bar, foot-y)
	case r.Critical.n == 0:
		k.zero(c, i)
	}
}

// highest is the height of the highest column, how many of the values are known, and
// how many there are.
func highest(releases []Release) (most float64, known, all int) {
	for _, r := range releases {
		critical, c := largest(r.Critical)
		high, h := largest(r.High)
		most = max(most, critical+high)
		known += c + h
		all += 2
	}
	return most, known, all
}

func saySeverity(releases []Release) string {
	last := releases[len(releases)-1]
	s := fmt.Sprintf("%s, the latest: %s.", clean(last.Version, longestName), severities(last.Critical, last.High))
	unknown := 0
	for _, r := range releases {
		if !r.Critical.known || !r.High.known {
			unknown++
		}
	}
	switch {
	case unknown == len(releases) && unknown > 1:
		s += " Nothing is known of the others either."
	case unknown > 0 && len(releases) > 1:
		s += fmt.Sprintf(" Of %s, %d %s not known in full.", plural(len(releases), "release", "releases"), unknown, is(unknown))
	}
	return s
}

func is(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// severities puts both counts into words.
func severities(critical, high Value) string {
	word := func(v Value, name string) string {
		if !v.known {
			return name + " unknown"
		}
		return count(v.n) + " " + name
	}
	return word(critical, "critical") + ", " + word(high, "high")
}

func severityTable(releases []Release) table {
	t := table{head: []heading{{"Release", false}, {"Critical", true}, {"High", true}}}
	var reasons []string
	for _, r := range releases {
		t.rows = append(t.rows, []string{r.Version, r.Critical.text(count), r.High.text(count)})
		reasons = append(reasons, whys(r.Critical, r.High))
	}
	return t.withReasons(reasons)
}
