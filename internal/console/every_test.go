package console_test

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/console"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

// everyPage runs a check on each page in each of its states.
func everyPage(t *testing.T, check func(t *testing.T, path string, header http.Header, body string)) {
	t.Helper()
	run := func(name, path string, s console.Store) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := get(t, as(operator(), handler(t, s, &bytes.Buffer{})), path)
			check(t, path, w.Header(), w.Body.String())
		})
	}
	for name, path := range pages() {
		run(name, path, harbour())
		run("hostile "+name, path, spoiled())
	}
	for name, one := range others() {
		run(name, one.path, one.store)
	}
}

const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>'${x}` + "\x00\u202e`id`"

// spoiled is a store of which every text is an attack.
func spoiled() *memory {
	m := harbour()
	for _, list := range m.releases {
		for i := range list {
			spoil(&list[i])
		}
	}
	for key := range m.findings {
		for i := range m.findings[key] {
			f := &m.findings[key][i]
			f.ID, f.IDs, f.Aliases, f.Summary, f.PURL, f.Package, f.PackageVersion, f.Why = evil, []string{evil}, []string{evil}, evil, evil, evil, evil, evil
			f.Fixed, f.Severity = []string{evil}, account.Severity{Level: evil, By: evil, Through: evil}
			f.Statement = &account.Statement{Status: evil, Justification: evil, Impact: evil, Action: evil, Author: evil, Origin: evil}
		}
	}
	for key := range m.packages {
		for i := range m.packages[key] {
			m.packages[key][i] = account.Package{PURL: evil, Name: evil, Version: evil, Licences: []string{evil}, Gap: evil, Worst: evil}
		}
	}
	for i := range m.advisories {
		a := &m.advisories[i]
		a.Summary, a.Ecosystem, a.Aliases = evil, evil, append(a.Aliases, evil)
		a.Raw = []byte(`{"details":"` + strings.ReplaceAll(evil[:40], `"`, `\"`) + `","references":[{"url":"javascript:alert(1)"},{"url":"https://a@evil.example/"},{"url":"https://evil.example/\" onclick=\"x"}]}`)
	}
	for i := range m.data.Feeds {
		m.data.Feeds[i].Ecosystem, m.data.Feeds[i].Source, m.data.Feeds[i].Reason = evil, evil, evil
	}
	for i := range m.progress {
		m.progress[i] = ledger.Progress{Step: evil, Subject: evil, Note: evil, Failure: evil, Done: -1, Total: 3}
	}
	for i := range m.waves {
		w := &m.waves[i]
		w.Origin, w.Cause = evil, evil
		w.Findings = []release.FindingChange{{ID: evil, Severity: evil, PURLs: []string{evil}, Change: evil, Fixed: []string{evil}}}
		w.Changes = []release.VerdictChange{{Repository: evil, Version: evil, Digest: evil, Before: evil, After: evil, Reasons: []string{evil}}}
		w.Evidence = []release.EvidenceChange{{Repository: evil, Version: evil, Kind: evil, Before: evil, After: evil, Reason: evil}}
	}
	m.found.Unknown = evil
	for i := range m.hits {
		m.hits[i].Matches = []string{evil}
	}
	m.comparison = account.Comparison{
		Fixed: m.findings[webKey], Introduced: m.findings[webKey], LicencesNew: []string{evil}, LicencesGone: []string{evil},
		Packages:    account.PackageChanges{Added: packageChanges(account.PackageChange{Package: evil, To: []string{evil}})},
		FromSigners: []string{evil}, ToSigners: []string{evil}, Sizes: []account.SizeChange{{Platform: evil, From: 0, To: 5}},
	}
	m.repairs = []account.Repair{{ID: evil, From: evil, In: evil}}
	return m
}

// spoil makes every text of a release an attack, but for those that it is found by.
func spoil(r *account.Release) {
	r.Image.Platforms = []release.Platform{{OS: evil, Architecture: evil, Digest: evil}}
	for _, v := range []*account.Verdict{r.Now, r.AtRelease} {
		if v != nil {
			v.Policy, v.Reasons = evil, []release.Reason{{Rule: evil, Result: evil, Message: evil}}
		}
	}
	for i := range r.Verdicts.Items {
		v := &r.Verdicts.Items[i]
		v.Policy, v.Origin, v.Cause, v.Reasons = evil, evil, evil, []release.Reason{{Rule: evil, Result: release.ResultFail, Message: evil}}
	}
	r.Build = &release.Build{Builder: evil, Type: "javascript:alert(1)", Invocation: evil, Source: evil, Commit: evil, Base: evil, Tools: map[string]string{evil: evil}, Signer: evil}
	r.Tags, r.Versions, r.Licences, r.Rebuilders = []string{evil}, []string{evil}, []string{evil}, []string{evil}
	paper := ledger.Paper{State: release.StateVerified, Reason: evil, Signer: "key " + evil, PredicateType: evil, Found: []release.Layout{evil}, Manifest: evil, Document: evil, LogIndex: -1}
	r.Pieces = []account.Piece{
		{Kind: release.PaperSignature, Subject: r.Image.Digest, On: evil, State: release.StateVerified, Reason: evil, Papers: []ledger.Paper{paper, paper}},
		{Kind: release.PaperOther, Subject: evil, On: evil, State: evil, Reason: evil, Known: evil},
	}
	r.Documents = []account.Document{{Kind: release.PaperSBOM, Subject: evil, On: evil, Digest: evil, Verified: true, Signer: evil, Format: evil, Version: evil, Failure: evil}}
	r.Layers = []account.Layers{{Platform: r.Image.Platforms[0], Layers: []release.Layer{{Digest: evil, MediaType: evil}}}}
	r.Changes.Items = []account.EvidenceChange{{Kind: evil, Subject: evil, Before: evil, After: evil, Reason: evil}}
}

func TestEveryPageHoldsToItsPolicy(t *testing.T) {
	t.Parallel()
	everyPage(t, func(t *testing.T, _ string, header http.Header, body string) {
		policy := header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'; script-src 'self'; style-src 'self'") || strings.Contains(policy, "unsafe") {
			t.Errorf("got policy %q", policy)
		}
		doc := parse(t, body)
		for _, forbidden := range []string{"style", "iframe", "object", "embed", "base", "img"} {
			if n := len(doc.all(forbidden)); n != 0 {
				t.Errorf("got %d <%s>, want none", n, forbidden)
			}
		}
		for _, script := range doc.all("script") {
			if !strings.HasPrefix(attr(script, "src"), "/static/console.") || text(script) != "" {
				t.Errorf("got a script from %q with %q, want only our own file", attr(script, "src"), text(script))
			}
		}
		for n := range doc.root.Descendants() {
			for _, a := range n.Attr {
				if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
					t.Errorf("<%s> has attribute %s, which the policy blocks", n.Data, a.Key)
				}
			}
		}
	})
}

func TestEveryLinkStaysHereOrIsSafe(t *testing.T) {
	t.Parallel()
	everyPage(t, func(t *testing.T, path string, _ http.Header, body string) {
		for n := range parse(t, body).root.Descendants() {
			for _, key := range []string{"href", "action", "src"} {
				address := attr(n, key)
				if address == "" {
					continue
				}
				u, err := url.Parse(address)
				switch {
				case err != nil:
					t.Errorf("%s: <%s %s=%q>: %v", path, n.Data, key, address, err)
				case strings.HasPrefix(address, "#"), strings.HasPrefix(address, "/") && !strings.HasPrefix(address, "//"):
				case u.Scheme == "https" && u.User == nil && n.Data == "a" && strings.Contains(attr(n, "rel"), "noopener"):
				default:
					t.Errorf("%s: <%s %s=%q> leads elsewhere", path, n.Data, key, address)
				}
			}
		}
	})
}

func TestEveryPageCanBeReadAndUsedWithoutEyesOrMouse(t *testing.T) {
	t.Parallel()
	everyPage(t, func(t *testing.T, path string, _ http.Header, body string) {
		if strings.Contains(path, "part=results") {
			return // part of another page
		}
		doc := parse(t, body)
		for _, landmark := range []string{"header", "main", "footer", "h1", "title"} {
			if n := len(doc.all(landmark)); n != 1 && landmark != "title" {
				t.Errorf("got %d <%s>, want 1", n, landmark)
			}
		}
		if skip := doc.all("a.skip"); len(skip) != 1 || attr(skip[0], "href") != "#"+attr(doc.all("main")[0], "id") {
			t.Error("the skip link does not lead to the main content")
		}
		ids := map[string]int{}
		labels := map[string]bool{}
		for n := range doc.root.Descendants() {
			if id := attr(n, "id"); id != "" {
				ids[id]++
			}
			if n.Data == "label" {
				labels[attr(n, "for")] = true
			}
		}
		for id, n := range ids {
			if n > 1 {
				t.Errorf("id %q: got %d elements", id, n)
			}
		}
		for n := range doc.root.Descendants() {
			checkNames(t, n, ids, labels)
		}
		checkHeadings(t, doc)
	})
}

// checkNames checks that what an element refers to is there, and that what people use has
// a name.
func checkNames(t *testing.T, n *html.Node, ids map[string]int, labels map[string]bool) {
	t.Helper()
	for _, key := range []string{"aria-labelledby", "aria-describedby"} {
		for id := range strings.FieldsSeq(attr(n, key)) {
			if ids[id] == 0 {
				t.Errorf("<%s> refers to %q, which is not there", n.Data, id)
			}
		}
	}
	if href := attr(n, "href"); strings.HasPrefix(href, "#") && ids[href[1:]] == 0 {
		t.Errorf("link to %q, which is not there", href)
	}
	named := attr(n, "aria-label") != "" || attr(n, "aria-labelledby") != ""
	switch n.Data {
	case "nav", "table", "progress":
		if !named && !hasClass(n.Parent, "chart-data") {
			t.Errorf("<%s class=%q> has no name", n.Data, attr(n, "class"))
		}
	case "a", "button", "summary", "h2", "h3", "th":
		if text(n) == "" && !named {
			t.Errorf("<%s> says nothing", n.Data)
		}
	case "input", "select":
		if attr(n, "type") != "hidden" && !labels[attr(n, "id")] {
			t.Errorf("<%s name=%q> has no label", n.Data, attr(n, "name"))
		}
	}
}

// checkHeadings checks that headings leave out no level.
func checkHeadings(t *testing.T, doc document) {
	t.Helper()
	level := 0
	for n := range doc.root.Descendants() {
		if len(n.Data) != 2 || n.Data[0] != 'h' || n.Data[1] < '1' || n.Data[1] > '6' {
			continue
		}
		next := int(n.Data[1] - '0')
		if next > level+1 {
			t.Errorf("heading %q: level %d after %d", text(n), next, level)
		}
		level = next
	}
}

func TestHostileTextStaysText(t *testing.T) {
	t.Parallel()
	doc := page(t, spoiled(), releasePath)
	shown := strings.Join(strings.Fields(strings.ReplaceAll(evil, "\x00", "\uFFFD")), " ")
	for _, selector := range []string{".message", ".rule", ".advisory a", ".statement strong"} {
		found := false
		for _, got := range doc.texts(selector) {
			found = found || strings.Contains(got, "<script>alert(1)</script>")
		}
		if !found {
			t.Errorf("%s: got %q, want %q among them", selector, doc.texts(selector), shown)
		}
	}
}

// counted are the words for numbers that rest on advisory data.
var counted = []string{"Critical", "Critical now", "High", "High now", "Findings", "Time to fix"}

// uncovered are the parts of a page that count what rests on advisory data, and do not say
// how old those are: its sections, and what is in none as one. The strip is the head of
// the overview.
func uncovered(doc document, says string) []string {
	covers := map[*html.Node]bool{}
	part := func(n *html.Node) *html.Node {
		for ; n.Parent != nil; n = n.Parent {
			if n.Data == "section" && !hasClass(n, "strip") {
				return n
			}
		}
		return n
	}
	for _, n := range doc.all(".data-age") {
		covers[part(n)] = strings.Contains(text(n), says)
	}
	var all []string
	for n := range doc.root.Descendants() {
		name := attr(n, "data-label")
		if n.Data == "dt" {
			name = text(n)
		}
		if within := part(n); slices.Contains(counted, name) && !covers[within] {
			covers[within] = true
			all = append(all, name+" of the part "+attr(within, "aria-labelledby"))
		}
	}
	return all
}

func TestCountsComeWithTheAgeOfTheAdvisoryData(t *testing.T) {
	t.Parallel()
	const fresh, unknown = "Advisory data of 3 hours ago", "Unknown Age of the advisory data: no feed was fetched yet"
	for name, path := range pages() {
		m := harbour()
		m.data = account.Data{}
		for says, s := range map[string]*memory{fresh: harbour(), unknown: m} {
			doc := page(t, s, path)
			if got := uncovered(doc, says); len(got) > 0 {
				t.Errorf("%s: got no %q beside %q", name, says, got)
			}
			if strings.HasPrefix(name, "compare-") || name == "settings" || name == "reference" {
				continue // they show no count
			}
			if got := doc.texts(".data-age"); len(got) == 0 || !strings.Contains(got[0], says) {
				t.Errorf("%s: got %q, want %q", name, got, says)
			}
		}
	}
}
