package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/jobs/jobschema"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
)

var day = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func publish(tb testing.TB, l *Ledger, at time.Time, records ...[]byte) ledger.Applied {
	tb.Helper()
	changes := ledger.Changes{Feed: ledger.Feed{Ecosystem: "Go", State: "{}", TriedAt: at, SyncedAt: at}}
	for _, raw := range records {
		changes.Records = append(changes.Records, published(tb, raw))
	}
	applied, err := l.Sync(tb.Context(), changes)
	if err != nil {
		tb.Fatal(err)
	}
	return applied
}

// tallied is everything that stands: findings by package, and exposures by image.
func tallied(tb testing.TB, s *Store) (findings, exposures []string) {
	tb.Helper()
	text := func(rows *sql.Rows) (line string, err error) {
		var a, b, c, d string
		err = rows.Scan(&a, &b, &c, &d)
		return a + " " + b + " " + c + " " + d, err
	}
	var err error
	if findings, err = collect(tb.Context(), s.read, text, `SELECT p.purl, a.name, f.fixed || f.why, a.severity FROM finding f
		JOIN package p ON p.id = f.package_id JOIN advisory a ON a.id = f.advisory_id WHERE f.until IS NULL ORDER BY 1, 2`); err != nil {
		tb.Fatal(err)
	}
	if exposures, err = collect(tb.Context(), s.read, text, `SELECT e.digest, p.purl, '', '' FROM exposure x
		JOIN package p ON p.id = x.package_id JOIN examination e ON e.id = x.examination_id ORDER BY 1, 2`); err != nil {
		tb.Fatal(err)
	}
	return findings, exposures
}

func TestFindingsAfterManyChangesEqualThoseOfAFreshMatch(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		const releases = 24
		f := storetest.NewFleet(7, 120, 50)
		documents := make([][]byte, releases)
		for n := range releases {
			documents[n] = storetest.SPDX("release", f.Packages(40*n))
		}
		var last map[string][]byte
		deltas := make([][][]byte, 12)
		last = make(map[string][]byte)
		for i := range deltas {
			for j := range 9 {
				// Ids come again, with another range, another module, a score or withdrawn.
				id := fmt.Sprintf("GO-%04d", (i*5+j*3)%40)
				raw := storetest.Advisory(id, f.Modules[(i*17+j*31)%len(f.Modules)], fmt.Sprintf("1.%d.0", (i*3+j)%14), day.Add(time.Duration(i)*time.Hour),
					[]string{critical, ""}[(i+j)%2])
				if (i+j)%11 == 0 {
					raw = withdraw(raw)
				}
				deltas[i] = append(deltas[i], raw)
				last[id] = raw
			}
		}

		s, l, _ := openLedger(t, url)
		see(t, s, f, 0, releases, day)
		next := 0
		for i, delta := range deltas {
			publish(t, l, day, delta...)
			for range 2 {
				image, _ := f.Image(benchRepository, next, day)
				ingest(t, l, image, documents[next], day)
				next++
			}
			if applied := publish(t, l, day, delta...); applied != (ledger.Applied{}) {
				t.Errorf("delta %d a second time: got %+v, want nothing done", i, applied)
			}
		}

		fresh, freshLedger, _ := openLedger(t, storetest.SQLite(t))
		see(t, fresh, f, 0, releases, day)
		for n := range releases {
			image, _ := f.Image(benchRepository, n, day)
			ingest(t, freshLedger, image, documents[n], day)
		}
		var all [][]byte
		for _, id := range slices.Sorted(keys(last)) {
			all = append(all, last[id])
		}
		publish(t, freshLedger, day, all...)

		gotFindings, gotExposures := tallied(t, s)
		wantFindings, wantExposures := tallied(t, fresh)
		if len(wantFindings) < 80 || len(wantExposures) < 100 {
			t.Fatalf("the test is about too little: %d findings, %d exposures", len(wantFindings), len(wantExposures))
		}
		if diff := cmp.Diff(wantFindings, gotFindings); diff != "" {
			t.Errorf("findings (-fresh +changed):\n%s", diff)
		}
		if diff := cmp.Diff(wantExposures, gotExposures); diff != "" {
			t.Errorf("exposures (-fresh +changed):\n%s", diff)
		}
	})
}

func keys[V any](m map[string]V) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func withdraw(raw []byte) []byte {
	return slices.Concat([]byte(`{"withdrawn":"2026-01-02T00:00:00Z",`), raw[1:])
}

func cases(tb testing.TB, l *Ledger, wave int64) []ledger.Case {
	tb.Helper()
	var all []ledger.Case
	var after *ledger.Case
	for {
		some, err := l.Cases(tb.Context(), wave, after)
		if err != nil {
			tb.Fatal(err)
		}
		if len(some) == 0 {
			return all
		}
		all = append(all, some...)
		after = &some[len(some)-1]
	}
}

func TestAWaveHasTheImagesThatShipWhatItsAdvisoriesName(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s, l, q := openLedger(t, url)
		f := storetest.NewFleet(1, 0, 0)
		see(t, s, f, 0, 3, day)
		for n, purls := range [][]string{{"pkg:golang/example.com/a@v1.0.0"}, {"pkg:golang/example.com/a@v1.5.0"}, {"pkg:golang/example.com/b@v1.0.0"}} {
			image, _ := f.Image(benchRepository, n, day)
			var packages []release.Package
			for _, purl := range purls {
				packages = append(packages, release.Package{PURL: purl, Name: "n"})
			}
			ingest(t, l, image, storetest.SPDX("release", packages), day)
		}
		q.all = nil
		applied := publish(t, l, day, storetest.Advisory("GO-1", "example.com/a", "1.4.0", day, critical))
		if applied.Changed != 1 || applied.Packages != 1 || applied.Images != 1 {
			t.Errorf("applied: got %+v, want one advisory, one package and one image", applied)
		}
		want := []release.Task{{Step: release.StepJudge, Wave: applied.Wave}}
		if diff := cmp.Diff(want, q.all); diff != "" {
			t.Errorf("tasks (-want +got):\n%s", diff)
		}
		got := cases(t, l, applied.Wave)
		first, version := f.Image(benchRepository, 0, day)
		if len(got) != 1 || got[0].Digest != first.Digest || !slices.Equal(got[0].Versions, []string{version}) {
			t.Fatalf("cases: got %+v, want the first image alone", got)
		}
		if p := got[0].Packages; len(p) != 1 || len(p[0].Findings) != 1 || p[0].Findings[0].ID != "GO-1" || p[0].Findings[0].Severity.String() != "critical 9.8 (CVSS_V3)" {
			t.Errorf("packages of the case: got %+v, want GO-1, critical", p)
		}
		// An advisory that moves on takes its finding with it, and the image is judged.
		applied = publish(t, l, day, storetest.Advisory("GO-1", "example.com/b", "1.4.0", day, critical))
		got = cases(t, l, applied.Wave)
		if len(got) != 2 || len(got[0].Packages) != 0 || len(got[1].Packages) != 1 {
			t.Errorf("cases after the advisory names another module: got %+v, want the first image without and the third with a finding", got)
		}
	})
}

func TestSeverityComesThroughAliasesWhicheverCameFirst(t *testing.T) {
	t.Parallel()
	const module = "example.com/a"
	alias := func(raw []byte, of string) []byte { return slices.Concat([]byte(`{"aliases":["`+of+`"],`), raw[1:]) }
	unscored := alias(storetest.Advisory("GO-1", module, "2.0.0", day, ""), "CVE-1")
	scored := alias(storetest.Advisory("GHSA-1", module, "2.0.0", day, critical), "CVE-1")
	storetest.Each(t, func(t *testing.T, url string) {
		s, l, _ := openLedger(t, url)
		f := storetest.NewFleet(1, 0, 0)
		see(t, s, f, 0, 1, day)
		image, _ := f.Image(benchRepository, 0, day)
		ingest(t, l, image, storetest.SPDX("release", []release.Package{{PURL: "pkg:golang/" + module + "@v1.0.0", Name: "a"}}), day)
		severity := func(applied ledger.Applied) string {
			all := cases(t, l, applied.Wave)
			if len(all) != 1 || len(all[0].Packages) != 1 || len(all[0].Packages[0].Findings) != 1 {
				t.Fatalf("cases: got %+v, want one finding", all)
			}
			return all[0].Packages[0].Findings[0].Severity.String()
		}
		if got := severity(publish(t, l, day, unscored)); got != "unscored" {
			t.Errorf("alone: got %s, want unscored", got)
		}
		if got := severity(publish(t, l, day, scored)); got != "critical 9.8 (CVSS_V3)" && got != "critical 9.8 (CVSS_V3) through GHSA-1" {
			t.Errorf("with a scored alias: got %s, want critical", got)
		}
		findings, _ := tallied(t, s)
		if len(findings) != 2 {
			t.Fatalf("findings: got %q, want one of each advisory", findings)
		}
		if got := severity(publish(t, l, day, withdraw(scored))); got != "unscored" {
			t.Errorf("with the alias withdrawn: got %s, want unscored", got)
		}
	})
}

func TestWhatWasKnownThenIsFoundAgain(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		now := day
		s, err := Open(t.Context(), url, Options{Now: func() time.Time { return now }, Queue: jobschema.River{}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		l, err := NewLedger(s, new(tasks))
		if err != nil {
			t.Fatal(err)
		}
		f := storetest.NewFleet(1, 0, 0)
		see(t, s, f, 0, 1, day)
		image, _ := f.Image(benchRepository, 0, day)
		ingest(t, l, image, storetest.SPDX("release", []release.Package{{PURL: "pkg:golang/example.com/a@v1.5.0", Name: "a"}}), day)
		// Published on the second, seen on the tenth; narrowed on the twelfth; withdrawn
		// by a version seen on the fourteenth.
		on := func(n int) time.Time { return day.AddDate(0, 0, n-1) }
		now = on(10)
		publish(t, l, now, storetest.Advisory("GO-1", "example.com/a", "2.0.0", on(2), critical))
		now = on(12)
		publish(t, l, now, storetest.Advisory("GO-1", "example.com/a", "1.1.0", on(2), critical))
		now = on(13)
		applied := publish(t, l, now, storetest.Advisory("GO-1", "example.com/a", "2.0.0", on(2), critical))
		now = on(14)
		withdrawn := slices.Concat([]byte(`{"withdrawn":"2026-01-14T00:00:00Z",`), storetest.Advisory("GO-1", "example.com/a", "2.0.0", on(2), critical)[1:])
		publish(t, l, now, withdrawn)
		c := cases(t, l, applied.Wave)[0]
		for n, want := range map[int]int{1: 0, 2: 1, 9: 1, 10: 1, 11: 1, 12: 0, 13: 1, 14: 0, 20: 0} {
			packages, err := l.FindingsAsOf(t.Context(), &c, on(n))
			if err != nil {
				t.Fatal(err)
			}
			if len(packages) != want {
				t.Errorf("on day %d: got %d packages with findings, want %d", n, len(packages), want)
			}
		}
	})
}

func TestNothingIsWrittenOfAnExaminationThatFails(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s, l, _ := openLedger(t, url)
		f := storetest.NewFleet(1, 30, 20)
		see(t, s, f, 0, 1, day)
		image, _ := f.Image(benchRepository, 0, day)
		l.queue = refusing{}
		raw := storetest.SPDX("release", f.Packages(0))
		err := l.RecordExamination(t.Context(), examined(t, image, raw, day))
		if err == nil {
			t.Fatal("got no error")
		}
		var n int
		if err := s.read.QueryRowContext(t.Context(), `SELECT (SELECT count(*) FROM package) + (SELECT count(*) FROM document) + (SELECT count(*) FROM examination)`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n != 0 {
			t.Errorf("rows left behind: got %d, want none", n)
		}
		l.queue = new(tasks)
		if err := l.RecordExamination(t.Context(), examined(t, image, raw, day)); err != nil {
			t.Errorf("a second time: %v", err)
		}
	})
}

type refusing struct{}

func (refusing) Enqueue(context.Context, *sql.Tx, ...release.Task) error {
	return fmt.Errorf("no room")
}
