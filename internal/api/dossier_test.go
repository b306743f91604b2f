package api_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
)

func TestADossierIsAskedForInTheNameOfTheCaller(t *testing.T) {
	t.Parallel()
	store := &memory{}
	w := serve(t, store).do(t, http.MethodPost, of10+"/dossier", nil)
	var got struct {
		State, Watch, Href string
		Progress           struct{ Note string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if w.Code != http.StatusAccepted || w.Header().Get("Location") != of10+"/dossier/state" || got.Watch != of10+"/dossier/state" || got.State != "making" || got.Progress.Note != "write" || got.Href != "" {
		t.Errorf("got %d %s, Location %q, want 202 and where to see how it stands", w.Code, w.Body, w.Header().Get("Location"))
	}
	want := []account.Request{{Step: release.StepDossier, Repository: repository, Digest: storetest.DigestOf("v1.0.0"), By: "token ci"}}
	if diff := cmp.Diff(want, store.asked); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
}

func TestADossierIsServedPartByPart(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(serve(t, &memory{}))
	defer web.Close()
	body, header, err := fetch(t, web, of11+"/dossier")
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Join(dossierParts(), "")
	if body != want || header.Get("Content-Length") != strconv.Itoa(len(want)) {
		t.Errorf("got %q bytes, %q, want %q", header.Get("Content-Length"), body, want)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/zstd", "ETag": `"` + string(storetest.DigestOf(want)) + `"`, "Content-Disposition": "attachment; filename=web-v1.1.0.dossier",
	} {
		if got := header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

func TestADossierThatIsCutShortIsNoWholeAnswer(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(serve(t, &memory{lost: true}))
	defer web.Close()
	if body, _, err := fetch(t, web, of11+"/dossier"); err == nil {
		t.Errorf("got %q and %v, want an answer that ends too early", body, err)
	}
}

// fetch gets a path, with success, and returns the body and its header.
func fetch(t *testing.T, web *httptest.Server, path string) (string, http.Header, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, web.URL+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := web.Client().Do(r)
	if err != nil {
		return "", nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("got %d, want 200", answer.StatusCode)
	}
	body, err := io.ReadAll(answer.Body)
	return string(body), answer.Header, err
}
