package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"go.yaml.in/yaml/v3"
)

// fileLayer is what the configuration file says.
type fileLayer struct {
	path string
	// values are by key, with the types that the file gave them.
	values map[string]any
	// lines are by key, where the format tells.
	lines map[string]int
}

func (f fileLayer) origin(key string) string {
	if line := f.lines[key]; line > 0 {
		return fmt.Sprintf("file %s, line %d", f.path, line)
	}
	return "file " + f.path
}

// configLimit bounds a configuration file.
const configLimit = 1 << 20

// readFile takes the settings out of the configuration file, if one is named.
func (r *resolver) readFile() {
	path, origin := r.env.config, "environment "+configEnv
	if f := r.flags.Lookup(configFlag); f != nil && f.Changed {
		path, origin = f.Value.String(), "flag --"+configFlag
	} else if path == "" {
		return
	}
	m := Mistake{Key: configFlag, Origin: origin, Value: path, Expected: "a readable file"}
	content, what := readBounded(path, configLimit)
	if what != "" {
		m.Problem = what
		r.mistake(m)
		return
	}
	format := strings.TrimPrefix(strings.ToLower(filepath.Ext(path)), ".")
	tree, lines, err := decode(format, content)
	if err != nil {
		m.Problem, m.Value, m.Expected = err.Error(), "", "a file of settings in YAML, JSON or TOML, named so"
		m.Origin = "file " + path
		r.mistake(m)
		return
	}
	r.file = fileLayer{path: path, values: map[string]any{}, lines: lines}
	r.flatten("", tree)
}

// flatten moves the values of the file to their keys; what is no setting, and
// no group of settings, is a mistake.
func (r *resolver) flatten(prefix string, tree map[string]any) {
	for name, value := range tree {
		key := prefix + name
		known := slices.ContainsFunc(r.settings, func(s setting) bool { return s.key == key })
		group := slices.ContainsFunc(r.settings, func(s setting) bool { return strings.HasPrefix(s.key, key+".") })
		switch sub, isMap := value.(map[string]any); {
		case strings.Contains(name, "."):
			r.unknownKey(prefix, name, "a key with a dot in it", "groups of settings, one inside the other")
		case known:
			r.file.values[key] = value
		case group && isMap:
			r.flatten(key+".", sub)
		case group && value == nil:
			// A group whose settings are all commented out.
		case group:
			r.unknownKey(prefix, name, "not a group of settings", "settings below it")
		default:
			r.unknownKey(prefix, name, "", "only keys that docs/configuration.md lists")
		}
	}
}

// unknownKey never shows the value: below a mistyped key may be a secret.
func (r *resolver) unknownKey(prefix, name, what, expected string) {
	key := prefix + name
	if what == "" {
		known := make([]string, len(r.settings))
		for i, s := range r.settings {
			known[i] = s.key
		}
		what = "unknown key" + suggest(key, append(known, r.groups()...))
		if owner, keys := foreign(r.program); slices.ContainsFunc(keys, func(theirs string) bool {
			return theirs == key || strings.HasPrefix(theirs, key+".")
		}) {
			what = "a setting of " + owner + ", not of " + r.program
		}
	}
	r.mistake(Mistake{Key: key, Origin: r.file.origin(key), Problem: what, Expected: expected})
}

func (r *resolver) groups() []string {
	var groups []string
	for _, s := range r.settings {
		if group, _, ok := strings.Cut(s.key, "."); ok && !slices.Contains(groups, group) {
			groups = append(groups, group)
		}
	}
	return groups
}

// decode reads a document of the format that the file's name ends in. Lines
// are by dotted key; only YAML tells them.
func decode(format string, content []byte) (tree map[string]any, lines map[string]int, err error) {
	lines = make(map[string]int)
	switch format {
	case "yaml", "yml":
		tree, err = decodeYAML(content, lines)
	case "json":
		tree, err = decodeJSON(content)
	case "toml":
		err = decodeTOML(content, &tree)
	case "":
		err = errors.New("the file's name does not tell its format")
	default:
		err = fmt.Errorf("the format %q is not supported", format)
	}
	if err != nil {
		return nil, nil, err
	}
	return tree, lines, nil
}

func decodeYAML(content []byte, lines map[string]int) (map[string]any, error) {
	d := yaml.NewDecoder(bytes.NewReader(content))
	var document yaml.Node
	switch err := d.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, yamlError(err)
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more than one YAML document in it")
	}
	var tree map[string]any
	if err := document.Decode(&tree); err != nil {
		return nil, yamlError(err)
	}
	if len(document.Content) == 1 {
		noteLines(document.Content[0], "", lines)
	}
	return tree, nil
}

// yamlError keeps the line and drops the values that the decoder quotes,
// which may be secrets.
func yamlError(err error) error {
	var types *yaml.TypeError
	if !errors.As(err, &types) {
		// The parser quotes of the document: an unquoted password that begins with * or &
		// is taken for an alias or an anchor.
		quoted := regexp.MustCompile("(anchor )'[^']*'|`[^`]*`")
		// It counts lines from 0 in some errors and from 1 in others.
		text := strings.Replace(err.Error(), "yaml: line", "yaml: near line", 1)
		return errors.New(quoted.ReplaceAllString(text, "$1…"))
	}
	what := make([]string, len(types.Errors))
	for i, e := range types.Errors {
		if before, _, ok := strings.Cut(e, " `"); ok {
			_, after, _ := strings.Cut(e, "` ")
			e = before + " a value " + after
		}
		what[i] = "yaml: " + strings.ReplaceAll(e, "map[string]interface {}", "settings")
	}
	return errors.New(strings.Join(what, ", "))
}

func noteLines(n *yaml.Node, prefix string, lines map[string]int) {
	if n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := prefix + n.Content[i].Value
		lines[key] = n.Content[i].Line
		noteLines(n.Content[i+1], key+".", lines)
	}
}

func decodeJSON(content []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(content))
	d.UseNumber()
	var tree map[string]any
	err := d.Decode(&tree)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return tree, nil
		}
		err = errors.New("there is more than one value in it")
	}
	at := d.InputOffset()
	var syntax *json.SyntaxError
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		at = syntax.Offset
	case errors.Is(err, io.ErrUnexpectedEOF):
		at = int64(len(content))
	case errors.As(err, &wrongType):
		err = errors.New("it is not an object of settings")
	}
	at = min(at, int64(len(content)))
	return nil, fmt.Errorf("json: line %d: %w", 1+bytes.Count(content[:at], []byte("\n")), err)
}

func decodeTOML(content []byte, tree *map[string]any) error {
	err := toml.Unmarshal(content, tree)
	var at *toml.DecodeError
	if errors.As(err, &at) {
		line, _ := at.Position()
		return fmt.Errorf("toml: line %d: %w", line, err)
	}
	return err
}
