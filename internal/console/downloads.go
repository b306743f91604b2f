package console

import (
	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/api/wire"
)

// download is a file that the API makes from what is known.
type download struct{ Label, Says, URL string }

func downloads(r *account.Release) []download {
	at := wire.ReleasePath(wire.RefOf(&r.Standing))
	return []download{
		{"Packages, CSV", "name, version, purl, licences and findings of each", at + "/packages.csv"},
		{"Findings, SARIF", "for code scanning and other tools", at + "/findings.sarif"},
		{"Findings, CSV", "then, now, and what VEX says", at + "/findings.csv"},
	}
}

// longestFilter is the longest text that the API looks for in a list, in bytes.
const longestFilter = 200

// listDownloads are a list of a release as files, chosen as the page has it: pairs of
// parameter and value. None where there is no API, or none that takes them.
func (c *Console) listDownloads(r *account.Release, list string, pairs ...string) []download {
	if c.docs() == "" {
		return nil
	}
	for _, text := range pairs {
		if len(text) > longestFilter {
			return nil
		}
	}
	at := wire.ReleasePath(wire.RefOf(&r.Standing)) + "/" + list
	all := []download{{Label: "This list as CSV", URL: withQuery(at+".csv", pairs...)}}
	if list == "findings" {
		all = append(all, download{Label: "This list as SARIF", URL: withQuery(at+".sarif", pairs...)})
	}
	return all
}
