package chart_test

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/a-h/templ"
	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/chart"
)

var update = flag.Bool("update", false, "write the golden files")

func render(t *testing.T, c templ.Component) string {
	t.Helper()
	var b strings.Builder
	if err := c.Render(t.Context(), &b); err != nil {
		t.Fatalf("render: %v", err)
	}
	return b.String()
}

// elements parses markup as XML, and returns every element with the text directly in it.
func elements(t *testing.T, markup string) []element {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(markup))
	var all []element
	var open []int
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("not XML: %v\n%q", err, markup)
		}
		switch x := token.(type) {
		case xml.StartElement:
			open = append(open, len(all))
			e := element{name: x.Name.Local, attributes: map[string]string{}}
			for _, a := range x.Attr {
				e.attributes[a.Name.Local] = a.Value
			}
			all = append(all, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				all[open[len(open)-1]].text += string(x)
			}
		}
	}
}

type element struct {
	name       string
	attributes map[string]string
	text       string
}

// texts are the texts of the elements of a name.
func texts(all []element, name string) []string {
	var some []string
	for _, e := range all {
		if e.name == name {
			some = append(some, e.text)
		}
	}
	return some
}

// withClass counts the elements that have a class.
func withClass(all []element, class string) int {
	n := 0
	for _, e := range all {
		if e.attributes["class"] == class {
			n++
		}
	}
	return n
}

func TestChartsAreAsTheGoldenFiles(t *testing.T) {
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			got := strings.ReplaceAll(render(t, s.chart), "><", ">\n<") + "\n"
			path := filepath.Join("testdata", s.name+".golden.html")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s is out of date; run: go test ./internal/chart -update\n%s", path, diff)
			}
		})
	}
}

func TestChartsKeepToTheContentPolicyAndNameThemselves(t *testing.T) {
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			markup := render(t, s.chart)
			if again := render(t, s.chart); again != markup {
				t.Error("rendering twice gives different bytes")
			}
			wellBehaved(t, markup)
		})
	}
}

// wellBehaved checks what holds for every chart, whatever is in it.
func wellBehaved(t *testing.T, markup string) {
	t.Helper()
	geometry := []string{"x", "y", "dy", "d", "width", "height", "viewBox", "transform"}
	all := elements(t, markup)
	ids := map[string]bool{}
	for _, e := range all {
		if e.name == "style" || e.name == "script" || e.name == "a" {
			t.Errorf("there is an element %s", e.name)
		}
		for name, value := range e.attributes {
			switch {
			case name == "style" || strings.HasPrefix(name, "on") || name == "href":
				t.Errorf("%s has the attribute %s", e.name, name)
			case name == "id" && ids[value]:
				t.Errorf("the id %q is there twice", value)
			case name == "id":
				ids[value] = true
			case slices.Contains(geometry, name) && (strings.Contains(value, "NaN") || strings.Contains(value, "Inf")):
				t.Errorf("%s: %s=%q", e.name, name, value)
			}
		}
	}
	for _, e := range all {
		if e.name != "svg" {
			continue
		}
		if e.attributes["role"] != "img" {
			t.Errorf("svg: role %q, want img", e.attributes["role"])
		}
		for _, by := range []string{"aria-labelledby", "aria-describedby"} {
			if id := e.attributes[by]; id != "" && !ids[id] {
				t.Errorf("svg: %s names %q, which is not there", by, id)
			}
		}
		if e.attributes["aria-labelledby"] == "" {
			t.Error("svg has no name")
		}
	}
}

func TestUnknownIsDrawnUnlikeZero(t *testing.T) {
	zero := chart.Release{Version: "v1", Critical: chart.Known(0), High: chart.Known(0)}
	unknown := chart.Release{Version: "v1"}
	for _, c := range []struct {
		name                string
		release             chart.Release
		zeros, unknowns     int
		critical, high, say string
	}{
		{"zero", zero, 1, 0, "0", "0", "v1, the latest: 0 critical, 0 high."},
		{"unknown", unknown, 0, 2, "unknown", "unknown", "v1, the latest: critical unknown, high unknown."},
		{"critical unknown", chart.Release{Version: "v1", High: chart.Known(2)}, 0, 2, "unknown", "2", "v1, the latest: critical unknown, 2 high."},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := elements(t, render(t, chart.SeverityPerRelease(about("x", "X"), []chart.Release{c.release})))
			// The legend has one that is unknown too.
			if z, u := withClass(all, "chart-zero"), withClass(all, "chart-unknown"); z != c.zeros || u != c.unknowns {
				t.Errorf("%d columns are zero and %d unknown, want %d and %d", z, u, c.zeros, c.unknowns)
			}
			if diff := cmp.Diff([]string{c.critical, c.high}, texts(all, "td")); diff != "" {
				t.Errorf("table (-want +got):\n%s", diff)
			}
			if got := texts(all, "desc"); len(got) != 1 || got[0] != c.say {
				t.Errorf("description %q, want %q", got, c.say)
			}
		})
	}
}

func TestTheTableHoldsEveryNumberAndWhyOneIsMissing(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		name  string
		chart templ.Component
		want  []string
	}{
		{"severity", chart.SeverityPerRelease(about("x", "X"), []chart.Release{release("v1", 1234567, 2), unknownRelease("v2")}), []string{
			"1,234,567", "2", "", "unknown", "unknown", "the registry throttles",
		}},
		{"build", chart.BuildDuration(about("x", "X"), []chart.Build{
			{Version: "v1", Took: chart.Known(3*time.Hour + 4*time.Minute + 5*time.Second)}, {Version: "v2", Took: chart.Known(-time.Second)},
		}), []string{"3 h 4 min", "", "unknown", "-1000000000 was stated, which is below zero"}},
		{"size", chart.ImageSize(about("x", "X"), []chart.Image{{Version: "v1", Sizes: []chart.Size{
			{Platform: "linux/amd64", Bytes: chart.Known(12_345_678)}, {Platform: "linux/arm64", Bytes: chart.Known(999)},
		}}}), []string{"linux/amd64", "12,345,678 B", "linux/arm64", "999 B"}},
		{"fix", chart.TimeToFix(about("x", "X"), []chart.Fix{
			{Advisory: "A", Took: chart.Known(36 * time.Hour)}, {Advisory: "B", Took: chart.Known(2 * day), Open: true},
		}), []string{"fixed", "1.5", "still open", "2"}},
		{"seventy, of which sixty are drawn", chart.SeverityPerRelease(about("x", "X"), make([]chart.Release, 70)), strings.Fields(strings.Repeat("unknown ", 140))},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, texts(elements(t, render(t, c.chart)), "td")); diff != "" {
				t.Errorf("cells (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHistoryIsPutIntoOrderAndCutToItsTime(t *testing.T) {
	moment := func(day, critical int) chart.Moment {
		return chart.Moment{At: at(day, 9), Critical: chart.Known(critical), High: chart.Known(0)}
	}
	for _, c := range []struct {
		name    string
		moments []chart.Moment
		want    []string // when, and the critical findings from then on
	}{
		{"in any order", []chart.Moment{moment(5, 2), moment(2, 1)}, []string{"2 Mar 2026, 09:30", "1", "5 Mar 2026, 09:30", "2"}},
		{"before the first, nothing is known", []chart.Moment{moment(3, 1)}, []string{"2 Mar 2026, 09:30", "unknown", "3 Mar 2026, 09:30", "1"}},
		{"the last of a time counts", []chart.Moment{moment(2, 1), moment(2, 4)}, []string{"2 Mar 2026, 09:30", "4"}},
		{"what was before the release", []chart.Moment{moment(1, 7)}, []string{"2 Mar 2026, 09:30", "7"}},
		{"what is after the end", []chart.Moment{moment(2, 1), moment(29, 7)}, []string{"2 Mar 2026, 09:30", "1"}},
		{"what stayed the same", []chart.Moment{moment(2, 1), moment(4, 1), moment(6, 0)}, []string{"2 Mar 2026, 09:30", "1", "6 Mar 2026, 09:30", "0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			all := elements(t, render(t, chart.SeverityOverTime(about("x", "X"), at(2, 9), at(10, 9), c.moments)))
			var got []string
			for i, when := range texts(all, "th") {
				if head := 3 + withReasonColumn(all); i >= head {
					got = append(got, when, texts(all, "td")[(i-head)*(head-1)])
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func withReasonColumn(all []element) int {
	for _, h := range texts(all, "th") {
		if h == "Why unknown" {
			return 1
		}
	}
	return 0
}

func TestSparklineSaysItsNumbers(t *testing.T) {
	all := elements(t, render(t, chart.Sparkline(about("x", "Critical per release"), []chart.Value{chart.Known(3), chart.Unknown("throttled"), chart.Known(0)})))
	if got, want := texts(all, "title"), "Critical per release, oldest first: 3, unknown, 0"; len(got) != 1 || got[0] != want {
		t.Errorf("title %q, want %q", got, want)
	}
}
