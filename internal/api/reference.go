package api

import (
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"sort"
	"strings"
	"time"
)

// Reference is what there is to know of the API, for the page that shows it. It says the
// same as the OpenAPI document.
type Reference struct {
	Groups []Group
	// Types are those that the operations answer with, and those in them, by name.
	Types []Type
}

// Group are the operations about one thing.
type Group struct {
	Name       string
	Operations []Operation
}

// Operation is something that the API does.
type Operation struct {
	// ID does not change; it is the operationId of the document.
	ID, Method, Path     string
	Summary, Description string
	// Role is the least that may call it, and Scope what a token needs beside it.
	Role, Scope string
	Params      []Param
	// Accepts are the media types of what is sent, none when nothing is.
	Accepts []string
	// Status is that of success, Gives the name of the type of the answer, empty when it
	// is of one of the media types.
	Status int
	Gives  string
	Media  []string
	// Example is a command that calls it, with TALLYMAN_URL and TALLYMAN_TOKEN to be set.
	Example string
}

// Type is an object of the answers.
type Type struct {
	Name   string
	Fields []Field
}

// Field is a member of an object.
type Field struct {
	Name, Type, Doc string
	// Null: it may be null, which is "not known".
	Null bool
	Enum []string
}

// Reference describes the API.
func (a *API) Reference() Reference {
	var r Reference
	types := make(map[string]reflect.Type)
	for _, o := range a.operations {
		i := slices.IndexFunc(r.Groups, func(g Group) bool { return g.Name == o.tag })
		if i < 0 {
			r.Groups = append(r.Groups, Group{Name: o.tag})
			i = len(r.Groups) - 1
		}
		r.Groups[i].Operations = append(r.Groups[i].Operations, o.tell())
		collectTypes(o.gives, types)
	}
	collectTypes(shape[problem](), types)
	for name, t := range types {
		r.Types = append(r.Types, Type{name, fieldsOf(t)})
	}
	sort.Slice(r.Types, func(i, j int) bool { return r.Types[i].Name < r.Types[j].Name })
	return r
}

func (o *operation) tell() Operation {
	told := Operation{
		ID: o.id, Method: o.method, Path: o.path, Summary: o.summary, Description: o.description, Role: o.role().String(), Scope: string(o.scope),
		Params: o.params, Accepts: o.accepts, Status: o.success(), Media: o.media, Example: o.example(),
	}
	if told.Scope == "" {
		told.Scope = "read"
	}
	if o.gives != nil {
		told.Gives, told.Media = typeName(o.gives), []string{"application/json"}
	}
	return told
}

// example is a command that calls the operation.
func (o *operation) example() string {
	path, query := o.path, url.Values{}
	for i := range o.params {
		p := &o.params[i]
		value := p.Example
		if value == "" && len(p.Enum) > 0 {
			value = p.Enum[0]
		}
		switch {
		case p.In == "path":
			path = strings.ReplaceAll(path, "{"+p.Name+"}", url.PathEscape(value))
		case p.Required || len(o.accepts) > 0:
			query.Set(p.Name, value)
		}
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	command := `curl -fsS -H "Authorization: Bearer $TALLYMAN_TOKEN" `
	if len(o.accepts) > 0 {
		command += "-H 'Content-Type: " + o.accepts[0] + "' --data-binary @sbom.json "
	} else if o.method != http.MethodGet {
		command += "-X " + o.method + " "
	}
	return command + `"$TALLYMAN_URL` + path + `"`
}

// collectTypes adds a type and those in it that are objects.
func collectTypes(t reflect.Type, found map[string]reflect.Type) {
	for t != nil && (t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice) {
		t = t.Elem()
	}
	if t == nil || t.Kind() != reflect.Struct || t == shape[time.Time]() || found[typeName(t)] != nil {
		return
	}
	found[typeName(t)] = t
	for _, field := range reflect.VisibleFields(t) {
		if field.IsExported() && !field.Anonymous {
			collectTypes(field.Type, found)
		}
	}
}

func fieldsOf(t reflect.Type) []Field {
	var fields []Field
	for _, field := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" || !field.IsExported() {
			continue
		}
		f := Field{Name: name, Type: typeName(field.Type), Doc: field.Tag.Get("doc"), Null: field.Type.Kind() == reflect.Pointer}
		if enum := field.Tag.Get("enum"); enum != "" {
			f.Enum = strings.Split(enum, ",")
		}
		fields = append(fields, f)
	}
	return fields
}

// typeName is the name of a type in JSON, and of an object in the document.
func typeName(t reflect.Type) string {
	switch {
	case t == shape[time.Time]():
		return "time"
	case t == shape[json.RawMessage]():
		return "any JSON"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeName(t.Elem())
	case reflect.Slice:
		return "list of " + typeName(t.Elem())
	case reflect.Float64:
		return "number"
	case reflect.Struct:
		// List[github.com/…/wire.Release] is ListRelease, as in the document.
		outer, inner, _ := strings.Cut(strings.TrimSuffix(t.Name(), "]"), "[")
		name := outer + inner[strings.LastIndexByte(inner, '.')+1:]
		return strings.ToUpper(name[:1]) + name[1:]
	default:
		return typeOf(t.Kind())
	}
}
