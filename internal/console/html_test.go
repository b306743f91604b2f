package console_test

import (
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// document is a page taken apart, for checks that do not depend on its spelling.
type document struct {
	t    *testing.T
	root *html.Node
}

func parse(t *testing.T, page string) document {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatalf("parse page: %v", err)
	}
	return document{t, root}
}

// all returns the elements that a selector names: steps separated by spaces, each
// an element, a .class, or both, each somewhere below the one before.
func (d document) all(selector string) []*html.Node {
	found := []*html.Node{d.root}
	for _, step := range strings.Fields(selector) {
		element, class, _ := strings.Cut(step, ".")
		var next []*html.Node
		seen := map[*html.Node]bool{}
		for _, from := range found {
			for n := range from.Descendants() {
				if n.Type != html.ElementNode || seen[n] || element != "" && n.Data != element || class != "" && !hasClass(n, class) {
					continue
				}
				seen[n] = true
				next = append(next, n)
			}
		}
		found = next
	}
	return found
}

// texts returns the text of each element that a selector names.
func (d document) texts(selector string) []string {
	var all []string
	for _, n := range d.all(selector) {
		all = append(all, text(n))
	}
	return all
}

// one returns the text of the only element that a selector names.
func (d document) one(selector string) string {
	d.t.Helper()
	all := d.texts(selector)
	if len(all) != 1 {
		d.t.Fatalf("%s: got %d elements, want 1", selector, len(all))
	}
	return all[0]
}

func hasClass(n *html.Node, class string) bool {
	for _, c := range strings.Fields(attr(n, "class")) {
		if c == class {
			return true
		}
	}
	return false
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// text is what an element says, with runs of white space made one space.
func text(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
