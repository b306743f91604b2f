package service

import (
	"io"
	"net/http"
	"syscall"
	"testing"
	"time"
)

func TestEverythingIsAnsweredForAWhileAfterTheSignal(t *testing.T) {
	t.Parallel()
	const delay = 2 * time.Second
	install := pages(func(mux *Routes) {
		mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "page") })
	})
	lingering := func(c *Config) { c.ShutdownDelay = delay }

	t.Run("and no connection is kept", func(t *testing.T) {
		t.Parallel()
		r := launch(t, install, lingering)
		r.until(t, "/readyz", http.StatusOK)
		began := time.Now()
		r.signals <- syscall.SIGTERM
		r.until(t, "/readyz", http.StatusServiceUnavailable)
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := new(http.Transport).RoundTrip(request)
		if err != nil {
			t.Fatalf("while draining: %v", err)
		}
		defer response.Body.Close()
		if body, err := io.ReadAll(response.Body); err != nil || string(body) != "page" || !response.Close {
			t.Errorf("while draining: got %q, %v, closes %t; want the page, and that it is the last on its connection", body, err, response.Close)
		}
		if err := r.wait(t); err != nil {
			t.Errorf("Run: got %v, want nil", err)
		}
		if took := time.Since(began); took < delay {
			t.Errorf("ended after %s, want not before %s", took, delay)
		}
		if status, _ := r.get(t, "/"); status != 0 {
			t.Errorf("after the end: got %d, want nobody there", status)
		}
	})

	t.Run("unless it is told twice", func(t *testing.T) {
		t.Parallel()
		r := launch(t, install, func(c *Config) { c.ShutdownDelay = 9 * time.Second })
		r.until(t, "/readyz", http.StatusOK)
		began := time.Now()
		r.signals <- syscall.SIGTERM
		r.until(t, "/readyz", http.StatusServiceUnavailable)
		r.signals <- syscall.SIGTERM
		_ = r.wait(t) // what a second signal comes to is tested elsewhere
		if took := time.Since(began); took > 8*time.Second {
			t.Errorf("ended after %s, want at once", took)
		}
	})
}
