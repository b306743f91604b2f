package api

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/go-cmp/cmp"
)

// The OpenAPI document is made here, by huma, of the operations and their Go types, and is
// a file that the program carries. So huma is no part of the program, which would be
// 0.3 MB larger with it.

const openAPIFile = "../../docs/openapi.json"

func TestTheOpenAPIDocumentIsThatOfTheOperations(t *testing.T) {
	t.Parallel()
	document, err := json.MarshalIndent(newDocument(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	document = append(document, '\n')
	if f := flag.Lookup("update"); f != nil && f.Value.String() == "true" {
		var packed bytes.Buffer
		w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(document); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string][]byte{openAPIFile: document, "openapi.json.gz": packed.Bytes()} {
			if err := os.WriteFile(name, content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	published, err := os.ReadFile(openAPIFile)
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string][]byte{openAPIFile: published, "openapi.json.gz": carried(t)} {
		if diff := cmp.Diff(string(document), string(got)); diff != "" {
			t.Errorf("%s is out of date; run: make docs\n%s", name, diff)
		}
	}
}

func carried(t *testing.T) []byte {
	t.Helper()
	packed, err := os.ReadFile("openapi.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil
	}
	raw, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// newDocument makes the document.
func newDocument() *huma.OpenAPI {
	schemas := huma.NewMapRegistry(schemaPrefix, huma.DefaultSchemaNamer)
	document := emptyDocument(schemas)
	for _, o := range new(API).declare() {
		o.document(document)
	}
	refine(schemas)
	return document
}

// described are the parameters of an operation, with the schemas that huma makes of the
// tags of their fields: the same tags that params.go reads.
func (o *operation) described(schemas huma.Registry) []*huma.Param {
	var all []*huma.Param
	for _, p := range paramsOf(o.input, patterns{}) {
		schema := huma.SchemaFromField(schemas, o.input.FieldByIndex(p.field), "")
		schema.Description, schema.Examples = "", nil
		d := &huma.Param{Name: p.Name, In: p.In, Description: p.Doc, Required: p.Required, Schema: schema}
		if p.Example != "" {
			d.Example = p.Example
			if schema.Type == huma.TypeInteger {
				d.Example = json.Number(p.Example)
			}
		}
		all = append(all, d)
	}
	return all
}

// document adds an operation to the OpenAPI document.
func (o *operation) document(doc *huma.OpenAPI) {
	described := &huma.Operation{
		Method: o.method, Path: o.path, OperationID: o.id, Summary: o.summary, Description: o.description, Tags: []string{o.tag},
		RequestBody: o.body(), Responses: make(map[string]*huma.Response),
		Extensions: map[string]any{"x-role": o.role().String()},
	}
	described.Parameters = o.described(doc.Components.Schemas)
	if o.public {
		described.Security = []map[string][]string{{"hook": {}}}
	}
	if o.scope != "" {
		described.Extensions["x-scope"] = string(o.scope)
	}
	if o.description == "" {
		described.Description = o.summary + "."
	}
	described.Responses[itoa(o.success())] = o.answers(doc.Components.Schemas)
	for _, code := range o.problems() {
		described.Responses[itoa(code)] = &huma.Response{Ref: "#/components/responses/" + problemNames()[code]}
	}
	if o.method == http.MethodGet && o.cache != cacheNever {
		described.Parameters = append(described.Parameters, &huma.Param{Ref: "#/components/parameters/IfNoneMatch"})
		described.Responses["304"] = &huma.Response{Ref: "#/components/responses/NotModified"}
	}
	doc.AddOperation(described)
}

func (o *operation) answers(schemas huma.Registry) *huma.Response {
	text := &huma.Schema{Type: huma.TypeString}
	r := &huma.Response{Description: "As asked.", Content: make(map[string]*huma.MediaType), Headers: make(map[string]*huma.Param)}
	for _, media := range o.media {
		// Of what is no JSON the document says that it is text; of a foreign document it
		// says nothing.
		schema := text
		if strings.HasSuffix(media, "json") || media == "application/octet-stream" {
			schema = &huma.Schema{}
		}
		r.Content[media] = &huma.MediaType{Schema: schema}
	}
	if o.gives != nil {
		r.Content["application/json"] = &huma.MediaType{Schema: schemas.Schema(o.gives, true, "")}
	}
	if o.method == http.MethodGet && o.cache != cacheNever {
		r.Headers["ETag"] = &huma.Param{Description: "For If-None-Match.", Schema: text}
	}
	if o.counts() {
		r.Headers[asOfHeader] = &huma.Param{Description: "Of which time the advisory data are that it counts with: when the oldest feed was last known to be complete (RFC 3339), or unknown.", Schema: text}
	}
	if o.paged {
		r.Headers["Link"] = &huma.Param{Description: "The next part, rel=next (RFC 8288).", Schema: text}
	}
	if o.status == http.StatusAccepted || o.status == http.StatusCreated {
		r.Headers["Location"] = &huma.Param{Description: "Where to watch, or find it.", Schema: text}
	}
	return r
}

// problems are the statuses of what may go wrong: those that the way to an operation
// gives, and its own.
func (o *operation) problems() []int {
	codes := []int{
		http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests,
		http.StatusServiceUnavailable,
	}
	return append(codes, o.errors...)
}

func problemNames() map[int]string {
	return map[int]string{
		http.StatusBadRequest: "InvalidRequest", http.StatusUnauthorized: "Unauthorized", http.StatusForbidden: "Forbidden",
		http.StatusNotFound: "NotFound", http.StatusConflict: "Conflict", http.StatusRequestEntityTooLarge: "TooLarge",
		http.StatusUnsupportedMediaType: "UnsupportedMediaType", http.StatusUnprocessableEntity: "InvalidDocument",
		http.StatusTooManyRequests: "TooManyRequests", http.StatusServiceUnavailable: "Unavailable",
	}
}

func (o *operation) body() *huma.RequestBody {
	if len(o.accepts) == 0 {
		return nil
	}
	most := "At most 32 MiB."
	if o.most > 0 {
		most = fmt.Sprintf("At most %d MiB.", o.most>>20)
	}
	b := &huma.RequestBody{Description: most, Required: true, Content: make(map[string]*huma.MediaType)}
	for _, media := range o.accepts {
		b.Content[media] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeObject}}
	}
	return b
}

const schemaPrefix = "#/components/schemas/"

// refine makes the schemas say what encoding/json does with our types, where huma is
// more careful: a list is never null, and a pointer to a struct may be. Objects may get
// further members in a later release.
func refine(schemas huma.Registry) {
	for name, schema := range schemas.Map() {
		schema.AdditionalProperties = nil
		refineFields(schemas.TypeFromRef(schemaPrefix+name), schema)
	}
}

func refineFields(t reflect.Type, schema *huma.Schema) {
	for _, field := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		property := schema.Properties[name]
		if property == nil {
			continue
		}
		switch field.Type.Kind() {
		case reflect.Slice:
			property.Nullable = false
		case reflect.Pointer:
			if elem := field.Type.Elem(); elem.Kind() == reflect.Struct && elem != reflect.TypeFor[time.Time]() {
				property.AnyOf = []*huma.Schema{{Ref: property.Ref}, {Type: "null"}}
				property.Ref = ""
			}
		}
	}
}

// emptyDocument is the document before operations are added.
func emptyDocument(schemas huma.Registry) *huma.OpenAPI {
	problemSchema := schemas.Schema(reflect.TypeFor[problem](), true, "")
	responses := make(map[string]*huma.Response)
	for status, name := range problemNames() {
		responses[name] = &huma.Response{
			Description: problemTexts()[status],
			Content:     map[string]*huma.MediaType{problemType: {Schema: problemSchema}},
		}
	}
	responses["Unavailable"].Headers = map[string]*huma.Param{
		"Retry-After": {Description: "Seconds.", Schema: &huma.Schema{Type: huma.TypeInteger}},
	}
	text := &huma.Schema{Type: huma.TypeString}
	responses["NotModified"] = &huma.Response{
		Description: "The client has it already.",
		Headers:     map[string]*huma.Param{"ETag": {Description: "The same.", Schema: text}},
	}
	return &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{
			Title: "Tallyman", Version: "1", Description: apiDescription,
			License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
		},
		Servers: []*huma.Server{{URL: "/", Description: "This server."}},
		Components: &huma.Components{
			Schemas: schemas, Responses: responses,
			Parameters: map[string]*huma.Param{"IfNoneMatch": {
				Name: "If-None-Match", In: "header", Description: "ETags that the client has; the answer is 304 when it is still one of them.", Schema: text,
			}},
			SecuritySchemes: map[string]*huma.SecurityScheme{
				"hook":  {Type: "http", Scheme: "bearer", Description: "The secret that registries share with web, or a signature with it: see the operation."},
				"token": {Type: "http", Scheme: "bearer", Description: "An API token, or the cookie of the console."},
			},
		},
		Security: []map[string][]string{{"token": {}}},
	}
}

const apiDescription = `Which release shipped what, whether its papers still hold, and what has become vulnerable since.

What is not known is null, never 0; a field beside it says why. Every error is a problem (RFC 9457). Every GET has an ETag.
Lists come in parts: go on with the cursor in next, or with the Link header. IDs do not change.`

func problemTexts() map[int]string {
	return map[int]string{
		400: "The request is not as described.", 401: "Who asks is not known.", 403: "Who asks may not.",
		404: "There is no such thing. Of a digest: it is not known, which is not a pass.", 409: "What is asked for does not go with what there is, which the problem tells.",
		413: "More than is taken.", 415: "Another media type than those that are taken.", 422: "What was sent is not what it should be.",
		429: "Too many requests; Retry-After says when to come back.", 503: "The store cannot be read; try again.",
	}
}

func TestTheReferenceSaysWhatTheDocumentSays(t *testing.T) {
	t.Parallel()
	a := new(API)
	a.operations = a.declare()
	for _, o := range a.operations {
		o.params = paramsOf(o.input, patterns{})
	}
	document, reference := newDocument(), a.Reference()
	operations := 0
	for _, group := range reference.Groups {
		for i := range group.Operations {
			o := &group.Operations[i]
			operations++
			item := document.Paths[o.Path]
			described := item.Get
			if o.Method == http.MethodPost {
				described = item.Post
			}
			if described == nil || described.OperationID != o.ID || described.Responses[itoa(o.Status)] == nil || described.Extensions["x-role"] != o.Role {
				t.Errorf("%s %s: got %+v, want what the document says", o.Method, o.Path, o)
			}
			if strings.ContainsAny(o.Example, "{}") {
				t.Errorf("%s: an example with a hole: %s", o.ID, o.Example)
			}
		}
	}
	if want := len(a.operations); operations != want {
		t.Errorf("got %d operations, want %d", operations, want)
	}
	schemas := document.Components.Schemas.Map()
	for _, described := range reference.Types {
		schema := schemas[described.Name]
		if schema == nil || len(schema.Properties) != len(described.Fields) {
			t.Errorf("type %s: got fields %v, want those of the schema %+v", described.Name, described.Fields, schema)
		}
		delete(schemas, described.Name)
	}
	if len(schemas) > 0 {
		t.Errorf("schemas that the reference lacks: %v", schemas)
	}
}
