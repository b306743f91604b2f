package console

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sort"

	"github.com/a-h/templ"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/release"
)

// componentView is the page of a component.
type componentView struct {
	Repository, Within, Name string
	Look                     look
	Watched                  bool
	Releases                 string // how many there are
	Latest                   *standing
	List                     []standing
	Pager                    pager
	// Result is the verdict that is asked for, and Results all that can be.
	Result  string
	Results []option
	Heads   componentHeads
	Charts  []templ.Component
	// Repairs are the critical vulnerabilities, the open ones first.
	Repairs []repair
	// MoreRepairs counts those that are left out.
	MoreRepairs int
	Picker      picker
	// Asked is another look that was just asked for, nil when none was.
	Asked *request
}

type componentHeads struct{ Version, Seen column }

// repair is a critical vulnerability, from when it was known to the release without it.
type repair struct {
	ID, URL   string
	From, In  string
	FromURL   string
	InURL     string
	Known     *moment
	Fixed     *moment // nil while it is open
	Took      figure
	openSince bool
}

// mostRepairs is how many repairs are listed; the chart and the API have all.
const mostRepairs = 25

// component shows what a path below /components/ names: a component, a release of it, or
// a list of a release.
func (c *Console) component(ctx context.Context, r *http.Request, p *page) (templ.Component, error) {
	t, ok := parseTarget(r.PathValue("path"))
	if !ok {
		return nil, fmt.Errorf("components: path %q: %w", r.PathValue("path"), errNoPage)
	}
	p.Section = "/"
	switch {
	case t.Name == "":
		return c.componentPage(ctx, p, t.Repository)
	case t.List == "findings":
		return c.findingsPage(ctx, p, t)
	case t.List == "packages":
		return c.packagesPage(ctx, p, t)
	default:
		return c.releasePage(ctx, p, t)
	}
}

func (c *Console) componentPage(ctx context.Context, p *page, repository string) (templ.Component, error) {
	query := account.ReleaseQuery{
		Repository: repository, Sort: p.q.sorted("version", "seen"),
		Result: release.Result(p.q.choice("result", string(release.ResultPass), string(release.ResultFail), string(release.ResultUnknown))),
	}
	var found account.Component
	var list account.List[account.Standing]
	var repairs []account.Repair
	// Two at a time and not three: SQLite has few readers.
	err := together(
		func() (err error) {
			if repairs, err = c.cfg.Store.Repairs(ctx, repository); err != nil {
				return fmt.Errorf("read repairs: %w", err)
			}
			return nil
		},
		func() (err error) {
			if found, err = c.cfg.Store.Component(ctx, repository); err != nil {
				return fmt.Errorf("read component: %w", err)
			}
			if list, err = c.cfg.Store.Releases(ctx, query, p.q.page(releasePart)); err != nil {
				return fmt.Errorf("read releases: %w", err)
			}
			return nil
		},
	)
	if err != nil {
		return nil, err
	}
	p.Title = repository
	v := newComponentView(&found, query, list, repairs, p)
	if v.Asked, err = c.asked(ctx, p, subject{Repository: repository}); err != nil {
		return nil, err
	}
	return componentContent(p, v), nil
}

func newComponentView(c *account.Component, asked account.ReleaseQuery, list account.List[account.Standing], repairs []account.Repair, p *page) *componentView {
	v := &componentView{
		Repository: c.Repository, Look: newLook(c, p), Watched: c.Watched, Releases: releases(c),
		Pager: pagerOf(p.q, len(list.Items), list.Next, list.Total, "release"), Result: string(asked.Result),
		Results: options(string(asked.Result), "", "any", "pass", "Pass", "fail", "Fail", "unknown", "Unknown"),
	}
	v.Within, v.Name = cutRepository(c.Repository)
	order := asked.Sort
	if order == "" {
		order = "version"
	}
	v.Heads = componentHeads{Version: p.q.mostFirst("Release", "version", order), Seen: p.q.mostFirst("First seen", "seen", order)}
	if c.Latest != nil {
		latest := newStanding(c.Latest, p.at)
		v.Latest = &latest
	}
	for i := range list.Items {
		v.List = append(v.List, newStanding(&list.Items[i], p.at))
	}
	for i, r := range repairs {
		if i == mostRepairs {
			v.MoreRepairs = len(repairs) - mostRepairs
			break
		}
		v.Repairs = append(v.Repairs, newRepair(c.Repository, r, p))
	}
	v.Charts = componentCharts(c, repairs, p)
	v.Picker = newPicker(c.Repository, c.Trend, "", "")
	return v
}

func newRepair(repository string, r account.Repair, p *page) repair {
	v := repair{
		ID: r.ID, URL: advisoryURL(r.ID), From: r.From, In: r.In, FromURL: releaseURL(repository, r.From),
		Known: optional(r.KnownAt, p.at), Fixed: optional(r.FixedAt, p.at), openSince: r.FixedAt.IsZero(),
	}
	if r.In != "" {
		v.InURL = releaseURL(repository, r.In)
	}
	switch {
	case r.KnownAt.IsZero():
		v.Took = unknownFigure("nobody says since when it was known")
	case v.openSince:
		v.Took = figure{Text: age(p.at.Sub(r.KnownAt)), Class: "bad"}
	case !r.FixedAt.After(r.KnownAt):
		// A fix may be released before the advisory is published.
		v.Took = figure{Text: "fixed when it became known"}
	default:
		v.Took = figure{Text: age(r.FixedAt.Sub(r.KnownAt))}
	}
	return v
}

// namePart is how many components a list of their names has at once.
const namePart = 100

// byName is a part of the components in order of their names, and what leads through the
// parts of that list, one of several on a page by its id. A part goes on after a name,
// whether there still is such a component or not.
func byName(all []account.Component, list string, q query) ([]account.Component, pager) {
	all = slices.Clone(all)
	// Not slices.SortFunc: it is code anew for each type.
	sort.Slice(all, func(i, j int) bool { return all[i].Repository < all[j].Repository })
	parameter := "after"
	if list != "" {
		parameter = afterIn(list)
	}
	after, first := q.text(parameter), 0
	for first < len(all) && all[first].Repository <= after {
		first++
	}
	part, next := all[first:min(len(all), first+namePart)], ""
	if first+len(part) < len(all) {
		next = part[len(part)-1].Repository
	}
	return part, pagerIn(q, list, len(part), next, len(all), "component")
}
