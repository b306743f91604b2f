package api_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/api/apitest"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
)

// problem is what every error is, as a client reads it.
type problem struct {
	Type, Title, Detail, Instance string
	Status                        int
	Errors                        []struct{ Where, Expected, Found string }
	Choices                       []struct{ Platform, Format, Digest string }
}

func problemIn(t testing.TB, w *httptest.ResponseRecorder) problem {
	t.Helper()
	var p problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Fatalf("got %s %.300s (%v), want a problem", w.Header().Get("Content-Type"), w.Body, err)
	}
	if p.Status != w.Code || p.Title == "" || p.Detail == "" || p.Instance != "req-1" || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("got %+v with %d and %q, want status, title, detail and the id of the request, not kept", p, w.Code, w.Header().Get("Cache-Control"))
	}
	return p
}

func TestWhatIsWrongIsAProblemThatSaysSo(t *testing.T) {
	t.Parallel()
	s := serve(t, &memory{})
	digest := string(storetest.DigestOf("nobody's"))
	tests := []struct {
		name, method, path, body, media string
		status                          int
		kind, detail                    string
	}{
		{"unknown component", "GET", base + "/components/ghcr.io~acme~other", "", "", 404, "not-found", `path.repository: no component "ghcr.io/acme/other" is known`},
		{"unknown component, in its releases", "GET", base + "/components/other/releases", "", "", 404, "not-found", `no component "other"`},
		{"unknown component, in its repairs", "GET", base + "/components/other/repairs", "", "", 404, "not-found", `no component "other"`},
		{"unknown release", "GET", ofC + "/releases/v9.0.0", "", "", 404, "not-found", `no release "ghcr.io/acme/web:v9.0.0" is known`},
		{"unknown digest in a component", "GET", ofC + "/releases/" + digest, "", "", 404, "not-found", "ghcr.io/acme/web@" + digest},
		{"name that is none", "GET", ofC + "/releases/-v1", "", "", 400, "invalid-request", "path.name: expected a text that matches"},
		{"short digest", "GET", base + "/verdicts/sha256:abc", "", "", 400, "invalid-request", "path.digest"},
		{"unknown digest is not a pass", "GET", base + "/verdicts/" + digest, "", "", 404, "unknown-digest", "is unknown, which is not a pass"},
		{"unknown document", "GET", base + "/documents/" + digest, "", "", 404, "not-found", "no document"},
		{"unknown advisory", "GET", base + "/advisories/GO-1", "", "", 404, "not-found", `no advisory "GO-1"`},
		{"unknown advisory, in its releases", "GET", base + "/advisories/GO-1/releases", "", "", 404, "not-found", `no advisory "GO-1"`},
		{"unknown wave", "GET", base + "/waves/8", "", "", 404, "not-found", `no wave "8"`},
		{"cursor of another list of a comparison", "GET", base + "/compare?from=ghcr.io/acme/web:v1.0.0&to=ghcr.io/acme/web:v1.1.0&added_cursor=abc", "", "", 400, "invalid-request", "query: expected cursors that these lists gave"},
		{"cursor of another list of a wave", "GET", base + "/waves/7?verdicts_cursor=abc", "", "", 400, "invalid-request", "query: expected cursors that these lists gave"},
		{"wave without a number", "GET", base + "/waves/x", "", "", 400, "invalid-request", `path.id: expected a whole number, found "x"`},
		{"limit too large", "GET", base + "/releases?limit=501", "", "", 400, "invalid-request", `query.limit: expected a number from 1 to 500, found "501"`},
		{"limit of 0", "GET", base + "/releases?limit=0", "", "", 400, "invalid-request", `query.limit: expected a number from 1 to 500, found "0"`},
		{"limit twice", "GET", base + "/releases?limit=1&limit=2", "", "", 400, "invalid-request", "query.limit: expected it once, found 2 times"},
		{"cursor of nobody", "GET", base + "/releases?cursor=abc", "", "", 400, "invalid-request", "query.cursor: expected a cursor that this list gave"},
		{"misspelt parameter", "GET", base + "/releases?limitt=1", "", "", 400, "invalid-request", "query.limitt: expected a parameter that the operation has"},
		{"unknown value", "GET", of11 + "/findings?severity=worst", "", "", 400, "invalid-request", `query.severity: expected one of critical, high`},
		{"zero byte", "GET", base + "/search?q=a%00b", "", "", 400, "invalid-request", "query.q: expected UTF-8 without control characters"},
		{"no UTF-8", "GET", base + "/search?q=%ff", "", "", 400, "invalid-request", "query.q: expected UTF-8 without control characters"},
		{"broken escape", "GET", base + "/search?q=%zz", "", "", 400, "invalid-request", "query: expected name=value pairs"},
		{"no term", "GET", base + "/search", "", "", 400, "invalid-request", "query.q: expected a value, found none"},
		{"blank term", "GET", base + "/search?q=%20", "", "", 400, "invalid-request", "query.q: expected a term, found spaces"},
		{"flag that is none", "GET", base + "/advisories?found=maybe", "", "", 400, "invalid-request", "query.found: expected true or false"},
		{"nothing to compare with", "GET", base + "/compare?from=ghcr.io/acme/web:v1.0.0", "", "", 400, "invalid-request", "query.to: expected a value, found none"},
		{"release without a version", "GET", base + "/compare?from=localhost:5000/web&to=a@sha256:1", "", "", 400, "invalid-request", "query.from: expected repository:version"},
		{"unknown release to compare", "GET", base + "/compare?from=other:v1.0.0&to=ghcr.io/acme/web:v1.0.0", "", "", 404, "not-found", "other:v1.0.0"},
		{"several SBOMs", "GET", of11 + "/sbom", "", "", 409, "choice-needed", "found several"},
		{"SBOM of another platform", "GET", of11 + "/sbom?platform=linux/s390x", "", "", 404, "not-found", "expected one of the documents that there are"},
		{"no VEX", "GET", of10 + "/vex", "", "", 404, "not-found", "no document of the kind vex"},
		{"not examined", "GET", of12 + "/sbom", "", "", 404, "not-found", "not been looked at yet"},
		{"dossier of nothing", "GET", ofC + "/releases/v9.0.0/dossier", "", "", 404, "not-found", "no release"},
		{"state of a dossier of nothing", "GET", ofC + "/releases/v9.0.0/dossier/state", "", "", 404, "not-found", "no release"},
		{"dossier in the making", "GET", of10 + "/dossier", "", "", 409, "being-made", of10 + "/dossier/state tells how far it is"},
		{"dossier that failed", "GET", of12 + "/dossier", "", "", 404, "not-found", "could not be made: ghcr.io: 403; ask for it with POST " + of12 + "/dossier"},
		{"asking for a dossier of nothing", "POST", ofC + "/releases/v9.0.0/dossier", "", "", 404, "not-found", "no release"},
		{"progress of nothing", "GET", base + "/progress?release=ghcr.io/acme/web:v9.0.0", "", "", 404, "not-found", `query.release: no release "ghcr.io/acme/web:v9.0.0"`},
		{"progress of no release", "GET", base + "/progress?release=web", "", "", 400, "invalid-request", "query.release: expected repository:version"},
		{"badge that is none", "GET", base + "/badges/ghcr.io~acme~web/pass.svg", "", "", 400, "invalid-request", "path.badge"},
		{"path of nothing", "GET", base + "/nothing", "", "", 404, "not-found", `path: no operation "/api/v1/nothing"`},
		{"method that it does not have", "DELETE", ofC, "", "", 405, "method-not-allowed", `method: expected one of [GET HEAD], found "DELETE"`},
		{"method of another", "GET", base + "/hooks/ghcr", "", "", 405, "method-not-allowed", `expected one of [POST], found "GET"`},
		{"method of neither", "DELETE", ofC + "/rescan", "", "", 405, "method-not-allowed", `expected one of [GET HEAD POST], found "DELETE"`},
		{"rescan of nothing, how far", "GET", base + "/components/other/rescan", "", "", 404, "not-found", "no component"},
		{"rescan of no release, how far", "GET", ofC + "/releases/v9.0.0/rescan", "", "", 404, "not-found", "no release"},
		{"no receipt", "GET", of10 + "/receipt", "", "", 404, "not-found", "no document of the kind verification summary"},
		{"receipt that nobody signed", "GET", of11 + "/receipt?document=" + string(storetest.DigestOf("forged")), "", "", 404, "not-found", "found none that is as asked"},
		{"cursor of another list, of components", "GET", base + "/components?cursor=c2V0dGluZ3MAYWNjZXNzLmFub255bW91cw", "", "", 400, "invalid-request", "query.cursor: expected a cursor that this list gave"},
		{"cursor of the audit log that is none", "GET", base + "/audit?cursor=-1", "", "", 400, "invalid-request", "query.cursor: expected a cursor that this list gave"},
		{"cursor of tokens that is none", "GET", base + "/tokens?cursor=x", "", "", 400, "invalid-request", "query.cursor: expected a cursor that this list gave"},
		{"rescan with a body", "POST", ofC + "/rescan", `{"why":"now"}`, "application/json", 400, "invalid-request", "body: expected none, found one"},
		{"rescan of nothing", "POST", base + "/components/other/rescan", "", "", 404, "not-found", "no component"},
		{"upload without a type", "POST", of11 + "/sbom", string(spdx), "", 415, "unsupported-media-type", "header.Content-Type: expected application/spdx+json or"},
		{"upload of a page", "POST", of11 + "/sbom", "<html>", "text/html", 415, "unsupported-media-type", `found "text/html"`},
		{"upload of no SBOM", "POST", of11 + "/sbom?platform=index", `{"a":1}`, "application/json", 422, "invalid-document", "expected SPDX 2.x or CycloneDX 1.x as JSON"},
		{"upload of half an SBOM", "POST", of11 + "/sbom?platform=index", string(spdx[:40]), "application/json", 422, "invalid-document", "body: expected SPDX"},
		{"upload for one of several platforms", "POST", of11 + "/sbom", string(spdx), "application/json", 409, "choice-needed", "query.platform: expected one of the platforms"},
		{"upload for another platform", "POST", of11 + "/sbom?platform=linux/s390x", string(spdx), "application/json", 404, "not-found", `no platform "linux/s390x"`},
		{"upload beside a verified SBOM", "POST", of11 + "/sbom?platform=linux/amd64", string(spdx), "application/json", 409, "attested", "expected an image without a verified SBOM, found one by key release.pub"},
		{"upload for nothing", "POST", ofC + "/releases/v9/sbom", string(spdx), "application/json", 404, "not-found", "no release"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var headers []string
			if tt.media != "" {
				headers = []string{"Content-Type", tt.media}
			}
			w := s.do(t, tt.method, tt.path, []byte(tt.body), headers...)
			p := problemIn(t, w)
			if w.Code != tt.status || p.Type != "urn:tallyman:problem:"+tt.kind || !strings.Contains(p.Detail, tt.detail) {
				t.Errorf("got %d %s: %s\nwant %d %s with %q", w.Code, p.Type, p.Detail, tt.status, tt.kind, tt.detail)
			}
		})
	}
	if s.log.Len() > 0 {
		t.Errorf("mistakes of clients are in the log:\n%s", s.log)
	}
}

func TestAProblemListsWhatThereIsToChooseFrom(t *testing.T) {
	t.Parallel()
	s := serve(t, &memory{})
	p := problemIn(t, s.do(t, http.MethodGet, of11+"/sbom", nil))
	var got []string
	for _, c := range p.Choices {
		got = append(got, c.Platform+" "+c.Format)
		path := of11 + "/sbom?" + url.Values{"platform": {c.Platform}, "format": {c.Format}}.Encode()
		w := s.do(t, http.MethodGet, path, nil)
		if w.Code != http.StatusOK || w.Header().Get("ETag") != `"`+c.Digest+`"` || string(storetest.DigestOf(w.Body.String())) != c.Digest {
			t.Errorf("%s: got %d, ETag %s, want the bytes with the digest %s", path, w.Code, w.Header().Get("ETag"), c.Digest)
		}
	}
	if diff := cmp.Diff([]string{"linux/amd64 spdx", "linux/arm64/v8 cyclonedx"}, got); diff != "" {
		t.Errorf("choices (-want +got):\n%s", diff)
	}
}

func TestEveryMistakeIsTold(t *testing.T) {
	t.Parallel()
	p := problemIn(t, serve(t, &memory{}).do(t, http.MethodGet, of11+"/findings?limit=x&severity=y&show=z&cursor="+strings.Repeat("x", 1001), nil))
	got := make(map[string]bool)
	for _, e := range p.Errors {
		got[e.Where] = e.Expected != "" && e.Found != "" && len(e.Found) < 300
	}
	if diff := cmp.Diff(map[string]bool{"query.limit": true, "query.severity": true, "query.show": true, "query.cursor": true}, got); diff != "" {
		t.Errorf("mistakes (-want +got):\n%s", diff)
	}
}

func TestAFailureOfTheStoreIsLoggedOnceAndNotTold(t *testing.T) {
	t.Parallel()
	paths := reads()
	delete(paths, "openapi")
	delete(paths, "settings")
	for name, path := range paths {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, &memory{err: errors.New("secret of the store")})
			w := s.do(t, http.MethodGet, path, nil)
			p := problemIn(t, w)
			if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "secret") || p.Type != "urn:tallyman:problem:unavailable" {
				t.Errorf("got %d %s with Retry-After %q, want 503 without the reason", w.Code, w.Body, w.Header().Get("Retry-After"))
			}
			if got := bytes.Count(s.log.Bytes(), []byte("secret of the store")); got != 1 {
				t.Errorf("log: got it %d times, want once:\n%s", got, s.log)
			}
		})
	}
}

func TestARescanIsAskedForInTheNameOfTheCaller(t *testing.T) {
	t.Parallel()
	store := &memory{}
	s := serve(t, store)
	for _, tt := range []struct{ path, watch, until string }{
		{ofC + "/rescan", ofC, "last_look.at"}, {of11 + "/rescan", of11, "examined_at"},
	} {
		w := s.do(t, http.MethodPost, tt.path, nil)
		var got struct{ Watch, Until string }
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if w.Code != http.StatusAccepted || w.Header().Get("Location") != tt.watch || got.Watch != tt.watch || got.Until != tt.until || w.Header().Get("ETag") != "" {
			t.Errorf("%s: got %d %s, Location %q, want 202 and %s", tt.path, w.Code, w.Body, w.Header().Get("Location"), tt.watch)
		}
	}
	want := []account.Request{
		{Step: release.StepDiscover, Repository: repository, By: "token ci"},
		{Step: release.StepIngest, Repository: repository, Digest: storetest.DigestOf("v1.1.0"), By: "token ci"},
	}
	if diff := cmp.Diff(want, store.asked); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
}

func TestAnSBOMIsHandedInByteForByte(t *testing.T) {
	t.Parallel()
	store := &memory{}
	s := serve(t, store)
	for _, path := range []string{of12 + "/sbom?platform=linux/arm64/v8", of12 + "/sbom?platform=index"} {
		w := s.do(t, http.MethodPost, path, spdx, "Content-Type", "application/spdx+json; charset=utf-8")
		digest := string(storetest.DigestOf(string(spdx)))
		if w.Code != http.StatusAccepted || w.Header().Get("Location") != of12 || !strings.Contains(w.Body.String(), digest) || !strings.Contains(w.Body.String(), `"packages":1`) {
			t.Errorf("%s: got %d %s, Location %q", path, w.Code, w.Body, w.Header().Get("Location"))
		}
	}
	image := storetest.DigestOf("v1.2.0")
	want := []account.Upload{
		{Repository: repository, Digest: image, Subject: arm64, Content: spdx, By: "token ci"},
		{Repository: repository, Digest: image, Subject: image, Content: spdx, By: "token ci"},
	}
	if diff := cmp.Diff(want, store.uploads); diff != "" {
		t.Errorf("handed in (-want +got):\n%s", diff)
	}
}

func TestABodyThatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	store := &memory{}
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, of11+"/sbom?platform=index", bytes.NewReader(append(bytes.Repeat([]byte(" "), 32<<20), spdx...)))
	r.Header.Set("Content-Type", "application/json")
	serve(t, store).ServeHTTP(w, r)
	apitest.Record(t, r, nil, w)
	if p := problemIn(t, w); p.Status != http.StatusRequestEntityTooLarge || len(store.uploads) > 0 {
		t.Errorf("got %+v and %d uploads, want 413 and none", p, len(store.uploads))
	}
}

func TestEveryMethodNotAllowedNamesThoseThatAre(t *testing.T) {
	t.Parallel()
	w := serve(t, &memory{}).do(t, http.MethodPut, of11+"/sbom", nil)
	if got := strings.Join(w.Header().Values("Allow"), " "); got != "GET HEAD POST" || w.Code != http.StatusMethodNotAllowed {
		t.Errorf("got %d, Allow %q, want 405 and GET HEAD POST", w.Code, got)
	}
}
