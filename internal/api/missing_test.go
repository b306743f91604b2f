package api_test

import (
	"bytes"
	"errors"
	"net/http"
	"testing"
)

func TestWhatIsNotThereIsNotFoundByEachOperation(t *testing.T) {
	t.Parallel()
	s := serve(t, &memory{})
	none := ofC + "/releases/v9.0.0"
	for _, path := range []string{
		base + "/components/other/kpis", none + "/findings", none + "/findings.csv", none + "/findings.sarif", none + "/packages", none + "/packages.csv", none + "/verdicts", none + "/changes",
		none + "/sbom", none + "/vex", none + "/documents", base + "/badges/other/verdict.svg", base + "/badges/ghcr.io~acme~web/v9.0.0/verdict.svg",
	} {
		if w := s.do(t, http.MethodGet, path, nil); w.Code != http.StatusNotFound || problemIn(t, w).Type != "urn:tallyman:problem:not-found" {
			t.Errorf("%s: got %d %s, want 404", path, w.Code, w.Body)
		}
	}
	if w := s.do(t, http.MethodPost, none+"/rescan", nil); w.Code != http.StatusNotFound {
		t.Errorf("rescan: got %d %s, want 404", w.Code, w.Body)
	}
}

func TestWhatNobodyWouldDoIsNotTakenOn(t *testing.T) {
	t.Parallel()
	s := serve(t, &memory{left: true})
	for _, path := range []string{ofC + "/rescan", of11 + "/rescan", of10 + "/dossier"} {
		if w := s.do(t, http.MethodPost, path, nil); w.Code != http.StatusConflict || problemIn(t, w).Type != "urn:tallyman:problem:not-watched" {
			t.Errorf("%s: got %d %s, want 409", path, w.Code, w.Body)
		}
	}
}

func TestOfSeveralDocumentsOneHasToBeChosen(t *testing.T) {
	t.Parallel()
	s := serve(t, &memory{vexes: true})
	for path, c := range map[string]struct {
		choices int
		content []byte
	}{
		of11 + "/vex": {2, vex},
		// The third is one that nobody signed.
		of11 + "/receipt": {3, receipt},
	} {
		w := s.do(t, http.MethodGet, path, nil)
		if p := problemIn(t, w); w.Code != http.StatusConflict || len(p.Choices) != c.choices {
			t.Errorf("%s: got %d %s, want 409 with all %d", path, w.Code, w.Body, c.choices)
		}
		if w := s.do(t, http.MethodGet, path+"?platform=index", nil); w.Code != http.StatusOK || !bytes.Equal(w.Body.Bytes(), c.content) {
			t.Errorf("%s, chosen: got %d %s, want the document", path, w.Code, w.Body)
		}
	}
}

func TestAMessageThatCannotBeWrittenDownIsToBeSentAgain(t *testing.T) {
	t.Parallel()
	w := serve(t, &memory{err: errors.New("gone")}).do(t, http.MethodPost, hooksPath+"ghcr", hookMessage(t, "github-registry_package.json"),
		"Content-Type", "application/json", "Authorization", "Bearer "+hookSecret)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("got %d %s, want 503 with Retry-After", w.Code, w.Body)
	}
}
