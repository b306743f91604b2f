package api

import (
	"context"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/tallyman-io/tallyman/internal/access"
	"github.com/tallyman-io/tallyman/internal/grant"
)

// operation is one thing that the API does.
type operation struct {
	id, method, path     string
	tag                  string
	summary, description string
	// scope makes it an operation that changes something, and needs an operator.
	scope grant.Scope
	endpoint
	// accepts are the media types of what is sent, none when nothing is; its input is a
	// [receiver] then.
	accepts []string
	// status is that of success; 0 is 200.
	status int
	// gives is the type of the JSON that it answers with, nil when media names other media
	// types.
	gives reflect.Type
	media []string
	// errors are further statuses of problems.
	errors []int
	// cache is the Cache-Control of its answers; empty for [cacheAsk].
	cache string
	// paged lists have the header Link.
	paged  bool
	params []param
}

func (o *operation) role() access.Role {
	if o.scope != "" {
		return access.Operator
	}
	return access.Viewer
}

// endpoint is a handler with the type of its parameters.
type endpoint struct {
	input reflect.Type
	call  func(ctx context.Context, input any) (answer, error)
}

// to makes an endpoint of a handler. It is the one generic function, and small, because
// it is compiled for each type.
func to[I any](handler func(context.Context, *I) (answer, error)) endpoint {
	return endpoint{reflect.TypeFor[I](), func(ctx context.Context, input any) (answer, error) {
		typed, ok := input.(*I)
		if !ok {
			panic("api: parameters of another operation")
		}
		return handler(ctx, typed)
	}}
}

// answer is what a handler answers with.
type answer struct {
	// body is encoded as JSON. raw is sent as it is, as media.
	body  any
	raw   []byte
	media string
	// etag names raw, where its digest is known; empty to take a hash.
	etag string
	// next is the cursor of the next part of a list.
	next *string
	// filename makes a browser save it under that name.
	filename string
	location string
}

// nothing is the input of operations without parameters.
type nothing struct{}

// Inputs that many operations share.
type (
	page struct {
		Cursor string `query:"cursor" maxLength:"1000" doc:"Where to go on: the next of the part before."`
		Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"The most items."`
	}
	ofComponent struct {
		Repository string `path:"repository" maxLength:"255" pattern:"^[A-Za-z0-9._:~/-]+$" example:"ghcr.io~acme~web" doc:"The repository, with ~ for each slash; %2F does as well, where no proxy minds it."`
	}
	ofRelease struct {
		ofComponent

		Name string `path:"name" pattern:"^(sha256:[0-9a-f]{64}|[A-Za-z0-9_][A-Za-z0-9._-]{0,127})$" example:"v1.4.0" doc:"A version tag, or the digest of the image."`
	}
)

// document adds an operation to the OpenAPI document.
func (o *operation) document(doc *huma.OpenAPI) {
	described := &huma.Operation{
		Method: o.method, Path: o.path, OperationID: o.id, Summary: o.summary, Description: o.description, Tags: []string{o.tag},
		RequestBody: o.body(), Responses: make(map[string]*huma.Response),
		Extensions: map[string]any{"x-role": o.role().String()},
	}
	for i := range o.params {
		described.Parameters = append(described.Parameters, o.params[i].described)
	}
	if o.scope != "" {
		described.Extensions["x-scope"] = string(o.scope)
	}
	if o.description == "" {
		described.Description = o.summary + "."
	}
	status := http.StatusOK
	if o.status != 0 {
		status = o.status
	}
	described.Responses[itoa(status)] = o.success(doc.Components.Schemas)
	for _, code := range o.problems() {
		described.Responses[itoa(code)] = &huma.Response{Ref: "#/components/responses/" + problemNames()[code]}
	}
	if o.method == http.MethodGet && o.cache != cacheNever {
		described.Parameters = append(described.Parameters, &huma.Param{Ref: "#/components/parameters/IfNoneMatch"})
		described.Responses["304"] = &huma.Response{Ref: "#/components/responses/NotModified"}
	}
	doc.AddOperation(described)
}

func (o *operation) success(schemas huma.Registry) *huma.Response {
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
