package api_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/tallyman-io/tallyman/internal/access"
	"github.com/tallyman-io/tallyman/internal/api"
	"github.com/tallyman-io/tallyman/internal/api/apitest"
	"github.com/tallyman-io/tallyman/internal/api/wire"
	"github.com/tallyman-io/tallyman/internal/grant"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }

var update = flag.Bool("update", false, "write the golden files")

// server is an API over a store, without a guard before it.
type server struct {
	http.Handler

	api *api.API
	log *bytes.Buffer
}

func serve(t testing.TB, store api.Store) *server { return serveWith(t, store, hookSecret) }

// serveWith is serve with a secret that registries are known by.
func serveWith(t testing.TB, store api.Store, secret string) *server {
	t.Helper()
	a, err := api.New(api.Config{
		Store: store, HooksSecret: secret, Version: "v0.0.0-test", Now: noonOfTests,
		Settings: []wire.Setting{{Key: "access.anonymous", Value: "none", Origin: "default"}, {Key: "database.url", Value: "postgres://tally:xxxxx@db/tally", Origin: "TALLYMAN_DATABASE_URL"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for _, r := range a.Routes() {
		mux.Handle(r.Method+" "+r.Pattern, r.Handler)
	}
	mux.Handle(base+"/", a.Missing())
	s := &server{api: a, log: new(bytes.Buffer)}
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Request-Id", "req-1")
		ctx := access.With(r.Context(), access.Principal{Name: "token ci"})
		mux.ServeHTTP(w, r.WithContext(zerolog.New(s.log).WithContext(ctx)))
	})
	return s
}

// do makes a request, and records it for the validator that is a module of its own.
func (s *server) do(t testing.TB, method, path string, body []byte, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, bytes.NewReader(body))
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	apitest.Record(t, r, body, w)
	return w
}

const (
	base = "/api/v1"
	ofC  = base + "/components/ghcr.io~acme~web"
	of10 = ofC + "/releases/v1.0.0"
	of11 = ofC + "/releases/v1.1.0"
	of12 = ofC + "/releases/v1.2.0"
)

// reads has a request for every operation that reads, with the golden file of its answer.
func reads() map[string]string {
	return map[string]string{
		"components": base + "/components", "component": ofC, "component-releases": ofC + "/releases?limit=2", "kpis": ofC + "/kpis", "repairs": ofC + "/repairs",
		"releases": base + "/releases?result=fail", "release": of11, "release-not-examined": of12,
		"release-by-digest": ofC + "/releases/" + string(storetest.DigestOf("v1.0.0")),
		"verdicts":          of11 + "/verdicts", "changes": of11 + "/changes?limit=2", "findings": of11 + "/findings?limit=2", "findings-not-examined": of12 + "/findings", "findings-csv": of11 + "/findings.csv",
		"findings-csv-not-examined": of12 + "/findings.csv", "findings-sarif": of11 + "/findings.sarif", "findings-sarif-not-examined": of12 + "/findings.sarif",
		"packages": of11 + "/packages", "packages-csv": of11 + "/packages.csv", "packages-csv-not-examined": of12 + "/packages.csv",
		"compare": base + "/compare?from=ghcr.io/acme/web:v1.0.0&to=ghcr.io/acme/web:v1.1.0", "search": base + "/search?q=example.com/a@%3C1.0.1", "search-advisory": base + "/search?q=CVE-2026-1",
		"verdict": base + "/verdicts/" + string(storetest.DigestOf("v1.0.0")), "verdict-of-a-platform": base + "/verdicts/" + string(arm64),
		"sbom": of11 + "/sbom?format=spdx", "vex": of11 + "/vex", "receipt": of11 + "/receipt", "component-rescan": ofC + "/rescan", "release-rescan": of11 + "/rescan", "release-rescan-never": of10 + "/rescan",
		"audit": base + "/audit", "audit-second": base + "/audit?limit=1&cursor=9", "tokens": base + "/tokens?limit=2", "tokens-oldest": base + "/tokens?limit=1&sort=-at&cursor=1", "settings": base + "/settings?limit=1",
		"documents": of11 + "/documents", "document": base + "/documents/" + string(storetest.DigestOf(string(cdx))),
		"feeds": base + "/feeds", "advisories": base + "/advisories?severity=critical&found=true", "advisory": base + "/advisories/GO-2026-0001",
		"advisory-releases": base + "/advisories/GO-2026-0001/releases", "new-findings": base + "/findings", "activity": base + "/activity", "wave": base + "/waves/7", "wave-second": base + "/waves/7?limit=1&findings_cursor=x&evidence_cursor=x",
		"dossier": of11 + "/dossier", "dossier-state": of11 + "/dossier/state", "dossier-state-making": of10 + "/dossier/state", "dossier-state-failed": of12 + "/dossier/state",
		"progress": base + "/progress", "progress-of-a-release": base + "/progress?release=ghcr.io/acme/web:v1.1.0", "queue": base + "/queue", "badge": base + "/badges/ghcr.io~acme~web/verdict.svg", "badge-critical": base + "/badges/ghcr.io~acme~web/v1.1.0/critical.svg",
		"badge-critical-unknown": base + "/badges/ghcr.io~acme~web/critical.svg", "badge-build": base + "/badges/ghcr.io~acme~web/v1.1.0/build.svg",
		"badge-release": base + "/badges/ghcr.io~acme~web/release.svg", "atom-releases": base + "/atom/releases?repository=ghcr.io/acme/web", "atom-findings": base + "/atom/findings",
		"metrics": base + "/metrics", "openapi": base + "/openapi.json",
	}
}

func TestEveryReadAnswersAsItsGoldenFile(t *testing.T) {
	t.Parallel()
	s := serve(t, &memory{})
	for name, path := range reads() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := s.do(t, http.MethodGet, path, nil)
			if w.Code != http.StatusOK {
				t.Fatalf("got %d %s, want 200", w.Code, w.Body)
			}
			if name != "openapi" { // document_test.go compares it
				golden(t, name, w)
			}
			checkConditional(t, s, path, w)
			head := s.do(t, http.MethodHead, path, nil)
			if head.Code != w.Code || head.Body.Len() != 0 || head.Header().Get("Content-Length") != w.Header().Get("Content-Length") {
				t.Errorf("HEAD: got %d with %d bytes and Content-Length %q, want the header of GET alone", head.Code, head.Body.Len(), head.Header().Get("Content-Length"))
			}
		})
	}
}

// golden compares an answer, with the headers that matter, with its file.
func golden(t *testing.T, name string, w *httptest.ResponseRecorder) {
	t.Helper()
	var got bytes.Buffer
	for _, header := range []string{"Content-Type", "Content-Disposition", "Cache-Control", "Cross-Origin-Resource-Policy", "Link", "Vary", "Advisory-Data-As-Of"} {
		if value := w.Header().Get(header); value != "" {
			got.WriteString(header + ": " + value + "\n")
		}
	}
	got.WriteString("\n")
	body := w.Body.Bytes()
	if strings.HasSuffix(w.Header().Get("Content-Type"), "json") && !slices.Contains([]string{"sbom", "vex", "document", "receipt"}, name) {
		var indented bytes.Buffer
		if err := json.Indent(&indented, body, "", "  "); err != nil {
			t.Fatalf("not JSON: %v: %s", err, body)
		}
		body = indented.Bytes()
	}
	got.Write(body)
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("%s is out of date; run: go test ./internal/api -update\n%s", file, diff)
	}
}

func checkConditional(t *testing.T, s *server, path string, first *httptest.ResponseRecorder) {
	t.Helper()
	etag := first.Header().Get("ETag")
	if strings.HasSuffix(path, "/metrics") {
		if etag != "" || first.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("metrics: got ETag %q and %q, want none and no-store", etag, first.Header().Get("Cache-Control"))
		}
		return
	}
	for _, header := range []string{etag, "W/" + etag, `"other", ` + etag, "*"} {
		w := s.do(t, http.MethodGet, path, nil, "If-None-Match", header)
		if etag == "" || w.Code != http.StatusNotModified || w.Body.Len() != 0 || w.Header().Get("ETag") != etag {
			t.Errorf("If-None-Match %s: got %d with %d bytes and ETag %s, want 304", header, w.Code, w.Body.Len(), w.Header().Get("ETag"))
		}
	}
	if w := s.do(t, http.MethodGet, path, nil, "If-None-Match", `"other"`); w.Code != http.StatusOK {
		t.Errorf("If-None-Match of another: got %d, want 200", w.Code)
	}
}

func TestEveryOperationHasATest(t *testing.T) {
	t.Parallel()
	a := serve(t, &memory{}).api
	for _, r := range a.Routes() {
		if r.Method != http.MethodGet {
			continue
		}
		covered := false
		for _, path := range reads() {
			path, _, _ = strings.Cut(path, "?")
			want, got := strings.Split(r.Pattern, "/"), strings.Split(path, "/")
			covered = covered || slices.EqualFunc(want, got, func(w, g string) bool { return w == g || strings.HasPrefix(w, "{") })
		}
		if !covered {
			t.Errorf("%s %s: no request in reads", r.Method, r.Pattern)
		}
	}
}

func TestRolesAndScopes(t *testing.T) {
	t.Parallel()
	for _, r := range serve(t, &memory{}).api.Routes() {
		want, scope := access.Viewer, grant.Scope("")
		if r.Method == http.MethodPost {
			want, scope = access.Operator, grant.Rescan
			switch {
			case strings.HasSuffix(r.Pattern, "/sbom"):
				scope = grant.Upload
			case strings.HasSuffix(r.Pattern, "/dossier"):
				want, scope = access.Auditor, grant.Read
			}
		}
		switch r.Pattern {
		case base + "/audit":
			want = access.Auditor
		case base + "/tokens":
			want, scope = access.Operator, grant.Tokens
		}
		kind := access.API
		if strings.Contains(r.Pattern, "/hooks/") {
			want, scope, kind = grant.None, "", access.PublicAPI
		}
		if r.Role != want || r.Scope != scope || r.Kind != kind {
			t.Errorf("%s %s: got role %s and scope %q, want %s and %q", r.Method, r.Pattern, r.Role, r.Scope, want, scope)
		}
	}
}

func TestListsGoOnWithTheirCursor(t *testing.T) {
	t.Parallel()
	s := serve(t, &memory{})
	path, seen := ofC+"/releases?limit=1", []string{}
	for path != "" {
		w := s.do(t, http.MethodGet, path, nil)
		var l struct {
			Items []struct{ Version string }
			Next  *string
			Total *int
		}
		if err := json.Unmarshal(w.Body.Bytes(), &l); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%s: got %d %s (%v)", path, w.Code, w.Body, err)
		}
		for _, item := range l.Items {
			seen = append(seen, item.Version)
		}
		link := w.Header().Get("Link")
		if (l.Next == nil) != (link == "") || *l.Total != 3 {
			t.Fatalf("%s: next %v, Link %q, total %v", path, l.Next, link, *l.Total)
		}
		path, _, _ = strings.Cut(strings.TrimPrefix(link, "<"), ">")
	}
	if diff := cmp.Diff([]string{"v1.2.0", "v1.1.0", "v1.0.0"}, seen); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
}

func TestTheHistoryOfAReleaseIsReadToItsEnd(t *testing.T) {
	t.Parallel()
	s := serve(t, &memory{})
	for path, want := range map[string][]any{
		of11 + "/verdicts?limit=1": {"fail", "pass"},
		of11 + "/changes?limit=1":  {"verified", "unknown", "verified"},
	} {
		next, seen := path, []any{}
		for next != "" {
			w := s.do(t, http.MethodGet, next, nil)
			var told struct {
				Items []map[string]any `json:"items"`
				Total int              `json:"total"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &told); err != nil || len(told.Items) != 1 || told.Total != len(want) {
				t.Fatalf("%s: got %d %s (%v), want one of %d", next, w.Code, w.Body, err, len(want))
			}
			for _, name := range []string{"result", "after"} {
				if state, ok := told.Items[0][name]; ok {
					seen = append(seen, state)
				}
			}
			next, _, _ = strings.Cut(strings.TrimPrefix(w.Header().Get("Link"), "<"), ">")
		}
		if diff := cmp.Diff(want, seen); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	// What the release has of it goes on in the list of all.
	var detail struct {
		Changes []any  `json:"changes"`
		Total   int    `json:"changes_total"`
		Next    string `json:"changes_next"`
	}
	if w := s.do(t, http.MethodGet, of11, nil); json.Unmarshal(w.Body.Bytes(), &detail) != nil || len(detail.Changes) != 2 || detail.Total != 3 {
		t.Fatalf("got %d %+v, want two of three changes", w.Code, detail)
	}
	if w := s.do(t, http.MethodGet, of11+"/changes?cursor="+detail.Next, nil); !strings.Contains(w.Body.String(), `"before":"",`) || w.Header().Get("Link") != "" {
		t.Errorf("after those of the release: got %s, want the last", w.Body)
	}
	for path, want := range map[string]int{of11 + "/verdicts?cursor=abc": http.StatusBadRequest, of11 + "/changes?cursor=abc": http.StatusBadRequest, of12 + "/changes": http.StatusOK} {
		if w := s.do(t, http.MethodGet, path, nil); w.Code != want {
			t.Errorf("%s: got %d %s, want %d", path, w.Code, w.Body, want)
		}
	}
}

func TestEachListOfAWaveGoesOnByItself(t *testing.T) {
	t.Parallel()
	s := serve(t, &memory{})
	lists := []string{"findings", "verdicts", "evidence"}
	for i, want := range [][]any{{"new", "gone"}, {"fail", "pass"}, {"vex", "sbom"}} {
		list, told := lists[i], []string{"change", "after", "kind"}[i]
		cursor, seen := "", []any{}
		for range want {
			w := s.do(t, http.MethodGet, base+"/waves/7?limit=1&"+list+"_cursor="+cursor, nil)
			var all map[string]any
			if err := json.Unmarshal(w.Body.Bytes(), &all); err != nil || w.Code != http.StatusOK {
				t.Fatalf("%s: got %d %s (%v)", list, w.Code, w.Body, err)
			}
			for _, other := range lists {
				items, _ := all[other].([]any)
				if len(items) != 1 || all[other+"_total"] != 2.0 || other != list && all[other+"_next"] != "x" {
					t.Fatalf("%s, of %s: got %v of %v, and then %v; want the first of 2", other, list, items, all[other+"_total"], all[other+"_next"])
				}
				if item, _ := items[0].(map[string]any); other == list {
					seen = append(seen, item[told])
				}
			}
			cursor, _ = all[list+"_next"].(string)
		}
		if diff := cmp.Diff(want, seen); diff != "" || cursor != "" {
			t.Errorf("%s, and then %q (-want +got):\n%s", list, cursor, diff)
		}
	}
}

func TestEachListOfAComparisonGoesOnByItself(t *testing.T) {
	t.Parallel()
	s := serve(t, &memory{})
	lists := []string{"added", "removed", "changed"}
	for i, want := range [][]any{{"c", "d"}, {"e", "f"}, {"a", "b"}} {
		list, cursor, seen := lists[i], "", []any{}
		for range want {
			w := s.do(t, http.MethodGet, base+"/compare?from=ghcr.io/acme/web:v1.0.0&to=ghcr.io/acme/web:v1.1.0&limit=1&"+list+"_cursor="+cursor, nil)
			var told struct {
				Packages map[string]any `json:"packages"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &told); err != nil || w.Code != http.StatusOK {
				t.Fatalf("%s: got %d %s (%v)", list, w.Code, w.Body, err)
			}
			all := told.Packages
			for _, other := range lists {
				items, _ := all[other].([]any)
				if len(items) != 1 || all[other+"_count"] != 2.0 || other != list && all[other+"_next"] != "x" {
					t.Fatalf("%s, of %s: got %v of %v, and then %v; want the first of 2", other, list, items, all[other+"_count"], all[other+"_next"])
				}
				if item, _ := items[0].(map[string]any); other == list {
					name, _ := item["package"].(string)
					seen = append(seen, strings.TrimPrefix(name, "pkg:golang/example.com/"))
				}
			}
			cursor, _ = all[list+"_next"].(string)
		}
		if diff := cmp.Diff(want, seen); diff != "" || cursor != "" {
			t.Errorf("%s, and then %q (-want +got):\n%s", list, cursor, diff)
		}
	}
}

func TestARepositoryMayBeWrittenWithEscapedSlashes(t *testing.T) {
	t.Parallel()
	s := serve(t, &memory{})
	tilde, escaped := s.do(t, http.MethodGet, of11, nil), s.do(t, http.MethodGet, base+"/components/ghcr.io%2Facme%2Fweb/releases/v1.1.0", nil)
	if escaped.Code != http.StatusOK || !bytes.Equal(tilde.Body.Bytes(), escaped.Body.Bytes()) {
		t.Errorf("got %d %s, want the same as with ~", escaped.Code, escaped.Body)
	}
}

func TestHeadOverHTTPHasNoBody(t *testing.T) {
	t.Parallel()
	web := httptest.NewServer(serve(t, &memory{}))
	defer web.Close()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodHead, web.URL+of11, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := web.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || len(body) != 0 || answer.StatusCode != http.StatusOK || answer.ContentLength <= 0 || answer.Header.Get("ETag") == "" {
		t.Errorf("got %d, %d bytes of %d (%v), ETag %q", answer.StatusCode, len(body), answer.ContentLength, err, answer.Header.Get("ETag"))
	}
}
