package rebuild

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// field is a leaf of two JSON documents that is not the same in both.
type field struct{ path, published, rebuilt string }

// decode reads one JSON value, with numbers as they are written.
func decode(document []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(document))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("expected JSON: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("expected one JSON value, found more behind it")
	}
	return value, nil
}

// maxFields bounds the differing fields of two documents.
const maxFields = 100

// compareJSON returns the fields that differ, in the order of their paths. Paths for
// which skip returns true are left out, with all below them.
func compareJSON(published, rebuilt any, skip func(path string) bool) []field {
	var found []field
	walkJSON("", published, rebuilt, skip, &found)
	return found
}

func walkJSON(path string, a, b any, skip func(string) bool, found *[]field) {
	if len(*found) >= maxFields || skip(path) {
		return
	}
	objectA, isA := a.(map[string]any)
	objectB, isB := b.(map[string]any)
	if isA && isB {
		walkObjects(path, objectA, objectB, skip, found)
		return
	}
	listA, isA := a.([]any)
	listB, isB := b.([]any)
	if isA && isB {
		walkLists(path, listA, listB, skip, found)
		return
	}
	if one, other := text(a), text(b); one != other {
		*found = append(*found, field{path, one, other})
	}
}

func walkObjects(path string, a, b map[string]any, skip func(string) bool, found *[]field) {
	keys := slices.Sorted(maps.Keys(a))
	for key := range b {
		if _, both := a[key]; !both {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		below := join(path, key)
		valueA, hasA := a[key]
		valueB, hasB := b[key]
		switch {
		case hasA && hasB:
			walkJSON(below, valueA, valueB, skip, found)
		case len(*found) >= maxFields || skip(below):
		case hasA:
			*found = append(*found, field{below, text(valueA), absent})
		default:
			*found = append(*found, field{below, absent, text(valueB)})
		}
	}
}

func walkLists(path string, a, b []any, skip func(string) bool, found *[]field) {
	for i := range max(len(a), len(b)) {
		below := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case i < len(a) && i < len(b):
			walkJSON(below, a[i], b[i], skip, found)
		case len(*found) >= maxFields || skip(below):
		case i < len(a):
			*found = append(*found, field{below, text(a[i]), absent})
		default:
			*found = append(*found, field{below, absent, text(b[i])})
		}
	}
}

// join adds a key to a path; one that has dots stands in brackets.
func join(path, key string) string {
	if strings.ContainsAny(key, ".[]") || key == "" {
		return path + "[" + printable(key) + "]"
	}
	if path == "" {
		return printable(key)
	}
	return path + "." + printable(key)
}

// text is a JSON value in one line. What was decoded can be encoded.
func text(value any) string {
	if s, ok := value.(string); ok {
		return clip(s)
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "a value that cannot be shown: " + err.Error()
	}
	return clip(strings.TrimSuffix(out.String(), "\n"))
}
