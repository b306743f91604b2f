package api

import (
	"context"
	"net/http"
	"reflect"

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
	// least is the role that it needs, where that is not the one that follows from scope.
	least access.Role
	endpoint
	// public operations find out themselves whom they let in: nobody signs in for them.
	public bool
	// read takes what was sent, where that has to be known of first who sent it.
	read func(w http.ResponseWriter, r *http.Request, input any) *problem
	// most bounds what may be sent, in bytes; 0 is [maxBody].
	most int64
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
	paged bool
	// embedded answers are shown in pages of others, as images.
	embedded bool
	params   []Param
}

func (o *operation) role() access.Role {
	if o.public || o.least != grant.None {
		return o.least
	}
	if o.scope != "" {
		return access.Operator
	}
	return access.Viewer
}

// route is the operation for the guard to stand before.
func (o *operation) route(handler http.Handler) access.Route {
	r := access.Route{Method: o.method, Pattern: o.path, Role: o.role(), Scope: o.scope, Kind: access.API, Handler: handler}
	if o.public {
		r.Kind = access.PublicAPI
	}
	return r
}

// success is the status of success.
func (o *operation) success() int {
	if o.status != 0 {
		return o.status
	}
	return http.StatusOK
}

// endpoint is a handler with the type of its parameters.
type endpoint struct {
	input reflect.Type
	call  func(a *API, ctx context.Context, input any) (*answer, error)
}

// to makes an endpoint of a handler. It is small, because it is compiled for each type; and
// the handler is a method expression, because each method value is a function more.
func to[I any](handler func(*API, context.Context, *I) (*answer, error)) endpoint {
	return endpoint{reflect.TypeFor[I](), func(a *API, ctx context.Context, input any) (*answer, error) {
		typed, ok := input.(*I)
		if !ok {
			panic("api: parameters of another operation")
		}
		return handler(a, ctx, typed)
	}}
}

// answer is what a handler answers with.
type answer struct {
	// body is encoded as JSON. raw is sent as it is, as media; so is stream.
	body   any
	raw    []byte
	stream *parts
	media  string
	// etag names raw or stream, where its digest is known; empty to take a hash.
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
	// inTime is a part of a list in order of time.
	inTime struct {
		page

		Sort string `query:"sort" enum:"at,-at" doc:"at, the newest first, is the default; a minus reverses."`
	}
	// Each hit is a release with much of what is known of it.
	hits struct {
		Cursor string `query:"cursor" maxLength:"1000" doc:"Where to go on: the next of the part before."`
		Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"25" doc:"The most items."`
		Sort   string `query:"sort" enum:"seen,-seen" doc:"seen, the newest first, is the default; a minus reverses."`
	}
	ofComponent struct {
		Repository string `path:"repository" maxLength:"255" pattern:"^[A-Za-z0-9._:~/-]+$" example:"ghcr.io~acme~web" doc:"The repository, with ~ for each slash; %2F does as well, where no proxy minds it."`
	}
	ofRelease struct {
		ofComponent

		Name string `path:"name" pattern:"^(sha256:[0-9a-f]{64}|[A-Za-z0-9_][A-Za-z0-9._-]{0,127})$" example:"v1.4.0" doc:"A version tag, or the digest of the image."`
	}
)
