package advisory_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/advisory"
)

func TestADatabaseAsOfADay(t *testing.T) {
	t.Parallel()
	dated := func(id, dates string) string {
		return fmt.Sprintf(`{"id":%q,%s"affected":[{"package":{"ecosystem":"Go","name":"example.com/a"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"2.0.0"}]}]}]}`, id, dates)
	}
	file := filepath.Join(t.TempDir(), "advisories.db")
	if _, err := advisory.Import(t.Context(), feeds{"Go": {
		"GO-1.json": dated("GO-1", `"published":"2026-01-10T00:00:00Z","modified":"2026-05-01T00:00:00Z",`),
		"GO-2.json": dated("GO-2", `"published":"2026-02-10T00:00:00Z","modified":"2026-03-10T00:00:00Z","withdrawn":"2026-03-10T00:00:00Z",`),
		"GO-3.json": dated("GO-3", `"modified":"2026-04-10T00:00:00Z",`),
		"GO-4.json": dated("GO-4", ``),
		"GO-5.json": dated("GO-5", `"withdrawn":"2026-01-05T00:00:00Z","modified":"2026-01-05T00:00:00Z",`),
	}}.write(t, t.TempDir()), file, options(false)); err != nil {
		t.Fatal(err)
	}
	db, err := advisory.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for day, want := range map[string][]string{
		"2026-01-01": {"GO-4"},
		"2026-01-20": {"GO-1", "GO-4"},
		"2026-02-20": {"GO-1", "GO-2", "GO-4"},
		"2026-03-20": {"GO-1", "GO-4"},
		"2026-04-20": {"GO-1", "GO-3", "GO-4"},
	} {
		at, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		past, err := db.AsOf(at)
		if err != nil {
			t.Fatal(err)
		}
		result, err := past.Matcher().Match("pkg:golang/example.com/a@v1.0.0")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range result.Matches {
			got = append(got, m.Advisory.ID)
		}
		if diff := cmp.Diff(want, got); diff != "" || !past.At().Equal(at) {
			t.Errorf("%s (-want +got):\n%s", day, diff)
		}
	}
}
