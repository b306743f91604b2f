package tally_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/evidence/evidencetest"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
	"github.com/tallyman-io/tallyman/internal/tally/tallytest"
)

// told is a tally of three releases to tell of. A critical advisory of example.com/a, up
// to 2.0.0, is published after the first two were seen; the third ships 2.0.0.
type told struct {
	*tallytest.Bench
	digests   []release.Digest
	platforms [][]release.Digest
	day       time.Time
}

const toldVEX = `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://example.com/vex/1","author":"Acme","timestamp":"2026-05-01T00:00:00Z","version":1,
	"statements":[{"vulnerability":{"name":"GO-LOW"},"products":[{"@id":"pkg:golang/example.com/b@v1.0.0"}],"status":"not_affected",
	"justification":"vulnerable_code_not_in_execute_path"}]}`

const toldProvenance = `{"buildDefinition":{"buildType":"https://example.com/build","resolvedDependencies":[
	{"uri":"git+https://example.com/acme/web@refs/tags/v1.0.0","digest":{"gitCommit":"c0ffee"}},
	{"uri":"docker://example.com/base","digest":{"sha256":"00aa"}}]},
	"runDetails":{"builder":{"id":"https://example.com/builder","version":{"go":"1.26"}},
	"metadata":{"startedOn":"2026-04-01T10:00:00Z","finishedOn":"2026-04-01T10:01:30Z"}}}`

func tell(t *testing.T, url string) *told {
	t.Helper()
	b := &told{Bench: tallytest.New(t, url, tallytest.Options{Connections: 4})}
	b.day = b.Now()
	low := storetest.Advisory("GO-LOW", "example.com/b", "1.1.0", b.day.Add(-90*24*time.Hour), "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N")
	b.Publish(t, "Go", low)
	b.release(t, 1, "v1.0.0", "pkg:golang/example.com/a@v1.0.0", "pkg:golang/example.com/b@v1.0.0")
	b.Look(t)
	again(t, b.Bench)
	b.Advance(24 * time.Hour)
	b.release(t, 2, "v1.1.0", "pkg:golang/example.com/a@v1.5.0", "pkg:golang/example.com/b@v1.1.0", "pkg:golang/example.com/c@v0.1.0")
	b.Look(t)
	again(t, b.Bench)
	b.Advance(24 * time.Hour)
	b.Publish(t, "Go", low, storetest.Advisory("GO-CRITICAL", "example.com/a", "2.0.0", b.Now(), criticalVector),
		storetest.Advisory("GO-GONE", "example.com/c", "1.0.0", b.Now(), ""))
	again(t, b.Bench)
	b.Advance(24 * time.Hour)
	b.Publish(t, "Go", low, storetest.Advisory("GO-CRITICAL", "example.com/a", "2.0.0", b.day.Add(48*time.Hour), criticalVector),
		storetest.Advisory("GO-GONE", "example.com/c", "0.0.1", b.Now(), ""))
	again(t, b.Bench)
	b.Advance(24 * time.Hour)
	b.release(t, 3, "v2.0.0-rc.1", "pkg:golang/example.com/a@v2.0.0")
	b.release(t, 4, "v2.0.0", "pkg:golang/example.com/a@v2.0.0")
	b.Look(t)
	again(t, b.Bench)
	return b
}

func (b *told) release(t *testing.T, seed int64, version string, purls ...string) {
	t.Helper()
	index, platforms := b.Release(t, seed, version, "latest")
	b.Seal(t, index, platforms, purls...)
	if seed == 1 {
		b.Key.Attest(t, b.Repository, index, evidencetest.Attestation{Type: evidencetest.OpenVEX, Predicate: []byte(toldVEX)},
			evidencetest.Attestation{Type: evidencetest.Provenance, Predicate: []byte(toldProvenance)})
	}
	b.digests, b.platforms = append(b.digests, index), append(b.platforms, platforms)
}

func (b *told) get(t *testing.T, name string) account.Release {
	t.Helper()
	r, err := b.Store.Release(t.Context(), account.Ref{Repository: b.Repository, Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// eachTold runs tests on one tally of each engine.
func eachTold(t *testing.T, tests map[string]func(t *testing.T, b *told)) {
	t.Helper()
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := tell(t, url)
		for name, test := range tests {
			t.Run(name, func(t *testing.T) { test(t, b) })
		}
	})
}

func TestWhatIsToldOfReleases(t *testing.T) {
	eachTold(t, map[string]func(t *testing.T, b *told){
		"components": func(t *testing.T, b *told) {
			all, err := b.Store.Components(t.Context())
			if err != nil || len(all) != 1 {
				t.Fatalf("got %d components, %v; want one", len(all), err)
			}
			c := all[0]
			if c.Releases != 4 || c.Latest == nil || c.Latest.Version != "v2.0.0" || c.Latest.Now == nil || c.Latest.Now.Result != release.ResultPass {
				t.Errorf("got %d releases, latest %+v; want 4, v2.0.0 that passes", c.Releases, c.Latest)
			}
			var trend []string
			for i := range c.Trend {
				trend = append(trend, fmt.Sprint(c.Trend[i].Version, " ", c.Trend[i].Now.Counts.Critical))
			}
			if want := []string{"v1.0.0 1", "v1.1.0 1", "v2.0.0 0"}; !slices.Equal(trend, want) {
				t.Errorf("trend: got %v, want %v", trend, want)
			}
			if c.Latest.Evidence[release.PaperSignature] != release.StateVerified || c.Latest.Evidence[release.PaperVEX] != release.StateAbsent {
				t.Errorf("evidence: got %v", c.Latest.Evidence)
			}
			if _, err := b.Store.Component(t.Context(), "nowhere.example/x"); !errors.Is(err, account.ErrNotFound) {
				t.Errorf("a component that is not there: got %v", err)
			}
		},
		"the version before": func(t *testing.T, b *told) {
			for version, want := range map[string]string{"v1.0.0": "", "v1.1.0": "v1.0.0", "v2.0.0-rc.1": "v1.1.0", "v2.0.0": "v1.1.0", "v2.0.1-rc.1": "v2.0.0", "v1.0.5": "v1.0.0"} {
				if got, err := b.Store.Before(t.Context(), b.Repository, version); got != want || err != nil {
					t.Errorf("before %s: got %q, %v; want %q", version, got, err, want)
				}
			}
		},
		"releases, a page at a time": func(t *testing.T, b *told) {
			for sort, want := range map[string][]string{
				"version": {"v2.0.0", "v2.0.0-rc.1", "v1.1.0", "v1.0.0"},
				"seen":    {"v2.0.0-rc.1", "v2.0.0", "v1.1.0", "v1.0.0"},
			} {
				var got []string
				page := account.Page{Limit: 1}
				for range len(want) + 1 {
					part, err := b.Store.Releases(t.Context(), account.ReleaseQuery{Repository: b.Repository, Sort: sort}, page)
					if err != nil {
						t.Fatal(err)
					}
					for i := range part.Items {
						got = append(got, part.Items[i].Version)
					}
					if page.After = part.Next; part.Next == "" {
						break
					}
				}
				if !slices.Equal(got, want) {
					t.Errorf("by %s: got %v, want %v", sort, got, want)
				}
			}
			bad, err := b.Store.Releases(t.Context(), account.ReleaseQuery{Result: release.ResultFail}, account.Page{})
			if err != nil || len(bad.Items) != 2 {
				t.Errorf("those that fail: got %d, %v; want 2", len(bad.Items), err)
			}
			if _, err := b.Store.Releases(t.Context(), account.ReleaseQuery{}, account.Page{After: "x"}); !errors.Is(err, account.ErrCursor) {
				t.Errorf("a cursor of nobody: got %v", err)
			}
		},
		"a release by version, digest and platform": func(t *testing.T, b *told) {
			for _, name := range []string{"v1.0.0", string(b.digests[0]), string(b.platforms[0][1])} {
				r := b.get(t, name)
				if r.Image.Digest != b.digests[0] {
					t.Errorf("%s: got %s, want %s", name, r.Image.Digest, b.digests[0])
				}
			}
			r := b.get(t, "v1.0.0")
			if took, ok := r.Build.Duration(); !ok || took != 90*time.Second || r.Build.Commit != "c0ffee" || r.Build.Base != "example.com/base@sha256:00aa" {
				t.Errorf("build: got %+v", r.Build)
			}
			if r.AtRelease == nil || r.AtRelease.Result != release.ResultPass || r.Now == nil || r.Now.Result != release.ResultFail || r.Now.Cause != release.WaveAdvisories {
				t.Errorf("verdicts: got %+v at release, %+v now; want a pass that advisories turned into a fail", r.AtRelease, r.Now)
			}
			if len(r.Pieces) != 15 || len(r.Documents) != 4 || len(r.Layers) != 2 || len(r.Layers[0].Layers) == 0 || len(r.Rebuilders) != 1 {
				t.Errorf("got %d pieces, %d documents, layers %+v, rebuilders %v", len(r.Pieces), len(r.Documents), r.Layers, r.Rebuilders)
			}
			if !slices.Equal(r.Licences, []string{"MIT"}) || !slices.Equal(r.Versions, []string{"v1.0.0"}) {
				t.Errorf("got licences %v, versions %v", r.Licences, r.Versions)
			}
			if latest := b.get(t, "v2.0.0"); !slices.Equal(latest.Tags, []string{"latest"}) {
				t.Errorf("tags of the latest: got %v", latest.Tags)
			}
			if _, err := b.Store.Release(t.Context(), account.Ref{Repository: b.Repository, Name: "v9.0.0"}); !errors.Is(err, account.ErrNotFound) {
				t.Errorf("a release that is not there: got %v", err)
			}
		},
		"who a digest belongs to": func(t *testing.T, b *told) {
			for _, digest := range []release.Digest{b.digests[1], b.platforms[1][0]} {
				all, err := b.Store.Judged(t.Context(), digest)
				if err != nil || len(all) != 1 || all[0].Version != "v1.1.0" || all[0].Now.Result != release.ResultFail {
					t.Errorf("%s: got %+v, %v", digest, all, err)
				}
			}
			if all, err := b.Store.Judged(t.Context(), storetest.DigestOf("nothing")); err != nil || len(all) != 0 {
				t.Errorf("a digest of nobody: got %v, %v", all, err)
			}
		},
		"documents, byte for byte": func(t *testing.T, b *told) {
			r := b.get(t, "v1.0.0")
			for _, d := range r.Documents {
				got, content, err := b.Store.Document(t.Context(), d.Digest)
				if err != nil || int64(len(content)) != d.Size || got.Kind != d.Kind || !got.Verified {
					t.Errorf("%s: got %+v with %d bytes, %v; want %+v", d.Digest, got, len(content), err, d)
				}
			}
		},
	})
}

func TestWhatIsToldOfFindings(t *testing.T) {
	eachTold(t, map[string]func(t *testing.T, b *told){
		"then, since and gone": func(t *testing.T, b *told) {
			for version, want := range map[string][]string{
				"v1.0.0": {"GO-CRITICAL critical since", "GO-LOW low then suppressed"},
				"v1.1.0": {"GO-CRITICAL critical since", "GO-GONE unscored gone"},
				"v2.0.0": nil,
			} {
				found, err := b.Store.Findings(t.Context(), b.get(t, version).Key, account.FindingQuery{}, account.Page{})
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for i := range found.Items {
					f := &found.Items[i]
					line := fmt.Sprint(f.ID, " ", f.Severity.Level, " ", f.Occurrence)
					if f.Suppressed() {
						line += " suppressed"
					}
					got = append(got, line)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s (-want +got):\n%s", version, diff)
				}
			}
		},
		"chosen": func(t *testing.T, b *told) {
			key := b.get(t, "v1.0.0").Key
			for name, tt := range map[string]struct {
				query account.FindingQuery
				want  int
			}{
				"open":              {account.FindingQuery{Show: "open"}, 1},
				"suppressed":        {account.FindingQuery{Show: "suppressed"}, 1},
				"gone":              {account.FindingQuery{Show: "gone"}, 0},
				"by severity":       {account.FindingQuery{Severity: "low"}, 1},
				"by text":           {account.FindingQuery{Text: "EXAMPLE.COM/A"}, 1},
				"by text of nobody": {account.FindingQuery{Text: "nothing"}, 0},
			} {
				found, err := b.Store.Findings(t.Context(), key, tt.query, account.Page{})
				if err != nil || len(found.Items) != tt.want || found.Total != tt.want {
					t.Errorf("%s: got %d of %d, %v; want %d", name, len(found.Items), found.Total, err, tt.want)
				}
			}
			if _, err := b.Store.Findings(t.Context(), 1<<40, account.FindingQuery{}, account.Page{}); !errors.Is(err, account.ErrNotFound) {
				t.Errorf("of an image of nobody: got %v", err)
			}
		},
		"what they tell": func(t *testing.T, b *told) {
			found, err := b.Store.Findings(t.Context(), b.get(t, "v1.0.0").Key, account.FindingQuery{}, account.Page{Limit: 1})
			if err != nil || len(found.Items) != 1 || found.Next == "" || found.Total != 2 {
				t.Fatalf("got %+v, %v", found, err)
			}
			f := found.Items[0]
			if f.PURL != "pkg:golang/example.com/a@v1.0.0" || !slices.Equal(f.Fixed, []string{"2.0.0"}) || !strings.Contains(f.Why, "GO-CRITICAL") ||
				!f.Published.Equal(b.day.Add(48*time.Hour)) || !f.Known.Equal(b.day.Add(48*time.Hour)) || f.Severity.Score < 9 {
				t.Errorf("got %+v", f)
			}
			rest, err := b.Store.Findings(t.Context(), b.get(t, "v1.0.0").Key, account.FindingQuery{}, account.Page{Limit: 1, After: found.Next})
			if err != nil || len(rest.Items) != 1 || rest.Next != "" || rest.Items[0].Statement.Author != "Acme" {
				t.Errorf("the rest: got %+v, %v", rest, err)
			}
		},
		"packages": func(t *testing.T, b *told) {
			key := b.get(t, "v1.1.0").Key
			for name, tt := range map[string]struct {
				query account.PackageQuery
				want  []string
			}{
				"all":              {account.PackageQuery{}, []string{"a@v1.5.0", "b@v1.1.0", "c@v0.1.0"}},
				"backwards":        {account.PackageQuery{Sort: "-name"}, []string{"c@v0.1.0", "b@v1.1.0", "a@v1.5.0"}},
				"findings first":   {account.PackageQuery{Sort: "findings"}, []string{"a@v1.5.0", "b@v1.1.0", "c@v0.1.0"}},
				"by text":          {account.PackageQuery{Text: "COM/B"}, []string{"b@v1.1.0"}},
				"a wildcard":       {account.PackageQuery{Text: "%"}, nil},
				"by licence":       {account.PackageQuery{Licence: "MIT"}, []string{"a@v1.5.0", "b@v1.1.0", "c@v0.1.0"}},
				"of no licence":    {account.PackageQuery{Licence: "MI"}, nil},
				"of one platform":  {account.PackageQuery{Subject: b.platforms[1][0], Text: "/a"}, []string{"a@v1.5.0"}},
				"of a manifest no": {account.PackageQuery{Subject: storetest.DigestOf("x")}, nil},
			} {
				found, err := b.Store.Packages(t.Context(), key, tt.query, account.Page{})
				var got []string
				for _, p := range found.Items {
					got = append(got, strings.TrimPrefix(p.PURL, "pkg:golang/example.com/"))
				}
				if err != nil || !slices.Equal(got, tt.want) || found.Total != len(tt.want) {
					t.Errorf("%s: got %v of %d, %v; want %v", name, got, found.Total, err, tt.want)
				}
			}
			found, err := b.Store.Packages(t.Context(), key, account.PackageQuery{}, account.Page{Limit: 2})
			if err != nil || len(found.Items) != 2 || found.Items[0].Findings != 1 || found.Items[0].Worst != "critical" {
				t.Fatalf("got %+v, %v", found, err)
			}
			rest, err := b.Store.Packages(t.Context(), key, account.PackageQuery{}, account.Page{Limit: 2, After: found.Next})
			if err != nil || len(rest.Items) != 1 || rest.Next != "" {
				t.Errorf("the rest: got %+v, %v", rest, err)
			}
		},
		"compared": func(t *testing.T, b *told) {
			ref := func(name string) account.Ref { return account.Ref{Repository: b.Repository, Name: name} }
			c, err := b.Store.Compare(t.Context(), ref("v1.0.0"), ref("v2.0.0"), account.ComparePages{})
			if err != nil {
				t.Fatal(err)
			}
			p := c.Packages
			if p.Changed.Total != 1 || p.Changed.Items[0].Package != "pkg:golang/example.com/a" || p.Removed.Total != 1 || p.Added.Total != 0 {
				t.Errorf("packages: got %+v", p)
			}
			if len(c.Fixed) != 2 || len(c.Introduced) != 0 || c.Common != 0 || len(c.Sizes) != 2 || !slices.Equal(c.FromSigners, []string{"key release.pub"}) {
				t.Errorf("got %+v", c)
			}
			if c, err = b.Store.Compare(t.Context(), ref("v1.0.0"), ref("v1.1.0"), account.ComparePages{}); err != nil || c.Common != 1 {
				t.Errorf("got %d in common, %v; want 1", c.Common, err)
			}
			if _, err := b.Store.Compare(t.Context(), ref("v1.0.0"), ref("v9"), account.ComparePages{}); !errors.Is(err, account.ErrNotFound) {
				t.Errorf("with nothing: got %v", err)
			}
		},
		"repairs": func(t *testing.T, b *told) {
			repairs, err := b.Store.Repairs(t.Context(), b.Repository)
			want := []account.Repair{{
				ID: "GO-CRITICAL", From: "v1.0.0", KnownAt: b.day.Add(48 * time.Hour), In: "v2.0.0", FixedAt: b.get(t, "v2.0.0").ReleasedAt,
			}}
			if diff := cmp.Diff(want, repairs); diff != "" || err != nil {
				t.Errorf("repairs, %v (-want +got):\n%s", err, diff)
			}
		},
	})
}

func TestWhatASearchFinds(t *testing.T) {
	eachTold(t, map[string]func(t *testing.T, b *told){
		"terms": func(t *testing.T, b *told) {
			for term, want := range map[string]struct {
				kind account.SearchKind
				hits []string
			}{
				"example.com/a":                   {account.SearchPackage, []string{"v2.0.0-rc.1", "v2.0.0", "v1.1.0", "v1.0.0"}},
				"example.com/a@1.5.0":             {account.SearchPackage, []string{"v1.1.0"}},
				"example.com/a@<2":                {account.SearchPackage, []string{"v1.1.0", "v1.0.0"}},
				"example.com/a@>=1.2 <2":          {account.SearchPackage, []string{"v1.1.0"}},
				"example.com/a@~1":                {account.SearchPackage, nil},
				"example.com/":                    {account.SearchPackage, []string{"v2.0.0-rc.1", "v2.0.0", "v1.1.0", "v1.0.0"}},
				"pkg:golang/example.com/b":        {account.SearchPackage, []string{"v1.1.0", "v1.0.0"}},
				"pkg:golang/example.com/b@v1.0.0": {account.SearchPackage, []string{"v1.0.0"}},
				"GO-CRITICAL":                     {account.SearchAdvisory, []string{"v1.1.0", "v1.0.0"}},
				"go-critical":                     {account.SearchAdvisory, []string{"v1.1.0", "v1.0.0"}},
				"GO-GONE":                         {account.SearchAdvisory, nil},
				"CVE-2099-1":                      {account.SearchAdvisory, nil},
				string(b.digests[0]):              {account.SearchDigest, []string{"v1.0.0"}},
				string(b.digests[0])[7:19]:        {account.SearchDigest, []string{"v1.0.0"}},
				string(b.platforms[1][1])[:20]:    {account.SearchDigest, []string{"v1.1.0"}},
				"sha256:zz":                       {account.SearchRelease, nil},
				tallytest.Path:                    {account.SearchRelease, []string{"v2.0.0-rc.1", "v2.0.0", "v1.1.0", "v1.0.0"}},
				tallytest.Path + ":v1":            {account.SearchRelease, []string{"v1.1.0", "v1.0.0"}},
				"v1.1.0":                          {account.SearchRelease, []string{"v1.1.0"}},
				"%":                               {account.SearchRelease, nil},
				"'; DROP TABLE release; --":       {account.SearchRelease, nil},
				"example.com/a@" + strings.Repeat("<", 200): {account.SearchPackage, nil},
			} {
				found, err := b.Store.Search(t.Context(), term, account.Page{})
				var got []string
				for i := range found.Items {
					got = append(got, found.Items[i].Version)
				}
				if err != nil || found.Kind != want.kind || !slices.Equal(got, want.hits) {
					t.Errorf("%q: got %s %v, %v; want %s %v", term, found.Kind, got, err, want.kind, want.hits)
				}
			}
		},
		"why": func(t *testing.T, b *told) {
			found, err := b.Store.Search(t.Context(), "GO-CRITICAL", account.Page{Limit: 1})
			if err != nil || found.Advisory == nil || found.Advisory.ID != "GO-CRITICAL" || found.Next == "" ||
				!slices.Equal(found.Items[0].Matches, []string{"pkg:golang/example.com/a@v1.5.0"}) {
				t.Errorf("got %+v, %v", found, err)
			}
			unknown, err := b.Store.Search(t.Context(), "CVE-2099-1", account.Page{})
			if err != nil || unknown.Unknown == "" {
				t.Errorf("an advisory that nobody knows: got %+v, %v; want to be told so", unknown, err)
			}
		},
		"advisories": func(t *testing.T, b *told) {
			for name, tt := range map[string]struct {
				query account.AdvisoryQuery
				want  []string
			}{
				"the latest first": {account.AdvisoryQuery{}, []string{"GO-GONE", "GO-CRITICAL", "GO-LOW"}},
				"by id":            {account.AdvisoryQuery{Sort: "id"}, []string{"GO-CRITICAL", "GO-GONE", "GO-LOW"}},
				"that are found":   {account.AdvisoryQuery{Found: true}, []string{"GO-CRITICAL", "GO-LOW"}},
				"critical":         {account.AdvisoryQuery{Severity: "critical"}, []string{"GO-CRITICAL"}},
				"of another feed":  {account.AdvisoryQuery{Ecosystem: "npm"}, nil},
			} {
				var got []string
				page := account.Page{Limit: 1}
				for range 4 {
					part, err := b.Store.Advisories(t.Context(), tt.query, page)
					if err != nil {
						t.Fatal(err)
					}
					for _, a := range part.Items {
						got = append(got, a.ID)
					}
					if page.After = part.Next; part.Next == "" {
						break
					}
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("%s: got %v, want %v", name, got, tt.want)
				}
			}
			a, err := b.Store.Advisory(t.Context(), "GO-GONE")
			if err != nil || len(a.Versions) != 2 || a.Versions[1].Until.IsZero() || !strings.Contains(string(a.Raw), "GO-GONE") || a.Packages != 0 {
				t.Errorf("got %+v, %v; want two versions", a, err)
			}
			if a, err = b.Store.Advisory(t.Context(), "GO-CRITICAL"); err != nil || a.Packages != 2 || a.Images != 2 {
				t.Errorf("got %d packages, %d images, %v; want 2 and 2", a.Packages, a.Images, err)
			}
			if _, err := b.Store.Advisory(t.Context(), "CVE-2099-1"); !errors.Is(err, account.ErrNotFound) {
				t.Errorf("one that nobody knows: got %v", err)
			}
			hits, err := b.Store.AdvisoryReleases(t.Context(), "GO-CRITICAL", account.Page{})
			if err != nil || len(hits.Items) != 2 {
				t.Errorf("got %d releases, %v; want 2", len(hits.Items), err)
			}
		},
		"activity": func(t *testing.T, b *told) {
			all, err := b.Store.Activity(t.Context(), account.Page{})
			if err != nil {
				t.Fatal(err)
			}
			var wave account.Wave
			for _, w := range all.Items {
				if w.New == 3 || w.New == 2 && w.Cause == release.WaveAdvisories {
					wave = w
				}
			}
			d, err := b.Store.WaveDetail(t.Context(), wave.ID, account.WavePages{})
			if err != nil || len(d.Findings.Items) != 2 || len(d.Changes.Items) != 2 || !d.Judged {
				t.Errorf("got %+v, %v; want two findings that are new, and two verdicts that changed", d, err)
			}
			news, err := b.Store.NewFindings(t.Context(), account.Page{})
			if err != nil || len(news.Items) != 3 || news.Items[0].ID != "GO-CRITICAL" {
				t.Errorf("new findings: got %+v, %v", news, err)
			}
			again, err := b.Store.Activity(t.Context(), account.Page{})
			if diff := cmp.Diff(all, again); diff != "" || err != nil {
				t.Errorf("remembered, %v (-first +then):\n%s", err, diff)
			}
			if _, err := b.Store.WaveDetail(t.Context(), 1<<40, account.WavePages{}); !errors.Is(err, account.ErrNotFound) {
				t.Errorf("a wave that is not there: got %v", err)
			}
			data, err := b.Store.AdvisoryData(t.Context())
			if err != nil || data.Oldest.IsZero() || len(data.Feeds) != 1 {
				t.Errorf("advisory data: got %+v, %v", data, err)
			}
			if _, err := b.Store.Queue(t.Context()); err != nil {
				t.Error(err)
			}
		},
	})
}

func TestWhatPeopleAskForIsDone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := tallytest.New(t, url, tallytest.Options{Connections: 4})
		index, platforms := b.Release(t, 1, "v1.0.0")
		b.Publish(t, "Go", storetest.Advisory("GO-1", "example.com/a", "2.0.0", b.Now(), criticalVector))
		b.Look(t)
		sbom := storetest.SPDX("handed in", []release.Package{{PURL: "pkg:golang/example.com/a@v1.0.0", Name: "a"}})
		upload := account.Upload{Repository: b.Repository, Digest: index, Subject: platforms[0], Content: sbom, By: "somebody"}
		for range 2 {
			if err := b.Store.HandIn(t.Context(), upload); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Tally.TakeRequests(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.Settle(t)
		again(t, b)
		r, err := b.Store.Release(t.Context(), account.Ref{Repository: b.Repository, Name: "v1.0.0"})
		if err != nil || len(r.Documents) != 1 || r.Documents[0].Uploaded != "somebody" || r.Documents[0].Verified {
			t.Fatalf("documents: got %+v, %v; want the one that was handed in, by whom, not verified", r.Documents, err)
		}
		if r.Now == nil || r.Now.Result == release.ResultPass || r.Now.Counts.Critical != 1 {
			t.Errorf("verdict: got %+v, want what was handed in to be matched, and not to pass", r.Now)
		}
		for name, tt := range map[string]struct {
			request account.Request
			want    error
		}{
			"a look":                    {account.Request{Step: release.StepDiscover, Repository: b.Repository}, nil},
			"of a repository of nobody": {account.Request{Step: release.StepDiscover, Repository: "x.example/y"}, account.ErrNotFound},
			"of an image of nobody":     {account.Request{Step: release.StepIngest, Repository: b.Repository, Digest: storetest.DigestOf("x")}, account.ErrNotFound},
		} {
			if err := b.Store.Ask(t.Context(), tt.request); !errors.Is(err, tt.want) {
				t.Errorf("%s: got %v, want %v", name, err, tt.want)
			}
		}
		upload.Subject = storetest.DigestOf("x")
		if err := b.Store.HandIn(t.Context(), upload); !errors.Is(err, account.ErrNotFound) {
			t.Errorf("for a manifest of another image: got %v", err)
		}
		if err := b.Store.Watch(t.Context(), nil, time.Minute); err != nil {
			t.Fatal(err)
		}
		if err := b.Store.Ask(t.Context(), account.Request{Step: release.StepDiscover, Repository: b.Repository}); !errors.Is(err, account.ErrNotWatched) {
			t.Errorf("of a repository that is not watched: got %v", err)
		}
	})
}
