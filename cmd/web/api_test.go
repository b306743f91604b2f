package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/access"
	"github.com/tallyman-io/tallyman/internal/grant"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/store"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
	"github.com/tallyman-io/tallyman/internal/tally/tallytest"
)

func TestWhatAProgramAsksForIsInTheAuditLog(t *testing.T) {
	t.Parallel()
	b := assembled(t)
	const repository = "ghcr.io/acme/web"
	image, version := storetest.NewFleet(1, 1, 1).Image(repository, 1, time.Now())
	if err := b.store.Watch(t.Context(), []string{repository}, time.Hour); err != nil {
		t.Fatal(err)
	}
	look := release.Look{Repository: repository, At: time.Now(), Outcome: release.OutcomeComplete}
	if _, err := b.store.RecordLook(t.Context(), look, release.Sighting{Images: []release.Image{image}, Tags: map[string]release.Digest{version: image.Digest}}); err != nil {
		t.Fatal(err)
	}
	ctx := access.With(t.Context(), access.Principal{Name: "test", Role: access.Operator, Scopes: grant.Scopes(), Via: access.ViaSystem})
	secret, _, err := b.guard.MakeToken(ctx, access.NewToken{Name: "ci", Role: access.Operator, Scopes: grant.Scopes(), Days: 1})
	if err != nil {
		t.Fatal(err)
	}
	at := "/api/v1/components/ghcr.io~acme~web"
	for path, action := range map[string]string{
		at + "/rescan":                           grant.ActionRescan,
		at + "/releases/" + version + "/rescan":  grant.ActionRescan,
		at + "/releases/" + version + "/sbom":    grant.ActionUpload,
		at + "/releases/" + version + "/dossier": grant.ActionDossier,
	} {
		body := ""
		if action == grant.ActionUpload {
			body = `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[]}`
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+secret)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		b.mux.ServeHTTP(w, r)
		entries, err := b.store.Audit(t.Context(), grant.Page{Limit: 1})
		if w.Code != http.StatusAccepted || err != nil || len(entries) != 1 || entries[0].Action != action || entries[0].Actor != "ci" || !strings.HasPrefix(entries[0].Subject, repository) {
			t.Errorf("%s: got %d %s and the entry %+v (%v), want 202 and %s by ci", path, w.Code, w.Body, entries, err, action)
		}
	}
}

func TestWhatARegistryAnnouncesIsAskedForOnceAndWrittenDown(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("s3cret.", 4)
	b := assembled(t, "TALLYMAN_HOOKS_SECRET="+secret)
	if err := b.store.Watch(t.Context(), []string{"ghcr.io/acme/web", "ghcr.io/acme/other"}, time.Hour); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second is a replay
		body := `{"action":"published","package":{"name":"web","namespace":"Acme","package_type":"CONTAINER"}}`
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/api/v1/hooks/ghcr", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+secret)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		b.mux.ServeHTTP(w, r)
		if w.Code != http.StatusAccepted || !strings.Contains(w.Body.String(), `"repositories":["ghcr.io/acme/web"]`) {
			t.Fatalf("got %d %s, want 202 and the repository", w.Code, w.Body)
		}
	}
	entries, err := b.store.Audit(t.Context(), grant.Page{Limit: 10})
	if err != nil || len(entries) != 1 || entries[0].Action != grant.ActionAnnounce || entries[0].Actor != "registry (ghcr)" || entries[0].Via != "hook" ||
		entries[0].Subject != "ghcr.io/acme/web" || entries[0].Remote == "" {
		t.Errorf("got %+v (%v), want one entry, by the registry", entries, err)
	}
	queue := new(tallytest.Tasks)
	l, err := store.NewLedger(b.store, queue)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := l.TakeRequests(t.Context()); err != nil || n != 1 {
		t.Errorf("got %d requests (%v), want 1", n, err)
	}
}
