package webload_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
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
	// further ones are measured among all the others, and not alone.
	further bool
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
		a := about{
			release: &r, other: version((at + versions/2) % versions), advisory: advisories.Items[i%len(advisories.Items)].ID,
			module: f.Modules[i%len(f.Modules)], wave: fmt.Sprint(waves.Items[i%len(waves.Items)].ID),
		}
		alone := a.reads()
		for place, read := range append(alone, a.further()...) {
			if i == 0 {
				all = append(all, route{name: read[0], further: place >= len(alone)})
			}
			if !slices.Contains(all[place].paths, read[1]) {
				all[place].paths = append(all[place].paths, read[1])
			}
		}
	}
	return all
}

// about is what is read: a release, and what is around it.
type about struct {
	release                       *account.Release
	other, advisory, module, wave string
}

const base = "/api/v1"

// named is where the API tells of the component.
func (a *about) named() string {
	return base + "/components/" + strings.ReplaceAll(a.release.Image.Repository, "/", "~")
}

// reads are the names and addresses of the pages, and of the reads of the API that are
// measured alone as well.
func (a *about) reads() [][2]string {
	r, other, advisory, module, wave := a.release, a.other, a.advisory, a.module, a.wave
	repository, version := r.Image.Repository, r.Version
	component := "/components/" + repository
	release := component + "/-/" + version
	named := a.named()
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

// further are those that read less, or the same as one of [about.reads], and are measured
// among all the others.
func (a *about) further() [][2]string {
	r, named := a.release, a.named()
	release := named + "/releases/" + r.Version
	return [][2]string{
		{"API documentation", "/docs/api"},
		{"audit log", "/settings/audit"},
		{"tokens", "/settings/tokens"},
		{"choose a component", "/compare"},
		{"API: component", named},
		{"API: verdicts of a release", release + "/verdicts"},
		{"API: changes of evidence", release + "/changes"},
		{"API: repairs", named + "/repairs"},
		{"API: rescan of a component", named + "/rescan"},
		{"API: all releases", base + "/releases"},
		{"API: documents", release + "/documents"},
		{"API: SBOM", release + "/sbom"},
		{"API: findings, CSV", release + "/findings.csv"},
		{"API: rescan of a release", release + "/rescan"},
		{"API: state of a dossier", release + "/dossier/state"},
		{"API: document", base + "/documents/" + string(r.Documents[0].Digest)},
		{"API: advisory", base + "/advisories/" + a.advisory},
		{"API: releases of an advisory", base + "/advisories/" + a.advisory + "/releases"},
		{"API: feeds", base + "/feeds"},
		{"API: wave", base + "/waves/" + a.wave},
		{"API: progress", base + "/progress"},
		{"API: queue", base + "/queue"},
		{"API: audit log", base + "/audit"},
		{"API: tokens", base + "/tokens"},
		{"API: settings", base + "/settings"},
		{"API: badge of a component", base + "/badges/" + strings.TrimPrefix(named, base+"/components/") + "/critical.svg"},
		{"API: badge of a release", base + "/badges/" + strings.TrimPrefix(named, base+"/components/") + "/" + r.Version + "/verdict.svg"},
		{"API: findings, Atom", base + "/atom/findings"},
		{"API: OpenAPI document", base + "/openapi.json"},
	}
}

// notMeasured are the reads of the API that are not, and why.
func notMeasured() map[string]string {
	return map[string]string{
		base + "/components/{repository}/releases/{name}/vex":     "the releases have none; it is read as an SBOM is",
		base + "/components/{repository}/releases/{name}/receipt": "the releases have none; it is read as an SBOM is",
		base + "/components/{repository}/releases/{name}/dossier": "a worker has to make it first",
	}
}

func TestEveryReadOfTheAPIIsMeasured(t *testing.T) {
	var document struct {
		Paths map[string]map[string]any
	}
	raw, err := os.ReadFile("../../docs/openapi.json")
	if err == nil {
		err = json.Unmarshal(raw, &document)
	}
	if err != nil {
		t.Fatal(err)
	}
	r := &account.Release{Documents: []account.Document{{Digest: "sha256:0"}}}
	r.Image.Repository, r.Image.Digest, r.Version = "ghcr.io/acme/web", "sha256:0123456789abcdef", "v1.0.0"
	a := about{release: r, other: "v0.9.0", advisory: "GO-1", module: "example.com/a", wave: "1"}
	skipped := notMeasured()
	for path, methods := range document.Paths {
		measured := slices.ContainsFunc(append(a.reads(), a.further()...), func(read [2]string) bool {
			address, _, _ := strings.Cut(read[1], "?")
			return slices.EqualFunc(strings.Split(path, "/"), strings.Split(address, "/"), func(want, got string) bool {
				return want == got || strings.HasPrefix(want, "{")
			})
		})
		if _, reads := methods["get"]; reads && !measured && skipped[path] == "" {
			t.Errorf("GET %s is not measured", path)
		}
		if measured {
			delete(document.Paths, path)
		}
	}
	for path := range skipped {
		if document.Paths[path] == nil {
			t.Errorf("%s is measured, or there is no such read: it need not be left out", path)
		}
	}
}
