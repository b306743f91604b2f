package console_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/access"
	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/console"
	"github.com/tallyman-io/tallyman/internal/grant"
	"github.com/tallyman-io/tallyman/internal/release"
)

func TestOverviewShowsHowEachComponentStands(t *testing.T) {
	t.Parallel()
	doc := page(t, harbour(), "/")
	var rows [][]string
	for _, row := range doc.all("tbody tr") {
		var cells []string
		for n := range row.ChildNodes() {
			cells = append(cells, text(n))
		}
		rows = append(rows, cells)
	}
	if got := rows[0][:4]; !slices.Equal(got, []string{
		"ghcr.io/tallyman-io/tallyman/web 7 releases", "v1.10.0 made 18 Nov 2026",
		"Fail expected 0 critical findings, found 1, of which 1 can be fixed", "1",
	}) {
		t.Errorf("got %q", got)
	}
	if got := doc.one(".title .summary"); got != "5 components, 2 read, 3 unknown, as of 24 Nov 2026, 12:45 UTC" {
		t.Errorf("got summary %q", got)
	}
	if diff := cmp.Diff([]string{"1 Fail", "4 Unknown", "0 Pass"}, doc.texts(".totals li")); diff != "" {
		t.Error(diff)
	}
	if got := doc.one(".queue"); !strings.Contains(got, "2 running, 14 waiting, 1 to be tried again, 0 failed") {
		t.Errorf("got queue %q", got)
	}
}

func TestUnknownIsNeverShownAsZeroOrGood(t *testing.T) {
	t.Parallel()
	with := func(change func(*account.Component)) account.Component {
		c := web(&memory{releases: map[string][]account.Release{webRepository: webReleases()}})
		latest := *c.Latest
		c.Latest = &latest
		change(&c)
		return c
	}
	tests := map[string]struct {
		component account.Component
		reason    string
	}{
		"not looked at yet":  {neverRead(), "not looked at yet"},
		"never let in":       {refused(), "unauthorized (HTTP 401"},
		"throttled just now": {worker(), "throttled (HTTP 429"},
		"not looked at for long": {with(func(c *account.Component) {
			c.LastLook.At = now.Add(-time.Hour)
		}), "the worker may be down"},
		"no longer watched": {with(func(c *account.Component) { c.Watched = false }), "no longer watched"},
		"not judged":        {with(func(c *account.Component) { c.Latest.Now = nil }), "not judged yet"},
		"not counted":       {with(func(c *account.Component) { c.Latest.Now = verdict(1, now, -1, 0) }), "the advisories of Go were not fetched yet"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doc := page(t, &memory{components: []account.Component{tt.component}}, "/")
			if got := doc.texts("tbody .unknown"); len(got) == 0 {
				t.Error("nothing is unknown")
			}
			if got := strings.Join(doc.texts(".reason"), " "); !strings.Contains(got, tt.reason) {
				t.Errorf("got reasons %q, want %q", got, tt.reason)
			}
			for _, number := range doc.texts("td.number") {
				if number == "0" {
					t.Error("got a zero")
				}
			}
		})
	}
}

func TestAVersionThatMovedIsAnAlarm(t *testing.T) {
	t.Parallel()
	doc := page(t, &memory{components: []account.Component{gateway()}}, "/")
	if got := doc.one(".alarm"); got != "Moved This version named another digest until 23 Nov 2026." {
		t.Errorf("got alarm %q", got)
	}
	if got := doc.one(".release .tag"); got != "pre-release" {
		t.Errorf("got %q beside the version, want pre-release", got)
	}
}

func TestTheReleasePageSaysTheVerdictFirst(t *testing.T) {
	t.Parallel()
	doc := page(t, harbour(), releasePath)
	if got := doc.one(".stamp-large"); got != "Fail" {
		t.Errorf("got verdict %q", got)
	}
	if got := doc.texts(".reasons li")[0]; got != "Fail no-critical expected 0 critical findings, found 1, of which 1 can be fixed" {
		t.Errorf("got first reason %q", got)
	}
	want := []string{"Verdict", "Evidence", "Findings", "Packages", "Provenance", "Layers and sizes", "Gate receipt", "Documents and downloads", "Run it", "Verify it yourself", "Reproduce it", "History of the verdict"}
	if diff := cmp.Diff(want, doc.texts("main h2")); diff != "" {
		t.Error(diff)
	}
	if got := doc.texts(".history .why li"); !slices.Contains(got, "no-critical: Fail, was Unknown: expected 0 critical findings, found 1, of which 1 can be fixed") {
		t.Errorf("the history does not say why: %q", got)
	}
	if got := doc.texts(".when-found"); !slices.Equal(got, []string{"Now, not then", "Then and now", "Then and now", "Then, not now"}) {
		t.Errorf("got occurrences %q", got)
	}
	states := doc.texts(".evidence .verdict .state")
	for _, want := range []string{"Verified", "Invalid", "Absent", "Unknown"} {
		if !slices.Contains(states, want) {
			t.Errorf("got states %q, want %s among them", states, want)
		}
	}
}

func TestWhatIsAskedForReachesTheStore(t *testing.T) {
	t.Parallel()
	tests := map[string]any{
		webPath + "?sort=seen&result=fail":                                           account.ReleaseQuery{Repository: webRepository, Sort: "seen", Result: "fail"},
		webPath + "?sort=evil&result=evil":                                           account.ReleaseQuery{Repository: webRepository},
		releasePath + "/findings?severity=high&show=open&text=+x+&sort=-known":       account.FindingQuery{Severity: "high", Show: "open", Text: "x", Sort: "-known"},
		releasePath + "/findings?severity=h&show=%00&sort=--known":                   account.FindingQuery{},
		releasePath + "/packages?text=a%ff&licence=MIT&sort=-version":                account.PackageQuery{Text: "a\uFFFD", Licence: "MIT", Sort: "-version"},
		releasePath + "/packages?on=" + string(digest("web amd64 v1.10.0")):          account.PackageQuery{Subject: digest("web amd64 v1.10.0")},
		releasePath + "/packages?on=" + string(digest("of another image")):           account.PackageQuery{},
		"/advisories?ecosystem=Go&severity=critical&show=all&sort=published&after=1": account.AdvisoryQuery{Ecosystem: "Go", Severity: "critical", Sort: "published"},
		"/advisories": account.AdvisoryQuery{Found: true},
	}
	for path, want := range tests {
		m := harbour()
		page(t, m, path)
		if diff := cmp.Diff(want, m.query); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

func TestListsAreSortedAndPagedByLinks(t *testing.T) {
	t.Parallel()
	doc := page(t, harbour(), releasePath+"/packages?text=pkg&sort=-name")
	sort := doc.all("thead a.sort")
	if got := attr(sort[0].Parent, "aria-sort"); got != "descending" {
		t.Errorf("got aria-sort %q", got)
	}
	links := map[string]string{}
	for _, n := range append(sort, doc.all(".pager a")...) {
		links[text(n)] = attr(n, "href")
	}
	want := map[string]string{
		"Package":   releasePath + "/packages?sort=name&text=pkg",
		"Version":   releasePath + "/packages?sort=version&text=pkg",
		"Findings":  releasePath + "/packages?sort=findings&text=pkg",
		"Next page": releasePath + "/packages?after=50&sort=-name&text=pkg",
	}
	if diff := cmp.Diff(want, links); diff != "" {
		t.Error(diff)
	}
	// The most first is what people want, and what the word alone stands for.
	most := page(t, harbour(), releasePath+"/packages?sort=findings").all("thead a.sort")[2]
	if got := attr(most.Parent, "aria-sort") + " " + attr(most, "href"); got != "descending "+releasePath+"/packages?sort=-findings" {
		t.Errorf("by findings: got %q", got)
	}
	if got := doc.one(".pager p"); got != "50 of 64 packages" {
		t.Errorf("got %q", got)
	}
	second := page(t, harbour(), links["Next page"])
	if got := attr(second.all(".pager a")[0], "href"); got != releasePath+"/packages?sort=-name&text=pkg" {
		t.Errorf("first page: got %q", got)
	}
}

func TestComponentsAreSortedByWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	for order, want := range map[string]string{"": "web", "name": "web", "-name": "customs-declaration-gateway", "-critical": "web", "critical": "customs-declaration-gateway", "verdict": "web", "-size": "worker", "-build": "web", "evil": "web"} {
		if got := page(t, harbour(), "/?sort="+order).texts("tbody .name")[0]; got != want && (order != "critical" || got == "web") {
			t.Errorf("%q: got %s first, want %s", order, got, want)
		}
	}
}

func TestAnyReleaseCanBeNamedForAComparison(t *testing.T) {
	t.Parallel()
	of := "/compare?repository=" + webRepository
	fields := func(doc document) (got []string) {
		for _, n := range doc.all("form.filters input") {
			if attr(n, "list") != "" {
				got = append(got, attr(n, "name")+" "+attr(n, "value")+" "+attr(n, "aria-invalid"))
			}
		}
		return got
	}
	tests := map[string]struct {
		query  string
		status int
		fields []string
		wrong  []string
	}{
		"nothing chosen":         {"", http.StatusOK, []string{"from v1.9.2 ", "to v1.10.0 "}, nil},
		"one chosen":             {"&from=v1.8.0-rc.1", http.StatusOK, []string{"from v1.8.0-rc.1 ", "to v1.10.0 "}, nil},
		"one by its digest":      {"&from=" + string(digest("web v1.7.0")) + "&to=v1.10.0", http.StatusOK, []string{"from " + string(digest("web v1.7.0")) + " ", "to v1.10.0 "}, nil},
		"one that is not there":  {"&from=v1.9.2&to=v9.9.9", http.StatusNotFound, []string{"from v1.9.2 ", "to v9.9.9 true"}, []string{"No release or digest of that name is known of " + webRepository + "."}},
		"two that are not there": {"&from=<b>&to=x", http.StatusNotFound, []string{"from <b> true", "to x true"}, slices.Repeat([]string{"No release or digest of that name is known of " + webRepository + "."}, 2)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := get(t, handler(t, harbour(), &bytes.Buffer{}), of+strings.NewReplacer("<", "%3C", ">", "%3E").Replace(tt.query))
			if w.Code != tt.status {
				t.Errorf("got status %d, want %d", w.Code, tt.status)
			}
			doc := parse(t, w.Body.String())
			if diff := cmp.Diff(tt.fields, fields(doc)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.wrong, doc.texts(".wrong")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestADocumentIsServedAsItIs(t *testing.T) {
	t.Parallel()
	m := harbour()
	body := []byte("{\"a\": \"<script>alert(1)</script>\"}\r\n")
	sum := sha256.Sum256(body)
	d := release.Digest("sha256:" + hex.EncodeToString(sum[:]))
	m.documents[d] = content{account.Document{Kind: release.PaperSBOM, Format: "CycloneDX", On: "x\"\r\ny"}, body}
	h := handler(t, m, &bytes.Buffer{})
	w := get(t, h, "/documents/"+string(d))
	if w.Code != http.StatusOK || !bytes.Equal(w.Body.Bytes(), body) {
		t.Fatalf("got status %d and %q", w.Code, w.Body)
	}
	want := map[string]string{
		"Content-Type": "application/vnd.cyclonedx+json", "X-Content-Type-Options": "nosniff",
		"Content-Disposition": `attachment; filename="` + d.Short() + `.cdx.json"`, "Etag": `"` + string(d) + `"`,
	}
	for name, want := range want {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if got := w.Header().Get("Content-Security-Policy"); !strings.Contains(got, "sandbox") {
		t.Errorf("got policy %q", got)
	}
	if again := get(t, h, "/documents/"+string(d), "If-None-Match", `"`+string(d)+`"`); again.Code != http.StatusNotModified {
		t.Errorf("again: got status %d", again.Code)
	}
	for _, path := range []string{"/documents/nothing", "/documents/" + string(digest("nowhere")), "/documents/sha256:..%2f..%2fetc"} {
		if w := get(t, h, path); w.Code != http.StatusNotFound {
			t.Errorf("%s: got status %d, want 404", path, w.Code)
		}
	}
}

func rescan(t *testing.T, h http.Handler, form url.Values) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/rescan", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestARescanIsAskedForAndLeadsBack(t *testing.T) {
	t.Parallel()
	m := harbour()
	h := as(operator(), handler(t, m, &bytes.Buffer{}))
	w := rescan(t, h, url.Values{"repository": {webRepository}, "name": {"v1.10.0"}})
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != releasePath+"?asked=1" {
		t.Errorf("got status %d to %q", w.Code, w.Header().Get("Location"))
	}
	w = rescan(t, h, url.Values{"repository": {webRepository}})
	if w.Code != http.StatusSeeOther || w.Header().Get("Location") != webPath+"?asked=1" {
		t.Errorf("got status %d to %q", w.Code, w.Header().Get("Location"))
	}
	want := []account.Request{
		{Step: release.StepIngest, Repository: webRepository, Digest: digest("web v1.10.0"), By: "ada@example.org"},
		{Step: release.StepDiscover, Repository: webRepository, By: "ada@example.org"},
	}
	if diff := cmp.Diff(want, m.asked); diff != "" {
		t.Error(diff)
	}
	for name, form := range map[string]url.Values{
		"elsewhere": {"repository": {"//evil.example/x"}}, "nothing": {}, "another release": {"repository": {webRepository}, "name": {"v9"}},
	} {
		if w := rescan(t, h, form); w.Code != http.StatusNotFound || w.Header().Get("Location") != "" {
			t.Errorf("%s: got status %d to %q", name, w.Code, w.Header().Get("Location"))
		}
	}
	if w := rescan(t, h, url.Values{"repository": {strings.Repeat("x", 20<<10)}}); w.Code != http.StatusBadRequest {
		t.Errorf("too large: got status %d", w.Code)
	}
	if len(m.asked) != 2 {
		t.Errorf("got %d requests, want 2", len(m.asked))
	}
}

func TestARescanThatNobodyWouldDoIsRefused(t *testing.T) {
	t.Parallel()
	ask := func(err error) func(*console.Config) {
		return func(c *console.Config) { c.Ask = func(context.Context, account.Request) error { return err } }
	}
	form := url.Values{"repository": {webRepository}}
	for name, tt := range map[string]struct {
		err  error
		form url.Values
		want int
	}{
		"not-watched": {account.ErrNotWatched, form, http.StatusConflict},
		"not-written": {errors.New("no audit log"), form, http.StatusServiceUnavailable},
		"bad-form":    {nil, url.Values{"repository": {strings.Repeat("x", 20<<10)}}, http.StatusBadRequest},
	} {
		w := rescan(t, as(operator(), handler(t, harbour(), &bytes.Buffer{}, ask(tt.err))), tt.form)
		if w.Code != tt.want || w.Header().Get("Location") != "" {
			t.Errorf("%s: got status %d", name, w.Code)
		}
		checkGolden(t, name, w.Body.String())
	}
}

func TestOnlyAnOperatorIsOfferedARescan(t *testing.T) {
	t.Parallel()
	viewer := operator()
	viewer.Role = access.Viewer
	reader := operator()
	reader.Scopes = []grant.Scope{grant.Read}
	for name, p := range map[string]access.Principal{"nobody": {}, "a viewer": viewer, "an operator who may only read": reader} {
		h := as(p, handler(t, harbour(), &bytes.Buffer{}))
		if n := len(parse(t, get(t, h, releasePath).Body.String()).all("form.rescan")); n != 0 {
			t.Errorf("%s: got %d forms, want none", name, n)
		}
	}
	h := as(operator(), handler(t, harbour(), &bytes.Buffer{}))
	if n := len(parse(t, get(t, h, releasePath).Body.String()).all("form.rescan")); n != 1 {
		t.Errorf("an operator: got %d forms, want 1", n)
	}
}

func TestRoutesNameTheirRole(t *testing.T) {
	t.Parallel()
	for _, r := range newConsole(t, harbour(), &bytes.Buffer{}).Routes() {
		want := access.Viewer
		switch {
		case strings.HasPrefix(r.Pattern, "/static/"):
			want = grant.None
		case r.Pattern == "/dossier":
			want = access.Auditor
		case r.Method != http.MethodGet:
			want = access.Operator
		}
		if r.Role != want || r.Handler == nil {
			t.Errorf("%s %s: got role %s, want %s", r.Method, r.Pattern, r.Role, want)
		}
	}
}

func TestASearchFragmentHasNoFrame(t *testing.T) {
	t.Parallel()
	m := harbour()
	body := get(t, handler(t, m, &bytes.Buffer{}), "/search?part=results&q="+url.QueryEscape(" CVE-2026-41122 ")).Body.String()
	if strings.Contains(body, "<html") || !strings.Contains(body, "GO-2026-4711") {
		t.Errorf("got %.200q", body)
	}
	if m.searched != "CVE-2026-41122" {
		t.Errorf("searched for %q", m.searched)
	}
	page(t, m, "/search?q="+strings.Repeat("é", 400))
	if n := len(m.searched); n > 512 {
		t.Errorf("a long term: searched for %d bytes", n)
	}
}
