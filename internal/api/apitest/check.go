package apitest

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
)

// Check says what is wrong with an answer to a request that [Call.Request] made: it is a
// 5xx, its status or its media type is not of the document, an error is no problem, JSON is
// none, or what was sent got into a header of its own. Whether a body is as its schema has
// it, e2e/openapi finds out from what [Record] writes down.
func (c *Call) Check(r *http.Request, w *httptest.ResponseRecorder) error {
	if w.Code >= http.StatusInternalServerError {
		return fmt.Errorf("%s %s: got %d %s", r.Method, r.URL, w.Code, w.Body)
	}
	var errs []error
	fail := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s %s: "+format, append([]any{r.Method, r.URL}, args...)...))
	}
	for name, values := range w.Header() {
		if strings.ContainsAny(name+strings.Join(values, ""), "\r\n\x00") || name == "Set-Cookie" {
			fail("header %s: %q", name, values)
		}
	}
	media, _, err := mime.ParseMediaType(w.Header().Get("Content-Type"))
	if err != nil {
		media = ""
	}
	if w.Code >= http.StatusBadRequest && media != "application/problem+json" {
		fail("got %d as %q, want a problem", w.Code, media)
	}
	if strings.HasSuffix(media, "json") && w.Body.Len() > 0 && !json.Valid(w.Body.Bytes()) {
		fail("not JSON: %.300q", w.Body)
	}
	switch expected, ok := c.Answers[w.Code]; {
	case !ok && elsewhere(r) && outside(w.Code):
		// A value made another path of it.
	case !ok:
		fail("got %d %.300s, of which the document says nothing", w.Code, w.Body)
	case w.Body.Len() > 0 && !slices.Contains(expected, media):
		fail("got %d as %q, want one of %q", w.Code, media, expected)
	}
	return errors.Join(errs...)
}

// elsewhere reports whether a path is another one once it is cleaned.
func elsewhere(r *http.Request) bool { return path.Clean(r.URL.Path) != r.URL.Path }

// outside reports whether a status is of what no operation is at.
func outside(status int) bool {
	return slices.Contains([]int{
		http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusMovedPermanently, http.StatusTemporaryRedirect,
	}, status)
}
