package console

import (
	"net/http"

	"github.com/tallyman-io/tallyman/internal/access"
	"github.com/tallyman-io/tallyman/internal/grant"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Routes are the pages and their assets, and who may see them.
func (c *Console) Routes() []access.Route {
	get := func(pattern string, v view) access.Route {
		return access.Route{Method: http.MethodGet, Pattern: pattern, Kind: access.Page, Role: access.Viewer, Handler: c.show(v)}
	}
	routes := []access.Route{
		{Method: http.MethodGet, Pattern: assetPrefix + "{name}", Kind: access.Public, Handler: http.HandlerFunc(c.assets.serve)},
		get("/{$}", c.overview),
		get(componentsPath+"{path...}", c.component),
		get("/compare", c.compare),
		get("/search", c.search),
		get("/advisories", c.advisories),
		get("/advisories/{id}", c.advisory),
		get("/activity", c.activity),
		get("/activity/waves/{id}", c.wave),
		get("/settings", c.settings),
		// A script reads it, so who is not signed in gets an answer, and no page.
		{Method: http.MethodGet, Pattern: "/activity/events", Kind: access.API, Role: access.Viewer, Lasting: true, Handler: http.HandlerFunc(c.events)},
		{Method: http.MethodGet, Pattern: "/documents/{digest}", Kind: access.Page, Role: access.Viewer, Handler: http.HandlerFunc(c.document)},
		{Method: http.MethodPost, Pattern: "/dossier", Kind: access.Page, Role: access.Auditor, Scope: grant.Read, Handler: c.asks(release.StepDossier)},
		{Method: http.MethodPost, Pattern: "/rescan", Kind: access.Page, Role: access.Operator, Scope: grant.Rescan, Handler: c.asks(release.StepIngest)},
	}
	if c.cfg.Reference != nil {
		routes = append(routes, get(docsPath, c.reference))
	}
	return routes
}
