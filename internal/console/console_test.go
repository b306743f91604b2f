package console_test

import (
	"bytes"
	"errors"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/tallyman-io/tallyman/internal/access"
	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/api"
	"github.com/tallyman-io/tallyman/internal/buildinfo"
	"github.com/tallyman-io/tallyman/internal/console"
	"github.com/tallyman-io/tallyman/internal/grant"
)

var update = flag.Bool("update", false, "write the golden files anew")

// operator may do everything.
func operator() access.Principal {
	return access.Principal{ID: "oidc:ada", Name: "ada@example.org", Role: access.Operator, Scopes: grant.Scopes(), Via: access.ViaSession}
}

// as lets somebody use a handler, as the guard before it does.
func as(p access.Principal, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(access.With(r.Context(), p)))
	})
}

// install puts the routes of a console on a mux of their own.
func install(c *console.Console) http.Handler {
	mux := http.NewServeMux()
	for _, r := range c.Routes() {
		mux.Handle(r.Method+" "+r.Pattern, r.Handler)
	}
	return mux
}

func newConsole(t *testing.T, s console.Store, log *bytes.Buffer, change ...func(*console.Config)) *console.Console {
	t.Helper()
	config := console.Config{
		Store: s,
		Log:   zerolog.New(log),
		Now:   func() time.Time { return now },
		Build: buildinfo.Info{
			Version: "1.2.3", Commit: "0123456789abcdef0123456789abcdef01234567", CommitTime: "2026-11-23T10:00:00Z",
			Go: "go1.26.8", Platform: "linux/amd64", ImageDigest: "sha256:" + strings.Repeat("ab", 32),
		},
		Reference: &api.Reference{Groups: []api.Group{{Name: "releases", Operations: []api.Operation{{ID: "get-release", Method: "GET", Path: "/api/v1/x", Summary: "A release", Status: 200}}}}},
		Settings:  []console.Setting{{Key: "listen", Value: ":8080", Origin: "default"}},
	}
	for _, c := range change {
		c(&config)
	}
	c, err := console.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func handler(t *testing.T, s console.Store, log *bytes.Buffer, change ...func(*console.Config)) http.Handler {
	t.Helper()
	return install(newConsole(t, s, log, change...))
}

func get(t *testing.T, h http.Handler, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// page is a page of a store, which has to be there.
func page(t *testing.T, s console.Store, path string) document {
	t.Helper()
	w := get(t, handler(t, s, &bytes.Buffer{}), path)
	if w.Code != http.StatusOK {
		t.Fatalf("%s: got status %d, want 200", path, w.Code)
	}
	return parse(t, w.Body.String())
}

const (
	webPath     = "/components/" + webRepository
	releasePath = webPath + "/-/v1.10.0"
	comparePath = "/compare?repository=" + webRepository + "&from=v1.9.2&to=v1.10.0"
)

// pages are all pages, by the name of their golden file.
func pages() map[string]string {
	return map[string]string{
		"overview":         "/",
		"overview-sorted":  "/?sort=-critical&name=tallyman",
		"component":        webPath,
		"component-none":   webPath + "?result=unknown",
		"release":          releasePath,
		"release-asked":    releasePath + "?asked=1",
		"release-unjudged": webPath + "/-/v1.8.0-rc.1",
		"findings":         releasePath + "/findings",
		"findings-none":    releasePath + "/findings?text=nothing&severity=low&sort=-known",
		"packages":         releasePath + "/packages",
		"packages-second":  releasePath + "/packages?text=team&after=50&licence=MIT",
		"compare":          comparePath,
		"compare-choose":   "/compare",
		"compare-start":    "/compare?repository=" + webRepository,
		"compare-few":      "/compare?repository=quay.io/harbour/pilot",
		"search":           "/search?q=CVE-2026-41122",
		"search-help":      "/search",
		"search-fragment":  "/search?q=CVE-2026-41122&part=results",
		"advisories":       "/advisories",
		"advisories-all":   "/advisories?show=all&severity=high&sort=id",
		"advisory":         "/advisories/GO-2026-4711",
		"advisory-bare":    "/advisories/DSA-6011-1",
		"activity":         "/activity",
		"wave":             "/activity/waves/42",
		"wave-evidence":    "/activity/waves/41",
		"settings":         "/settings",
		"reference":        "/docs/api",
	}
}

// others are the pages of other stores, and those that say that something is not there.
func others() map[string]struct {
	path   string
	store  *memory
	status int
} {
	type one = struct {
		path   string
		store  *memory
		status int
	}
	gone := errors.New("database is gone")
	return map[string]one{
		"empty":            {"/", &memory{}, http.StatusOK},
		"empty-advisories": {"/advisories?show=all", &memory{}, http.StatusOK},
		"empty-activity":   {"/activity", &memory{}, http.StatusOK},
		"empty-compare":    {"/compare", &memory{}, http.StatusOK},
		"empty-search":     {"/search?q=nothing", &memory{found: account.Found{Unknown: "no feed has an advisory of that name"}}, http.StatusOK},
		"empty-settings":   {"/settings", &memory{}, http.StatusOK},
		"unavailable":      {"/", &memory{err: gone}, http.StatusServiceUnavailable},
		"compare-wrong":    {"/compare?repository=" + webRepository + "&from=v1.9.2&to=v9.9.9", harbour(), http.StatusNotFound},
		"not-found":        {"/components/nowhere.example/nothing", harbour(), http.StatusNotFound},
		"bad-cursor":       {releasePath + "/packages?after=x&text=team", harbour(), http.StatusBadRequest},
	}
}

var hashes = regexp.MustCompile(`(/static/\w+)\.[0-9a-f]{16}\.`)

func checkGolden(t *testing.T, name, got string) {
	t.Helper()
	// A tag on a line of its own, so that a difference can be read.
	got = strings.ReplaceAll(hashes.ReplaceAllString(got, "$1.HASH."), "><", ">\n<")
	golden := filepath.Join("testdata", name+".golden.html")
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatalf("%v (write it with -update)", err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("page (-want +got); write it anew with -update:\n%s", diff)
	}
}

func TestPagesAreAsRecorded(t *testing.T) {
	t.Parallel()
	for name, path := range pages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := get(t, as(operator(), handler(t, harbour(), &bytes.Buffer{})), path)
			if w.Code != http.StatusOK {
				t.Errorf("got status %d, want 200", w.Code)
			}
			checkGolden(t, name, w.Body.String())
		})
	}
	for name, one := range others() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := get(t, handler(t, one.store, &bytes.Buffer{}), one.path)
			if w.Code != one.status {
				t.Errorf("got status %d, want %d", w.Code, one.status)
			}
			checkGolden(t, name, w.Body.String())
		})
	}
}

func TestAStoreThatFailsIsUnavailableAndUnknown(t *testing.T) {
	t.Parallel()
	for name, path := range pages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			m := harbour()
			m.err = errors.New("secret detail")
			w := get(t, handler(t, m, &log), path)
			if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("got status %d, headers %v; want 503 with Retry-After, not kept", w.Code, w.Header())
			}
			if strings.Contains(w.Body.String(), "secret detail") {
				t.Error("the page repeats the error of the store")
			}
			if !strings.Contains(log.String(), "secret detail") {
				t.Errorf("got log %q, want the error in it", log.String())
			}
			if got := parse(t, w.Body.String()).one("main .unknown"); got != "Unknown" {
				t.Errorf("got state %q, want Unknown", got)
			}
		})
	}
}

func TestAnEqualPageIsNotSentAgain(t *testing.T) {
	t.Parallel()
	h := handler(t, harbour(), &bytes.Buffer{})
	first := get(t, h, "/")
	etag := first.Header().Get("ETag")
	if etag == "" || first.Header().Get("Cache-Control") != "private, no-cache" {
		t.Fatalf("got ETag %q, Cache-Control %q", etag, first.Header().Get("Cache-Control"))
	}
	again := get(t, h, "/", "If-None-Match", etag)
	if again.Code != http.StatusNotModified || again.Body.Len() != 0 {
		t.Errorf("got status %d with %d bytes, want 304 with none", again.Code, again.Body.Len())
	}
	other := get(t, handler(t, &memory{}, &bytes.Buffer{}), "/", "If-None-Match", etag)
	if other.Code != http.StatusOK {
		t.Errorf("changed page: got status %d, want 200", other.Code)
	}
}

func TestAssetsAreKeptForEverUnderTheirHash(t *testing.T) {
	t.Parallel()
	h := handler(t, harbour(), &bytes.Buffer{})
	doc := parse(t, get(t, h, "/").Body.String())
	types := map[string]string{"stylesheet": "text/css; charset=utf-8", "icon": "image/svg+xml", "script": "text/javascript; charset=utf-8"}
	addresses := map[string]string{}
	for _, link := range doc.all("link") {
		addresses[attr(link, "href")] = attr(link, "rel")
	}
	for _, script := range doc.all("script") {
		addresses[attr(script, "src")] = "script"
	}
	if len(addresses) != 5 {
		t.Errorf("got assets %v, want three style sheets, an icon and a script", addresses)
	}
	for address, kind := range addresses {
		w := get(t, h, address)
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != types[kind] || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: got status %d, headers %v", address, w.Code, w.Header())
		}
	}
	for _, path := range []string{"/static/console.css", "/static/console.0000000000000000.css", "/static/", "/nowhere"} {
		if w := get(t, h, path); w.Code != http.StatusNotFound {
			t.Errorf("%s: got status %d, want 404", path, w.Code)
		}
	}
}
