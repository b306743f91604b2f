package console_test

import (
	"bytes"
	"context"
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

	"github.com/tallyman-io/tallyman/internal/buildinfo"
	"github.com/tallyman-io/tallyman/internal/console"
	"github.com/tallyman-io/tallyman/internal/release"
)

var update = flag.Bool("update", false, "write the golden files anew")

var now = time.Date(2026, time.November, 24, 12, 45, 0, 0, time.UTC)

// fixed is a store that always says the same. A database takes part in the tests
// of packages store and service.
type fixed struct {
	components []release.Component
	err        error
}

func (f fixed) Overview(context.Context) ([]release.Component, error) { return f.components, f.err }

func handler(t *testing.T, s console.Store, log *bytes.Buffer) http.Handler {
	t.Helper()
	c, err := console.New(console.Config{
		Store: s,
		Log:   zerolog.New(log),
		Now:   func() time.Time { return now },
		Build: buildinfo.Info{
			Version: "1.2.3", Commit: "0123456789abcdef0123456789abcdef01234567", CommitTime: "2026-11-23T10:00:00Z",
			Go: "go1.26.8", Platform: "linux/amd64", ImageDigest: "sha256:" + strings.Repeat("ab", 32),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for _, r := range c.Routes() {
		mux.Handle(r.Method+" "+r.Pattern, r.Handler)
	}
	return mux
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

func overview(t *testing.T, components ...release.Component) document {
	t.Helper()
	w := get(t, handler(t, fixed{components: components}, &bytes.Buffer{}), "/")
	if w.Code != http.StatusOK {
		t.Fatalf("got status %d, want 200", w.Code)
	}
	return parse(t, w.Body.String())
}

func digest(b string) release.Digest { return release.Digest("sha256:" + strings.Repeat(b, 32)) }

// good is a component of which everything is known.
func good() release.Component {
	return release.Component{
		Repository:   "ghcr.io/tallyman-io/tallyman/web",
		Watched:      true,
		LookEvery:    5 * time.Minute,
		LastLook:     &release.Look{At: now.Add(-3 * time.Minute), Outcome: release.OutcomeComplete},
		LastComplete: now.Add(-3 * time.Minute),
		Releases:     12,
		Latest: &release.Release{
			Version:   "v1.10.0",
			FirstSeen: now.Add(-50 * time.Hour),
			Image: release.Image{
				Digest:   digest("1f"),
				Revision: "c0ffee",
				Created:  now.Add(-51 * time.Hour),
				Platforms: []release.Platform{
					{OS: "linux", Architecture: "amd64", CompressedSize: 7_240_123},
					{OS: "linux", Architecture: "arm64", CompressedSize: 6_651_000},
				},
			},
		},
	}
}

func with(change func(*release.Component)) release.Component {
	c := good()
	change(&c)
	return c
}

func throttled() release.Component {
	return with(func(c *release.Component) {
		c.Repository = "ghcr.io/tallyman-io/tallyman/worker"
		c.LastLook = &release.Look{
			At: now.Add(-2 * time.Minute), Outcome: release.OutcomeUnknown, Cause: release.CauseThrottled,
			Reason: "throttled (HTTP 429 Too Many Requests), come back in 1m30s",
		}
		c.LastComplete = now.Add(-7 * time.Minute)
		c.Latest.Image.Digest = digest("a7")
		c.Latest.Image.Platforms[0].CompressedSize, c.Latest.Image.Platforms[1].CompressedSize = 12_905_554, 11_874_003
	})
}

func moved() release.Component {
	return with(func(c *release.Component) {
		c.Repository = "registry.example.org:5000/logistics/very-long-product-name/customs-declaration-gateway"
		c.Latest.Version = "v3.0.0-rc.1"
		c.Latest.MovedAt = now.Add(-26 * time.Hour)
		c.Latest.Image.Digest = digest("e4")
		c.Latest.Image.Created = time.Time{}
		c.Latest.Image.Platforms = append(c.Latest.Image.Platforms, release.Platform{OS: "linux", Architecture: "arm", Variant: "v7", CompressedSize: 6_100_000})
		c.Releases = 1
	})
}

func neverRead() release.Component {
	return release.Component{Repository: "quay.io/harbour/pilot", Watched: true, LookEvery: 5 * time.Minute}
}

func refused() release.Component {
	return release.Component{
		Repository: "quay.io/harbour/private", Watched: true, LookEvery: 5 * time.Minute,
		LastLook: &release.Look{
			At: now.Add(-4 * time.Minute), Outcome: release.OutcomeUnknown, Cause: release.CauseUnauthorized,
			Reason: "unauthorized (HTTP 401 Unauthorized): UNAUTHORIZED: access to the requested resource is not authorized",
		},
	}
}

func TestPagesAreAsRecorded(t *testing.T) {
	t.Parallel()
	tests := map[string]fixed{
		"overview":    {components: []release.Component{good(), throttled(), moved(), neverRead(), refused()}},
		"empty":       {},
		"unavailable": {err: errors.New("database is gone")},
	}
	hash := regexp.MustCompile(`(/static/\w+)\.[0-9a-f]{16}\.`)
	for name, store := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := hash.ReplaceAllString(get(t, handler(t, store, &bytes.Buffer{}), "/").Body.String(), "$1.HASH.")
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
		})
	}
}

func TestOverviewShowsWhatIsKnownOfAComponent(t *testing.T) {
	t.Parallel()
	doc := overview(t, good())
	want := map[string]string{
		".within":  "ghcr.io/tallyman-io/tallyman/",
		".name":    "web",
		".version": "v1.10.0",
		".digest":  string(digest("1f")),
		".look":    "Read 3 minutes ago",
		".summary": "1 component, 1 read, as of 24 Nov 2026, 12:45 UTC",
	}
	for selector, want := range want {
		if got := doc.one(selector); got != want {
			t.Errorf("%s: got %q, want %q", selector, got, want)
		}
	}
	if diff := cmp.Diff([]string{"linux/amd64 7.2 MB", "linux/arm64 6.7 MB"}, doc.texts(".platforms li")); diff != "" {
		t.Errorf("platforms (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"Releases", "12"}, doc.texts(".number")); diff != "" {
		t.Errorf("releases (-want +got):\n%s", diff)
	}
	var times []string
	for _, n := range doc.all("tbody time") {
		times = append(times, attr(n, "datetime")+" "+text(n))
	}
	wantTimes := []string{"2026-11-22T09:45:00Z 22 Nov 2026", "2026-11-22T10:45:00Z 22 Nov 2026", "2026-11-24T12:42:00Z 3 minutes ago"}
	if diff := cmp.Diff(wantTimes, times); diff != "" {
		t.Errorf("times (-want +got):\n%s", diff)
	}
}

func TestUnknownIsNeverShownAsZeroOrGood(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		component release.Component
		reason    string
		releases  string
	}{
		"not looked at yet":  {neverRead(), "not looked at yet", "unknown"},
		"never let in":       {refused(), "unauthorized (HTTP 401", "unknown"},
		"throttled just now": {throttled(), "throttled (HTTP 429", "12"},
		"read in part only": {with(func(c *release.Component) {
			c.LastComplete = time.Time{}
			c.LastLook.Outcome, c.LastLook.Reason = release.OutcomeUnknown, "unavailable"
		}), "unavailable", "at least 12"},
		"not looked at for long": {with(func(c *release.Component) {
			c.LastLook.At = now.Add(-time.Hour)
		}), "the worker may be down", "12"},
		"no longer watched": {with(func(c *release.Component) { c.Watched = false }), "no longer watched", "12"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc := overview(t, tt.component)
			if got := doc.one("tbody .unknown"); got != "Unknown" {
				t.Errorf("got state %q, want Unknown", got)
			}
			if n := len(doc.all("tbody .known")); n != 0 {
				t.Errorf("got %d states that are known, want none", n)
			}
			if got := doc.one(".reason"); !strings.Contains(got, tt.reason) {
				t.Errorf("got reason %q, want one with %q", got, tt.reason)
			}
			if got := doc.one("td.number"); got != tt.releases {
				t.Errorf("got releases %q, want %q", got, tt.releases)
			}
			if got := doc.one(".summary"); !strings.Contains(got, "0 read, 1 unknown") {
				t.Errorf("got summary %q, want 0 read, 1 unknown", got)
			}
		})
	}
}

func TestAVersionThatMovedIsAnAlarm(t *testing.T) {
	t.Parallel()
	doc := overview(t, moved())
	if got := doc.one(".alarm"); got != "Moved This version named another digest until 23 Nov 2026." {
		t.Errorf("got alarm %q", got)
	}
	if got := doc.one(".tag"); got != "pre-release" {
		t.Errorf("got %q beside the version, want pre-release", got)
	}
}

func TestNothingWatchedSaysWhatToDo(t *testing.T) {
	t.Parallel()
	doc := overview(t)
	if got := doc.one("main h2"); got != "No repositories yet" {
		t.Errorf("got heading %q", got)
	}
	if n := len(doc.all("table")); n != 0 {
		t.Errorf("got %d tables, want none", n)
	}
}

func TestAStoreThatFailsIsUnavailableAndUnknown(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	w := get(t, handler(t, fixed{err: errors.New("secret detail")}, &log), "/")
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
}

func TestHostileTextStaysText(t *testing.T) {
	t.Parallel()
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>`
	doc := overview(t, with(func(c *release.Component) {
		c.Repository = "evil.example/" + evil
		c.Latest.Version = "v1.0.0-" + evil
		c.Latest.Image.Digest = evil
		c.Latest.Image.Platforms = []release.Platform{{OS: evil, Architecture: evil}}
		c.LastLook.Outcome, c.LastLook.Reason = release.OutcomeUnknown, evil
	}))
	for _, element := range []string{"script", "img"} {
		if n := len(doc.all(element)); n != 0 {
			t.Errorf("got %d <%s>, want none", n, element)
		}
	}
	for selector, want := range map[string]string{".component": "evil.example/" + evil, ".version": "v1.0.0-" + evil, ".digest": evil, ".reason": evil} {
		if got := doc.one(selector); got != want {
			t.Errorf("%s: got %q, want %q", selector, got, want)
		}
	}
}

func TestEveryPageHoldsToItsPolicy(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]fixed{
		"overview": {components: []release.Component{good(), moved()}}, "empty": {}, "unavailable": {err: errors.New("no")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := get(t, handler(t, store, &bytes.Buffer{}), "/")
			if got := w.Header().Get("Content-Security-Policy"); !strings.Contains(got, "default-src 'none'") || strings.Contains(got, "unsafe") {
				t.Errorf("got policy %q", got)
			}
			doc := parse(t, w.Body.String())
			for _, forbidden := range []string{"script", "style", "iframe", "form"} {
				if n := len(doc.all(forbidden)); n != 0 {
					t.Errorf("got %d <%s>, want none", n, forbidden)
				}
			}
			for _, n := range doc.all("html") {
				for d := range n.Descendants() {
					for _, a := range d.Attr {
						if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
							t.Errorf("<%s> has attribute %s, which the policy blocks", d.Data, a.Key)
						}
					}
				}
			}
			for _, landmark := range []string{"header", "main", "footer", "h1"} {
				if n := len(doc.all(landmark)); n != 1 {
					t.Errorf("got %d <%s>, want 1", n, landmark)
				}
			}
			if skip := doc.all("a.skip"); len(skip) != 1 || attr(skip[0], "href") != "#"+attr(doc.all("main")[0], "id") {
				t.Error("the skip link does not lead to the main content")
			}
		})
	}
}

func TestAnEqualPageIsNotSentAgain(t *testing.T) {
	t.Parallel()
	h := handler(t, fixed{components: []release.Component{good()}}, &bytes.Buffer{})
	first := get(t, h, "/")
	etag := first.Header().Get("ETag")
	if etag == "" || first.Header().Get("Cache-Control") != "private, no-cache" {
		t.Fatalf("got ETag %q, Cache-Control %q", etag, first.Header().Get("Cache-Control"))
	}
	again := get(t, h, "/", "If-None-Match", etag)
	if again.Code != http.StatusNotModified || again.Body.Len() != 0 {
		t.Errorf("got status %d with %d bytes, want 304 with none", again.Code, again.Body.Len())
	}
	other := get(t, handler(t, fixed{components: []release.Component{throttled()}}, &bytes.Buffer{}), "/", "If-None-Match", etag)
	if other.Code != http.StatusOK {
		t.Errorf("changed page: got status %d, want 200", other.Code)
	}
}

func TestAssetsAreKeptForEverUnderTheirHash(t *testing.T) {
	t.Parallel()
	h := handler(t, fixed{}, &bytes.Buffer{})
	doc := parse(t, get(t, h, "/").Body.String())
	types := map[string]string{"stylesheet": "text/css; charset=utf-8", "icon": "image/svg+xml"}
	for _, link := range doc.all("link") {
		w := get(t, h, attr(link, "href"))
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != types[attr(link, "rel")] || !strings.Contains(w.Header().Get("Cache-Control"), "immutable") {
			t.Errorf("%s: got status %d, headers %v", attr(link, "href"), w.Code, w.Header())
		}
	}
	for _, path := range []string{"/static/console.css", "/static/console.0000000000000000.css", "/static/", "/nowhere"} {
		if w := get(t, h, path); w.Code != http.StatusNotFound {
			t.Errorf("%s: got status %d, want 404", path, w.Code)
		}
	}
}
