package console

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/release"
)

// document serves a document as it was found, byte for byte: its SHA-256 is the digest in
// the address. Nothing in it is for the browser to run.
func (c *Console) document(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	digest, err := release.ParseDigest(r.PathValue("digest"))
	if err != nil {
		c.fail(w, r, errors.Join(errNoPage, err))
		return
	}
	d, content, err := c.cfg.Store.Document(ctx, digest)
	if err != nil {
		c.fail(w, r, fmt.Errorf("read document: %w", err))
		return
	}
	kind, name := documentFile(d, digest)
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "private, max-age=31536000, immutable")
	h.Set("ETag", `"`+string(digest)+`"`)
	if r.Header.Get("If-None-Match") == h.Get("ETag") {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(content)))
	writeBody(w, r, content)
}

// documentFile is the media type of a document and a name for its file, which holds
// nothing that anybody else chose.
func documentFile(d account.Document, digest release.Digest) (mediaType, name string) {
	name = digest.Short()
	switch {
	case d.Kind == release.PaperSBOM && strings.EqualFold(d.Format, "SPDX"):
		return "application/spdx+json", name + ".spdx.json"
	case d.Kind == release.PaperSBOM && strings.EqualFold(d.Format, "CycloneDX"):
		return "application/vnd.cyclonedx+json", name + ".cdx.json"
	case d.Kind == release.PaperVEX:
		return "application/json", name + ".openvex.json"
	default:
		return "application/json", name + ".json"
	}
}
