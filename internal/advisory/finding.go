package advisory

import (
	"slices"
	"strings"
)

// Finding is one vulnerability of one package, whichever advisories tell of it.
type Finding struct {
	// ID is the advisory that the finding is called by: the ecosystem's own before
	// GitHub's before others.
	ID string
	// IDs are all advisories that match, ID among them, in order.
	IDs []string
	// Aliases are further names of the vulnerability, such as CVE ids.
	Aliases []string
	Subject Subject
	// Ecosystem is where the advisory that the finding is called by has the package.
	Ecosystem string
	// Severity is the worst of its advisories.
	Severity Severity
	Summary  string
	Fixed    []string // in order of version
	// Why explains each advisory in a sentence.
	Why string
}

// Findings merges matches whose advisories are aliases of each other.
func (r Result) Findings() []Finding {
	if len(r.Matches) == 0 {
		return nil
	}
	var findings []Finding
	for _, group := range groupAliases(r.Matches) {
		findings = append(findings, merge(r.Subject, group))
	}
	return findings
}

// groupAliases splits matches into groups that share an id or an alias, directly or
// through each other. Groups and what is in them keep the order of the matches.
func groupAliases(matches []Match) [][]Match {
	parent := make([]int, len(matches))
	root := func(i int) int {
		for parent[i] != i {
			i = parent[i]
		}
		return i
	}
	first := make(map[string]int, 2*len(matches))
	for i := range matches {
		parent[i] = i
		join := func(name string) {
			if j, ok := first[name]; ok {
				a, b := root(i), root(j)
				parent[max(a, b)] = min(a, b)
			} else {
				first[name] = i
			}
		}
		join(matches[i].Advisory.ID)
		for _, alias := range matches[i].Advisory.Aliases {
			join(alias)
		}
	}
	groups := make([][]Match, 0, len(matches))
	at := make(map[int]int, len(matches))
	for i := range matches {
		g, ok := at[root(i)]
		if !ok {
			g = len(groups)
			at[root(i)] = g
			groups = append(groups, nil)
		}
		groups[g] = append(groups[g], matches[i])
	}
	return groups
}

func merge(s Subject, group []Match) Finding {
	f := Finding{Subject: s}
	var why strings.Builder
	for i, m := range group {
		a := m.Advisory
		f.IDs = append(f.IDs, a.ID)
		if f.ID == "" || rank(a.ID) < rank(f.ID) {
			f.ID, f.Summary, f.Ecosystem = a.ID, a.Summary, m.Ecosystem
		}
		if i == 0 || a.Severity.Worse(f.Severity) {
			f.Severity = a.Severity
		}
		for _, fix := range m.Fixed {
			if !slices.Contains(f.Fixed, fix) {
				f.Fixed = append(f.Fixed, fix)
			}
		}
		if i > 0 {
			why.WriteString("; ")
		}
		why.WriteString(a.ID + ": " + m.Why)
	}
	for _, m := range group {
		for _, alias := range m.Advisory.Aliases {
			if !slices.Contains(f.IDs, alias) && !slices.Contains(f.Aliases, alias) {
				f.Aliases = append(f.Aliases, alias)
			}
		}
	}
	slices.Sort(f.Aliases)
	slices.SortFunc(f.Fixed, func(a, b string) int {
		if c, err := CompareVersions(s.Family, a, b); err == nil && c != 0 {
			return c
		}
		return strings.Compare(a, b)
	})
	if f.Severity.Through != "" && !slices.Contains(f.IDs, f.Severity.Through) {
		why.WriteString(". Its severity is that of " + f.Severity.Through)
	}
	if s.Doubt != "" {
		why.WriteString(". Doubtful: " + s.Doubt)
	}
	f.Why = why.String()
	return f
}

// rank puts an ecosystem's own advisories first: they are written for it.
func rank(id string) int {
	switch prefix, _, _ := strings.Cut(id, "-"); prefix {
	case "GHSA":
		return 1
	case "CVE", "BIT", "OSV", "NSWG":
		return 2
	default:
		return 0
	}
}
