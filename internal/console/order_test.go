package console_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/access"
	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/console"
	"github.com/tallyman-io/tallyman/internal/grant"
)

// orders are the heads that a list can be sorted by: what each says, how the list is sorted
// by it, and where it leads.
func (d document) orders() (all []string) {
	for _, n := range d.all("thead a.sort") {
		all = append(all, text(n)+" "+attr(n.Parent, "aria-sort")+" "+attr(n, "href"))
	}
	return all
}

// What people want first is what the word alone stands for. A head keeps what is chosen,
// and leads to the first part.
func TestHeadsOfListsTurnThemRound(t *testing.T) {
	t.Parallel()
	tests := map[string][]string{
		webPath + "?result=fail&after=1": {
			"Release descending " + webPath + "?result=fail&sort=-version", "First seen  " + webPath + "?result=fail&sort=seen",
		},
		webPath + "?sort=-version": {"Release ascending " + webPath + "?sort=version", "First seen  " + webPath + "?sort=seen"},
		webPath + "?sort=-seen":    {"Release  " + webPath + "?sort=version", "First seen ascending " + webPath + "?sort=seen"},
		"/advisories?severity=critical&after=1": {
			"Advisory  /advisories?severity=critical&sort=id", "Published  /advisories?severity=critical&sort=published",
			"Modified descending /advisories?severity=critical&sort=-modified",
		},
		"/advisories?sort=id":         {"Advisory ascending /advisories?sort=-id", "Published  /advisories?sort=published", "Modified  /advisories?sort=modified"},
		"/advisories?sort=-published": {"Advisory  /advisories?sort=id", "Published ascending /advisories?sort=published", "Modified  /advisories?sort=modified"},
		"/activity?after=1":           {"When descending /activity?sort=-at"},
		"/activity?sort=-at&after=1":  {"When ascending /activity?sort=at"},
		"/activity?sort=-evil":        {"When descending /activity?sort=-at"},
		"/settings":                   {"Setting  /settings?sort=name#process", "Set by  /settings?sort=origin#process"},
		"/settings?sort=-origin":      {"Setting  /settings?sort=name#process", "Set by descending /settings?sort=origin#process"},
	}
	for path, want := range tests {
		if diff := cmp.Diff(want, page(t, harbour(), path).orders()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

func TestListsOfAccessAreTurnedRoundByTheirHeads(t *testing.T) {
	t.Parallel()
	c := newConsole(t, &memory{}, &bytes.Buffer{})
	show := map[string]func(w http.ResponseWriter, r *http.Request){
		"/settings/audit": func(w http.ResponseWriter, r *http.Request) {
			c.Audit(w, r, http.StatusOK, access.AuditLog{Entries: []grant.Entry{{At: now}}, Now: now})
		},
		"/settings/tokens": func(w http.ResponseWriter, r *http.Request) {
			c.Tokens(w, r, http.StatusOK, access.TokenList{Tokens: []grant.Token{{Made: now}}, Now: now})
		},
	}
	for path, want := range map[string]string{
		"/settings/audit?before=3": "When descending /settings/audit?sort=-at", "/settings/audit?sort=-at&after=3": "When ascending /settings/audit?sort=at",
		"/settings/tokens?before=3": "Made descending /settings/tokens?sort=-made", "/settings/tokens?sort=-made&after=3": "Made ascending /settings/tokens?sort=made",
	} {
		list, query, _ := strings.Cut(path, "?")
		w := httptest.NewRecorder()
		show[list](w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		doc := parse(t, w.Body.String())
		if got := doc.orders(); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
		first := list
		if strings.HasPrefix(query, "sort") {
			first, _, _ = strings.Cut(path, "&")
		}
		if got := doc.links()["first"]; got != first {
			t.Errorf("%s: got the first page at %q, want %q", path, got, first)
		}
	}
}

// Releases that were found are in order of when they were seen.
func TestWhatIsFoundIsTurnedRoundByTheHeadOfReleases(t *testing.T) {
	t.Parallel()
	m := harbour()
	for path, want := range map[string][]string{
		"/search?q=CVE-2026-1&after=1":            {"Release descending /search?q=CVE-2026-1&sort=-seen"},
		"/search?q=CVE-2026-1&sort=-seen&after=1": {"Release ascending /search?q=CVE-2026-1&sort=seen"},
		"/search?q=CVE-2026-1&sort=-evil":         {"Release descending /search?q=CVE-2026-1&sort=-seen"},
		"/search?q=CVE-2026-1&part=results":       nil,
		advisoryPath(m):                           {"Release descending " + advisoryPath(m) + "?sort=-seen"},
		advisoryPath(m) + "?sort=-seen&after=1":   {"Release ascending " + advisoryPath(m) + "?sort=seen"},
	} {
		if diff := cmp.Diff(want, page(t, m, path).orders()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

func advisoryPath(m *memory) string { return "/advisories/" + m.advisories[0].ID }

func TestTheDirectionOfAListReachesTheStore(t *testing.T) {
	t.Parallel()
	m := harbour()
	for path, oldest := range map[string]bool{
		"/activity": false, "/activity?sort=at": false, "/activity?sort=-at&after=1": true, "/activity?sort=-seen": false,
		"/search?q=x": false, "/search?q=x&sort=-seen": true, advisoryPath(m): false, advisoryPath(m) + "?sort=-seen": true,
	} {
		m.page = account.Page{}
		page(t, m, path)
		if m.page.Limit == 0 || m.page.Oldest != oldest {
			t.Errorf("%s: got %+v, want the oldest first: %t", path, m.page, oldest)
		}
	}
}

func TestFiltersKeepTheOrder(t *testing.T) {
	t.Parallel()
	for _, path := range []string{webPath + "?sort=-seen", "/advisories?sort=-id", releasePath + "/findings?sort=-known", releasePath + "/packages?sort=-name"} {
		kept := ""
		for _, n := range page(t, harbour(), path).all("form.filters input") {
			if attr(n, "name") == "sort" {
				kept = attr(n, "value")
			}
		}
		if _, want, _ := strings.Cut(path, "sort="); kept != want {
			t.Errorf("%s: got %q, want %q", path, kept, want)
		}
	}
}

func TestSettingsAreSortedByWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	h := handler(t, harbour(), &bytes.Buffer{}, func(c *console.Config) {
		c.Settings = []console.Setting{{Key: "listen", Origin: "default"}, {Key: "access.tokens", Origin: "default"}, {Key: "database.url", Origin: "environment"}, {Key: "store", Origin: "TALLYMAN_FILE"}}
	})
	for order, want := range map[string]string{
		"": "listen access.tokens database.url store", "name": "access.tokens database.url listen store", "-name": "store listen database.url access.tokens",
		"origin": "store access.tokens listen database.url", "-origin": "database.url listen access.tokens store", "evil": "listen access.tokens database.url store",
	} {
		w := get(t, h, "/settings?sort="+order)
		if got := strings.Join(parse(t, w.Body.String()).list("process").texts("tbody th"), " "); got != want {
			t.Errorf("%q: got %s, want %s", order, got, want)
		}
	}
}

// A list may become shorter while somebody goes through it. What is behind its end is not
// that nothing happened.
func TestAPartOfAWaveThatHasGoneIsToldOf(t *testing.T) {
	t.Parallel()
	const left = "Nothing of this list is left here."
	m := harbour()
	w := &m.waves[0]
	for id, all := range map[string]int{"findings": len(w.Findings), "verdicts": len(w.Changes), "evidence": len(w.Evidence)} {
		list := page(t, m, wavePath+"?"+id+"-after="+strconv.Itoa(all)).list(id)
		if got := list.one("p.nothing"); got != left {
			t.Errorf("%s: got %q", id, got)
		}
		if got := list.links(); got["first"] != wavePath+"#"+id || got["next"] != "" {
			t.Errorf("%s: got links %v, want one to the first part", id, got)
		}
	}
	w.Findings, w.Changes, w.Evidence = nil, nil, nil
	if got := page(t, m, wavePath).texts("p.nothing"); !slices.Equal(got, []string{"No verdict changed.", "No finding is new, gone or changed."}) {
		t.Errorf("a wave that did nothing: got %q", got)
	}
}
