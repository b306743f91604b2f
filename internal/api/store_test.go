package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/api/apitest"
	"github.com/tallyman-io/tallyman/internal/api/wire"
	"github.com/tallyman-io/tallyman/internal/dossier"
	"github.com/tallyman-io/tallyman/internal/evidence/evidencetest"
	"github.com/tallyman-io/tallyman/internal/grant"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/store"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
	"github.com/tallyman-io/tallyman/internal/tally/tallytest"
)

const criticalVector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"

const realVEX = `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://example.com/vex/1","author":"Acme","timestamp":"2026-05-01T00:00:00Z","version":1,"statements":[]}`

const realProvenance = `{"buildDefinition":{"buildType":"https://example.com/build"},"runDetails":{"builder":{"id":"https://example.com/builder"},
	"metadata":{"startedOn":"2026-04-01T10:00:00Z","finishedOn":"2026-04-01T10:01:30Z"}}}`

// kept is a tally as the worker keeps it: v1.0.0 with all its papers passed, and fails
// since an advisory came in; v2.0.0 fixes that, and has no papers but its signature and SBOM;
// v0.9.0 has none.
type kept struct {
	*tallytest.Bench
	server    *server
	component string
	digests   []release.Digest
	platforms []release.Digest // of v1.0.0
}

func keep(t *testing.T, url string) *kept {
	t.Helper()
	b := &kept{Bench: tallytest.New(t, url, tallytest.Options{Connections: 4})}
	settle := func() {
		if err := b.Tally.Duty(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.Settle(t)
	}
	b.Publish(t, "Go", storetest.Advisory("GO-LOW", "example.com/b", "1.1.0", b.Now(), ""))
	index, platforms := b.Release(t, 1, "v1.0.0")
	b.Seal(t, index, platforms, "pkg:golang/example.com/a@v1.0.0", "pkg:golang/example.com/b@v1.0.0")
	b.Key.Attest(t, b.Repository, index, evidencetest.Attestation{Type: evidencetest.OpenVEX, Predicate: []byte(realVEX)},
		evidencetest.Attestation{Type: evidencetest.Provenance, Predicate: []byte(realProvenance)})
	b.digests, b.platforms = append(b.digests, index), platforms
	b.Release(t, 3, "v0.9.0")
	b.Look(t)
	settle()
	b.Advance(24 * time.Hour)
	b.Publish(t, "Go", storetest.Advisory("GO-LOW", "example.com/b", "1.1.0", b.Now(), ""),
		storetest.Advisory("GO-CRITICAL", "example.com/a", "2.0.0", b.Now(), criticalVector))
	settle()
	b.Advance(24 * time.Hour)
	index, platforms = b.Release(t, 2, "v2.0.0", "latest")
	b.Seal(t, index, platforms, "pkg:golang/example.com/a@v2.0.0")
	b.digests = append(b.digests, index)
	b.Look(t)
	settle()
	b.server, b.component = serve(t, unguarded{b.Store}), wire.ComponentPath(b.Repository)
	return b
}

// unguarded is a store as web hands it to the API, without a guard to say who asks.
type unguarded struct{ *store.Store }

func (u unguarded) Announce(ctx context.Context, a account.Announcement) error {
	return u.Store.Announce(ctx, a, grant.Entry{Actor: a.By, Action: grant.ActionAnnounce, Via: "hook"})
}

// get asks with success, and decodes what is answered.
func (b *kept) get(t *testing.T, path string) (map[string]any, *httptest.ResponseRecorder) {
	t.Helper()
	w := b.server.do(t, http.MethodGet, path, nil)
	if w.Code != http.StatusOK {
		t.Fatalf("%s: got %d %s, want 200", path, w.Code, w.Body)
	}
	var body map[string]any
	if strings.HasSuffix(w.Header().Get("Content-Type"), "json") {
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
			t.Fatalf("%s: not JSON: %v", path, err)
		}
	}
	return body, w
}

// at walks into decoded JSON by names and numbers.
func at(t *testing.T, body any, path ...any) any {
	t.Helper()
	for _, step := range path {
		switch step := step.(type) {
		case string:
			object, ok := body.(map[string]any)
			if !ok {
				t.Fatalf("%v: not an object at %s: %v", path, step, body)
			}
			body = object[step]
		case int:
			list, ok := body.([]any)
			if !ok || len(list) <= step {
				t.Fatalf("%v: no item %d: %v", path, step, body)
			}
			body = list[step]
		}
	}
	return body
}

func TestTheAPIOverARealStore(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := keep(t, url)
		t.Run("reads", func(t *testing.T) { b.reads(t) })
		t.Run("documents", func(t *testing.T) { b.documents(t) })
		t.Run("verdicts by digest", func(t *testing.T) { b.verdicts(t) })
		t.Run("texts", func(t *testing.T) { b.texts(t) })
		t.Run("requests", func(t *testing.T) { b.requests(t) })
		t.Run("dossier", func(t *testing.T) { b.dossier(t) })
		t.Run("hostile requests", func(t *testing.T) { b.hostile(t) })
	})
}

func (b *kept) reads(t *testing.T) {
	v1 := b.component + "/releases/v1.0.0"
	tests := []struct {
		path string
		at   []any
		want any
	}{
		{base + "/components", []any{"items", 0, "latest", "version"}, "v2.0.0"},
		{base + "/components", []any{"items", 0, "trend", 1, "critical"}, 1.0},
		{base + "/components", []any{"items", 0, "trend", 0, "critical"}, nil},
		{b.component, []any{"repository"}, b.Repository},
		{b.component, []any{"latest", "now", "counts", "critical"}, 0.0},
		{b.component + "/releases", []any{"items", 1, "now", "result"}, "fail"},
		{b.component + "/releases?result=pass", []any{"items", 0, "version"}, "v2.0.0"},
		{b.component + "/kpis", []any{"items", 1, "build_duration_seconds"}, 90.0},
		{b.component + "/kpis", []any{"items", 0, "build_duration_seconds"}, nil},
		{b.component + "/releases/v0.9.0/findings", []any{"total"}, nil},
		{b.component + "/releases/v0.9.0/packages", []any{"unknown_because"}, "there is no SBOM that counts for it"},
		{b.component + "/releases/v0.9.0", []any{"evidence", 1, "state"}, "absent"},
		{b.component + "/repairs", []any{"items", 0, "fixed_in"}, "v2.0.0"},
		{base + "/releases?limit=1", []any{"items", 0, "version"}, "v2.0.0"},
		{v1, []any{"at_release", "result"}, "pass"},
		{v1, []any{"now", "cause"}, "advisories"},
		{v1, []any{"evidence", 2, "state"}, "verified"},
		{b.component + "/releases/" + string(b.digests[0]), []any{"version"}, "v1.0.0"},
		{v1 + "/verdicts", []any{"items", 0, "result"}, "fail"},
		{v1 + "/verdicts", []any{"items", 1, "result"}, "pass"},
		{v1 + "/verdicts?limit=1", []any{"total"}, 4.0},
		{v1 + "/changes", []any{"items", 0, "before"}, ""},
		{v1 + "/changes?limit=1", []any{"total"}, 15.0},
		{v1, []any{"changes_total"}, 15.0},
		{v1, []any{"changes_next"}, ""},
		{v1 + "/findings", []any{"items", 0, "id"}, "GO-CRITICAL"},
		{v1 + "/findings", []any{"items", 0, "severity", "score"}, 9.8},
		{v1 + "/findings", []any{"items", 0, "occurrence"}, "since"},
		{v1 + "/findings?sort=-severity&show=open", []any{"items", 0, "id"}, "GO-LOW"},
		{v1 + "/packages?text=example.com/a", []any{"items", 0, "findings"}, 1.0},
		{base + "/compare?from=" + b.Repository + ":v1.0.0&to=" + b.Repository + "@" + string(b.digests[1]), []any{"fixed", 0, "id"}, "GO-CRITICAL"},
		{base + "/search?q=example.com/a@%3C2.0.0", []any{"items", 0, "version"}, "v1.0.0"},
		{base + "/search?q=GO-CRITICAL", []any{"advisory", "id"}, "GO-CRITICAL"},
		{base + "/feeds", []any{"feeds", 0, "ecosystem"}, "Go"},
		{base + "/advisories?found=true&severity=critical", []any{"items", 0, "id"}, "GO-CRITICAL"},
		{base + "/advisories/GO-CRITICAL", []any{"record", "id"}, "GO-CRITICAL"},
		{base + "/advisories/GO-CRITICAL/releases", []any{"items", 0, "version"}, "v1.0.0"},
		{base + "/findings", []any{"items", 0, "id"}, "GO-CRITICAL"},
		{base + "/activity", []any{"items", 0, "cause"}, "release"},
		{base + "/progress?release=" + b.Repository + "@" + string(b.digests[1]), []any{"items", 1, "note"}, "documents: 2"},
		{base + "/queue", []any{"failed"}, 0.0},
		{v1 + "/rescan", []any{"state"}, "none"},
		{b.component + "/rescan", []any{"ended"}, true},
		{base + "/audit", []any{"items"}, []any{}},
		{base + "/tokens", []any{"next"}, nil},
		{v1 + "/documents?limit=1", []any{"total"}, 4.0},
	}
	for _, tt := range tests {
		body, w := b.get(t, tt.path)
		if got := at(t, body, tt.at...); !cmp.Equal(got, tt.want) {
			t.Errorf("%s: %v: got %v, want %v", tt.path, tt.at, got, tt.want)
		}
		checkConditional(t, b.server, tt.path, w)
	}
	body, _ := b.get(t, base+"/activity")
	id, ok := at(t, body, "items", 0, "href").(string)
	if wave, _ := b.get(t, id); !ok || wave["findings"] == nil {
		t.Errorf("%v: got %v", id, wave)
	}
}

// documents are served as they were attested, by whichever way.
func (b *kept) documents(t *testing.T) {
	v1 := b.component + "/releases/v1.0.0"
	listed, _ := b.get(t, v1+"/documents")
	list, ok := listed["items"].([]any)
	if !ok || len(list) < 4 {
		t.Fatalf("documents: got %v, want an SBOM for each platform, VEX and provenance", listed)
	}
	for i := range list {
		digest, href := at(t, list[i], "digest"), at(t, list[i], "href")
		path, isText := href.(string)
		if !isText {
			t.Fatalf("href: got %v", href)
		}
		_, w := b.get(t, path)
		if got := string(storetest.DigestOf(w.Body.String())); got != digest || w.Header().Get("ETag") != `"`+got+`"` {
			t.Errorf("%s: got bytes with the digest %s and ETag %s, want %s", path, got, w.Header().Get("ETag"), digest)
		}
	}
	p := problemIn(t, b.server.do(t, http.MethodGet, v1+"/sbom", nil))
	if p.Status != http.StatusConflict || len(p.Choices) != 2 {
		t.Fatalf("SBOM without a choice: got %+v, want 409 with one for each platform", p)
	}
	for _, c := range p.Choices {
		_, w := b.get(t, v1+"/sbom?"+url.Values{"platform": {c.Platform}, "format": {c.Format}}.Encode())
		if got := string(storetest.DigestOf(w.Body.String())); got != c.Digest {
			t.Errorf("SBOM of %s: got %s, want %s", c.Platform, got, c.Digest)
		}
	}
	if _, w := b.get(t, v1+"/vex"); w.Header().Get("Content-Type") != "application/vnd.openvex+json" {
		t.Errorf("VEX: got %s", w.Header().Get("Content-Type"))
	}
}

func (b *kept) verdicts(t *testing.T) {
	for digest, want := range map[release.Digest]string{b.digests[0]: "fail", b.platforms[1]: "fail", b.digests[1]: "pass"} {
		body, w := b.get(t, base+"/verdicts/"+string(digest))
		if body["result"] != want || at(t, body, "advisory_data", "oldest_at") == nil || w.Header().Get("Cache-Control") != "private, max-age=10" {
			t.Errorf("%s: got %v, want %s with the age of the data", digest, body, want)
		}
	}
	if p := problemIn(t, b.server.do(t, http.MethodGet, base+"/verdicts/"+string(storetest.DigestOf("x")), nil)); p.Type != "urn:tallyman:problem:unknown-digest" {
		t.Errorf("digest of nobody: got %+v", p)
	}
}

// texts are the answers that are no JSON of ours.
func (b *kept) texts(t *testing.T) {
	v1, name := b.component+"/releases/v1.0.0", wire.Segment(b.Repository)
	for path, want := range map[string]string{
		v1 + "/findings.csv": "\r\nGO-CRITICAL,", v1 + "/packages.csv": ",pkg:golang/example.com/a@v1.0.0,MIT,1,critical,", v1 + "/findings.sarif": `"ruleId":"GO-CRITICAL","level":"error"`,
		base + "/badges/" + name + "/verdict.svg": ">pass<", base + "/badges/" + name + "/v1.0.0/critical.svg": ">1<", base + "/badges/" + name + "/v1.0.0/build.svg": ">1m30s<",
		base + "/atom/releases": ":v1.0.0: fail</title>", base + "/atom/findings": "<title>GO-CRITICAL: critical</title>",
		base + "/metrics": `tallyman_release_build_duration_seconds{repository="` + b.Repository + `",version="v1.0.0"} 90`,
	} {
		if _, w := b.get(t, path); !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: want %q in\n%s", path, want, w.Body)
		}
	}
}

func (b *kept) requests(t *testing.T) {
	for _, path := range []string{b.component + "/rescan", b.component + "/releases/v2.0.0/rescan"} {
		if w := b.server.do(t, http.MethodPost, path, nil); w.Code != http.StatusAccepted {
			t.Errorf("%s: got %d %s, want 202", path, w.Code, w.Body)
		}
	}
	upload := func(version string) *httptest.ResponseRecorder {
		body, _ := b.get(t, b.component+"/releases/"+version)
		platform, ok := at(t, body, "platforms", 0, "name").(string)
		if !ok {
			t.Fatal("no platform")
		}
		return b.server.do(t, http.MethodPost, b.component+"/releases/"+version+"/sbom?platform="+url.QueryEscape(platform), spdx, "Content-Type", "application/spdx+json")
	}
	if p := problemIn(t, upload("v2.0.0")); p.Type != "urn:tallyman:problem:attested" || len(p.Choices) != 1 {
		t.Errorf("upload beside a verified SBOM: got %+v, want it refused, with the one that counts", p)
	}
	if w := upload("v0.9.0"); w.Code != http.StatusAccepted {
		t.Fatalf("upload: got %d %s, want 202", w.Code, w.Body)
	}
	if err := b.Tally.TakeRequests(t.Context()); err != nil {
		t.Fatal(err)
	}
	if errs := b.Settle(t); len(errs) > 0 {
		t.Fatal(errs)
	}
	listed, _ := b.get(t, b.component+"/releases/v0.9.0/documents")
	if raw, err := json.Marshal(listed); err != nil || !strings.Contains(string(raw), `"uploaded_by":"token ci"`) {
		t.Errorf("documents after the upload: %s (%v), want one that token ci uploaded", raw, err)
	}
}

// dossier is asked for, made by the worker, downloaded, and verified as a file.
func (b *kept) dossier(t *testing.T) {
	path := b.component + "/releases/v1.0.0/dossier"
	if p := problemIn(t, b.server.do(t, http.MethodGet, path, nil)); p.Status != http.StatusNotFound || !strings.Contains(p.Detail, "ask for it with POST "+path) {
		t.Errorf("before: got %+v, want 404 that says how to ask", p)
	}
	if body, _ := b.get(t, path+"/state"); body["state"] != "none" {
		t.Errorf("before: got %v, want none", body)
	}
	if w := b.server.do(t, http.MethodPost, path, nil); w.Code != http.StatusAccepted || !strings.Contains(w.Body.String(), `"state":"making"`) {
		t.Fatalf("ask: got %d %s, want 202 and one in the making", w.Code, w.Body)
	}
	if w := b.server.do(t, http.MethodGet, path, nil); w.Code != http.StatusConflict || w.Header().Get("Retry-After") == "" {
		t.Errorf("meanwhile: got %d %s, want 409 and when to come back", w.Code, w.Body)
	}
	if err := b.Tally.TakeRequests(t.Context()); err != nil {
		t.Fatal(err)
	}
	if errs := b.Settle(t); len(errs) > 0 {
		t.Fatal(errs)
	}
	state, _ := b.get(t, path+"/state")
	if w := b.server.do(t, http.MethodPost, path, nil); w.Code != http.StatusAccepted || !strings.Contains(w.Body.String(), `"state":"ready"`) {
		t.Errorf("ask again: got %d %s, want the one that is there", w.Code, w.Body)
	}
	_, w := b.get(t, path)
	checkConditional(t, b.server, path, w)
	file := filepath.Join(t.TempDir(), "web.dossier")
	if err := os.WriteFile(file, w.Body.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := dossier.Open(file, dossier.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	checked, err := f.Check(t.Context(), nil)
	if err != nil || string(checked.Digest) != state["digest"] || checked.Manifest.Images[0].Digest != b.digests[0] || w.Header().Get("ETag") != `"`+string(storetest.DigestOf(w.Body.String()))+`"` {
		t.Errorf("got dossier %s of %+v (%v), want that of %v", checked.Digest, checked.Manifest.Images, err, state)
	}
}

// hostile requests are those that the fuzzer begins with.
func (b *kept) hostile(t *testing.T) {
	all, err := apitest.Calls(b.server.api.OpenAPI(), known)
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		for _, hostile := range apitest.Hostile() {
			for _, choices := range [][]byte{{0, 3, 3, 3, 3, 3, 3, 0}, {3, 3, 3, 3, 3, 3, 3, 3}, {0, 0, 2, 3, 2, 3, 0, 1}} {
				r := all[i].Request(t.Context(), choices, hostile, []byte(hostile))
				r.URL.Path = strings.ReplaceAll(r.URL.Path, "ghcr.io~acme~web", wire.Segment(b.Repository))
				r.URL.RawPath = ""
				w := httptest.NewRecorder()
				b.server.ServeHTTP(w, r)
				if err := all[i].Check(r, w); err != nil {
					t.Errorf("%v\n%s", err, b.server.log)
				}
			}
		}
	}
}
