package atom

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// ContentType is the media type of a feed (RFC 4287, section 2).
const ContentType = "application/atom+xml; charset=utf-8"

const namespace = "http://www.w3.org/2005/Atom"

// Feed is a feed and its entries (RFC 4287, section 4.1.1).
type Feed struct {
	ID        string // a tag: or urn: URI, the same for ever
	Title     string
	Subtitle  string    // plain text; empty leaves it out
	Self      string    // the address of the feed, absolute
	Alternate string    // the page that shows the same, absolute; may be empty
	Updated   time.Time // when something that matters last changed
	Author    string    // the name of who speaks in all entries
	Entries   []Entry   // in the order in which they are written
}

// Entry is one thing that happened (RFC 4287, section 4.1.2).
type Entry struct {
	ID         string // a tag: or urn: URI, unique in the feed, the same for ever
	Title      string // one without anything to see is the ID instead
	Updated    time.Time
	Published  time.Time // when it first appeared; zero leaves it out
	Link       string    // the page about it, absolute
	Summary    string    // plain text; empty leaves it out
	Categories []string  // empty ones are left out
}

// Write writes a feed. It writes nothing and gives an error that names all mistakes
// if an id is not a tag: or urn: URI or is there twice, an address is not an absolute
// http or https URL, or a time or the feed's title or author is missing. Otherwise an error
// is the writer's.
func Write(w io.Writer, f Feed) error {
	if err := f.check(); err != nil {
		return fmt.Errorf("atom feed %q: %w", f.ID, err)
	}
	body, err := xml.MarshalIndent(f.document(), "", "  ")
	if err != nil {
		return fmt.Errorf("atom feed %q: %w", f.ID, err)
	}
	if _, err := io.WriteString(w, xml.Header+string(body)+"\n"); err != nil {
		return fmt.Errorf("write atom feed: %w", err)
	}
	return nil
}

func (f Feed) check() error {
	mistakes := []error{checkID(f.ID), checkURL("self", f.Self), checkTime(f.Updated), checkText("title", f.Title), checkText("author", f.Author)}
	if f.Alternate != "" {
		mistakes = append(mistakes, checkURL("alternate", f.Alternate))
	}
	seen := map[string]bool{}
	for i, e := range f.Entries {
		err := errors.Join(checkID(e.ID), checkURL("link", e.Link), checkTime(e.Updated))
		if seen[e.ID] {
			err = errors.Join(err, errors.New("the id is there twice"))
		}
		seen[e.ID] = true
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("entry %d, %q: %w", i, e.ID, err))
		}
	}
	return errors.Join(mistakes...)
}

// checkID takes tag: URIs (RFC 4151) and urn: URIs (RFC 8141) that have all parts,
// in the characters of URIs.
func checkID(id string) error {
	for _, r := range id {
		if !uriCharacter(r) {
			return fmt.Errorf("id %q: %q is not a character of URIs", id, r)
		}
	}
	scheme, rest, _ := strings.Cut(id, ":")
	first, second, ok := strings.Cut(rest, ":")
	switch {
	case scheme == "urn" && ok && first != "" && second != "":
		return nil
	case scheme == "tag" && ok && second != "":
		if authority, date, ok := strings.Cut(first, ","); ok && authority != "" && date != "" {
			return nil
		}
	}
	return fmt.Errorf("id %q: expected tag:authority,date:specific or urn:namespace:specific", id)
}

func uriCharacter(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r != utf8.RuneError && strings.ContainsRune("-._~:/?#@!$&'()*+,;=%", r)
}

func checkURL(name, address string) error {
	u, err := url.Parse(address)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("%s %q: expected an absolute http or https URL", name, address)
	}
	if clean(address) != address {
		return fmt.Errorf("%s %q: holds characters that XML forbids", name, address)
	}
	return nil
}

// checkTime also refuses the years that RFC 3339 cannot write.
func checkTime(t time.Time) error {
	if y := t.UTC().Year(); t.IsZero() || y < 0 || y > 9999 {
		return fmt.Errorf("updated %s: expected a time", t)
	}
	return nil
}

func checkText(name, text string) error {
	if blank(text) {
		return fmt.Errorf("%s: expected text", name)
	}
	return nil
}

// blank tells that nothing is left of a text.
func blank(text string) bool { return strings.TrimSpace(clean(text)) == "" }

// clean removes what XML 1.0 forbids (section 2.2), and what is not UTF-8.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t', r == '\n', r == '\r':
			return r
		case r < 0x20, r == utf8.RuneError, r == 0xFFFE, r == 0xFFFF:
			return -1
		default:
			return r
		}
	}, s)
}
