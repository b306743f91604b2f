package store

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/jobs/jobschema"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/sbom"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
)

// tasks is a queue that only counts.
type tasks struct{ all []release.Task }

func (q *tasks) Enqueue(_ context.Context, _ *sql.Tx, some ...release.Task) error {
	q.all = append(q.all, some...)
	return nil
}

const benchRepository = "registry.example/team/app"

func openLedger(tb testing.TB, url string) (*Store, *Ledger, *tasks) {
	tb.Helper()
	s, err := Open(tb.Context(), url, Options{Queue: jobschema.River{}})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	q := new(tasks)
	l, err := NewLedger(s, q)
	if err != nil {
		tb.Fatal(err)
	}
	return s, l, q
}

func published(tb testing.TB, raw []byte) ledger.Published {
	tb.Helper()
	record, err := advisory.Parse(raw)
	if err != nil {
		tb.Fatal(err)
	}
	return ledger.Published{Raw: raw, Record: record}
}

// see records a look that found the releases of the numbers.
func see(tb testing.TB, s *Store, f *storetest.Fleet, from, to int, at time.Time) {
	tb.Helper()
	seen := release.Sighting{Tags: map[string]release.Digest{}}
	for n := from; n < to; n++ {
		image, version := f.Image(benchRepository, n, at)
		seen.Images = append(seen.Images, image)
		seen.Tags[version] = image.Digest
	}
	if _, err := s.RecordLook(tb.Context(), release.Look{Repository: benchRepository, At: at, Outcome: release.OutcomeUnknown}, seen); err != nil {
		tb.Fatal(err)
	}
}

// ingest reads an SBOM and records it as the verified one of a release.
func ingest(tb testing.TB, l *Ledger, image release.Image, raw []byte, at time.Time) {
	tb.Helper()
	if err := l.RecordExamination(tb.Context(), examined(tb, image, raw, at)); err != nil {
		tb.Fatal(err)
	}
}

func examined(tb testing.TB, image release.Image, raw []byte, at time.Time) ledger.Examined {
	tb.Helper()
	document, packages, err := sbom.ReadAll(bytes.NewReader(raw))
	if err != nil {
		tb.Fatal(err)
	}
	digest := release.Digest(digestOf(raw))
	found := ledger.Examined{
		Examination: release.Examination{Repository: image.Repository, Digest: image.Digest, At: at},
		Documents: []release.Document{{
			Subject: image.Platforms[0].Digest, Kind: release.PaperSBOM, Digest: digest, Content: raw, Verified: true, Signer: "k",
			SBOM: &release.SBOM{Format: string(document.Format), Version: document.Version, Packages: packages, Unidentified: document.Unidentified},
		}},
		Facts: "{}",
	}
	for _, kind := range release.PaperKinds() {
		for _, subject := range []release.Digest{image.Digest, image.Platforms[0].Digest} {
			found.Examination.Evidence = append(found.Examination.Evidence, release.Evidence{
				Kind: kind, Subject: subject, On: "linux/amd64", State: release.StateVerified, Reason: "signed by k",
				Papers: []release.Paper{{Kind: kind, State: release.StateVerified, LogIndex: -1, Found: []release.Layout{release.LayoutReferrers}}},
			})
		}
	}
	return found
}

const critical = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"

func wave(tb testing.TB, f *storetest.Fleet, from, n int, fixed string, at time.Time) []ledger.Published {
	tb.Helper()
	var records []ledger.Published
	for i := range n {
		module := f.Modules[1+(from+i)*13%(len(f.Modules)-1)]
		records = append(records, published(tb, storetest.Advisory(fmt.Sprintf("GO-2026-%04d", from+i), module, fixed, at, critical)))
	}
	return records
}

func BenchmarkIngest(b *testing.B) {
	s, l, _ := openLedger(b, "sqlite://"+b.TempDir()+"/t.db")
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f := storetest.NewFleet(1, 3000, 400)
	if _, err := l.Sync(b.Context(), ledger.Changes{Feed: ledger.Feed{Ecosystem: "Go", TriedAt: at, SyncedAt: at}, Records: wave(b, f, 0, 500, "1.12.0", at)}); err != nil {
		b.Fatal(err)
	}
	see(b, s, f, 0, b.N, at)
	var documents [][]byte
	for n := range b.N {
		documents = append(documents, storetest.SPDX("release", f.Packages(n)))
	}
	b.ResetTimer()
	for n := range b.N {
		image, _ := f.Image(benchRepository, n, at)
		ingest(b, l, image, documents[n], at)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "SBOMs/s")
}

func BenchmarkDelta(b *testing.B) {
	for _, releases := range []int{100, 1000} {
		b.Run(fmt.Sprintf("%d releases", releases), func(b *testing.B) {
			s, l, _ := openLedger(b, "sqlite://"+b.TempDir()+"/t.db")
			at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			f := storetest.NewFleet(1, 3000, 400)
			see(b, s, f, 0, releases, at)
			for n := range releases {
				image, _ := f.Image(benchRepository, n, at)
				ingest(b, l, image, storetest.SPDX("release", f.Packages(n)), at)
			}
			b.ResetTimer()
			var images, packages int
			for i := range b.N {
				applied, err := l.Sync(b.Context(), ledger.Changes{Feed: ledger.Feed{Ecosystem: "Go", TriedAt: at, SyncedAt: at}, Records: wave(b, f, 100*i, 100, "1.12.0", at)})
				if err != nil {
					b.Fatal(err)
				}
				images, packages = images+applied.Images, packages+applied.Packages
				var last *ledger.Case
				for {
					cases, err := l.Cases(b.Context(), applied.Wave, last)
					if err != nil {
						b.Fatal(err)
					}
					if len(cases) == 0 {
						break
					}
					last = &cases[len(cases)-1]
				}
			}
			b.ReportMetric(float64(images)/float64(b.N), "images/op")
			b.ReportMetric(float64(packages)/float64(b.N), "findings/op")
		})
	}
}
