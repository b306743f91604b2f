package api_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/account"
)

const hookSecret = "0123456789abcdef0123456789abcdef"

const hooksPath = base + "/hooks/"

func hookMessage(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("..", "registry", "hook", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func hookSignature(body []byte) string {
	mac := hmac.New(sha256.New, []byte(hookSecret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

func TestARegistryHasWatchedRepositoriesLookedAt(t *testing.T) {
	t.Parallel()
	github := hookMessage(t, "github-registry_package.json")
	tests := map[string]struct {
		kind    string
		body    []byte
		headers []string
		asked   []string
		answer  string
	}{
		"GitHub, signed":                      {"ghcr", github, []string{"X-Hub-Signature-256", hookSignature(github)}, []string{repository}, `{"repositories":["ghcr.io/acme/web"],"ignored":0}`},
		"Distribution, by path":               {"distribution", hookMessage(t, "distribution.json"), []string{"Authorization", "Bearer " + hookSecret}, []string{repository}, `{"repositories":["ghcr.io/acme/web"],"ignored":1}`},
		"Harbor, the secret alone":            {"harbor", hookMessage(t, "harbor-cloudevents.json"), []string{"Authorization", hookSecret}, []string{repository}, `{"repositories":["ghcr.io/acme/web"],"ignored":0}`},
		"Quay, of a repository not looked at": {"quay", hookMessage(t, "quay.json"), []string{"Authorization", "Bearer " + hookSecret}, nil, `{"repositories":[],"ignored":1}`},
		"a ping":                              {"ghcr", hookMessage(t, "github-ping.json"), []string{"Authorization", "Bearer " + hookSecret}, nil, `{"repositories":[],"ignored":0}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := &memory{}
			w := serve(t, store).do(t, http.MethodPost, hooksPath+tt.kind, tt.body, append(tt.headers, "Content-Type", "application/json")...)
			if got := strings.TrimSpace(w.Body.String()); w.Code != http.StatusAccepted || got != tt.answer {
				t.Errorf("got %d %s, want 202 %s", w.Code, got, tt.answer)
			}
			var want []account.Announcement
			if tt.asked != nil {
				want = []account.Announcement{{Repositories: tt.asked, By: "registry (" + tt.kind + ")"}}
			}
			if diff := cmp.Diff(want, store.told); diff != "" {
				t.Errorf("announced (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMessagesOfRegistriesAreRefusedWithReason(t *testing.T) {
	t.Parallel()
	known := []string{"Authorization", "Bearer " + hookSecret}
	github := hookMessage(t, "github-registry_package.json")
	tests := map[string]struct {
		kind    string
		body    []byte
		headers []string
		status  int
		detail  string
	}{
		"nobody":                    {"ghcr", github, nil, 401, "expected the shared secret"},
		"another secret":            {"ghcr", github, []string{"Authorization", "Bearer " + strings.Repeat("x", 32)}, 401, "expected the shared secret"},
		"a signature of another":    {"ghcr", append(bytes.Clone(github), ' '), []string{"X-Hub-Signature-256", hookSignature(github)}, 401, "expected the shared secret"},
		"a kind that there is none": {"gitea", github, known, 400, "path.kind: expected one of distribution, ghcr"},
		"a message of another kind": {"quay", github, known, 400, "expected a message of the kind quay, found one of github"},
		"no message":                {"quay", []byte("<xml>"), known, 400, "expected a message of a registry"},
		"too much":                  {"quay", bytes.Repeat([]byte(" "), 1<<20+1), known, 413, "at most 1048576 bytes"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := &memory{}
			w := serve(t, store).do(t, http.MethodPost, hooksPath+tt.kind, tt.body, append(tt.headers, "Content-Type", "application/json")...)
			p := problemIn(t, w)
			if w.Code != tt.status || !strings.Contains(p.Detail, tt.detail) || len(store.told) > 0 {
				t.Errorf("got %d %s and %v, want %d with %q and nothing", w.Code, p.Detail, store.told, tt.status, tt.detail)
			}
			if (w.Header().Get("WWW-Authenticate") != "") != (tt.status == http.StatusUnauthorized) {
				t.Errorf("WWW-Authenticate: got %q with %d", w.Header().Get("WWW-Authenticate"), w.Code)
			}
		})
	}
}

func TestMoreMessagesThanAreTakenAreToldToComeBack(t *testing.T) {
	t.Parallel()
	s := serve(t, &memory{})
	body := hookMessage(t, "github-ping.json")
	for n := range 250 {
		w := s.do(t, http.MethodPost, hooksPath+"ghcr", body, "Content-Type", "application/json", "Authorization", "Bearer "+hookSecret)
		if w.Code == http.StatusTooManyRequests {
			if n < 200 || w.Header().Get("Retry-After") == "" {
				t.Errorf("message %d: got 429 with Retry-After %q, want it after 200 of them", n, w.Header().Get("Retry-After"))
			}
			return
		}
	}
	t.Error("250 messages at once are taken")
}

func TestWithoutASecretThereAreNoHooks(t *testing.T) {
	t.Parallel()
	w := serveWith(t, &memory{}, "").do(t, http.MethodPost, hooksPath+"ghcr", []byte("{}"), "Content-Type", "application/json", "Authorization", "Bearer ")
	if p := problemIn(t, w); w.Code != http.StatusNotFound || !strings.Contains(p.Detail, "hooks.secret is not set") {
		t.Errorf("got %d %s, want 404 that says which setting", w.Code, p.Detail)
	}
}
