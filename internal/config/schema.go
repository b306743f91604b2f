package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
)

// Schema is the JSON Schema (2020-12) of the program's configuration file.
func (p Program[T]) Schema() ([]byte, error) {
	top, groups := map[string]any{}, map[string]map[string]any{}
	for _, s := range p.bind(new(T)) {
		def, err := s.defaultValue()
		if err != nil {
			return nil, err
		}
		property := maps.Clone(s.schema)
		property["description"] = s.doc
		property["default"] = def
		group, name, ok := strings.Cut(s.key, ".")
		if !ok {
			top[s.key] = property
			continue
		}
		if groups[group] == nil {
			groups[group] = map[string]any{}
		}
		groups[group][name] = property
	}
	for group, properties := range groups {
		top[group] = object(properties)
	}
	root := object(top)
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "Configuration of Tallyman's " + p.name
	return indented(root)
}

func object(properties map[string]any) map[string]any {
	return map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
}

// defaultValue is the default with the type it has in a file.
func (s setting) defaultValue() (json.RawMessage, error) {
	if problems := s.set(s.def, false); len(problems) > 0 {
		return nil, fmt.Errorf("the default %q of %s is not valid", s.def, s.key)
	}
	b, err := json.Marshal(s.show())
	if err != nil {
		return nil, fmt.Errorf("encode the default of %s: %w", s.key, err)
	}
	return b, nil
}
