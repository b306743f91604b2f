package console

import (
	"context"
	"net/http"

	"github.com/a-h/templ"
)

// docsPath is where it says what the API can do.
const docsPath = "/docs/api"

// docs is [docsPath], or "" where there is no API.
func (c *Console) docs() string {
	if c.cfg.Reference == nil {
		return ""
	}
	return docsPath
}

// reference shows what the API can do.
func (c *Console) reference(_ context.Context, _ *http.Request, p *page) (templ.Component, error) {
	p.Title, p.Section = "API", docsPath
	return referencePage(p, c.cfg.Reference), nil
}
