package console

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed static
var staticFiles embed.FS

const assetPrefix = "/static/"

// assets are the embedded files, each served under a name that holds the hash of
// its content, so that it can be kept for ever.
type assets struct {
	byURLName map[string]asset
	// urls tells where the file of a name is served.
	urls map[string]string
}

type asset struct {
	body        []byte
	contentType string
}

func loadAssets() (*assets, error) {
	names, err := fs.Glob(staticFiles, "static/*")
	if err != nil {
		return nil, fmt.Errorf("list assets: %w", err)
	}
	a := &assets{byURLName: map[string]asset{}, urls: map[string]string{}}
	for _, file := range names {
		body, err := staticFiles.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read asset: %w", err)
		}
		name, ext := path.Base(file), path.Ext(file)
		contentType := mediaType(ext)
		if contentType == "" {
			return nil, fmt.Errorf("asset %s: no media type for %q", name, ext)
		}
		sum := sha256.Sum256(body)
		urlName := strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:8]) + ext
		a.byURLName[urlName] = asset{body: body, contentType: contentType}
		a.urls[name] = assetPrefix + urlName
	}
	return a, nil
}

// mediaType is that of an embedded file, by its extension; package mime would ask the
// machine's files as well.
func mediaType(ext string) string {
	switch ext {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	default:
		return ""
	}
}

func (a *assets) serve(w http.ResponseWriter, r *http.Request) {
	found, ok := a.byURLName[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", found.contentType)
	h.Set("Content-Length", strconv.Itoa(len(found.body)))
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("X-Content-Type-Options", "nosniff")
	writeBody(w, r, found.body)
}
