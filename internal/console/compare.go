package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/a-h/templ"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/release"
)

// picker is the form that chooses two releases: any of them, by version or digest.
type picker struct {
	Repository string
	From, To   choice
	// Names are offered, the newest first.
	Names []string
}

// choice is what stands in a field of the form, and what is wrong with it; empty when
// nothing is.
type choice struct{ Name, Wrong string }

// newPicker offers the newest releases: where nothing is chosen, the newest of them with
// the one before it.
func newPicker(repository string, trend []account.Standing, from, to string) picker {
	p := picker{Repository: repository, From: choice{Name: from}, To: choice{Name: to}}
	for i := range slices.Backward(trend) {
		p.Names = append(p.Names, refName(&trend[i]))
	}
	if from == "" && len(p.Names) > 1 {
		p.From.Name = p.Names[1]
	}
	if to == "" && len(p.Names) > 0 {
		p.To.Name = p.Names[0]
	}
	return p
}

// check says of the names that were chosen which are none of a release.
func (k *picker) check(ctx context.Context, s Store) error {
	for _, c := range []*choice{&k.From, &k.To} {
		switch _, err := s.Release(ctx, account.Ref{Repository: k.Repository, Name: c.Name}); {
		case errors.Is(err, account.ErrNotFound):
			c.Wrong = "No release or digest of that name is known of " + k.Repository + "."
		case err != nil:
			return fmt.Errorf("read release: %w", err)
		}
	}
	return nil
}

// comparison is what differs between two releases, in the words that the page shows.
type comparison struct {
	Repository string
	From, To   standing
	Picker     picker
	SwapURL    string
	// Facts are the properties of both, side by side.
	Facts []fact
	Sizes []sizeChange

	Packages account.PackageChanges
	// Changes are parts of the lists of Packages.
	Changes           []packageChanges
	Fixed, Introduced []finding
	Common            string
	// FindingsUnknown says why the findings of one of them may not be all. Empty when
	// they are.
	FindingsUnknown           string
	LicencesGone, LicencesNew []string
}

// fact is a property of two releases.
type fact struct {
	Name     string
	From, To figure
	// Differs: the two are known, and not the same.
	Differs bool
}

// packageChanges is a part of the packages that one of two releases has in other versions,
// or not at all.
type packageChanges struct {
	ID, Title string
	List      []packageChange
	// Total counts those of all parts.
	Total int
	Pager pager
}

type packageChange struct {
	Package   string
	SearchURL string
	From, To  string
}

type sizeChange struct {
	Platform string
	From, To figure
	Change   figure
}

func (c *Console) compare(ctx context.Context, _ *http.Request, p *page) (templ.Component, error) {
	repository, from, to := p.q.text("repository"), p.q.text("from"), p.q.text("to")
	p.Title, p.Section = "Compare", "/compare"
	if repository == "" {
		all, err := c.cfg.Store.Components(ctx)
		if err != nil {
			return nil, fmt.Errorf("read components: %w", err)
		}
		part, pager := byName(all, "", p.q)
		names := make([]string, 0, len(part))
		for i := range part {
			names = append(names, part[i].Repository)
		}
		return compareChoice(p, names, pager), nil
	}
	found, err := c.cfg.Store.Component(ctx, repository)
	if err != nil {
		return nil, fmt.Errorf("read component: %w", err)
	}
	if from == "" || to == "" {
		return compareStart(p, newPicker(repository, found.Trend, from, to)), nil
	}
	part := func(list string) account.Page {
		return account.Page{After: p.q.values.Get(afterIn(list)), Limit: changePart}
	}
	diff, err := c.cfg.Store.Compare(ctx, account.Ref{Repository: repository, Name: from}, account.Ref{Repository: repository, Name: to},
		account.ComparePages{Added: part("added"), Removed: part("removed"), Changed: part("changed")})
	picked := newPicker(repository, found.Trend, from, to)
	if errors.Is(err, account.ErrNotFound) {
		if err := picked.check(ctx, c.cfg.Store); err != nil {
			return nil, err
		}
		p.status = http.StatusNotFound
		return compareStart(p, picked), nil
	}
	if err != nil {
		return nil, fmt.Errorf("compare: %w", err)
	}
	p.Title = fmt.Sprintf("%s and %s of %s compared", from, to, repository)
	v := newComparison(&diff, p)
	v.Repository, v.SwapURL = repository, compareURL(repository, to, from)
	v.Picker = picked
	return compareContent(p, v), nil
}

func newComparison(d *account.Comparison, p *page) *comparison {
	v := &comparison{
		From: newStanding(&d.From, p.at), To: newStanding(&d.To, p.at),
		Packages: d.Packages, Common: grouped(int64(d.Common)),
		LicencesGone: d.LicencesGone, LicencesNew: d.LicencesNew,
		FindingsUnknown: uncountedOf(d),
	}
	v.Facts = facts(d)
	for _, s := range d.Sizes {
		v.Sizes = append(v.Sizes, newSizeChange(s))
	}
	v.Changes = []packageChanges{
		newPackageChanges("changed", "Changed", &d.Packages.Changed, p.q),
		newPackageChanges("added", "Added", &d.Packages.Added, p.q),
		newPackageChanges("removed", "Removed", &d.Packages.Removed, p.q),
	}
	for i := range d.Fixed {
		v.Fixed = append(v.Fixed, newFinding(&d.Fixed[i], p.at))
	}
	for i := range d.Introduced {
		v.Introduced = append(v.Introduced, newFinding(&d.Introduced[i], p.at))
	}
	return v
}

// uncountedOf says which of the two releases has findings that could not be counted.
func uncountedOf(d *account.Comparison) string {
	var why []string
	for _, s := range []*account.Standing{&d.From, &d.To} {
		if n := newCounts(s.Now); !n.Known {
			why = append(why, refName(s)+": "+n.Why)
		}
	}
	return strings.Join(why, "; ")
}

// changePart is how many packages of a kind are shown at once.
const changePart = 25

func newPackageChanges(id, title string, l *account.List[account.PackageChange], q query) packageChanges {
	v := packageChanges{ID: id, Title: title, Total: l.Total, Pager: pagerIn(q, id, len(l.Items), l.Next, l.Total, "package")}
	for _, c := range l.Items {
		v.List = append(v.List, packageChange{
			Package: c.Package, SearchURL: searchURL(c.Package),
			From: strings.Join(c.From, ", "), To: strings.Join(c.To, ", "),
		})
	}
	return v
}

// facts sets the two releases side by side.
func facts(d *account.Comparison) []fact {
	from, to := d.From.Build, d.To.Build
	all := []fact{
		newFact("Verdict now", word(verdictState(d.From.Now)), word(verdictState(d.To.Now))),
		newFact("Critical now", newCounts(d.From.Now).Critical, newCounts(d.To.Now).Critical),
		newFact("Signer", named(d.FromSigners, "no verified signature"), named(d.ToSigners, "no verified signature")),
		newFact("Size of the largest platform", sizeFigure(&d.From), sizeFigure(&d.To)),
		newFact("Build duration", buildTime(from), buildTime(to)),
		newFact("Base image", stated(from, func(b *release.Build) string { return b.Base }), stated(to, func(b *release.Build) string { return b.Base })),
		newFact("Commit", stated(from, func(b *release.Build) string { return b.Commit }), stated(to, func(b *release.Build) string { return b.Commit })),
		newFact("Builder", stated(from, func(b *release.Build) string { return b.Builder }), stated(to, func(b *release.Build) string { return b.Builder })),
	}
	for _, tool := range toolNames(from, to) {
		version := func(b *release.Build) string { return b.Tools[tool] }
		all = append(all, newFact("Toolchain: "+tool, stated(from, version), stated(to, version)))
	}
	return all
}

func newFact(name string, from, to figure) fact {
	return fact{Name: name, From: from, To: to, Differs: from.Class != "unknown" && to.Class != "unknown" && from.Text != to.Text}
}

// word is a state as one of the facts.
func word(s state) figure {
	if s.Class == "unknown" {
		return unknownFigure(s.Reason)
	}
	f := figure{Text: s.Word}
	if s.Class == "bad" {
		f.Class = "bad"
	}
	return f
}

func named(names []string, none string) figure {
	if len(names) == 0 {
		return unknownFigure(none)
	}
	return figure{Text: strings.Join(names, "; ")}
}

// stated is something that verified provenance states.
func stated(b *release.Build, of func(*release.Build) string) figure {
	if b == nil {
		return unknownFigure("no verified provenance")
	}
	if text := of(b); text != "" {
		return figure{Text: text}
	}
	return unknownFigure("the provenance does not say")
}

// toolNames are the tools that either build states, in order.
func toolNames(builds ...*release.Build) []string {
	var names []string
	for _, b := range builds {
		if b == nil {
			continue
		}
		for name := range b.Tools {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func newSizeChange(s account.SizeChange) sizeChange {
	bytes := func(n int64) figure {
		if n < 0 {
			return figure{Text: "not there", Class: "absent"}
		}
		return figure{Text: size(n), Sort: n}
	}
	v := sizeChange{Platform: s.Platform, From: bytes(s.From), To: bytes(s.To)}
	if s.From < 0 || s.To < 0 {
		v.Change = figure{Text: "–", Class: "absent"}
		return v
	}
	delta := s.To - s.From
	switch {
	case delta > 0:
		v.Change = figure{Text: "+" + size(delta)}
	case delta < 0:
		v.Change = figure{Text: "−" + size(-delta)}
	default:
		v.Change = figure{Text: "the same"}
	}
	if s.From > 0 && delta != 0 {
		v.Change.Text += fmt.Sprintf(" (%+.1f %%)", 100*float64(delta)/float64(s.From))
	}
	return v
}

// shownName is the version of a release, or the beginning of its digest.
func shownName(s *standing) string {
	if s.Version != "" {
		return s.Version
	}
	return short(s.Digest)
}

func orDash(text string) string {
	if text == "" {
		return "–"
	}
	return text
}
