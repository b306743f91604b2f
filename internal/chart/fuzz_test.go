package chart_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"

	"github.com/tallyman-io/tallyman/internal/chart"
)

// hostile are labels of people who mean harm, and of files that were broken.
func hostile() []string {
	return []string{
		"v1.0.0",
		"",
		`"><script>alert(1)</script>`,
		`' onload='alert(1)`,
		"]]><!--", "&amp;&#0;&nosuch;",
		"</title></svg></table><style>*{}</style>",
		"a\x00b\x07c\x1b[31m\x7f\u0085",
		"\xff\xfe\xc3\x28\xed\xa0\x80",
		"\uFFFE\uFFFF\U0001FFFF",
		"\u202Eevil\u2066\u200F",
		"版本一二三四五六七八九十版本一二三",
		strings.Repeat("long", 2500),
		strings.Repeat("\u0301", 500),
	}
}

// everything is each kind of chart with a label in all places that take one.
func everything(label string, n int64, when time.Time) []templ.Component {
	a := chart.About{ID: label, Title: label, Note: label}
	v, u := chart.Known(n), chart.Unknown(label)
	span := time.Duration(n)
	return []templ.Component{
		chart.SeverityPerRelease(a, []chart.Release{{Version: label, Critical: v, High: v}, {Version: label, Critical: u, High: u}}),
		chart.SeverityOverTime(a, when, when.Add(span), []chart.Moment{{At: when.Add(span / 3), Critical: v, High: u}, {At: when.Add(span / 2), Critical: v, High: v}}),
		chart.SeverityOverTime(a, time.Time{}, when, []chart.Moment{{At: when, Critical: v, High: v}}),
		chart.BuildDuration(a, []chart.Build{{Version: label, Took: v}, {Version: label, Took: u}}),
		chart.ImageSize(a, []chart.Image{{Version: label, Sizes: []chart.Size{{Platform: label, Bytes: v}, {Platform: label + "2", Bytes: u}}}}),
		chart.TimeToFix(a, []chart.Fix{{Advisory: label, Took: v}, {Advisory: label, Took: v, Open: true}, {Advisory: label, Took: u, Open: true}}),
		chart.Sparkline(a, []chart.Value{v, u, chart.Known(0)}),
		chart.BuildDuration(a, nil),
		chart.Sparkline(a, nil),
	}
}

func TestHostileLabelsStayText(t *testing.T) {
	for _, label := range hostile() {
		for _, c := range everything(label, 7, at(1, 0)) {
			markup := render(t, c)
			wellBehaved(t, markup)
			if len(markup) > 40_000 {
				t.Errorf("%.20q: %d bytes", label, len(markup))
			}
		}
	}
}

func TestExtremeNumbersAreDrawn(t *testing.T) {
	for _, n := range []int64{0, 1, 2, 3, 999, 1000, 59_999_999_999, math.MaxInt32, math.MaxInt64, -1, math.MinInt64} {
		for _, when := range []time.Time{{}, at(1, 0), time.Unix(math.MinInt32, 0), time.Unix(1<<40, 0)} {
			for _, c := range everything("v1.0.0", n, when) {
				wellBehaved(t, render(t, c))
			}
		}
	}
}

func FuzzCharts(f *testing.F) {
	for i, label := range hostile() {
		f.Add(label, int64(i)*1_000_000_007, int64(i)*40_000_000)
	}
	f.Add("v1", int64(math.MaxInt64), int64(math.MaxInt64))
	f.Add("v1", int64(-1), int64(math.MinInt64))
	f.Fuzz(func(t *testing.T, label string, n, when int64) {
		for _, c := range everything(label, n, time.Unix(when, 0)) {
			wellBehaved(t, render(t, c))
		}
	})
}
