package store

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
)

// flip flips a byte of a compressed content.
func flip(tb testing.TB, s *Store, table, where string) {
	tb.Helper()
	content, found, err := scanOne[[]byte](tb.Context(), s.read, `SELECT content FROM `+table+` WHERE `+where)
	if err != nil || !found {
		tb.Fatalf("%s where %s: found %t, error %v", table, where, found, err)
	}
	content[len(content)/2] ^= 0x10
	if _, err := s.write.ExecContext(tb.Context(), `UPDATE `+table+` SET content = $1 WHERE `+where, content); err != nil { //nolint:gosec // names that tests give
		tb.Fatal(err)
	}
}

func TestRebuildHealsWhatCheckFindsDamaged(t *testing.T) {
	t.Parallel()
	const counting = `(SELECT max(v.id) FROM advisory_version v JOIN advisory a ON a.id = v.advisory_id WHERE a.name = 'GO-2' AND v.until IS NULL)`
	tests := map[string]struct {
		statement string
		// want begins the line of a problem.
		want string
	}{
		"package renamed":              {`UPDATE package SET subject = 'other' WHERE purl LIKE 'pkg:golang/stdlib@%'`, "package pkg:golang/stdlib@"},
		"package with a gap":           {`UPDATE package SET gap = 'made up' WHERE purl LIKE 'pkg:golang/stdlib@%'`, "package pkg:golang/stdlib@"},
		"gap forgotten":                {`UPDATE package SET gap = '' WHERE purl = 'pkg:golang/example.com/team1/module1'`, "package pkg:golang/example.com/team1/module1: expected gap "},
		"entry changed":                {`UPDATE affected SET entry = '' WHERE version_id = ` + counting, "affected Go GO-2"},
		"entry lost":                   {`DELETE FROM affected WHERE version_id = ` + counting, "affected Go GO-2"},
		"entry of the past lost":       {`DELETE FROM affected WHERE NOT counts`, "affected Go GO-2"},
		"entry that does not count":    {`UPDATE affected SET counts = FALSE WHERE version_id = ` + counting, "affected Go GO-2"},
		"entry of another advisory":    {`UPDATE affected SET advisory_id = advisory_id + 1 WHERE version_id = ` + counting, "affected Go GO-2"},
		"two versions that count":      {`UPDATE advisory_version SET until = NULL`, "version Go GO-2"},
		"no version that counts":       {`UPDATE advisory_version SET until = 5 WHERE id = ` + counting, "version Go GO-2"},
		"version withdrawn":            {`UPDATE advisory_version SET withdrawn = 5 WHERE id = ` + counting, "version Go GO-2"},
		"advisory's digest":            {`UPDATE advisory SET digest = 'sha256:00' WHERE name = 'GO-2'`, "advisory Go GO-2: expected digest sha256:"},
		"advisory's columns":           {`UPDATE advisory SET aliases = 'x', own = 'x', summary = 'x' WHERE name = 'GO-1'`, "advisory Go GO-1"},
		"advisory's names":             {`DELETE FROM advisory_alias`, "names Go GO-1"},
		"severity":                     {`UPDATE advisory SET severity = own`, "severity GO-1: expected critical 98 CVSS_V3 GHSA-1"},
		"ecosystem":                    {`DELETE FROM ecosystem`, "ecosystem Go"},
		"finding lost":                 {`DELETE FROM finding WHERE until IS NULL`, "finding GO-2 of pkg:golang/"},
		"finding ended":                {`UPDATE finding SET until = since + 1 WHERE until IS NULL`, "finding GO-2 of pkg:golang/"},
		"finding changed":              {`UPDATE finding SET why = 'because' WHERE until IS NULL`, "finding GO-2 of pkg:golang/"},
		"finding that is none":         {`UPDATE finding SET until = NULL WHERE advisory_id = (SELECT id FROM advisory WHERE name = 'GO-4')`, "finding GO-4 of pkg:golang/"},
		"exposures lost":               {`DELETE FROM exposure`, "exposure registry.example/team/app@sha256:"},
		"exposure too many":            {`INSERT INTO exposure SELECT DISTINCT e.id, p.id FROM examination e, package p WHERE p.purl = 'pkg:generic/thing@1'`, "exposure registry.example/team/app@sha256:"},
		"document's summary":           {`UPDATE document SET packages = 0, licences = '[]', failure = 'x'`, "document sha256:"},
		"document's packages":          {`DELETE FROM document_package WHERE position = 0`, "document sha256:"},
		"document's package elsewhere": {`UPDATE document_package SET position = 99 WHERE position = 0`, "document sha256:"},
		"release":                      {`UPDATE release SET digest = (SELECT max(digest) FROM image), moved_at = NULL`, "release registry.example/team/app:v1."},
		"release lost":                 {`DELETE FROM release`, "release registry.example/team/app:v1.0.0"},
		"release too many":             {`UPDATE release SET version = 'v9.9.9' WHERE version = 'v1.0.0'`, "release registry.example/team/app:v9.9.9"},
		"tag's kind":                   {`UPDATE tag SET kind = 'other' WHERE name = 'v1.1.0'`, "tag registry.example/team/app:v1.1.0, generation 1: expected kind version"},
		"wave that nobody judges":      {`UPDATE wave SET judged_at = NULL`, "wave 1 (release of registry.example/team/app@"},
		"message nobody delivers":      {`UPDATE outbox SET delivered_at = NULL, attempts = 0`, "message m1"},
	}
	storetest.Each(t, func(t *testing.T, url string) {
		s, l, q := openLedger(t, url)
		tally(t, s, l, q)
		wantFindings, wantExposures := tallied(t, s)
		u := upkeep(t, l)
		for name, tt := range tests { // each leaves the database as it was
			if err := s.Exec(t.Context(), tt.statement); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got := shownProblems(check(t, u))
			if !strings.Contains("\n"+got, "\n"+tt.want) {
				t.Errorf("%s: check: want a line that begins with %q in\n%s", name, tt.want, got)
			}
			if _, left := rebuild(t, u); len(left) > 0 {
				t.Errorf("%s: rebuild leaves\n%s", name, shownProblems(left))
			}
			settle(t, l, q)
			if got := check(t, u); len(got) > 0 {
				t.Errorf("%s: after rebuild:\n%s", name, shownProblems(got))
			}
			findings, exposures := tallied(t, s)
			if diff := cmp.Diff(wantFindings, findings) + cmp.Diff(wantExposures, exposures); diff != "" {
				t.Errorf("%s: what stands after rebuild (-before +after):\n%s", name, diff)
			}
		}
	})
}

func TestDamagedHistoryIsToldOfAndLeftAlone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s, l, q := openLedger(t, url)
		tally(t, s, l, q)
		u := upkeep(t, l)
		var wants []string
		for _, tt := range []struct{ statement, want string }{
			{`UPDATE outbox SET dead_at = 5`, "message m1: expected to be delivered or given up, found both"},
			{`UPDATE tag SET generation = 4 WHERE generation = 2`, "tag registry.example/team/app:v1.0.0, generation 4: expected generation 2"},
			{`UPDATE tag SET gone_at = 5 WHERE gone_at IS NOT NULL`, "tag registry.example/team/app:v1.0.0, generation 1: expected an end after"},
			{`UPDATE verdict SET number = 2 WHERE number = 1`, "verdict registry.example/team/app@"},
			{`UPDATE verdict SET wave_id = 9999 WHERE number > 0`, "verdict registry.example/team/app@"},
			{`UPDATE evidence SET state = 'absent'`, "evidence registry.example/team/app@"},
			{`UPDATE finding SET until = 5 WHERE until IS NOT NULL`, "finding GO-3 of "},
		} {
			if err := s.Exec(t.Context(), tt.statement); err != nil {
				t.Fatal(err)
			}
			wants = append(wants, tt.want)
		}
		for _, when := range []string{"before", "after"} {
			got := shownProblems(check(t, u))
			for _, want := range wants {
				if !strings.Contains("\n"+got, "\n"+want) {
					t.Errorf("%s rebuild: want a line that begins with %q in\n%s", when, want, got)
				}
			}
			if healed, _ := rebuild(t, u); len(healed) > 0 {
				t.Errorf("%s rebuild: healed\n%s", when, shownProblems(healed))
			}
			settle(t, l, q)
		}
	})
}

func TestRebuildAsksForEverythingAgain(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s, l, q := openLedger(t, url)
		tally(t, s, l, q)
		healed, left := rebuild(t, upkeep(t, l))
		if len(healed)+len(left) > 0 {
			t.Errorf("got problems of an intact database:\n%s", shownProblems(append(healed, left...)))
		}
		steps := make(map[release.Step]int)
		for _, task := range q.all {
			steps[task.Step]++
		}
		// The first image is named by no version tag any more, the second by one.
		if want := map[release.Step]int{release.StepSync: 1, release.StepIngest: 1, release.StepJudge: 2}; !cmp.Equal(want, steps) {
			t.Errorf("tasks: got %v, want %v", steps, want)
		}
		feeds, err := s.Feeds(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(feeds) != 1 || feeds[0].State != "{}" {
			t.Errorf("feeds: got %+v, want one that remembers nothing", feeds)
		}
	})
}

func TestDamagedContentIsGivenUpAndComesAgain(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s, l, q := openLedger(t, url)
		f := storetest.NewFleet(1, 20, 10)
		see(t, s, f, 0, 1, day)
		image, _ := f.Image(benchRepository, 0, day)
		raw := storetest.SPDX("release", f.Packages(0))
		ingest(t, l, image, raw, day)
		record := storetest.Advisory("GO-1", f.Modules[0], "1.99.0", day, critical)
		publish(t, l, day, record)
		settle(t, l, q)
		want, _ := tallied(t, s)
		flip(t, s, "advisory_version", "until IS NULL")
		flip(t, s, "document", "id = 1")
		u := upkeep(t, l)
		for _, when := range []string{"damaged", "after a rebuild", "after another"} {
			got := shownProblems(check(t, u))
			if !strings.Contains(got, "content Go GO-1 from ") || !strings.Contains(got, "document sha256:") {
				t.Errorf("%s: want problems with the record and the document, got\n%s", when, got)
			}
			if findings, _ := tallied(t, s); !cmp.Equal(want, findings) {
				t.Errorf("%s: got findings %q, want %q", when, findings, want)
			}
			rebuild(t, u)
			settle(t, l, q)
		}
		publish(t, l, day.Add(time.Hour), record)
		ingest(t, l, image, raw, day.Add(time.Hour))
		settle(t, l, q)
		if got := check(t, u); len(got) > 0 {
			t.Errorf("after both came again:\n%s", shownProblems(got))
		}
		if findings, _ := tallied(t, s); !cmp.Equal(want, findings) {
			t.Errorf("after both came again: got findings %q, want %q", findings, want)
		}
		if content, err := l.DocumentContent(t.Context(), release.Digest(digestOf(raw))); err != nil || !bytes.Equal(content, raw) {
			t.Errorf("document: got %d bytes and error %v, want what was stored", len(content), err)
		}
	})
}

func TestRebuildCanBeInterruptedAndRunAgain(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s, l, q := openLedger(t, url)
		tally(t, s, l, q)
		want, _ := tallied(t, s)
		if err := s.Exec(t.Context(), `DELETE FROM affected`); err != nil {
			t.Fatal(err)
		}
		if err := s.Exec(t.Context(), `DELETE FROM finding`); err != nil {
			t.Fatal(err)
		}
		for steps := 1; ; steps++ {
			ctx, cancel := context.WithCancel(t.Context())
			left := steps
			u := NewUpkeep(l, UpkeepConfig{ReadSBOM: readSBOM, Progress: func(string, int64, int64) {
				if left--; left == 0 {
					cancel()
				}
			}})
			err := u.Rebuild(ctx, func(Problem, bool) {})
			cancel()
			if err == nil {
				break
			}
		}
		settle(t, l, q)
		if got := check(t, upkeep(t, l)); len(got) > 0 {
			t.Errorf("got problems:\n%s", shownProblems(got))
		}
		if got, _ := tallied(t, s); !cmp.Equal(want, got) {
			t.Errorf("findings: got %q, want %q", got, want)
		}
	})
}
