package console

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/a-h/templ"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/release"
)

// overview is the front page, in the words that it shows.
type overview struct {
	Components []component
	// Filter is the text that names have to have.
	Filter string
	Pager  pager
	Total  int // all components, whatever is shown of them
	Read   int // components whose state is known
	Totals []total
	Queue  queue
	Heads  overviewHeads
}

// total is a number of components by their verdict.
type total struct {
	State state
	Count string
}

type overviewHeads struct{ Name, Verdict, Critical, Build, Size column }

// component is one line of the overview.
type component struct {
	Within, Name string
	URL          string
	Class        string // bad, unknown or good: the worst of what the line says
	Look         look
	Releases     string
	Latest       *standing
	Trend        templ.Component // nil where there is none to show
}

// look is the latest look at a repository.
type look struct {
	State    state
	Last     *moment // nil before the first look
	Complete *moment // the last look that read everything, when that was another
}

func newLook(c *account.Component, p *page) look {
	l := look{State: state{Class: "known", Word: "Read"}}
	if why := c.Unknown(p.at); why != "" {
		l.State = state{Class: "unknown", Word: "Unknown", Reason: why}
	}
	if c.LastLook != nil {
		l.Last = optional(c.LastLook.At, p.at)
		if !c.LastComplete.Equal(c.LastLook.At) {
			l.Complete = optional(c.LastComplete, p.at)
		}
	}
	return l
}

// nothing says what is known when there is no release to show.
func (c component) nothing() string {
	switch {
	case c.Look.Complete != nil:
		return "No release when last read"
	case c.Look.State.Class == "known":
		return "No release yet"
	default:
		return "Unknown"
	}
}

// summary says how many components there are, and how many could be read.
func (o *overview) summary() string {
	text := fmt.Sprintf("%s, %d read", plural(o.Total, "component"), o.Read)
	if unknown := o.Total - o.Read; unknown > 0 {
		text += fmt.Sprintf(", %d unknown", unknown)
	}
	return text
}

func (c *Console) overview(ctx context.Context, _ *http.Request, p *page) (templ.Component, error) {
	all, err := c.cfg.Store.Components(ctx)
	if err != nil {
		return nil, fmt.Errorf("read components: %w", err)
	}
	q, err := c.cfg.Store.Queue(ctx)
	if err != nil {
		return nil, fmt.Errorf("read queue: %w", err)
	}
	p.Title, p.Section = "Overview", "/"
	return overviewPage(p, newOverview(all, newQueue(q), p)), nil
}

func newOverview(all []account.Component, jobs queue, p *page) *overview {
	o := &overview{Total: len(all), Filter: p.q.text("name"), Queue: jobs}
	tally := map[string]int{}
	for i := range all {
		if all[i].Unknown(p.at) == "" {
			o.Read++
		}
		tally[latestState(&all[i]).Word]++
	}
	for _, s := range []state{resultState(release.ResultFail), resultState(release.ResultUnknown), resultState(release.ResultPass)} {
		o.Totals = append(o.Totals, total{State: s, Count: grouped(int64(tally[s.Word]))})
	}
	order := p.q.sorted("name", "verdict", "critical", "build", "size")
	o.Heads = overviewHeads{
		Name: p.q.column("Component", "name", order), Verdict: p.q.column("Verdict now", "verdict", order),
		Critical: p.q.column("Critical now", "-critical", order).numeric(),
		Build:    p.q.column("Build", "-build", order).numeric(), Size: p.q.column("Size", "-size", order).numeric(),
	}
	shown := slices.DeleteFunc(slices.Clone(all), func(c account.Component) bool { return !strings.Contains(c.Repository, o.Filter) })
	sortComponents(shown, order)
	shown, o.Pager = part(shown, p.q, "component")
	for i := range shown {
		o.Components = append(o.Components, newComponent(&shown[i], p))
	}
	return o
}

// latestState is the verdict on what people would pull.
func latestState(c *account.Component) state {
	if c.Latest == nil {
		return state{Class: "unknown", Word: "Unknown", Reason: "no release is known"}
	}
	return verdictState(c.Latest.Now)
}

// sortComponents puts components into the order that is asked for; the store's is the
// first of all.
func sortComponents(all []account.Component, order string) {
	key, reversed := strings.CutPrefix(order, "-")
	rank := func(c *account.Component) int64 {
		if c.Latest == nil {
			return -1
		}
		switch key {
		case "critical":
			return newCounts(c.Latest.Now).Critical.Sort
		case "build":
			return buildTime(c.Latest.Build).Sort
		default:
			return sizeFigure(c.Latest).Sort
		}
	}
	compare := func(a, b *account.Component) int {
		switch key {
		case "name":
			return strings.Compare(a.Repository, b.Repository)
		case "verdict":
			return slices.Index([]string{"bad", "unknown", "good"}, latestState(a).Class) - slices.Index([]string{"bad", "unknown", "good"}, latestState(b).Class)
		default:
			return cmp.Compare(rank(a), rank(b))
		}
	}
	if key == "" {
		return
	}
	// Not slices.SortStableFunc: it is 50 kB of code more for a type as large as this.
	sort.SliceStable(all, func(i, j int) bool {
		if reversed {
			i, j = j, i
		}
		return compare(&all[i], &all[j]) < 0
	})
}

// part cuts the part that is asked for out of a list that is all there; the cursor is
// the number of items before it.
func part[T any](all []T, q query, unit string) ([]T, pager) {
	from, err := strconv.Atoi(q.values.Get("after"))
	if err != nil || from < 0 || from > len(all) {
		from = 0
	}
	list := account.List[T]{Items: all[from:min(len(all), from+listPart)], Total: len(all)}
	if end := from + listPart; end < len(all) {
		list.Next = strconv.Itoa(end)
	}
	return list.Items, pagerOf(q, len(list.Items), list.Next, list.Total, unit)
}

func newComponent(c *account.Component, p *page) component {
	line := component{Look: newLook(c, p), Releases: releases(c), URL: componentURL(c.Repository)}
	line.Within, line.Name = cutRepository(c.Repository)
	line.Class = latestState(c).Class
	if c.Latest != nil {
		latest := newStanding(c.Latest, p.at)
		line.Latest = &latest
		line.Trend = sparkline(c)
	}
	if line.Look.State.Class == "unknown" && line.Class == "good" {
		line.Class = "unknown"
	}
	if line.Latest != nil && line.Latest.Moved != nil {
		line.Class = "bad"
	}
	return line
}

// cutRepository cuts a repository before its last part: that is what people look for.
func cutRepository(repository string) (within, name string) {
	cut := strings.LastIndex(repository, "/") + 1
	return repository[:cut], repository[cut:]
}

// releases is a count when a look has read everything, and otherwise what can be
// said.
func releases(c *account.Component) string {
	switch {
	case !c.LastComplete.IsZero():
		return grouped(int64(c.Releases))
	case c.Releases > 0:
		return "at least " + grouped(int64(c.Releases))
	default:
		return "unknown"
	}
}
