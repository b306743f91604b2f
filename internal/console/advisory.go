package console

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/a-h/templ"

	"github.com/tallyman-io/tallyman/internal/account"
)

// advisoryLine is an advisory in lists.
type advisoryLine struct {
	ID, URL   string
	Ecosystem string
	Aliases   []string
	Summary   string
	Severity  severity
	Published *moment
	Modified  *moment
	Withdrawn *moment
	Gone      *moment
	Packages  figure
	Images    figure
}

func newAdvisoryLine(a *account.Advisory, p *page) advisoryLine {
	counted := func(n int) figure {
		if n < 0 {
			return unknownFigure("not counted")
		}
		return count(n)
	}
	return advisoryLine{
		ID: a.ID, URL: advisoryURL(a.ID), Ecosystem: a.Ecosystem, Aliases: a.Aliases, Summary: a.Summary, Severity: newSeverity(a.Severity),
		Published: optional(a.Published, p.at), Modified: optional(a.Modified, p.at),
		Withdrawn: optional(a.Withdrawn, p.at), Gone: optional(a.GoneAt, p.at),
		Packages: counted(a.Packages), Images: counted(a.Images),
	}
}

// feedLine is how the advisories of an ecosystem are kept up to date.
type feedLine struct {
	Ecosystem string
	State     state
	Records   string
	Synced    *moment // nil when no fetch ended well
	Newest    *moment
	Tried     *moment
	Source    string
}

func newFeeds(d account.Data, p *page) []feedLine {
	var list []feedLine
	for _, f := range d.Feeds {
		v := feedLine{
			Ecosystem: f.Ecosystem, Records: grouped(int64(f.Records)), Source: f.Source, State: state{Class: "known", Word: "Complete"},
			Synced: optional(f.SyncedAt, p.at), Newest: optional(f.Newest, p.at), Tried: optional(f.TriedAt, p.at),
		}
		switch {
		case f.Reason != "":
			v.State = state{Class: "unknown", Word: "Not fetched", Reason: f.Reason}
		case f.SyncedAt.IsZero():
			v.State = state{Class: "unknown", Word: "Unknown", Reason: "not fetched yet"}
		case p.at.Sub(f.SyncedAt) >= staleData:
			v.State = state{Class: "unknown", Word: "Old", Reason: "not fetched for " + age(p.at.Sub(f.SyncedAt))}
		}
		if f.SyncedAt.IsZero() && f.Records == 0 {
			v.Records = "unknown"
		}
		list = append(list, v)
	}
	return list
}

// advisoriesView is the list of advisories.
type advisoriesView struct {
	Feeds                  []feedLine
	List                   []advisoryLine
	Pager                  pager
	Ecosystems, Severities []option
	Found                  bool
	ID, Modified, Publish  column
	Filtered               bool
}

func (c *Console) advisories(ctx context.Context, _ *http.Request, p *page) (templ.Component, error) {
	data, err := c.cfg.Store.AdvisoryData(ctx)
	if err != nil {
		return nil, fmt.Errorf("read advisory data: %w", err)
	}
	// What is found is what matters; all of them are to be asked for.
	found := p.q.values.Get("show") != "all"
	query := account.AdvisoryQuery{
		Ecosystem: p.q.text("ecosystem"), Severity: p.q.choice("severity", levels()...), Found: found,
		Sort: p.q.sorted("modified", "published", "id"),
	}
	list, err := c.cfg.Store.Advisories(ctx, query, p.q.page(listPart))
	if err != nil {
		return nil, fmt.Errorf("read advisories: %w", err)
	}
	p.Title, p.Section = "Advisories", "/advisories"
	v := &advisoriesView{Feeds: newFeeds(data, p), Found: found, Pager: pagerOf(p.q, len(list.Items), list.Next, list.Total, "advisory"), Filtered: query.Ecosystem+query.Severity != ""}
	for i := range list.Items {
		v.List = append(v.List, newAdvisoryLine(&list.Items[i], p))
	}
	pairs := []string{"", "any"}
	for _, f := range data.Feeds {
		pairs = append(pairs, f.Ecosystem, f.Ecosystem)
	}
	v.Ecosystems = options(query.Ecosystem, pairs...)
	v.Severities = options(query.Severity, "", "any", "critical", "critical", "high", "high", "medium", "medium", "low", "low", "none", "none", "unscored", "unscored")
	order := query.Sort
	if order == "" {
		order = "modified"
	}
	v.ID, v.Modified, v.Publish = p.q.column("Advisory", "id", order), p.q.mostFirst("Modified", "modified", order), p.q.mostFirst("Published", "published", order)
	return advisoriesContent(p, v), nil
}

// advisoryView is an advisory with the releases that it touches.
type advisoryView struct {
	advisoryLine
	Details    string
	References []reference
	Affected   []affected
	Versions   []advisoryVersion
	Hits       []hit
	Seen       column
	Pager      pager
	Raw        string
	// Cut: not all of the record is shown.
	Cut bool
}

// reference is an address that the record names; it is a link only where that is safe.
type reference struct{ Text, URL string }

type affected struct {
	Package string
	URL     string
	Ranges  []string
}

type advisoryVersion struct {
	FirstSeen, Modified, Withdrawn, Until *moment
}

// Bounds of what is shown of a record.
const (
	longestRecord  = 64 << 10
	longestDetails = 16 << 10
	mostReferences = 40
	mostAffected   = 100
)

func (c *Console) advisory(ctx context.Context, r *http.Request, p *page) (templ.Component, error) {
	id := r.PathValue("id")
	found, err := c.cfg.Store.Advisory(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("read advisory: %w", err)
	}
	hits, err := c.cfg.Store.AdvisoryReleases(ctx, id, p.q.inTime(hitPart, "seen"))
	if err != nil {
		return nil, fmt.Errorf("read releases of advisory: %w", err)
	}
	p.Title, p.Section = found.ID, "/advisories"
	v := newAdvisoryView(&found, p)
	v.Seen = p.q.inTimeColumn("Release", "seen")
	v.Hits, v.Pager = newHits(hits.Items, p), pagerOf(p.q, len(hits.Items), hits.Next, hits.Total, "release")
	return advisoryContent(p, v), nil
}

func newAdvisoryView(a *account.AdvisoryDetail, p *page) *advisoryView {
	v := &advisoryView{advisoryLine: newAdvisoryLine(&a.Advisory, p)}
	for _, one := range a.Versions {
		v.Versions = append(v.Versions, advisoryVersion{
			FirstSeen: optional(one.FirstSeen, p.at), Modified: optional(one.Modified, p.at),
			Withdrawn: optional(one.Withdrawn, p.at), Until: optional(one.Until, p.at),
		})
	}
	v.readRecord(a.Raw)
	return v
}

// record is what is shown of a record of the OSV schema.
type record struct {
	Details    string `json:"details"`
	References []struct {
		Type string `json:"type"`
		URL  string `json:"url"`
	} `json:"references"`
	Affected []struct {
		Package struct {
			Ecosystem string `json:"ecosystem"`
			Name      string `json:"name"`
		} `json:"package"`
		Ranges []struct {
			Type   string              `json:"type"`
			Events []map[string]string `json:"events"`
		} `json:"ranges"`
		Versions []string `json:"versions"`
	} `json:"affected"`
}

// readRecord takes out of a record what is shown apart. A record that cannot be read is
// shown as it is.
func (v *advisoryView) readRecord(raw []byte) {
	v.Raw, v.Cut = excerpt(string(raw), longestRecord)
	var indented bytes.Buffer
	if !v.Cut && json.Indent(&indented, raw, "", "  ") == nil {
		v.Raw, v.Cut = excerpt(indented.String(), longestRecord)
	}
	var r record
	if json.Unmarshal(raw, &r) != nil {
		return
	}
	v.Details, _ = excerpt(r.Details, longestDetails)
	for _, one := range r.References[:min(len(r.References), mostReferences)] {
		v.References = append(v.References, reference{Text: one.URL, URL: safeLink(one.URL)})
	}
	for _, one := range r.Affected[:min(len(r.Affected), mostAffected)] {
		a := affected{Package: one.Package.Ecosystem + " " + one.Package.Name, URL: searchURL(one.Package.Name)}
		for _, rng := range one.Ranges {
			a.Ranges = append(a.Ranges, rangeWords(rng.Type, rng.Events))
		}
		if n := len(one.Versions); n > 0 {
			a.Ranges = append(a.Ranges, plural(n, "version")+" by name")
		}
		v.Affected = append(v.Affected, a)
	}
}

// rangeWords puts the events of a range in the order of the record.
func rangeWords(kind string, events []map[string]string) string {
	text := kind + ":"
	for _, event := range events[:min(len(events), 20)] {
		names := make([]string, 0, len(event))
		for name := range event {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			text += " " + words(name) + " " + event[name] + ";"
		}
	}
	return text[:len(text)-1]
}

// excerpt is the beginning of a text.
func excerpt(text string, most int) (string, bool) {
	if len(text) <= most {
		return text, false
	}
	for most > 0 && text[most]&0xC0 == 0x80 {
		most--
	}
	return text[:most], true
}

// known is how long an advisory has been published.
func (v *advisoryView) known() string {
	if v.Published == nil {
		return "not stated"
	}
	return v.Published.Ago
}
