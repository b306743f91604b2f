package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// Input is everything outside the program that a configuration is made from.
type Input struct {
	// Flags are parsed flags that AddFlags has added to; nil for none.
	Flags *pflag.FlagSet
	// Environ is the environment, as os.Environ returns it.
	Environ []string
}

// Loaded is a configuration without mistakes.
type Loaded[T any] struct {
	Config T
	// Values are the effective settings in the order of their description.
	Values []Value
	// Needles are strings of secrets that must not appear in any output.
	Needles []string
}

// Value is one effective setting as it may be shown.
type Value struct {
	Key string
	// Shown is a string, an int, a bool or a []string, redacted.
	Shown any
	// Origin is where the value was set.
	Origin string
}

// AddFlags adds --config and one flag for each setting.
func (p Program[T]) AddFlags(flags *pflag.FlagSet) {
	flags.String(configFlag, "", "`file` with settings, .yaml, .json or .toml; none is read unless it is named")
	for _, s := range p.bind(new(T)) {
		flags.Var(&flagValue{kind: s.kind}, s.flag(), s.usage())
		if s.kind == yesNoName {
			flags.Lookup(s.flag()).NoOptDefVal = "true"
		}
	}
}

func (s setting) usage() string {
	if s.def == "" {
		return s.doc
	}
	return s.doc + " Default: " + s.def
}

// flagValue keeps a flag's text as it is, so that a wrong value is a mistake
// in the configuration like any other and is listed with the rest.
type flagValue struct {
	kind string
	text string
}

func (v *flagValue) String() string { return v.text }
func (v *flagValue) Type() string   { return v.kind }

// Set keeps text; items of a list that is given more than once add up.
func (v *flagValue) Set(text string) error {
	if strings.HasSuffix(v.kind, "...") && v.text != "" {
		text = v.text + "\n" + text
	}
	v.text = text
	return nil
}

// Load resolves and checks the configuration. The error is Mistakes.
func (p Program[T]) Load(in Input) (Loaded[T], error) {
	r := resolver{program: p.name, flags: in.Flags, file: fileLayer{lines: map[string]int{}}}
	if r.flags == nil {
		r.flags = pflag.NewFlagSet(p.name, pflag.ContinueOnError)
	}
	var c T
	r.settings = p.bind(&c)
	r.readEnvironment(in.Environ)
	r.readFile()
	merged, err := r.merge()
	if err != nil {
		return Loaded[T]{}, err
	}
	values := r.apply(merged)
	if len(r.mistakes) == 0 {
		r.mistakes = p.check(c, r.origin)
	}
	if len(r.mistakes) > 0 {
		return Loaded[T]{}, sorted(r.mistakes)
	}
	var secrets []string
	for _, s := range r.settings {
		secrets = append(secrets, s.needles()...)
	}
	return Loaded[T]{Config: c, Values: values, Needles: secrets}, nil
}

// resolver gathers the layers of one Load, and the mistakes in them.
type resolver struct {
	program  string
	settings []setting
	flags    *pflag.FlagSet
	env      envLayer
	file     fileLayer
	mistakes Mistakes
}

func (r *resolver) mistake(m Mistake) {
	m.Value = shortened(m.Value)
	r.mistakes = append(r.mistakes, m)
}

// merge lays the layers over each other with viper. The environment is handed
// in as a map, because viper itself would read the process's own.
func (r *resolver) merge() (*viper.Viper, error) {
	v := viper.New()
	for _, s := range r.settings {
		v.SetDefault(s.key, s.def)
		if f := r.flags.Lookup(s.flag()); f != nil {
			if err := v.BindPFlag(s.key, f); err != nil {
				return nil, fmt.Errorf("bind flag --%s: %w", s.flag(), err)
			}
		}
	}
	for _, layer := range []map[string]any{r.file.values, r.env.values} {
		if err := v.MergeConfigMap(nested(layer)); err != nil {
			return nil, fmt.Errorf("merge settings: %w", err)
		}
	}
	return v, nil
}

// nested turns dotted keys into the maps within maps that viper merges.
func nested(flat map[string]any) map[string]any {
	tree := make(map[string]any)
	for key, value := range flat {
		at, parts := tree, strings.Split(key, ".")
		for _, part := range parts[:len(parts)-1] {
			next, ok := at[part].(map[string]any)
			if !ok {
				next = make(map[string]any)
				at[part] = next
			}
			at = next
		}
		at[parts[len(parts)-1]] = value
	}
	return tree
}

// apply stores the effective values and checks each of them.
func (r *resolver) apply(merged *viper.Viper) []Value {
	values := make([]Value, 0, len(r.settings))
	for _, s := range r.settings {
		if r.env.broken[s.key] && !r.flagged(s) {
			continue
		}
		raw := merged.Get(s.key)
		if r.fromFile(s) && r.file.values[s.key] == nil {
			raw = nil // viper takes a null for a setting that is not there
		}
		for _, p := range s.set(raw, r.fromFile(s)) {
			r.mistake(Mistake{
				Key:      s.key + p.suffix,
				Origin:   r.origin(s.key),
				Value:    s.found(raw, p),
				Problem:  p.what,
				Expected: s.expected,
			})
		}
		values = append(values, Value{Key: s.key, Shown: s.show(), Origin: r.origin(s.key)})
	}
	return values
}

// found is the wrong value as it may be shown.
func (s setting) found(raw any, p problem) string {
	switch {
	case s.secret:
		text, _ := raw.(string)
		return NewSecret(text).Redacted()
	case p.found != "":
		return p.found
	case raw == nil:
		return ""
	}
	return fmt.Sprint(raw)
}

func (r *resolver) flagged(s setting) bool {
	f := r.flags.Lookup(s.flag())
	return f != nil && f.Changed
}

func (r *resolver) fromFile(s setting) bool {
	_, inEnv := r.env.values[s.key]
	_, inFile := r.file.values[s.key]
	return inFile && !inEnv && !r.flagged(s)
}

// origin says which layer the effective value of key comes from.
func (r *resolver) origin(key string) string {
	i := slices.IndexFunc(r.settings, func(s setting) bool { return s.key == key })
	s := r.settings[i]
	switch {
	case r.flagged(s):
		return "flag --" + s.flag()
	case r.env.origins[key] != "":
		return r.env.origins[key]
	case r.fromFile(s):
		return r.file.origin(key)
	}
	return "default"
}

// readBounded reads a regular file, a pipe or the like of at most limit bytes.
// A path that cannot be read is explained in words an operator can act on.
func readBounded(path string, limit int64) (content []byte, what string) {
	f, err := os.Open(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	// Nothing was written; closing cannot lose anything.
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, "cannot read " + path + ": it is a directory"
	}
	return readAll(f, path, limit)
}

func unreadable(path string, err error) string {
	if errors.Is(err, fs.ErrPermission) {
		if info, statErr := os.Stat(path); statErr == nil {
			return fmt.Sprintf("cannot read %s: permission denied (mode %s, this process has uid %d)", path, info.Mode(), os.Geteuid())
		}
		return fmt.Sprintf("cannot read %s: permission denied (this process has uid %d)", path, os.Geteuid())
	}
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return "cannot read " + path + ": " + pathErr.Err.Error()
	}
	return "cannot read " + path + ": " + err.Error()
}
