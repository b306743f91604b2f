package atom

import (
	"encoding/xml"
	"time"
)

// The elements as they are written.
type (
	feedElement struct {
		XMLName xml.Name       `xml:"feed"`
		Space   string         `xml:"xmlns,attr"`
		ID      string         `xml:"id"`
		Title   string         `xml:"title"`
		Note    string         `xml:"subtitle,omitempty"`
		Updated string         `xml:"updated"`
		Author  personElement  `xml:"author"`
		Links   []linkElement  `xml:"link"`
		Entries []entryElement `xml:"entry"`
	}

	entryElement struct {
		ID         string            `xml:"id"`
		Title      string            `xml:"title"`
		Updated    string            `xml:"updated"`
		Published  string            `xml:"published,omitempty"`
		Link       linkElement       `xml:"link"`
		Summary    *textElement      `xml:"summary"`
		Categories []categoryElement `xml:"category"`
	}

	personElement struct {
		Name string `xml:"name"`
	}

	linkElement struct {
		Rel  string `xml:"rel,attr"`
		Type string `xml:"type,attr,omitempty"`
		Href string `xml:"href,attr"`
	}

	textElement struct {
		Type string `xml:"type,attr"`
		Text string `xml:",chardata"`
	}

	categoryElement struct {
		Term string `xml:"term,attr"`
	}
)

func (f Feed) document() feedElement {
	d := feedElement{
		Space: namespace, ID: f.ID, Title: clean(f.Title), Note: clean(f.Subtitle), Updated: stamp(f.Updated), Author: personElement{clean(f.Author)},
		Links: []linkElement{{Rel: "self", Type: "application/atom+xml", Href: f.Self}},
	}
	if f.Alternate != "" {
		d.Links = append(d.Links, linkElement{Rel: "alternate", Type: "text/html", Href: f.Alternate})
	}
	for _, e := range f.Entries {
		d.Entries = append(d.Entries, e.element())
	}
	return d
}

func (e Entry) element() entryElement {
	x := entryElement{ID: e.ID, Title: clean(e.Title), Updated: stamp(e.Updated), Link: linkElement{Rel: "alternate", Type: "text/html", Href: e.Link}}
	// An entry's title may come from outside: it must not be able to stop the feed.
	if blank(x.Title) {
		x.Title = e.ID
	}
	// Published is only a courtesy: a time that cannot be written is left out.
	if checkTime(e.Published) == nil {
		x.Published = stamp(e.Published)
	}
	if s := clean(e.Summary); s != "" {
		x.Summary = &textElement{"text", s}
	}
	for _, c := range e.Categories {
		if c = clean(c); c != "" {
			x.Categories = append(x.Categories, categoryElement{c})
		}
	}
	return x
}

// stamp is a time as RFC 4287, section 3.3 wants it.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
