package service

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/tallyman-io/tallyman/internal/buildinfo"
)

// record asks h for a path.
func record(t *testing.T, h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	h.ServeHTTP(w, r)
	return w
}

// prepared is a handler that is ready, with a few routes, and what it logs.
func prepared(t *testing.T) (http.Handler, *logs) {
	t.Helper()
	out := &logs{}
	clock := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	config := Config{
		Name: "web", Log: zerolog.New(out), Build: buildinfo.Info{Version: "1.2.3", Commit: "feed", Go: "go1"},
		Now: func() time.Time { clock = clock.Add(time.Millisecond); return clock },
	}
	mux := new(Routes)
	mux.HandleFunc("GET /release/{name}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })
	mux.HandleFunc("GET /panic", func(http.ResponseWriter, *http.Request) { panic("oh") })
	mux.HandleFunc("GET /late", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		panic("oh")
	})
	return Handler(config, &App{Routes: mux}), out
}

func TestAccessLog(t *testing.T) {
	t.Parallel()
	h, out := prepared(t)
	record(t, h, "/release/x?token=hidden", "X-Request-Id", "abc-123")
	want := []map[string]any{{
		"level": "info", "message": "request", "request": "abc-123", "method": "GET", "path": "/release/x",
		"status": 200.0, "bytes": 5.0, "milliseconds": 1.0,
	}}
	if diff := cmp.Diff(want, out.lines(t, "request")); diff != "" {
		t.Errorf("access log (-want +got):\n%s", diff)
	}
}

func TestProbesAreLoggedAtDebug(t *testing.T) {
	t.Parallel()
	h, out := prepared(t)
	record(t, h, "/healthz")
	if lines := out.lines(t, "request"); len(lines) != 1 || lines[0]["level"] != "debug" {
		t.Errorf("access log: got %v, want one line at debug", lines)
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	h, _ := prepared(t)
	tests := []struct {
		name, given string
		kept        bool
	}{
		{"sane", "4bf92f35-77b3.A:_", true},
		{"none", "", false},
		{"too long", strings.Repeat("a", 65), false},
		{"markup", "<script>", false},
		{"line break", "a\nb", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := record(t, h, "/healthz", "X-Request-Id", tt.given).Header().Get("X-Request-Id")
			if kept := got == tt.given; kept != tt.kept || !saneRequestID.MatchString(got) {
				t.Errorf("X-Request-Id: got %q for %q, want it kept: %v", got, tt.given, tt.kept)
			}
		})
	}
}

func TestAPanicIsA500AndIsLogged(t *testing.T) {
	t.Parallel()
	h, out := prepared(t)
	w := record(t, h, "/panic", "X-Request-Id", "id1")
	if w.Code != http.StatusInternalServerError || !strings.Contains(w.Body.String(), "id1") || strings.Contains(w.Body.String(), "oh") {
		t.Errorf("answer: got %d %q, want 500 with the request's id and no detail", w.Code, w.Body)
	}
	if lines := out.lines(t, "handler panicked"); len(lines) != 1 || lines[0]["panic"] != "oh" || lines[0]["request"] != "id1" {
		t.Errorf("log: got %v, want the panic and the request's id", lines)
	}
	if lines := out.lines(t, "request"); len(lines) != 1 || lines[0]["status"] != 500.0 {
		t.Errorf("access log: got %v, want status 500", lines)
	}
}

func TestAPanicInTheMiddleOfAnAnswerCutsTheConnection(t *testing.T) {
	t.Parallel()
	h, out := prepared(t)
	server := httptest.NewServer(h)
	defer server.Close()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/late", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := server.Client().Do(request)
	if err == nil {
		_, err = io.ReadAll(response.Body)
		response.Body.Close()
	}
	if err == nil {
		t.Error("the client took half an answer for a whole one")
	}
	if lines := out.lines(t, "handler panicked"); len(lines) != 1 {
		t.Errorf("log: got %v, want the panic", lines)
	}
}

func TestSecurityHeadersAreOnEveryAnswer(t *testing.T) {
	t.Parallel()
	h, _ := prepared(t)
	for _, path := range []string{"/release/x", "/panic", "/nowhere", "/readyz"} {
		header := record(t, h, path).Header()
		for name, want := range securityHeaders() {
			if got := header.Get(name); got != want {
				t.Errorf("%s: %s: got %q, want %q", path, name, got, want)
			}
		}
		if csp := header.Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
			t.Errorf("%s: the policy is not strict: %s", path, csp)
		}
	}
}

func TestVersionAndMetrics(t *testing.T) {
	t.Parallel()
	h, _ := prepared(t)
	record(t, h, "/release/a")
	record(t, h, "/release/b")
	record(t, h, "/nowhere")
	if got := record(t, h, "/version").Body.String(); !strings.Contains(got, `"version":"1.2.3"`) {
		t.Errorf("version: got %s", got)
	}
	got := record(t, h, "/metrics").Body.String()
	for _, want := range []string{
		`tallyman_build_info{service="web",version="1.2.3",commit="feed",go="go1"} 1`,
		`tallyman_http_requests_total{route="GET /release/{name}",method="GET",code="200"} 2`,
		`tallyman_http_requests_total{route="none",method="GET",code="404"} 1`,
		`tallyman_http_request_duration_seconds_count{route="GET /release/{name}",method="GET"} 2`,
		`tallyman_http_requests_total{route="GET /version",method="GET",code="200"} 1`,
		`go_goroutines `,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("metrics: want %s in\n%s", want, got)
		}
	}
}
