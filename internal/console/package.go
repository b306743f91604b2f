package console

import (
	"context"
	"fmt"
	"strings"

	"github.com/a-h/templ"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/release"
)

// shippedPackage is a package of a release.
type shippedPackage struct {
	Name, Version, PURL string
	SearchURL           string
	Licences            string // empty where the SBOM names none
	Gap                 string
	Findings            figure
	Worst               severity
}

func newPackage(p *account.Package) shippedPackage {
	v := shippedPackage{
		Name: p.Name, Version: p.Version, PURL: p.PURL, SearchURL: searchURL(p.PURL),
		Licences: strings.Join(p.Licences, ", "), Gap: p.Gap, Findings: count(p.Findings),
		Worst: newSeverity(account.Severity{Level: p.Worst}),
	}
	if v.Name == "" {
		v.Name = p.PURL
	}
	if p.Gap != "" {
		v.Findings = unknownFigure(p.Gap)
		if p.Findings > 0 {
			v.Findings.Text = "at least " + grouped(int64(p.Findings))
		}
	}
	return v
}

// packagesView is the list of the packages of a release.
type packagesView struct {
	Frame releaseFrame
	Table packagesTable
	Text  string
	// Licences and Subjects are the values of the filters.
	Licences, Subjects []option
	Filtered           bool
	Pager              pager
	// Unknown says why the packages are not known, or not all. Empty when they are.
	Unknown string
	// Downloads are where the list can be had as a file.
	Downloads []download
	Counts    counts
}

type packagesTable struct {
	ID, Caption string
	// Name, Version and Findings are the heads of the columns that it can be sorted by.
	Name, Version, Findings column
	List                    []shippedPackage
}

func (t *packagesTable) fill(all []account.Package) {
	for i := range all {
		t.List = append(t.List, newPackage(&all[i]))
	}
}

func (c *Console) packagesPage(ctx context.Context, p *page, t target) (templ.Component, error) {
	found, err := c.cfg.Store.Release(ctx, account.Ref{Repository: t.Repository, Name: t.Name})
	if err != nil {
		return nil, fmt.Errorf("read release: %w", err)
	}
	query := account.PackageQuery{
		Text: p.q.text("text"), Licence: p.q.text("licence"),
		Sort: p.q.sorted("name", "version", "findings"),
	}
	subjects := []string{"", "all"}
	for _, d := range sbomSubjects(&found) {
		subjects = append(subjects, string(d.Subject), d.On)
		if p.q.values.Get("on") == string(d.Subject) {
			query.Subject = d.Subject
		}
	}
	v := &packagesView{
		Frame: newReleaseFrame(&found, "packages", p), Text: query.Text, Unknown: packagesUnknown(&found),
		Licences: licenceOptions(found.Licences, query.Licence), Subjects: options(string(query.Subject), subjects...),
		Counts: newCounts(found.Now),
	}
	v.Filtered = query.Text+query.Licence+string(query.Subject) != ""
	list, err := c.packages(ctx, found.Key, query, p.q.page(listPart))
	if err != nil {
		return nil, err
	}
	v.Pager = pagerOf(p.q, len(list.Items), list.Next, list.Total, "package")
	order := query.Sort
	if order == "" {
		order = "name"
	}
	v.Table = packagesTable{
		ID: "packages-list", Caption: "Packages of " + v.Frame.Label,
		Name: p.q.column("Package", "name", order), Version: p.q.column("Version", "version", order),
		Findings: p.q.mostFirst("Findings", "findings", order),
	}
	v.Table.fill(list.Items)
	v.Downloads = c.listDownloads(&found, "packages",
		"text", query.Text, "licence", query.Licence, "subject", string(query.Subject), "sort", query.Sort)
	p.Title = "Packages of " + v.Frame.Label
	return packagesContent(p, v), nil
}

// packages reads packages; of an image that was not looked at none are known.
func (c *Console) packages(ctx context.Context, key int64, q account.PackageQuery, p account.Page) (account.List[account.Package], error) {
	if key == 0 {
		return account.List[account.Package]{Total: -1}, nil
	}
	list, err := c.cfg.Store.Packages(ctx, key, q, p)
	if err != nil {
		return list, fmt.Errorf("read packages: %w", err)
	}
	return list, nil
}

func licenceOptions(all []string, chosen string) []option {
	pairs := []string{"", "any"}
	listed := chosen == ""
	for _, l := range all {
		pairs = append(pairs, l, l)
		listed = listed || l == chosen
	}
	if !listed {
		pairs = append(pairs, chosen, chosen)
	}
	return options(chosen, pairs...)
}

// sbomSubjects are the SBOMs of a release, the first of each manifest.
func sbomSubjects(r *account.Release) []account.Document {
	var list []account.Document
	seen := map[release.Digest]bool{}
	for _, d := range r.Documents {
		if d.Kind == release.PaperSBOM && !seen[d.Subject] {
			seen[d.Subject] = true
			list = append(list, d)
		}
	}
	return list
}

// packagesUnknown says why the packages of a release are not known, or not all of them.
func packagesUnknown(r *account.Release) string {
	if r.Key == 0 {
		return "the papers of this image were not looked at yet"
	}
	var why []string
	some := false
	for _, d := range r.Documents {
		if d.Kind != release.PaperSBOM {
			continue
		}
		some = true
		if d.Failure != "" {
			why = append(why, "the SBOM of "+d.On+" cannot be read: "+d.Failure)
		}
		if d.Unidentified > 0 {
			why = append(why, "the SBOM of "+d.On+" lists "+plural(d.Unidentified, "package")+" without a purl, which nothing can be looked up for")
		}
	}
	if !some {
		return "no SBOM was found that may be believed"
	}
	return strings.Join(why, "; ")
}
