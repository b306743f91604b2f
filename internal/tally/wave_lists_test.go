package tally_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/evidence/evidencetest"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
	"github.com/tallyman-io/tallyman/internal/tally/tallytest"
)

// many is how many advisories come in a wave: more than any page had of one.
const many = 33

// manyAdvisories are advisories of a module, of two severities.
func manyAdvisories(name, module, fixed string, b *tallytest.Bench) [][]byte {
	var all [][]byte
	for i := range many {
		score := ""
		if i%3 == 0 {
			score = criticalVector
		}
		all = append(all, storetest.Advisory(fmt.Sprintf("GO-%s-%02d", name, i), module, fixed, b.Now(), score))
	}
	return all
}

// busy is a tally of four releases to which much happened: advisories came in two waves,
// of which the second took back those of the first, and the papers of one changed.
func busy(t *testing.T, url string) *tallytest.Bench {
	t.Helper()
	b := tallytest.New(t, url, tallytest.Options{Connections: 4})
	b.Publish(t, "Go", storetest.Advisory("GO-NONE", "example.com/none", "2.0.0", b.Now(), ""))
	var index release.Digest
	for seed := range int64(4) {
		var platforms []release.Digest
		index, platforms = b.Release(t, seed+1, fmt.Sprintf("v1.%d.0", seed))
		b.Seal(t, index, platforms, "pkg:golang/example.com/a@v1.0.0", "pkg:golang/example.com/b@v1.0.0")
	}
	b.Look(t)
	again(t, b)
	b.Advance(24 * time.Hour)
	b.Publish(t, "Go", manyAdvisories("A", "example.com/a", "2.0.0", b)...)
	again(t, b)
	b.Advance(24 * time.Hour)
	b.Publish(t, "Go", append(manyAdvisories("A", "example.com/a", "0.1.0", b), manyAdvisories("B", "example.com/b", "2.0.0", b)...)...)
	again(t, b)
	b.Advance(90 * time.Minute)
	b.Server.Delete(t, tallytest.Path, evidencetest.Tag(index, "sig"))
	again(t, b)
	return b
}

// ofWaves adds up how many of each list waves have.
type ofWaves struct{ findings, verdicts, evidence, news int }

func TestWhatAWaveDidIsReadInPartsAndNothingIsLost(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := busy(t, url)
		waves, err := b.Store.Activity(t.Context(), account.Page{})
		if err != nil || waves.Next != "" {
			t.Fatalf("waves: %v, and then %q", err, waves.Next)
		}
		var got ofWaves
		var news []account.NewFinding
		for _, w := range waves.Items {
			whole := account.Page{Limit: account.MostItems}
			d, err := b.Store.WaveDetail(t.Context(), w.ID, account.WavePages{Findings: whole, Verdicts: whole, Evidence: whole})
			if err != nil {
				t.Fatal(err)
			}
			for _, limit := range []int{1, 10, 20} {
				inParts(t, "findings", limit, d.Findings, func(p account.Page) (account.List[release.FindingChange], error) {
					d, err := b.Store.WaveDetail(t.Context(), w.ID, account.WavePages{Findings: p})
					return d.Findings, err
				})
				inParts(t, "verdicts", limit, d.Changes, func(p account.Page) (account.List[release.VerdictChange], error) {
					d, err := b.Store.WaveDetail(t.Context(), w.ID, account.WavePages{Verdicts: p})
					return d.Changes, err
				})
				inParts(t, "evidence", limit, d.Evidence, func(p account.Page) (account.List[release.EvidenceChange], error) {
					d, err := b.Store.WaveDetail(t.Context(), w.ID, account.WavePages{Evidence: p})
					return d.Evidence, err
				})
			}
			got.findings, got.verdicts, got.evidence = got.findings+d.Findings.Total, got.verdicts+d.Changes.Total, got.evidence+d.Evidence.Total
			for _, f := range d.Findings.Items {
				if f.Change == release.ChangeNew && w.Cause == release.WaveAdvisories {
					news = append(news, account.NewFinding{FindingChange: f, At: w.At, Wave: w.ID})
				}
			}
			worstFirst(t, d.Findings.Items)
		}
		got.news = len(news)
		if got.findings != 3*many || got.news != 2*many || got.verdicts < 5 || got.evidence == 0 {
			t.Errorf("got %+v; want the findings of both waves, and those that went", got)
		}
		for _, limit := range []int{1, 20, many, many + 1, account.MostItems} {
			inParts(t, "new findings", limit, account.List[account.NewFinding]{Items: news, Total: -1}, func(p account.Page) (account.List[account.NewFinding], error) {
				return b.Store.NewFindings(t.Context(), p)
			})
		}
		refused(t, b, waves.Items)
	})
}

// inParts reads a list in parts, which together have to be the whole in its order.
func inParts[T any](t *testing.T, name string, limit int, whole account.List[T], read func(p account.Page) (account.List[T], error)) {
	t.Helper()
	var all []T
	p := account.Page{Limit: limit}
	for range len(whole.Items) + 1 {
		part, err := read(p)
		if err != nil || part.Total != whole.Total || len(part.Items) > limit || len(part.Items) == 0 && len(whole.Items) > 0 {
			t.Fatalf("%s, %d at once: got %d of %d, %v; want some of %d", name, limit, len(part.Items), part.Total, err, whole.Total)
		}
		all = append(all, part.Items...)
		if p.After = part.Next; p.After == "" {
			break
		}
	}
	if diff := cmp.Diff(whole.Items, all); diff != "" || p.After != "" {
		t.Errorf("%s, %d at once, and then %q (-whole +parts):\n%s", name, limit, p.After, diff)
	}
}

// worstFirst finds out whether findings are in their order: new, gone, changed; critical
// before unscored; and by name.
func worstFirst(t *testing.T, all []release.FindingChange) {
	t.Helper()
	rank := func(f *release.FindingChange) string {
		first := map[release.Change]string{release.ChangeNew: "0", release.ChangeGone: "1", release.ChangeChanged: "2"}[f.Change]
		second := "1"
		if f.Severity == "critical" {
			second = "0"
		}
		return first + second + f.ID
	}
	for i := range all {
		if i > 0 && rank(&all[i-1]) >= rank(&all[i]) {
			t.Errorf("got %s %s %s before %s %s %s", all[i-1].Change, all[i-1].Severity, all[i-1].ID, all[i].Change, all[i].Severity, all[i].ID)
		}
	}
}

// cursor is one with values of somebody's own.
func cursor(t *testing.T, values ...string) string {
	t.Helper()
	raw, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// refused asks for parts with cursors that are none of the list, and with one of the shape
// that there was before.
func refused(t *testing.T, b *tallytest.Bench, waves []account.Wave) {
	t.Helper()
	first, err := b.Store.NewFindings(t.Context(), account.Page{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	latest := first.Items[0].Wave
	of, err := b.Store.WaveDetail(t.Context(), latest, account.WavePages{Findings: account.Page{Limit: 1}})
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]account.WavePages{
		"of another list":      {Verdicts: account.Page{After: of.Findings.Next}},
		"of the new findings":  {Findings: account.Page{After: first.Next}},
		"with a zero byte":     {Verdicts: account.Page{After: cursor(t, fmt.Sprintf("verdicts of wave %d", latest), "1", "a\x00", "b", "1")}},
		"without a number":     {Evidence: account.Page{After: cursor(t, fmt.Sprintf("evidence of wave %d", latest), "x")}},
		"with too few of them": {Findings: account.Page{After: cursor(t, fmt.Sprintf("findings of wave %d", latest), "1")}},
	} {
		if _, err := b.Store.WaveDetail(t.Context(), latest, p); !errors.Is(err, account.ErrCursor) {
			t.Errorf("a cursor %s: got %v", name, err)
		}
	}
	for _, w := range waves {
		if w.ID == latest {
			continue
		}
		if _, err := b.Store.WaveDetail(t.Context(), w.ID, account.WavePages{Findings: account.Page{After: of.Findings.Next}}); !errors.Is(err, account.ErrCursor) {
			t.Errorf("a cursor of another wave: got %v", err)
		}
	}
	old, err := b.Store.NewFindings(t.Context(), account.Page{After: cursor(t, "new findings", fmt.Sprint(latest))})
	if err != nil || len(old.Items) != many || old.Items[0].Wave >= latest {
		t.Errorf("a cursor that names a wave alone: got %d, %v; want those of the waves before", len(old.Items), err)
	}
}
