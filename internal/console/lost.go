package console

import "net/http"

// Lost says that there is nothing at an address. It tells nobody what is there.
func (c *Console) Lost(w http.ResponseWriter, r *http.Request) {
	p := c.apart(r, "Not found")
	p.Apart = !reads(r.Context())
	c.render(w, r, http.StatusNotFound, notFound(p))
}
