package hook_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/registry/hook"
)

const secret = "0123456789abcdef0123456789abcdef"

// looks are the repositories that were to be looked at.
type looks struct {
	mu  sync.Mutex
	all []string
	err error
}

func (l *looks) discover(_ context.Context, repository string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, repository)
	return l.err
}

func handler(l *looks, repositories ...string) *hook.Handler {
	at := time.Unix(1_800_000_000, 0)
	return hook.New(hook.Config{Secret: secret, Repositories: repositories, Discover: l.discover, Now: func() time.Time { return at }})
}

func payload(t *testing.T, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func post(t *testing.T, h http.Handler, body []byte, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, hook.Path, bytes.NewReader(body))
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

func signature(key string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func TestOnlyConfiguredRepositoriesAreLookedAt(t *testing.T) {
	t.Parallel()
	all := []string{"registry.example/acme/web", "registry.example/acme/worker", "ghcr.io/acme/web", "docker.io/acme/web", "quay.io/acme/web", "10.0.0.5:5000/acme/layers"}
	tests := map[string]struct {
		payload      string
		repositories []string
		want         []string
	}{
		"distribution":                      {"distribution.json", all, []string{"registry.example/acme/web", "registry.example/acme/worker"}},
		"a registry with another name":      {"distribution.json", []string{"10.0.0.5:5000/acme/web", "ghcr.io/acme/other"}, []string{"10.0.0.5:5000/acme/web"}},
		"harbor":                            {"harbor.json", all, []string{"registry.example/acme/web"}},
		"harbor, as CloudEvents":            {"harbor-cloudevents.json", all, []string{"registry.example/acme/web"}},
		"quay":                              {"quay.json", all, []string{"quay.io/acme/web"}},
		"github":                            {"github-registry_package.json", all, []string{"ghcr.io/acme/web"}},
		"docker hub":                        {"docker-hub.json", all, []string{"docker.io/acme/web"}},
		"docker hub, by its other name":     {"docker-hub.json", []string{"index.docker.io/acme/web"}, []string{"index.docker.io/acme/web"}},
		"github, with nothing of it wanted": {"github-package.json", []string{"registry.example/acme/web"}, nil},
		"nothing wanted":                    {"harbor.json", []string{"registry.example/acme/other"}, nil},
		"a pull":                            {"harbor-pull.json", all, nil},
		"a ping":                            {"github-ping.json", all, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var l looks
			resp := post(t, handler(&l, tt.repositories...), payload(t, tt.payload), "Authorization", "Bearer "+secret)
			body, err := io.ReadAll(resp.Body)
			if err != nil || resp.Code != http.StatusAccepted || len(body) != 0 {
				t.Errorf("got status %d, body %q, %v; want 202 and nothing", resp.Code, body, err)
			}
			if diff := cmp.Diff(tt.want, l.all); diff != "" {
				t.Errorf("looked at (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMessagesAreTakenFromThoseWhoKnowTheSecret(t *testing.T) {
	t.Parallel()
	body := payload(t, "github-registry_package.json")
	tests := map[string]struct {
		headers []string
		want    int
	}{
		"bearer":                         {[]string{"Authorization", "Bearer " + secret}, 202},
		"bearer in lower case":           {[]string{"Authorization", "bearer " + secret}, 202},
		"alone":                          {[]string{"Authorization", secret}, 202},
		"basic":                          {[]string{"Authorization", "Basic dGFsbHltYW46MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="}, 202},
		"signed":                         {[]string{"X-Hub-Signature-256", signature(secret, body)}, 202},
		"nothing":                        {nil, 401},
		"empty bearer":                   {[]string{"Authorization", "Bearer "}, 401},
		"another secret":                 {[]string{"Authorization", "Bearer " + secret[1:]}, 401},
		"another scheme":                 {[]string{"Authorization", "Digest " + secret}, 401},
		"basic, as the user":             {[]string{"Authorization", "Basic MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY6eA=="}, 401},
		"basic that is none":             {[]string{"Authorization", "Basic !"}, 401},
		"signed with another secret":     {[]string{"X-Hub-Signature-256", signature("x", body)}, 401},
		"signed for another body":        {[]string{"X-Hub-Signature-256", signature(secret, body[1:])}, 401},
		"signed with SHA-1":              {[]string{"X-Hub-Signature-256", "sha1=0123456789abcdef0123456789abcdef01234567"}, 401},
		"cut signature":                  {[]string{"X-Hub-Signature-256", signature(secret, body)[:40]}, 401},
		"wrong signature, right bearer":  {[]string{"X-Hub-Signature-256", signature("x", body), "Authorization", "Bearer " + secret}, 401},
		"empty signature without bearer": {[]string{"X-Hub-Signature-256", ""}, 401},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var l looks
			if got := post(t, handler(&l, "ghcr.io/acme/web"), body, tt.headers...).Code; got != tt.want {
				t.Errorf("got status %d, want %d", got, tt.want)
			}
			if (len(l.all) == 1) != (tt.want == 202) {
				t.Errorf("looked at %q", l.all)
			}
		})
	}
}

func TestWithoutASecretThereIsNoHandler(t *testing.T) {
	t.Parallel()
	h := hook.New(hook.Config{})
	body := payload(t, "harbor.json")
	for _, headers := range [][]string{nil, {"Authorization", "Bearer "}, {"Authorization", ""}, {"X-Hub-Signature-256", signature("", body)}} {
		if got := post(t, h, body, headers...).Code; got != http.StatusNotFound {
			t.Errorf("%q: got status %d, want 404", headers, got)
		}
	}
}

func TestWhatIsNoMessageIsRefused(t *testing.T) {
	t.Parallel()
	var l looks
	h := handler(&l, "registry.example/acme/web")
	for name, tt := range map[string]struct {
		body string
		want int
	}{
		"not JSON":  {"payload=x", http.StatusBadRequest},
		"too large": {`{"events":[` + strings.Repeat(" ", 1<<20) + `]}`, http.StatusRequestEntityTooLarge},
	} {
		for _, headers := range [][]string{{"Authorization", "Bearer " + secret}, {"X-Hub-Signature-256", signature(secret, []byte(tt.body))}} {
			if got := post(t, h, []byte(tt.body), headers...).Code; got != tt.want {
				t.Errorf("%s: got status %d, want %d", name, got, tt.want)
			}
		}
	}
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, hook.Path, http.NoBody)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != http.MethodPost {
		t.Errorf("GET: got status %d, Allow %q", w.Code, w.Header().Get("Allow"))
	}
}

func TestAMessageIsAskedForAgainWhenNoLookCouldBeArranged(t *testing.T) {
	t.Parallel()
	l := looks{err: errors.New("database is gone")}
	resp := post(t, handler(&l, "registry.example/acme/web"), payload(t, "harbor.json"), "Authorization", secret)
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.Code != http.StatusServiceUnavailable || resp.Header().Get("Retry-After") == "" {
		t.Errorf("got status %d, Retry-After %q, %v; want 503 with a time", resp.Code, resp.Header().Get("Retry-After"), err)
	}
	if strings.Contains(string(body), "database") {
		t.Errorf("the answer tells %q", body)
	}
}

func TestAFloodIsStemmed(t *testing.T) {
	t.Parallel()
	var l looks
	at := time.Unix(1_800_000_000, 0)
	h := hook.New(hook.Config{Secret: secret, Repositories: []string{"registry.example/acme/web"}, Discover: l.discover, Now: func() time.Time { return at }})
	taken := func() (n int) {
		for range 300 {
			switch status := post(t, h, payload(t, "harbor.json"), "Authorization", secret).Code; status {
			case http.StatusAccepted:
				n++
			case http.StatusTooManyRequests:
			default:
				t.Fatalf("got status %d", status)
			}
		}
		return n
	}
	if got := taken(); got != 200 {
		t.Errorf("at once: got %d messages taken, want 200", got)
	}
	at = at.Add(time.Second)
	if got := taken(); got != 20 {
		t.Errorf("a second later: got %d messages taken, want 20", got)
	}
}
