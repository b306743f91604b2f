package webload_test

import (
	"net/url"
	"strings"

	"github.com/tallyman-io/tallyman/internal/account"
)

// reads are the pages and API reads of a release and of what is around it.
func reads(repository, latest, earlier string, r *account.Release, advisory, module, wave string) []route {
	component := "/components/" + repository
	release := component + "/-/" + latest
	const base = "/api/v1"
	named := base + "/components/" + strings.ReplaceAll(repository, "/", "~")
	return []route{
		{"overview", "/"},
		{"component", component},
		{"release", release},
		{"findings", release + "/findings"},
		{"packages", release + "/packages"},
		{"packages by text", release + "/packages?q=team3"},
		{"compare", "/compare?" + url.Values{"repository": {repository}, "from": {earlier}, "to": {latest}}.Encode()},
		{"search by package", "/search?q=" + url.QueryEscape(module)},
		{"search by range", "/search?q=" + url.QueryEscape(module+"@<1.20")},
		{"search by popular package", "/search?q=stdlib"},
		{"search by advisory", "/search?q=" + advisory},
		{"search by digest", "/search?q=" + url.QueryEscape(string(r.Image.Digest)[:19])},
		{"search by repository", "/search?q=team3"},
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
		{"API: release", named + "/releases/" + latest},
		{"API: findings", named + "/releases/" + latest + "/findings"},
		{"API: packages", named + "/releases/" + latest + "/packages"},
		{"API: packages, CSV", named + "/releases/" + latest + "/packages.csv"},
		{"API: findings, SARIF", named + "/releases/" + latest + "/findings.sarif"},
		{"API: verdict of a digest", base + "/verdicts/" + string(r.Image.Digest)},
		{"API: KPIs", named + "/kpis"},
		{"API: compare", base + "/compare?" + url.Values{"from": {repository + ":" + earlier}, "to": {repository + ":" + latest}}.Encode()},
		{"API: search", base + "/search?q=" + url.QueryEscape(module)},
		{"API: advisories", base + "/advisories"},
		{"API: new findings", base + "/findings"},
		{"API: activity", base + "/activity"},
		{"API: metrics", base + "/metrics"},
		{"API: releases, Atom", base + "/atom/releases"},
	}
}
