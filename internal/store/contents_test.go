package store_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/store"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
	"github.com/tallyman-io/tallyman/internal/tally/tallytest"
)

func TestWhoShipsAPackageIsFoundPageByPage(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		s, f := smallFleet(t, url, time.Now)
		// Documents that many images have, and images with several.
		for _, statement := range []string{
			`INSERT INTO image_document (examination_id, subject, document_id, kind, verified, signer)
				SELECT DISTINCT i.examination_id, 'shared', (SELECT min(document_id) FROM image_document), i.kind, i.verified, i.signer
				FROM image_document i WHERE i.examination_id % 2 = 0`,
			`INSERT INTO image_document (examination_id, subject, document_id, kind, verified, signer)
				SELECT DISTINCT i.examination_id, 'another', o.document_id, i.kind, i.verified, i.signer
				FROM image_document i JOIN image_document o ON o.examination_id = i.examination_id / 3 * 2 + 1
				WHERE i.examination_id % 3 = 0 AND i.subject NOT IN ('shared') AND o.subject NOT IN ('shared')`,
			// And many that no image has any more.
			`DELETE FROM image_document WHERE examination_id BETWEEN 40 AND 80`,
		} {
			if err := s.Exec(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		found := 0
		for _, module := range append(slices.Clone(f.Modules[:12]), f.Modules[len(f.Modules)-1], "stdlib", "no-such-module") {
			want, err := s.AllShippers(t.Context(), module)
			if err != nil {
				t.Fatal(err)
			}
			found += len(want)
			for _, page := range []int{1, 7, 1000} {
				for _, oldest := range []bool{false, true} {
					got, err := s.Shippers(t.Context(), module, oldest, page)
					if err != nil {
						t.Fatal(err)
					}
					if oldest {
						slices.Reverse(got)
					}
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("%s, in pages of %d, the oldest first: %t (-all at once, +found):\n%s", module, page, oldest, diff)
					}
				}
			}
		}
		if found < 50 {
			t.Errorf("got %d hits, want a fleet in which packages are found", found)
		}
	})
}

func TestWhatDocumentsListIsRememberedForAWhile(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		now := time.Date(2026, time.May, 1, 0, 0, 0, 0, time.UTC)
		s, f := smallFleet(t, url, func() time.Time { return now })
		count := func() int {
			t.Helper()
			r, err := s.Release(t.Context(), account.Ref{Repository: f.Repositories[0], Name: "v1.3.0"})
			if err != nil {
				t.Fatal(err)
			}
			packages, err := s.Packages(t.Context(), r.Key, account.PackageQuery{}, account.Page{})
			if err != nil {
				t.Fatal(err)
			}
			return packages.Total
		}
		before := count()
		if documents, packages := s.KeptContents(); documents != 1 || packages < before || before < 300 {
			t.Errorf("remembered: %d documents with %d packages, want that of the image with its %d", documents, packages, before)
		}
		if err := s.Exec(t.Context(), `DELETE FROM document_package`); err != nil {
			t.Fatal(err)
		}
		if got := count(); got != before {
			t.Errorf("at once: got %d packages, want what is remembered", got)
		}
		now = now.Add(5 * time.Minute)
		if got := count(); got != 0 {
			t.Errorf("after five minutes: got %d packages, want what was repaired", got)
		}
	})
}

// smallFleet is a store with a few releases.
func smallFleet(t *testing.T, url string, now func() time.Time) (*store.Store, *tallytest.Fleet) {
	t.Helper()
	s, err := store.Open(t.Context(), url, store.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	f := tallytest.NewFleet(3, 90, 400, time.Date(2025, time.January, 1, 0, 0, 0, 0, time.UTC))
	if err := f.Keep(t.Context(), s, 20); err != nil {
		t.Fatal(err)
	}
	return s, f
}

func TestVersionsAreCountedAfterEveryLook(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		now := time.Date(2026, time.May, 1, 0, 0, 0, 0, time.UTC)
		s, err := store.Open(t.Context(), url, store.Options{Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		const repository = "ghcr.io/acme/web"
		fleet := storetest.NewFleet(1, 3, 1)
		tags := make(map[string]release.Digest)
		for n := range 3 {
			image, version := fleet.Image(repository, n, now)
			tags[version] = image.Digest
			look := release.Look{Repository: repository, At: now, Outcome: release.OutcomeComplete}
			if _, err := s.RecordLook(t.Context(), look, release.Sighting{Images: []release.Image{image}, Tags: tags}); err != nil {
				t.Fatal(err)
			}
			for _, later := range []time.Duration{0, time.Minute, time.Second} { // at once, then read to be remembered, then remembered
				now = now.Add(later)
				c, err := s.Component(t.Context(), repository)
				if err != nil {
					t.Fatal(err)
				}
				if c.Releases != n+1 {
					t.Errorf("%s after look %d: got %d releases, want %d", later, n+1, c.Releases, n+1)
				}
			}
		}
		if err := s.Exec(t.Context(), `UPDATE tag SET gone_at = 1`); err != nil {
			t.Fatal(err)
		}
		for _, want := range []int{3, 0} { // at once, and five minutes later
			c, err := s.Component(t.Context(), repository)
			if err != nil || c.Releases != want {
				t.Errorf("after what no look did: got %d releases, %v; want %d", c.Releases, err, want)
			}
			now = now.Add(5 * time.Minute)
		}
	})
}

func TestPURLsAreComparedAsTheyAre(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		now := time.Date(2026, time.May, 1, 0, 0, 0, 0, time.UTC)
		s, f := smallFleet(t, url, func() time.Time { return now })
		ref := func(version string) account.Ref { return account.Ref{Repository: f.Repositories[0], Name: version} }
		for _, hostile := range []string{`pkg:generic/a"b`, `pkg:generic/a\b`, `pkg:generic/a,"b`, "pkg:generic/a\nb"} {
			// The first package of the second release gets a purl that no other has.
			if err := s.Exec(t.Context(), `UPDATE package SET purl = '`+hostile+`@1' WHERE id =
				(SELECT max(dp.package_id) FROM document_package dp JOIN image_document i ON i.document_id = dp.document_id
				JOIN examination e ON e.id = i.examination_id JOIN release r ON r.repository = e.repository AND r.digest = e.digest
				WHERE r.repository = '`+f.Repositories[0]+`' AND r.version = 'v1.9.0')`); err != nil {
				t.Fatal(err)
			}
			c, err := s.Compare(t.Context(), ref("v1.0.0"), ref("v1.9.0"), account.ComparePages{})
			if err != nil {
				t.Fatal(err)
			}
			found := slices.ContainsFunc(c.Packages.Added.Items, func(p account.PackageChange) bool { return p.Package == hostile })
			if !found || c.Packages.Unknown != "" {
				t.Errorf("%q: not among the %d packages that were added; unknown: %q", hostile, c.Packages.Added.Total, c.Packages.Unknown)
			}
			if same, err := s.Compare(t.Context(), ref("v1.9.0"), ref("v1.9.0"), account.ComparePages{}); err != nil || same.Packages.Added.Total+same.Packages.Removed.Total+same.Packages.Changed.Total+len(same.Introduced)+len(same.Fixed) != 0 {
				t.Errorf("with itself: got %+v, %v; want no difference", same.Packages, err)
			}
			now = now.Add(5 * time.Minute) // purls do not change, and are remembered for so long
		}
	})
}
