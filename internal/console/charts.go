package console

import (
	"fmt"

	"github.com/a-h/templ"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/chart"
	"github.com/tallyman-io/tallyman/internal/release"
)

// aboutData is the note of charts of counts: how old the advisory data are.
func aboutData(p *page) string {
	if p.Data.Oldest == nil {
		return "The age of the advisory data is unknown: " + p.Data.Why + "."
	}
	return "With advisory data from " + p.Data.Oldest.Ago + "."
}

// critical are the critical findings now that a verdict counted, and high the high ones.
func critical(v *account.Verdict) (critical, high chart.Value) {
	n := newCounts(v)
	if !n.Known {
		return chart.Unknown(n.Why), chart.Unknown(n.Why)
	}
	return chart.Known(v.Counts.Critical), chart.Known(v.Counts.High)
}

// drawn is the note of charts of a trend that leaves releases out: how many it shows, of
// how many. Where that is not known, neither is whether any are left out.
func drawn(c *account.Component) string {
	n := len(c.Trend)
	if c.Releases <= n && !c.LastComplete.IsZero() {
		return ""
	}
	note := "Of the newest " + plural(n, "release") + "; how many there are is unknown."
	if c.Releases > n {
		note = "Of the newest " + plural(n, "release") + " of " + releases(c) + "."
	}
	if !release.IsPrerelease(c.Latest.Version) {
		note += " Pre-releases are left out."
	}
	return note + " "
}

// sparkline is the trend of critical findings over the newest releases, nil where there
// are fewer than two.
func sparkline(c *account.Component) templ.Component {
	if len(c.Trend) < 2 {
		return nil
	}
	var values []chart.Value
	for i := range c.Trend {
		v, _ := critical(c.Trend[i].Now)
		values = append(values, v)
	}
	about := chart.About{ID: "trend-" + label(c.Repository), Title: "Critical findings of the newest releases of " + c.Repository}
	return chart.Sparkline(about, values)
}

// componentCharts show how a component changed from release to release.
func componentCharts(c *account.Component, repairs []account.Repair, p *page) []templ.Component {
	if len(c.Trend) == 0 {
		return nil
	}
	var counts []chart.Release
	var builds []chart.Build
	var images []chart.Image
	for i := range c.Trend {
		s := &c.Trend[i]
		name := refName(s)
		crit, high := critical(s.Now)
		counts = append(counts, chart.Release{Version: name, Critical: crit, High: high})
		builds = append(builds, chart.Build{Version: name, Took: buildValue(s)})
		image := chart.Image{Version: name}
		for _, one := range s.Image.Platforms {
			image.Sizes = append(image.Sizes, chart.Size{Platform: one.String(), Bytes: chart.Known(one.CompressedSize)})
		}
		images = append(images, image)
	}
	left := drawn(c)
	return []templ.Component{
		chart.SeverityPerRelease(chart.About{ID: "severity", Title: "Critical and high findings now, by release", Note: left + aboutData(p)}, counts),
		chart.TimeToFix(chart.About{ID: "fixes", Title: "Time to fix a critical vulnerability", Note: followed(c) + aboutData(p)}, fixes(repairs, p)),
		chart.BuildDuration(chart.About{ID: "builds", Title: "Build duration, by release", Note: left + "As verified provenance states it."}, builds),
		chart.ImageSize(chart.About{ID: "sizes", Title: "Image size, by release", Note: left + "Compressed, as a pull transfers it."}, images),
	}
}

func buildValue(s *account.Standing) chart.Value {
	if d, ok := s.Build.Duration(); ok {
		return chart.Known(d)
	}
	return chart.Unknown(buildTime(s.Build).Why)
}

// followed is the note of a chart of repairs that leaves releases out: of how many it tells.
func followed(c *account.Component) string {
	if c.Releases <= account.RepairsOf && !c.LastComplete.IsZero() {
		return ""
	}
	return fmt.Sprintf("Of the newest %d releases at most; what only older ones had is left out. ", account.RepairsOf)
}

// fixes are the repairs of critical vulnerabilities, the open ones first.
func fixes(repairs []account.Repair, p *page) []chart.Fix {
	var open, fixed []chart.Fix
	for _, r := range repairs {
		f := chart.Fix{Advisory: r.ID, Open: r.FixedAt.IsZero(), Took: chart.Unknown("nobody says since when it was known")}
		switch {
		case r.KnownAt.IsZero():
		case f.Open:
			f.Took = chart.Known(p.at.Sub(r.KnownAt))
		default:
			f.Took = chart.Known(max(0, r.FixedAt.Sub(r.KnownAt)))
		}
		if f.Open {
			open = append(open, f)
		} else {
			fixed = append(fixed, f)
		}
	}
	return append(open, fixed...)
}

// overTime shows the findings of a release from its release until now, or from as far back
// as its verdicts were read; nil where there are none to show.
func overTime(r *account.Release, p *page) templ.Component {
	all := r.Verdicts.Items
	if len(all) == 0 {
		return nil
	}
	var moments []chart.Moment
	for i := len(all) - 1; i >= 0; i-- {
		crit, high := critical(&all[i])
		moments = append(moments, chart.Moment{At: all[i].At, Critical: crit, High: high})
	}
	about := chart.About{ID: "over-time", Title: "Critical and high findings since release", Note: aboutData(p)}
	from := r.ReleasedAt
	cut := r.Verdicts.Next != ""
	if cut {
		about.Title = fmt.Sprintf("Critical and high findings, by the newest %d of %s", len(all), plural(r.Verdicts.Total, "verdict"))
	}
	if cut || from.IsZero() {
		from = moments[0].At
	}
	return chart.SeverityOverTime(about, from, p.at, moments)
}
