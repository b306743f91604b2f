package atom

import (
	"encoding/xml"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

func noon(day int) time.Time {
	return time.Date(2026, time.March, day, 12, 0, 0, 0, time.FixedZone("CET", 3600))
}

// releases is a feed with something of everything.
func releases() Feed {
	return Feed{
		ID: "tag:tally.example.com,2026:releases", Title: "Releases of web & worker", Subtitle: "As of <today>", Self: "https://tally.example.com/feeds/releases.atom?a=1&b=2",
		Alternate: "https://tally.example.com/", Updated: noon(4), Author: "Tallyman",
		Entries: []Entry{
			{
				ID: "tag:tally.example.com,2026:release/web/v1.2.0", Title: "web v1.2.0: fail", Updated: noon(4), Published: noon(3),
				Link: "https://tally.example.com/releases/web/v1.2.0", Summary: "2 critical findings, expected 0.\nAdvisories of 3 hours ago.", Categories: []string{"fail", "", "web"},
			},
			{ID: "urn:uuid:7b9d0a52-5d3f-4d5a-9a53-0d2b6a9c4d11", Title: "web <v1.1.0>", Updated: noon(2), Link: "http://tally.example.com/r/1"},
		},
	}
}

// read parses a feed back.
func read(t *testing.T, feed string) feedElement {
	t.Helper()
	var d feedElement
	if err := xml.Unmarshal([]byte(feed), &d); err != nil {
		t.Fatalf("not XML: %v\n%q", err, feed)
	}
	if want := (xml.Name{Space: namespace, Local: "feed"}); d.XMLName != want {
		t.Errorf("root is %v, want %v", d.XMLName, want)
	}
	return d
}

func write(t *testing.T, f Feed) string {
	t.Helper()
	var b strings.Builder
	if err := Write(&b, f); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestFeedIsAsTheGoldenFile(t *testing.T) {
	const path = "testdata/releases.golden.atom"
	got := write(t, releases())
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
		t.Errorf("%s is out of date; run: go test ./internal/atom -update\n%s", path, diff)
	}
}

func TestFeedReadsBackAsItWasWritten(t *testing.T) {
	f := releases()
	got := read(t, write(t, f))
	want := f.document()
	want.XMLName = got.XMLName
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.Updated != "2026-03-04T11:00:00Z" {
		t.Errorf("updated %s, want the time in UTC", got.Updated)
	}
}

func TestHostileTextStaysText(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"markup", `</title><script>alert("1")</script>`, `</title><script>alert("1")</script>`},
		{"end of CDATA", "]]>", "]]>"},
		{"entities", "&amp;&#0;&x;", "&amp;&#0;&x;"},
		{"control characters", "a\x00b\x08c\x0Bd\x1Fe\x7F", "abcde\x7F"},
		{"white space", "a\tb\r\nc", "a\tb\r\nc"},
		{"not UTF-8", "a\xffb\xed\xa0\x80c", "abc"},
		{"not characters", "a\uFFFEb\uFFFFc\uFFFDd", "abcd"},
		{"long", strings.Repeat("long", 2500), strings.Repeat("long", 2500)},
		{"beyond the basic plane", "\U0001F6A2", "\U0001F6A2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := releases()
			f.Title, f.Author = c.text, c.text
			f.Entries[0].Title, f.Entries[0].Summary, f.Entries[0].Categories = c.text, c.text, []string{c.text}
			d := read(t, write(t, f))
			e := d.Entries[0]
			if diff := cmp.Diff([]string{c.want, c.want, c.want, c.want, c.want}, []string{d.Title, d.Author.Name, e.Title, e.Summary.Text, e.Categories[0].Term}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnEntryWithoutATitleIsCalledByItsID(t *testing.T) {
	f := releases()
	f.Entries[0].Title = " \x00"
	if got := read(t, write(t, f)).Entries[0].Title; got != f.Entries[0].ID {
		t.Errorf("title %q, want %q", got, f.Entries[0].ID)
	}
}

func TestMistakesAreNamedAndNothingIsWritten(t *testing.T) {
	for _, c := range []struct {
		name string
		harm func(f *Feed)
		want string
	}{
		{"an address as id", func(f *Feed) { f.ID = "https://tally.example.com/" }, `expected tag:authority,date:specific`},
		{"no id", func(f *Feed) { f.Entries[1].ID = "" }, `entry 1, "": id ""`},
		{"a tag without a date", func(f *Feed) { f.ID = "tag:tally.example.com:releases" }, `id "tag:tally.example.com:releases"`},
		{"a urn of two parts", func(f *Feed) { f.ID = "urn:uuid:" }, `id "urn:uuid:"`},
		{"an id with a space", func(f *Feed) { f.ID = "urn:x:a b" }, `' ' is not a character of URIs`},
		{"an id that is not UTF-8", func(f *Feed) { f.ID = "urn:x:a\xff" }, `is not a character of URIs`},
		{"an id twice", func(f *Feed) { f.Entries[1].ID = f.Entries[0].ID }, `the id is there twice`},
		{"a relative link", func(f *Feed) { f.Entries[0].Link = "/releases/1" }, `link "/releases/1": expected an absolute http or https URL`},
		{"a script as link", func(f *Feed) { f.Entries[0].Link = "javascript:alert(1)" }, `expected an absolute http or https URL`},
		{"no self", func(f *Feed) { f.Self = "" }, `self "": expected`},
		{"an alternate that is no URL", func(f *Feed) { f.Alternate = "http://[" }, `alternate: parse`},
		{"a link that XML forbids", func(f *Feed) { f.Alternate = "http://x/\uFFFE" }, `characters that XML forbids`},
		{"no time", func(f *Feed) { f.Updated = time.Time{} }, `expected a time`},
		{"a year of five digits", func(f *Feed) { f.Entries[0].Updated = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC) }, `expected a time`},
		{"a title of nothing", func(f *Feed) { f.Title = " \x00" }, `title: expected text`},
		{"no author", func(f *Feed) { f.Author = "" }, `author: expected text`},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := releases()
			c.harm(&f)
			var b strings.Builder
			err := Write(&b, f)
			if err == nil || !strings.Contains(err.Error(), c.want) || b.Len() > 0 {
				t.Errorf("wrote %d bytes and gave %v, want none and an error with %q", b.Len(), err, c.want)
			}
		})
	}
}

func FuzzFeed(f *testing.F) {
	f.Add("urn:x:y", "title", "https://example.com/")
	f.Add("tag:a,b:c", "]]>\x00\xff\uFFFE", "http://x/?a=<&\"'")
	f.Fuzz(func(t *testing.T, id, text, address string) {
		feed := releases()
		feed.Title, feed.Author, feed.Alternate = text, text, address
		feed.Entries[0] = Entry{ID: id, Title: text, Updated: noon(1), Link: address, Summary: text, Categories: []string{text}}
		var b strings.Builder
		if Write(&b, feed) != nil {
			return
		}
		d := read(t, b.String())
		if d.Entries[0].ID != id || d.Entries[0].Link.Href != address {
			t.Errorf("id %q and link %q read back as %q and %q", id, address, d.Entries[0].ID, d.Entries[0].Link.Href)
		}
	})
}
