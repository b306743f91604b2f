package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
)

// page asks web for an address as anybody.
func page(t *testing.T, b *building, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	b.mux.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost"+path, nil))
	return w
}

func TestTheSettingsInForceAreShownWithoutSecrets(t *testing.T) {
	t.Parallel()
	const secret = "hush-hush-hush-hush-hush-hush"
	b := assembled(t, "TALLYMAN_ACCESS_ANONYMOUS=viewer", "TALLYMAN_HOOKS_SECRET="+secret, "TALLYMAN_SERVER_TRUSTED_PROXIES=10.0.0.0/8,192.0.2.1", "TALLYMAN_SHUTDOWN_TIMEOUT=7s")
	w := page(t, b, "/settings")
	if w.Code != http.StatusOK {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	for _, want := range []string{
		"<code>access.anonymous</code>", "<code>viewer</code>", "TALLYMAN_ACCESS_ANONYMOUS", "<code>7s</code>", "10.0.0.0/8, 192.0.2.1", "<code>hooks.secret</code>", "<code>limits.failed_logins</code>",
	} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("want %q on the page", want)
		}
	}
	if strings.Contains(w.Body.String(), secret) || strings.Contains(w.Body.String(), "does not say how it is configured") {
		t.Error("a secret is shown, or nothing is")
	}
}

func TestFeedsLeadToPages(t *testing.T) {
	t.Parallel()
	b := assembled(t, "TALLYMAN_ACCESS_ANONYMOUS=viewer", "TALLYMAN_CONSOLE_URL=https://tally.example.org")
	const repository = "ghcr.io/acme/web"
	image, version := storetest.NewFleet(1, 1, 1).Image(repository, 1, time.Now())
	if err := b.store.Watch(t.Context(), []string{repository}, time.Hour); err != nil {
		t.Fatal(err)
	}
	look := release.Look{Repository: repository, At: time.Now(), Outcome: release.OutcomeComplete}
	if _, err := b.store.RecordLook(t.Context(), look, release.Sighting{Images: []release.Image{image}, Tags: map[string]release.Digest{version: image.Digest}}); err != nil {
		t.Fatal(err)
	}
	path := "/components/ghcr.io/acme/web/-/" + version
	if w := page(t, b, "/api/v1/atom/releases"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `href="https://tally.example.org`+path+`"`) {
		t.Errorf("got %d, want an entry that leads to %s:\n%s", w.Code, path, w.Body)
	}
	if w := page(t, b, path); w.Code != http.StatusOK {
		t.Errorf("%s: got %d, want the page", path, w.Code)
	}
}
