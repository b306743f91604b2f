package browser_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/chromedp/chromedp"
)

// refusing answers with a status, whatever a handler says.
type refusing struct {
	http.ResponseWriter

	status int
}

// WriteHeader sends the status.
func (r *refusing) WriteHeader(int) { r.ResponseWriter.WriteHeader(r.status) }

func TestPagesThatSayWhyNotAreForEverybody(t *testing.T) {
	b := newTab(t, openBrowser(t), recorded(t, nil))
	dir := shots(t)
	for _, tt := range []struct {
		page   string
		status int64
		title  string
	}{
		{"bad-cursor", http.StatusBadRequest, "No such part of the list"},
		{"bad-form", http.StatusBadRequest, "Not understood"},
		{"not-watched", http.StatusConflict, "Not looked at again"},
		{"unavailable", http.StatusServiceUnavailable, "Nothing can be said just now"},
		{"not-written", http.StatusServiceUnavailable, "Nothing can be said just now"},
	} {
		t.Run(tt.page, func(t *testing.T) {
			path := fmt.Sprintf("/refused/%d/%s", tt.status, tt.page)
			b.arrive(t, tt.status, chromedp.Navigate(b.home+path))
			if title := b.text(t, "h1"); title != tt.title {
				t.Errorf("says %q, want %q", title, tt.title)
			}
			for _, a := range append(appearances(), between()...) {
				b.look(t, a, path)
				b.accessible(t, path+" at "+a.name)
			}
			for _, a := range appearances() {
				b.look(t, a, path)
				b.shoot(t, shotName(dir, tt.page, a))
			}
			b.clean(t, path)
		})
	}
}
