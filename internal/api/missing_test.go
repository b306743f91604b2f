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

func TestOfSeveralVEXDocumentsOneHasToBeChosen(t *testing.T) {
	t.Parallel()
	s := serve(t, &memory{vexes: true})
	w := s.do(t, http.MethodGet, of11+"/vex", nil)
	p := problemIn(t, w)
	if w.Code != http.StatusConflict || len(p.Choices) != 2 {
		t.Fatalf("got %d %s, want 409 with both", w.Code, w.Body)
	}
	if w := s.do(t, http.MethodGet, of11+"/vex?platform=index", nil); w.Code != http.StatusOK || !bytes.Equal(w.Body.Bytes(), vex) {
		t.Errorf("chosen: got %d %s, want the document", w.Code, w.Body)
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
