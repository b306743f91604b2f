package webload_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/store"
)

// route is something that people or programs read: in turn, of one thing after the other,
// so that what is measured is not what web remembers of the request before.
type route struct {
	name  string
	paths []string
}

// things is how many of each kind are asked for in turn.
const things = 150

// routes are all pages and API reads, on what the fleet has.
func (f *fleet) routes(t *testing.T, database string) []route {
	t.Helper()
	s, err := store.Open(t.Context(), database, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	advisories, err := s.Advisories(t.Context(), account.AdvisoryQuery{Found: true}, account.Page{Limit: things})
	if err != nil || len(advisories.Items) == 0 {
		t.Fatalf("read the advisories that are found: %v", err)
	}
	waves, err := s.Activity(t.Context(), account.Page{Limit: things})
	if err != nil || len(waves.Items) == 0 {
		t.Fatalf("read the waves: %v", err)
	}
	var all []route
	versions := f.Releases / len(f.Repositories)
	for i := range things {
		// Of all ages, and two that are far apart.
		repository, at := f.Repositories[i%len(f.Repositories)], i*37%versions
		version := func(n int) string { return fmt.Sprintf("v1.%d.0", n) }
		r, err := s.Release(t.Context(), account.Ref{Repository: repository, Name: version(at)})
		if err != nil {
			t.Fatal(err)
		}
		for place, read := range reads(&r, version((at+versions/2)%versions), advisories.Items[i%len(advisories.Items)].ID,
			f.Modules[i%len(f.Modules)], fmt.Sprint(waves.Items[i%len(waves.Items)].ID)) {
			if i == 0 {
				all = append(all, route{name: read[0]})
			}
			if !slices.Contains(all[place].paths, read[1]) {
				all[place].paths = append(all[place].paths, read[1])
			}
		}
	}
	return all
}

// reads are the names and addresses of the pages and API reads of a release and of what
// is around it.
func reads(r *account.Release, other, advisory, module, wave string) [][2]string {
	repository, version := r.Image.Repository, r.Version
	component := "/components/" + repository
	release := component + "/-/" + version
	const base = "/api/v1"
	named := base + "/components/" + strings.ReplaceAll(repository, "/", "~")
	return [][2]string{
		{"overview", "/"},
		{"component", component},
		{"release", release},
		{"findings", release + "/findings"},
		{"packages", release + "/packages"},
		{"packages by text", release + "/packages?text=team3"},
		{"compare", "/compare?" + url.Values{"repository": {repository}, "from": {other}, "to": {version}}.Encode()},
		{"search by package", "/search?q=" + url.QueryEscape(module)},
		{"search by range", "/search?q=" + url.QueryEscape(module+"@<1.20")},
		{"search by popular package", "/search?q=stdlib"},
		{"search by advisory", "/search?q=" + advisory},
		{"search by digest", "/search?q=" + url.QueryEscape(string(r.Image.Digest)[:19])},
		{"search by repository", "/search?q=" + url.QueryEscape(repository)},
		{"search for nothing", "/search?q=nothing-that-is-there"},
		{"advisories", "/advisories"},
		{"advisories by severity", "/advisories?severity=critical"},
		{"advisory", "/advisories/" + advisory},
		{"activity", "/activity"},
		{"wave", "/activity/waves/" + wave},
		{"settings", "/settings"},
		{"document", "/documents/" + url.PathEscape(string(r.Documents[0].Digest))},
		{"API: components", base + "/components"},
		{"API: releases", named + "/releases"},
		{"API: release", named + "/releases/" + version},
		{"API: findings", named + "/releases/" + version + "/findings"},
		{"API: packages", named + "/releases/" + version + "/packages"},
		{"API: packages, CSV", named + "/releases/" + version + "/packages.csv"},
		{"API: findings, SARIF", named + "/releases/" + version + "/findings.sarif"},
		{"API: verdict of a digest", base + "/verdicts/" + string(r.Image.Digest)},
		{"API: KPIs", named + "/kpis"},
		{"API: compare", base + "/compare?" + url.Values{"from": {repository + ":" + other}, "to": {repository + ":" + version}}.Encode()},
		{"API: search", base + "/search?q=" + url.QueryEscape(module)},
		{"API: advisories", base + "/advisories"},
		{"API: new findings", base + "/findings"},
		{"API: activity", base + "/activity"},
		{"API: metrics", base + "/metrics"},
		{"API: releases, Atom", base + "/atom/releases"},
	}
}
