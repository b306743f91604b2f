package config

import (
	"fmt"
	"slices"
	"strings"
)

// listForm says how the items of a list are written.
type listForm[T any] struct {
	// item stands for an item in the flags' help.
	item string
	// expected and schema describe an item.
	expected string
	schema   map[string]any
	// separators divide the items of a flag or a variable, beside line ends. No
	// item holds one.
	separators string
	// parse understands an item. The problem's suffix is set by the list.
	parse func(item string) (T, *problem)
	// show is an item as config print shows it.
	show func(T) string
}

const (
	commas     = ","
	whiteSpace = " \t"
	lineEnds   = "\r\n"
)

// listOf is a list without an item twice. In a file it is a list; in a flag or
// a variable the items are divided by line ends and the separators.
func listOf[T any](f listForm[T]) kind[[]T] {
	separators := f.separators + lineEnds
	divider := ","
	if !strings.Contains(f.separators, commas) {
		divider = ""
	}
	return kind[[]T]{
		name:     f.item + divider + "...",
		expected: f.expected,
		schema:   map[string]any{"type": "array", "uniqueItems": true, "items": f.schema},
		parse: func(s string) ([]T, []problem) {
			var texts []string
			var items []T
			var problems []problem
			for _, text := range strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(separators, r) }) {
				if text = strings.TrimSpace(text); text == "" {
					continue
				}
				item, p := f.parse(text)
				if p == nil && slices.Contains(texts, text) {
					p = &problem{found: text, what: "listed twice"}
				}
				if p != nil {
					p.suffix = fmt.Sprintf("[%d]", len(texts))
					problems = append(problems, *p)
				}
				texts, items = append(texts, text), append(items, item)
			}
			return items, problems
		},
		text: func(v any) (string, bool) { return listText(v, separators) },
		show: func(l []T) any {
			shown := make([]string, 0, len(l))
			for _, item := range l {
				shown = append(shown, f.show(item))
			}
			return shown
		},
	}
}

// listText is a list of a file as a flag would have it.
func listText(v any, separators string) (string, bool) {
	items, ok := v.([]any)
	if !ok {
		return "", false
	}
	texts := make([]string, len(items))
	for i, it := range items {
		s, ok := it.(string)
		if !ok || strings.TrimSpace(s) == "" || strings.ContainsAny(s, separators) {
			return "", false
		}
		texts[i] = s
	}
	return strings.Join(texts, "\n"), true
}

// list is a list of strings, divided by commas or white space.
func list(item, expected, pattern string, valid func(string) bool) kind[[]string] {
	return listOf(stringList(item, expected, pattern, valid))
}

func stringList(item, expected, pattern string, valid func(string) bool) listForm[string] {
	return listForm[string]{
		item: item, expected: expected, separators: commas + whiteSpace,
		schema: map[string]any{"type": "string", "pattern": pattern},
		parse: func(s string) (string, *problem) {
			if !valid(s) {
				return "", &problem{found: s}
			}
			return s, nil
		},
		show: func(s string) string { return s },
	}
}

// ecosystems are divided by commas alone: "Red Hat" is one.
func ecosystems() kind[[]string] {
	const pattern = `^[A-Za-z][A-Za-z0-9.-]*( [A-Za-z0-9.-]+)*$`
	f := stringList("ecosystem", "an ecosystem of OSV without a release, such as Go, Debian or Red Hat", pattern, matches(pattern))
	f.separators = commas
	return listOf(f)
}
