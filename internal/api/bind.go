package api

import (
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
)

// param is a parameter of an operation, and the field that it goes into.
type param struct {
	field     []int
	described *huma.Param
}

// paramsOf reads the parameters out of the tags of an input: path, query, and those that
// huma knows for a schema.
func paramsOf(input reflect.Type, schemas huma.Registry) []param {
	var params []param
	for _, field := range reflect.VisibleFields(input) {
		if field.Anonymous || !field.IsExported() {
			continue
		}
		p := param{field: field.Index, described: &huma.Param{Description: field.Tag.Get("doc")}}
		switch {
		case field.Tag.Get("path") != "":
			p.described.Name, p.described.In, p.described.Required = field.Tag.Get("path"), "path", true
		case field.Tag.Get("query") != "":
			p.described.Name, p.described.In = field.Tag.Get("query"), "query"
			p.described.Required = field.Tag.Get("required") == "true"
		default:
			panic("api: field " + field.Name + " of " + input.String() + " is no parameter")
		}
		p.described.Schema = huma.SchemaFromField(schemas, field, "")
		p.described.Schema.Description = ""
		p.described.Example = example(p.described.Schema)
		params = append(params, p)
	}
	return params
}

func example(s *huma.Schema) any {
	if len(s.Examples) == 0 {
		return nil
	}
	first := s.Examples[0]
	s.Examples = nil
	return first
}

// bind reads the parameters of a request into a new input, and returns everything that
// is wrong with them. Parameters that the operation does not have are wrong too: one that
// is misspelt must not be taken for one that is left out.
func (a *API) bind(o *operation, r *http.Request) (any, []mistake) {
	input := reflect.New(o.input)
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, []mistake{{"query", "name=value pairs, percent-encoded", quoted(r.URL.RawQuery)}}
	}
	var mistakes []mistake
	for i := range o.params {
		p := &o.params[i]
		where := p.described.In + "." + p.described.Name
		value := r.PathValue(p.described.Name)
		if p.described.In == "query" {
			values := query[p.described.Name]
			delete(query, p.described.Name)
			if len(values) > 1 {
				mistakes = append(mistakes, mistake{where, "it once", strconv.Itoa(len(values)) + " times"})
				continue
			}
			value = strings.Join(values, "")
		}
		if wrong := a.set(input.Elem().FieldByIndex(p.field), p.described, where, value); wrong != nil {
			mistakes = append(mistakes, *wrong)
		}
	}
	for name := range query {
		mistakes = append(mistakes, mistake{"query." + short(name), "a parameter that the operation has", "another"})
	}
	return input.Interface(), mistakes
}

// set puts a value into its field, or says what is wrong with it. An empty value is one
// that was left out.
func (a *API) set(field reflect.Value, p *huma.Param, where, value string) *mistake {
	if value == "" {
		if p.Required {
			return &mistake{where, "a value", "none"}
		}
		if p.Schema.Default == nil {
			return nil
		}
		field.Set(reflect.ValueOf(p.Schema.Default).Convert(field.Type()))
		return nil
	}
	// Neither engine of the store can be asked for such a text.
	if !utf8.ValidString(value) || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return &mistake{where, "UTF-8 without control characters", quoted(value)}
	}
	var checked any
	switch field.Kind() {
	case reflect.String:
		field.SetString(value)
		checked = value
	case reflect.Bool:
		b, err := strconv.ParseBool(value)
		if err != nil {
			return &mistake{where, "true or false", quoted(value)}
		}
		field.SetBool(b)
		checked = b
	default:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return &mistake{where, "a whole number", quoted(value)}
		}
		field.SetInt(n)
		checked = float64(n)
	}
	var found huma.ValidateResult
	huma.Validate(a.schemas, p.Schema, huma.NewPathBuffer(nil, 0), huma.ModeWriteToServer, checked, &found)
	if len(found.Errors) == 0 {
		return nil
	}
	expected := "another value"
	if detail, ok := found.Errors[0].(huma.ErrorDetailer); ok {
		expected = strings.TrimPrefix(detail.ErrorDetail().Message, "expected ")
	}
	return &mistake{where, expected, quoted(value)}
}

func short(text string) string {
	const most = 60
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

func itoa(n int) string { return strconv.Itoa(n) }
