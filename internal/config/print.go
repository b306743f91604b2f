package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// PrintYAML writes the effective settings as a configuration file, each with
// its origin behind it. Apart from redacted values it can be loaded again.
func PrintYAML(values []Value) ([]byte, error) {
	root := &yaml.Node{Kind: yaml.MappingNode}
	groups := map[string]*yaml.Node{"": root}
	for _, v := range values {
		group, name, ok := strings.Cut(v.Key, ".")
		if !ok {
			group, name = "", v.Key
		}
		at := groups[group]
		if at == nil {
			at = &yaml.Node{Kind: yaml.MappingNode}
			groups[group] = at
			root.Content = append(root.Content, scalar(group), at)
		}
		key, value := scalar(name), new(yaml.Node)
		if err := value.Encode(v.Shown); err != nil {
			return nil, fmt.Errorf("encode %s: %w", v.Key, err)
		}
		if value.Kind == yaml.SequenceNode && len(value.Content) > 0 {
			key.LineComment = v.Origin
		} else {
			value.LineComment = v.Origin
		}
		at.Content = append(at.Content, key, value)
	}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(root); err != nil {
		return nil, fmt.Errorf("encode settings as YAML: %w", err)
	}
	return b.Bytes(), nil
}

func scalar(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Value: text}
}

// PrintJSON writes the effective settings as one object, by key.
func PrintJSON(values []Value) ([]byte, error) {
	type entry struct {
		Value  any    `json:"value"`
		Origin string `json:"origin"`
	}
	object := make(map[string]entry, len(values))
	for _, v := range values {
		object[v.Key] = entry{v.Shown, v.Origin}
	}
	return indented(object)
}

// indented is v as JSON for people to read, < and > as they are.
func indented(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode as JSON: %w", err)
	}
	return b.Bytes(), nil
}
