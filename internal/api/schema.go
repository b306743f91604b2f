package api

import (
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

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

// newDocument is the OpenAPI document before operations are added.
func newDocument(version string, schemas huma.Registry) *huma.OpenAPI {
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
			Title: "Tallyman", Version: version, Description: apiDescription,
			License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
		},
		Servers: []*huma.Server{{URL: "/", Description: "This server."}},
		Components: &huma.Components{
			Schemas: schemas, Responses: responses,
			Parameters: map[string]*huma.Param{"IfNoneMatch": {
				Name: "If-None-Match", In: "header", Description: "ETags that the client has; the answer is 304 when it is still one of them.", Schema: text,
			}},
			SecuritySchemes: map[string]*huma.SecurityScheme{
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
