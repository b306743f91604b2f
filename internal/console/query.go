package console

import (
	"net/url"
	"slices"
	"strings"

	"github.com/tallyman-io/tallyman/internal/account"
)

// Sizes of the parts in which lists are shown.
const (
	listPart    = 50 // on a page of its own
	releasePart = 25 // of a component's releases, beside its charts and repairs
	hitPart     = 25 // of releases that were found, with why
	excerptPart = 15 // among other things
	wavePart    = 20 // of what a wave did
)

// longestTerm bounds what is searched for, in bytes.
const longestTerm = 512

// query is what a page was asked for: parameters that are known, in a form that
// survives being put into links.
type query struct {
	path   string
	values url.Values
}

func newQuery(u *url.URL) query { return query{path: u.EscapedPath(), values: u.Query()} }

// text is a parameter as it was given, without white space around it, and bounded.
func (q query) text(name string) string {
	text := strings.TrimSpace(strings.ToValidUTF8(q.values.Get(name), "\uFFFD"))
	if len(text) > longestTerm {
		text = strings.ToValidUTF8(text[:longestTerm], "")
	}
	return text
}

// choice is a parameter that is one of the known words; any other counts as not given.
func (q query) choice(name string, known ...string) string {
	if word := q.values.Get(name); slices.Contains(known, word) {
		return word
	}
	return ""
}

// sorted is the order that is asked for: one of the known words, or that with a minus
// before it.
func (q query) sorted(known ...string) string {
	word := q.values.Get("sort")
	if slices.Contains(known, strings.TrimPrefix(word, "-")) {
		return word
	}
	return ""
}

// page is the part of a list that is asked for.
func (q query) page(limit int) account.Page {
	return account.Page{After: q.values.Get("after"), Limit: limit}
}

// inTime is [query.page] of a list in order of time: the newest come first, or, with the
// word for the time and a minus before it, the oldest.
func (q query) inTime(limit int, word string) account.Page {
	p := q.page(limit)
	p.Oldest = q.sorted(word) == "-"+word
	return p
}

// inTimeColumn is the head of the column of the time by which such a list is sorted.
func (q query) inTimeColumn(label, word string) column {
	order := q.sorted(word)
	if order == "" {
		order = word
	}
	return q.mostFirst(label, word, order)
}

// with is the address of the page with other values of some parameters, pairs of name
// and value, and everything else as it is. An empty value takes a parameter out.
func (q query) with(pairs ...string) string {
	values := url.Values{}
	for name, all := range q.values {
		if len(all) > 0 && all[0] != "" {
			values.Set(name, all[0])
		}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			values.Del(pairs[i])
		} else {
			values.Set(pairs[i], pairs[i+1])
		}
	}
	if len(values) == 0 {
		return q.path
	}
	return q.path + "?" + values.Encode()
}

// column is the head of a column: a link that sorts by it, or its name alone.
type column struct {
	Label string
	// URL sorts by the column; empty where it cannot be sorted by.
	URL string
	// Order is the value of aria-sort; empty where it is not sorted by this column.
	Order string
	// Number is for columns that hold numbers.
	Number bool
}

// column returns the head of a column that can be sorted by. key is the word for it,
// with a minus if what people want first is the largest; current is the order that
// holds.
func (q query) column(label, key, current string) column {
	c := column{Label: label}
	name, reversed := strings.TrimPrefix(key, "-"), "-"+strings.TrimPrefix(key, "-")
	if strings.HasPrefix(key, "-") {
		reversed = name
	}
	next := key
	switch current {
	case key:
		next = reversed
		c.Order = orderWord(key)
	case reversed:
		c.Order = orderWord(reversed)
	}
	c.URL = q.with("sort", next, "after", "", "before", "")
	return c
}

// mostFirst is the head of a column whose word alone puts the largest first, and with a
// minus before it the smallest.
func (q query) mostFirst(label, key, current string) column {
	c := q.column(label, key, current)
	switch c.Order {
	case "ascending":
		c.Order = "descending"
	case "descending":
		c.Order = "ascending"
	}
	return c
}

func orderWord(key string) string {
	if strings.HasPrefix(key, "-") {
		return "descending"
	}
	return "ascending"
}

// numeric makes a column one of numbers.
func (c column) numeric() column {
	c.Number = true
	return c
}

// pager leads through the parts of a list.
type pager struct {
	// First leads to the first part, empty when this is it; Next to the next, empty when
	// this is the last.
	First, Next string
	// Says tells how many there are, and how many are shown.
	Says string
}

// leads reports whether there is more than the part that is shown.
func (p *pager) leads() bool { return p.First != "" || p.Next != "" }

// pagerOf returns the pager of a part of a list of what unit names one of.
func pagerOf(q query, shown int, next string, total int, unit string) pager {
	return pagerIn(q, "", shown, next, total, unit)
}

// afterIn is the parameter of where a list goes on, one of several on a page by its id.
func afterIn(list string) string { return list + "-after" }

// pagerIn is [pagerOf] of one of several lists on a page, by its id. The only one has none.
func pagerIn(q query, list string, shown int, next string, total int, unit string) pager {
	p, after, part := pager{}, "after", ""
	if list != "" {
		after, part = afterIn(list), "#"+list
	}
	if q.values.Get(after) != "" {
		p.First = q.with(after, "") + part
	}
	if next != "" {
		p.Next = q.with(after, next) + part
	}
	switch {
	case total >= 0 && shown == total:
		p.Says = plural(shown, unit)
	case total >= 0:
		p.Says = grouped(int64(shown)) + " of " + plural(total, unit)
	case p.First == "" && p.Next == "":
		p.Says = plural(shown, unit)
	default:
		p.Says = plural(shown, unit) + " here, and more"
	}
	return p
}

// pagerBefore returns the pager of a part of a list that goes on at next, behind what one of
// two parameters names, by the order of the list.
func pagerBefore(q query, shown int, next, unit string) pager {
	p := pager{Next: next, Says: plural(shown, unit)}
	if q.text("before")+q.text("after") != "" {
		p.First = q.with("before", "", "after", "")
	}
	if p.First != "" || next != "" {
		p.Says += " here"
	}
	return p
}

// option is one of the values of a filter.
type option struct {
	Value, Label string
	Chosen       bool
}

// options marks the chosen one of the values; pairs of value and label.
func options(chosen string, pairs ...string) []option {
	var all []option
	for i := 0; i+1 < len(pairs); i += 2 {
		all = append(all, option{Value: pairs[i], Label: pairs[i+1], Chosen: pairs[i] == chosen})
	}
	return all
}
