package chart_test

import (
	"fmt"
	"time"

	"github.com/a-h/templ"

	"github.com/tallyman-io/tallyman/internal/chart"
)

// sample is a chart of the golden files.
type sample struct {
	name  string
	chart templ.Component
}

func at(day, hour int) time.Time { return time.Date(2026, time.March, day, hour, 30, 0, 0, time.UTC) }

func about(id, title string) chart.About { return chart.About{ID: id, Title: title} }

func counts(critical, high int) (a, b chart.Value) { return chart.Known(critical), chart.Known(high) }

func release(version string, critical, high int) chart.Release {
	c, h := counts(critical, high)
	return chart.Release{Version: version, Critical: c, High: h}
}

func unknownRelease(version string) chart.Release {
	why := chart.Unknown("the registry throttles")
	return chart.Release{Version: version, Critical: why, High: why}
}

// history is twenty releases with zero, unknown, partly known and high columns.
func history() []chart.Release {
	var all []chart.Release
	for i := range 20 {
		version := fmt.Sprintf("v1.%d.0", i)
		switch {
		case i == 6 || i == 15:
			all = append(all, unknownRelease(version))
		case i == 9:
			all = append(all, chart.Release{Version: version, Critical: chart.Known(3), High: chart.Unknown("CVE-2026-1 has no score")})
		case i%7 == 4:
			all = append(all, release(version, 0, 0))
		default:
			all = append(all, release(version, i*5%4, i*7%11))
		}
	}
	return all
}

func severitySamples() []sample {
	per := func(name string, releases ...chart.Release) sample {
		return sample{"severity-" + name, chart.SeverityPerRelease(chart.About{
			ID: "severity-" + name, Title: "Critical and high per release", Note: "Advisories of 3 hours ago.",
		}, releases)}
	}
	many := make([]chart.Release, 70)
	for i := range many {
		many[i] = release(fmt.Sprintf("v2.%d.%d-rc.1", i/10, i%10), i%3, i%5)
	}
	many[40] = unknownRelease("v2.4.0-rc.1")
	return []sample{
		per("twenty", history()...),
		per("three", release("v1.0.0", 2, 5), unknownRelease("v1.1.0"), release("v1.2.0", 0, 0)),
		per("one", release("v1.0.0", 1, 0)),
		per("zero", release("v1.0.0", 0, 0), release("v1.0.1", 0, 0), release("v1.1.0", 0, 0)),
		per("unknown", unknownRelease("v1.0.0"), unknownRelease("v1.0.1")),
		per("many", many...),
		per("empty"),
	}
}

func historySamples() []sample {
	moment := func(day, critical, high int) chart.Moment {
		c, h := counts(critical, high)
		return chart.Moment{At: at(day, 9), Critical: c, High: h}
	}
	gap := chart.Unknown("no advisory data")
	over := func(name string, from, until time.Time, moments ...chart.Moment) sample {
		return sample{"history-" + name, chart.SeverityOverTime(about("history-"+name, "Critical and high since v1.2.0"), from, until, moments)}
	}
	return []sample{
		over("month", at(1, 8), at(31, 8), moment(2, 0, 1), moment(5, 0, 4), moment(9, 2, 4), moment(9, 2, 6),
			chart.Moment{At: at(14, 9), Critical: gap, High: gap}, moment(19, 3, 6), moment(26, 1, 2), moment(28, 1, 1)),
		over("year", at(1, 8).AddDate(-1, 0, 0), at(31, 8), moment(-250, 0, 0), moment(-150, 4, 4), moment(-20, 12, 31)),
		over("hours", at(1, 8), at(1, 20), moment(1, 0, 2)),
		over("once", at(1, 9), at(1, 9), moment(1, 2, 2)),
		over("unknown", at(1, 8), at(11, 8), chart.Moment{At: at(1, 8), Critical: gap, High: gap}),
		over("empty", at(1, 8), at(11, 8)),
	}
}

func barSamples() []sample {
	build := func(name string, took ...chart.Value) sample {
		var all []chart.Build
		for i, v := range took {
			all = append(all, chart.Build{Version: fmt.Sprintf("v1.%d.0", i), Took: v})
		}
		return sample{"build-" + name, chart.BuildDuration(about("build-"+name, "Build duration per release"), all)}
	}
	var twenty []chart.Value
	for i := range 20 {
		twenty = append(twenty, chart.Known(time.Duration(95+i*37%60)*time.Second))
	}
	twenty[3], twenty[18] = chart.Unknown("no provenance"), chart.Unknown("")
	size := func(name string, images ...chart.Image) sample {
		return sample{"size-" + name, chart.ImageSize(about("size-"+name, "Image size per release"), images)}
	}
	var images []chart.Image
	for i := range 20 {
		images = append(images, chart.Image{Version: fmt.Sprintf("v1.%d.0", i), Sizes: []chart.Size{
			{Platform: "linux/amd64", Bytes: chart.Known(int64(21_400_000 + i*i*31_000))},
			{Platform: "linux/arm64", Bytes: chart.Known(int64(20_100_000 + i*i*29_000))},
		}})
	}
	images[5].Sizes[1].Bytes = chart.Unknown("the manifest could not be read")
	images[0].Sizes = images[0].Sizes[:1]
	five := chart.Image{Version: "v3.0.0"}
	for i, p := range []string{"linux/amd64", "linux/arm64", "linux/arm/v7", "linux/ppc64le", "linux/s390x"} {
		five.Sizes = append(five.Sizes, chart.Size{Platform: p, Bytes: chart.Known(int64(900_000_000 + i*50_000_000))})
	}
	return []sample{
		build("twenty", twenty...),
		build("one", chart.Known(412*time.Millisecond)),
		build("zero", chart.Known(time.Duration(0)), chart.Known(time.Duration(0))),
		build("unknown", chart.Unknown("no provenance"), chart.Unknown("no provenance")),
		build("empty"),
		size("twenty", images...),
		size("five-platforms", five, five),
		size("unknown", chart.Image{Version: "v1.0.0", Sizes: []chart.Size{{Platform: "linux/amd64"}}}),
		size("empty", chart.Image{Version: "v1.0.0"}),
	}
}

func fixSamples() []sample {
	const day = 24 * time.Hour
	fix := func(name string, fixes ...chart.Fix) sample {
		return sample{"fix-" + name, chart.TimeToFix(about("fix-"+name, "Time to fix a critical"), fixes)}
	}
	var many []chart.Fix
	for i := range 23 {
		many = append(many, chart.Fix{Advisory: fmt.Sprintf("GHSA-xxxx-yyyy-%04d", i), Took: chart.Known(day * time.Duration(i*13%90)), Open: i%9 == 8})
	}
	return []sample{
		fix("some",
			chart.Fix{Advisory: "CVE-2026-31999", Took: chart.Known(12*day + 5*time.Hour), Open: true},
			chart.Fix{Advisory: "CVE-2026-20411", Took: chart.Known(3 * day)},
			chart.Fix{Advisory: "GO-2026-4012", Took: chart.Known(5 * time.Hour)},
			chart.Fix{Advisory: "CVE-2025-61729", Took: chart.Unknown("the history begins later"), Open: true},
			chart.Fix{Advisory: "CVE-2025-47907", Took: chart.Known(41 * day)},
		),
		fix("one", chart.Fix{Advisory: "CVE-2026-31999", Took: chart.Known(time.Duration(0)), Open: true}),
		fix("unknown", chart.Fix{Advisory: "CVE-2026-31999", Took: chart.Unknown("the history begins later")}),
		fix("many", many...),
		fix("empty"),
	}
}

func sparkSamples() []sample {
	spark := func(name string, values ...chart.Value) sample {
		return sample{"spark-" + name, chart.Sparkline(about("spark-"+name, "Critical per release"), values)}
	}
	return []sample{
		spark("some", chart.Known(3), chart.Known(1), chart.Unknown("throttled"), chart.Known(0), chart.Known(0), chart.Known(7), chart.Known(2)),
		spark("zero", chart.Known(0), chart.Known(0)),
		spark("unknown", chart.Unknown(""), chart.Unknown("")),
		spark("empty"),
	}
}

func samples() []sample {
	var all []sample
	for _, some := range [][]sample{severitySamples(), historySamples(), barSamples(), fixSamples(), sparkSamples()} {
		all = append(all, some...)
	}
	return all
}
