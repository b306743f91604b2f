package console

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/tallyman-io/tallyman/internal/account"
)

// finding is a vulnerability of a release, in the words that the page shows.
type finding struct {
	ID, URL string
	// Others are all its other names.
	Others   []string
	Summary  string
	Severity severity
	Package  string
	Version  string
	PURL     string
	// PackageURL searches for the package in all releases.
	PackageURL string
	Fixed      []string
	Why        string
	Published  *moment
	Known      *moment
	Gone       *moment
	When       occurrence
	Statement  *statement
	Suppressed bool
}

type severity struct {
	Class, Level string
	Score        string // empty where nobody scored it
	By           string // the notation of the score
	Through      string
}

// occurrence says when a finding applies.
type occurrence struct{ Class, Word, Says string }

// statement is what VEX says of a finding.
type statement struct {
	// Status has the justification behind it.
	Status, Impact, Action, Author, Origin string
	At                                     *moment
}

func newSeverity(s account.Severity) severity {
	v := severity{Class: severityClass(s.Level), Level: s.Level, By: s.By, Through: s.Through}
	if v.Class == "sev-unscored" {
		v.Level = "unscored"
	}
	if s.Score > 0 {
		v.Score = strconv.FormatFloat(s.Score, 'f', 1, 64)
	}
	return v
}

func newFinding(f *account.Finding, now time.Time) finding {
	v := finding{
		ID: f.ID, URL: advisoryURL(f.ID), Summary: f.Summary, Severity: newSeverity(f.Severity),
		Package: f.Package, Version: f.PackageVersion, PURL: f.PURL, PackageURL: searchURL(f.PURL),
		Fixed: f.Fixed, Why: f.Why, Published: optional(f.Published, now), Known: optional(f.Known, now), Gone: optional(f.GoneAt, now),
		When: newOccurrence(f.Occurrence), Suppressed: f.Suppressed(),
	}
	if v.Package == "" {
		v.Package = f.PURL
	}
	seen := map[string]bool{f.ID: true}
	for _, list := range [][]string{f.IDs, f.Aliases} {
		for _, id := range list {
			if !seen[id] {
				seen[id] = true
				v.Others = append(v.Others, id)
			}
		}
	}
	if s := f.Statement; s != nil {
		v.Statement = &statement{
			Status: words(s.Status), Impact: s.Impact, Action: s.Action, Author: s.Author, Origin: s.Origin, At: optional(s.At, now),
		}
		if s.Justification != "" {
			v.Statement.Status += ": " + words(s.Justification)
		}
	}
	return v
}

// words are those of a term that a format writes with underscores.
func words(term string) string { return strings.ReplaceAll(term, "_", " ") }

func newOccurrence(o account.Occurrence) occurrence {
	switch o {
	case account.Then:
		return occurrence{"then", "Then and now", "known when the image became a release, and still stands"}
	case account.Since:
		return occurrence{"since", "Now, not then", "became known after the release, and stands"}
	case account.Gone:
		return occurrence{"gone", "Then, not now", "was found once; the advisory no longer says so"}
	default:
		return occurrence{"unknown", "Unknown", "it is not known when it applies"}
	}
}

// findingsView is the list of the findings of a release.
type findingsView struct {
	Frame releaseFrame
	Table findingsTable
	// Text, Severity and Show are what is asked for.
	Text             string
	Severities, Show []option
	Filtered         bool
	Pager            pager
	Counts           counts
	Downloads        []download
}

// findingsTable is a table of findings; the heads are links where it can be sorted.
type findingsTable struct {
	ID, Caption                          string
	Severity, IDHead, PackageHead, Known column
	List                                 []finding
	// Plain leaves out what belongs to one release: then, now and VEX.
	Plain bool
}

func (c *Console) findingsPage(ctx context.Context, p *page, t target) (templ.Component, error) {
	found, err := c.cfg.Store.Release(ctx, account.Ref{Repository: t.Repository, Name: t.Name})
	if err != nil {
		return nil, fmt.Errorf("read release: %w", err)
	}
	query := account.FindingQuery{
		Severity: p.q.choice("severity", levels()...), Show: p.q.choice("show", "open", "suppressed", "gone"),
		Text: p.q.text("text"), Sort: p.q.sorted("severity", "package", "id", "known"),
	}
	v := &findingsView{Frame: newReleaseFrame(&found, "findings", p), Counts: newCounts(found.Now), Text: query.Text}
	v.Filtered = query.Severity+query.Show+query.Text != ""
	v.Severities = options(query.Severity, "", "any", "critical", "critical", "high", "high", "medium", "medium", "low", "low", "none", "none", "unscored", "unscored")
	v.Show = options(query.Show, "", "all", "open", "those that count", "suppressed", "suppressed by VEX", "gone", "no longer found")
	list, err := c.findings(ctx, found.Key, query, p.q.page(listPart))
	if err != nil {
		return nil, err
	}
	v.Pager = pagerOf(p.q, len(list.Items), list.Next, list.Total, "finding")
	order := query.Sort
	if order == "" {
		order = "severity"
	}
	v.Table = findingsTable{
		ID: "findings-list", Caption: "Findings of " + v.Frame.Label,
		Severity: p.q.mostFirst("Severity", "severity", order), IDHead: p.q.column("Advisory", "id", order),
		PackageHead: p.q.column("Package", "package", order), Known: p.q.column("When", "-known", order),
	}
	v.Table.fill(list.Items, p.at)
	v.Downloads = c.listDownloads(&found, "findings", "severity", query.Severity, "show", query.Show, "text", query.Text, "sort", query.Sort)
	p.Title = "Findings of " + v.Frame.Label
	return findingsContent(p, v), nil
}

func (t *findingsTable) fill(all []account.Finding, now time.Time) {
	for i := range all {
		t.List = append(t.List, newFinding(&all[i], now))
	}
}

// findings reads findings; an image that was not looked at has none to read.
func (c *Console) findings(ctx context.Context, key int64, q account.FindingQuery, p account.Page) (account.List[account.Finding], error) {
	if key == 0 {
		return account.List[account.Finding]{Total: -1}, nil
	}
	list, err := c.cfg.Store.Findings(ctx, key, q, p)
	if err != nil {
		return list, fmt.Errorf("read findings: %w", err)
	}
	return list, nil
}
