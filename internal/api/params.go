package api

import (
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Param is a parameter of an operation, as the tags of its field describe it: path or
// query has its name, and the others are those that huma knows for a schema, so that the
// document and the check of what comes in cannot come apart.
type Param struct {
	Name string
	// In is path or query.
	In       string
	Required bool
	// Type is string, integer or boolean.
	Type    string
	Doc     string
	Example string
	// Default is what is taken when it is left out; empty for nothing.
	Default string
	// Enum are the values that it may have; none for any.
	Enum []string
	// Most is the largest value of a number, and the most characters of a text; 0 for no
	// bound.
	Most int

	least   int
	pattern *regexp.Regexp // nil for any text
	field   []int
}

// patterns are those of parameters, each compiled once: most operations have the same.
type patterns map[string]*regexp.Regexp

func (p patterns) compiled(pattern string) *regexp.Regexp {
	if p[pattern] == nil {
		p[pattern] = regexp.MustCompile(pattern)
	}
	return p[pattern]
}

// paramsOf reads the parameters out of the tags of an input.
func paramsOf(input reflect.Type, known patterns) []Param {
	var params []Param
	for _, field := range reflect.VisibleFields(input) {
		if field.Anonymous || !field.IsExported() {
			continue
		}
		tag := field.Tag
		p := Param{
			Name: tag.Get("path"), In: "path", Required: true, Type: typeOf(field.Type.Kind()), Doc: tag.Get("doc"), Example: tag.Get("example"),
			Default: tag.Get("default"), field: field.Index,
		}
		if p.Name == "" {
			p.Name, p.In, p.Required = tag.Get("query"), "query", tag.Get("required") == "true"
		}
		if p.Name == "" {
			panic("api: field " + field.Name + " of " + input.String() + " is no parameter")
		}
		if enum := tag.Get("enum"); enum != "" {
			p.Enum = strings.Split(enum, ",")
		}
		if pattern := tag.Get("pattern"); pattern != "" {
			p.pattern = known.compiled(pattern)
		}
		p.least, p.Most = number(tag, "minimum"), number(tag, "maximum")+number(tag, "maxLength")
		params = append(params, p)
	}
	return params
}

func typeOf(kind reflect.Kind) string {
	switch kind {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Int, reflect.Int64:
		return "integer"
	default:
		panic("api: no parameter can be a " + kind.String())
	}
}

// number is the number in a tag; 0 without it.
func number(tag reflect.StructTag, name string) int {
	text := tag.Get(name)
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		panic("api: " + name + " of a parameter: " + err.Error())
	}
	return n
}

// set puts a value into its field, or says what is wrong with it. An empty value is one
// that was left out.
func (p *Param) set(field reflect.Value, value string) *mistake {
	if value == "" {
		if p.Required {
			return p.wrong("a value", "none")
		}
		if value = p.Default; value == "" {
			return nil
		}
	}
	// Neither engine of the store can be asked for such a text.
	if !utf8.ValidString(value) || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return p.wrong("UTF-8 without control characters", quoted(value))
	}
	switch p.Type {
	case "boolean":
		b, err := strconv.ParseBool(value)
		if err != nil {
			return p.wrong("true or false", quoted(value))
		}
		field.SetBool(b)
	case "integer":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return p.wrong("a whole number", quoted(value))
		}
		if n < int64(p.least) || p.Most > 0 && n > int64(p.Most) {
			return p.wrong(p.bounds(), quoted(value))
		}
		field.SetInt(n)
	default:
		if expected := p.unlike(value); expected != "" {
			return p.wrong(expected, quoted(value))
		}
		field.SetString(value)
	}
	return nil
}

// unlike says what a text should be that is not; empty when it is.
func (p *Param) unlike(text string) string {
	switch {
	case len(p.Enum) > 0 && !contains(p.Enum, text):
		return "one of " + strings.Join(p.Enum, ", ")
	case p.Most > 0 && utf8.RuneCountInString(text) > p.Most:
		return "at most " + strconv.Itoa(p.Most) + " characters"
	case p.pattern != nil && !p.pattern.MatchString(text):
		return "a text that matches " + p.pattern.String()
	}
	return ""
}

func (p *Param) bounds() string {
	if p.Most == 0 {
		return "a number from " + strconv.Itoa(p.least)
	}
	return "a number from " + strconv.Itoa(p.least) + " to " + strconv.Itoa(p.Most)
}

func (p *Param) wrong(expected, found string) *mistake {
	return &mistake{p.In + "." + p.Name, expected, found}
}

func contains(list []string, text string) bool {
	for _, item := range list {
		if item == text {
			return true
		}
	}
	return false
}
