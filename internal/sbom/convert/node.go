package convert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// node is an object of a document. What of it is not asked for is lost, and counted.
type node struct {
	fields map[string]any
	// at is its place, path the same without positions.
	at, path string
	lost     losses
	seen     map[string]bool
	err      error
}

// object reads one JSON object.
func object(raw []byte) (map[string]any, error) {
	if !utf8.Valid(raw) {
		return nil, errors.New("expected UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var root map[string]any
	if err := decoder.Decode(&root); err != nil {
		return nil, fmt.Errorf("expected JSON: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) || root == nil {
		return nil, errors.New("expected one JSON object")
	}
	return root, nil
}

func (n *node) place(key string) string { return strings.TrimPrefix(n.at+"."+key, ".") }

func (n *node) fail(key, expected string, found any) {
	if n.err == nil {
		n.err = fmt.Errorf("%s: expected %s, found %s", n.place(key), expected, kindOf(found))
	}
}

func kindOf(v any) string {
	switch v.(type) {
	case string:
		return "a string"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	default:
		return fmt.Sprint(v)
	}
}

// text is a string without the space around it, empty when there is none.
func (n *node) text(key string) string { return strings.TrimSpace(n.verbatim(key)) }

// verbatim is a string as it stands.
func (n *node) verbatim(key string) string {
	n.seen[key] = true
	switch v := n.fields[key].(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		n.fail(key, "a string", v)
		return ""
	}
}

// texts is a list of strings.
func (n *node) texts(key string) []string {
	var all []string
	for i, v := range n.values(key) {
		text, ok := v.(string)
		if !ok {
			n.fail(fmt.Sprintf("%s[%d]", key, i), "a string", v)
			return nil
		}
		all = append(all, text)
	}
	return all
}

func (n *node) values(key string) []any {
	n.seen[key] = true
	switch v := n.fields[key].(type) {
	case nil:
		return nil
	case []any:
		return v
	default:
		n.fail(key, "a list", v)
		return nil
	}
}

// child is an object, nil when there is none.
func (n *node) child(key string) *node {
	n.seen[key] = true
	switch v := n.fields[key].(type) {
	case nil:
		return nil
	case map[string]any:
		return &node{fields: v, at: n.place(key), path: strings.TrimPrefix(n.path+"."+key, "."), lost: n.lost, seen: make(map[string]bool)}
	default:
		n.fail(key, "an object", v)
		return nil
	}
}

// each reads the objects of a list.
func (n *node) each(key string, read func(*node) error) {
	for i, v := range n.values(key) {
		fields, ok := v.(map[string]any)
		if !ok {
			n.fail(fmt.Sprintf("%s[%d]", key, i), "an object", v)
			return
		}
		o := &node{
			fields: fields, at: fmt.Sprintf("%s[%d]", n.place(key), i), path: strings.TrimPrefix(n.path+"."+key, "."),
			lost: n.lost, seen: make(map[string]bool),
		}
		n.take(read(o))
		n.take(o.done())
		if n.err != nil {
			return
		}
	}
}

func (n *node) take(err error) {
	if n.err == nil {
		n.err = err
	}
}

// lose counts something that was asked for and has no place.
func (n *node) lose(what string) {
	n.lost[strings.TrimPrefix(n.path+"."+what, ".")]++
}

// done counts what was not asked for.
func (n *node) done() error {
	for key, value := range n.fields {
		switch v := value.(type) {
		case nil:
			continue
		case string:
			if v == "" || v == noAssertion {
				continue
			}
		case []any:
			if len(v) == 0 {
				continue
			}
		case map[string]any:
			if len(v) == 0 {
				continue
			}
		}
		if !n.seen[key] {
			n.lose(strings.ToValidUTF8(fmt.Sprintf("%.60s", key), "�"))
		}
	}
	return n.err
}
