package access_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/tallyman-io/tallyman/internal/access"
	"github.com/tallyman-io/tallyman/internal/grant"
)

// What the guard costs each request: one read by a key.
func BenchmarkRequest(b *testing.B) {
	g := newBench(b, func(c *access.Config) { c.Requests = 1_000_000 })
	token := g.token(access.Viewer, grant.Read)
	for name, header := range map[string][2]string{"token": {"Authorization", "Bearer " + token}, "session": {"Cookie", g.signIn(token)}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "http://localhost/api/v1/releases", nil)
				r.Header.Set(header[0], header[1])
				w := httptest.NewRecorder()
				if g.mux.ServeHTTP(w, r); w.Code != http.StatusOK {
					b.Fatalf("got %d", w.Code)
				}
			}
		})
	}
}
