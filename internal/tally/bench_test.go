package tally_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
	"github.com/tallyman-io/tallyman/internal/sbom"
	"github.com/tallyman-io/tallyman/internal/store/storetest"
	"github.com/tallyman-io/tallyman/internal/tally/tallytest"
)

// data is the folder of real advisories and SBOMs. Without it there is nothing to
// measure on it.
func data(b *testing.B) string {
	b.Helper()
	dir := os.Getenv("TALLYMAN_DATA")
	if dir == "" {
		b.Skip("TALLYMAN_DATA names no folder of advisories and SBOMs")
	}
	return dir
}

// BenchmarkSync takes in all feeds of real data.
func BenchmarkSync(b *testing.B) {
	dir := data(b)
	zips, err := filepath.Glob(filepath.Join(dir, "osv", "*", "all.zip"))
	if err != nil {
		b.Fatal(err)
	}
	for range b.N {
		bench := tallytest.New(b, storetest.SQLite(b), tallytest.Options{FeedDir: filepath.Join(dir, "osv"), RealTime: true})
		for _, zip := range zips {
			if err := bench.Tally.Sync(b.Context(), filepath.Base(filepath.Dir(zip))); err != nil {
				b.Fatal(err)
			}
		}
		feeds, err := bench.Store.Feeds(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		records := 0
		for _, f := range feeds {
			records += f.Records
		}
		b.ReportMetric(float64(records), "records")
	}
}

// fleet is a bench with releases in it.
type fleet struct {
	*tallytest.Bench
	*storetest.Fleet
	taken time.Duration
}

const each = 400

// newFleet takes in releases of 400 packages each. Their papers are verified elsewhere:
// what is measured is what comes after.
func newFleet(b *testing.B, f *storetest.Fleet, releases int) *fleet {
	b.Helper()
	bench := tallytest.New(b, storetest.SQLite(b), tallytest.Options{})
	at := bench.Now()
	seen := release.Sighting{Tags: map[string]release.Digest{}}
	var images []release.Image
	for n := range releases {
		image, version := f.Image(bench.Repository, n, at)
		images = append(images, image)
		seen.Tags[version] = image.Digest
	}
	seen.Images = images
	if _, err := bench.Store.RecordLook(b.Context(), release.Look{Repository: bench.Repository, At: at, Outcome: release.OutcomeUnknown}, seen); err != nil {
		b.Fatal(err)
	}
	documents := make([][]byte, len(images))
	for n := range images {
		documents[n] = storetest.SPDX("release", f.Packages(n))
	}
	start := time.Now()
	for n, image := range images {
		ingest(b, bench, image, documents[n])
	}
	return &fleet{Bench: bench, Fleet: f, taken: time.Since(start)}
}

// ingest reads an SBOM and records it as the verified one of an image, whose other
// papers are verified as well.
func ingest(b *testing.B, bench *tallytest.Bench, image release.Image, raw []byte) {
	b.Helper()
	document, packages, err := sbom.ReadAll(bytes.NewReader(raw))
	if err != nil {
		b.Fatal(err)
	}
	platform := image.Platforms[0].Digest
	found := ledger.Examined{
		Examination: release.Examination{Repository: image.Repository, Digest: image.Digest, At: bench.Now()}, Facts: "{}",
		Documents: []release.Document{{
			Subject: platform, Kind: release.PaperSBOM, Digest: storetest.DigestOf(string(raw)), Content: raw, Verified: true, Signer: "release.pub",
			SBOM: &release.SBOM{Format: string(document.Format), Version: document.Version, Packages: packages, Unidentified: document.Unidentified},
		}},
	}
	for _, kind := range release.PaperKinds() {
		for _, subject := range []release.Digest{image.Digest, platform} {
			found.Examination.Evidence = append(found.Examination.Evidence, release.Evidence{
				Kind: kind, Subject: subject, On: "linux/amd64", State: release.StateVerified, Reason: "signed by key release.pub",
				Papers: []release.Paper{{Kind: kind, State: release.StateVerified, LogIndex: -1, Found: []release.Layout{release.LayoutReferrers}}},
			})
		}
	}
	if err := bench.Ledger.RecordExamination(b.Context(), found); err != nil {
		b.Fatal(err)
	}
}

// apply takes in records at once, and judges what they touch.
func (f *fleet) apply(b *testing.B, records [][]byte) ledger.Applied {
	b.Helper()
	changes := ledger.Changes{Feed: ledger.Feed{Ecosystem: "Go", State: "{}", TriedAt: f.Now(), SyncedAt: f.Now()}}
	for _, raw := range records {
		record, err := advisory.Parse(raw)
		if err != nil {
			b.Fatal(err)
		}
		changes.Records = append(changes.Records, ledger.Published{Raw: raw, Record: record})
	}
	applied, err := f.Ledger.Sync(b.Context(), changes)
	if err != nil {
		b.Fatal(err)
	}
	if applied.Wave != 0 {
		if err := f.Tally.Judge(b.Context(), applied.Wave); err != nil {
			b.Fatal(err)
		}
	}
	return applied
}

// known has all releases judged with advisories that are there, so that a verdict tells
// something. What comes after is measured as it is in the life of a release: the verdict
// at release was found long ago.
func (f *fleet) known(b *testing.B) {
	b.Helper()
	// With no advisory at all a feed says nothing.
	f.apply(b, [][]byte{storetest.Advisory("GO-2026-0", "example.org/elsewhere", "1.4.0", f.Now(), criticalVector)})
	f.settle(b)
	f.Advance(time.Hour)
	if err := f.Tally.Duty(b.Context()); err != nil {
		b.Fatal(err)
	}
	f.Waiting.Drop(release.StepSync)
	f.settle(b)
	f.apply(b, nil) // the feed is fresh
}

// settle judges everything that waits.
func (f *fleet) settle(b *testing.B) {
	b.Helper()
	f.Waiting.Drop(release.StepIngest, release.StepNotify)
	for _, err := range f.SettleAtMost(b, 1<<20) {
		b.Fatal(err)
	}
}

// BenchmarkIngest takes in the SBOMs of releases with 400 packages each, of which nearly
// all are known, into SQLite.
func BenchmarkIngest(b *testing.B) {
	const releases = 1000
	for range b.N {
		f := newFleet(b, storetest.NewFleet(1, 3000, each), releases)
		b.ReportMetric(releases/f.taken.Seconds(), "SBOMs/s")
	}
}

// BenchmarkDelta applies, matches and judges 100 advisories. One in ten names a module
// that the releases ship, as the rest of an ecosystem's advisories are of others'
// modules. What everything costs anew is told by [BenchmarkReplay].
func BenchmarkDelta(b *testing.B) {
	for _, releases := range []int{100, 1000, 10000} {
		if releases > 1000 && os.Getenv("TALLYMAN_BENCH_LARGE") == "" {
			continue // takes minutes to set up
		}
		b.Run(fmt.Sprintf("%d releases", releases), func(b *testing.B) {
			f := newFleet(b, storetest.NewFleet(1, 3000, each), releases)
			images, findings, n := 0, 0, 0
			f.known(b)
			var longest, all time.Duration
			b.ResetTimer()
			for range b.N {
				var records [][]byte
				for range 100 {
					module := fmt.Sprintf("example.org/elsewhere/module%d", n)
					if n%10 == 0 {
						module = f.Modules[1+n*7%(len(f.Modules)-1)]
					}
					records = append(records, storetest.Advisory(fmt.Sprintf("GO-2026-%04d", n), module, "1.4.0", f.Now(), criticalVector))
					n++
				}
				start := time.Now()
				applied := f.apply(b, records)
				spent := time.Since(start)
				longest, all = max(longest, spent), all+spent
				images, findings = images+applied.Images, findings+applied.Packages
			}
			b.StopTimer()
			b.ReportMetric(float64(images)/float64(b.N), "images/op")
			b.ReportMetric(float64(findings)/float64(b.N), "findings/op")
			b.ReportMetric(float64(longest.Milliseconds()), "ms-longest")
			b.ReportMetric(float64(all.Microseconds())/float64(max(images, 1)), "µs/image")
		})
	}
}

// step is a line of the history of the Go database.
type step struct {
	Time   time.Time       `json:"time"`
	Op     string          `json:"op"`
	Record json.RawMessage `json:"record"`
}

func history(b *testing.B) [][]step {
	b.Helper()
	file, err := os.Open(filepath.Join(data(b), "osv", "go-history.ndjson.zst"))
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	plain, err := zstd.NewReader(file)
	if err != nil {
		b.Fatal(err)
	}
	defer plain.Close()
	lines := bufio.NewScanner(plain)
	lines.Buffer(nil, 64<<20)
	var commits [][]step
	for lines.Scan() {
		var s step
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			b.Fatal(err)
		}
		if last := len(commits) - 1; last >= 0 && commits[last][0].Time.Equal(s.Time) {
			commits[last] = append(commits[last], s)
		} else {
			commits = append(commits, []step{s})
		}
	}
	if err := lines.Err(); err != nil {
		b.Fatal(err)
	}
	return commits
}

// BenchmarkReplay replays the history of the Go database, commit by commit, against a
// thousand releases of modules that it names, and compares the end with a fresh match.
func BenchmarkReplay(b *testing.B) {
	commits := history(b)
	latest := make(map[string][]byte)
	var modules []string
	seen := map[string]bool{}
	changes := 0
	for _, commit := range commits {
		for _, s := range commit {
			changes++
			record, err := advisory.Parse(s.Record)
			if err != nil {
				b.Fatal(err)
			}
			latest[record.ID] = s.Record
			for _, e := range record.Entries("Go") {
				if !seen[e.Name] {
					seen[e.Name] = true
					modules = append(modules, e.Name)
				}
			}
		}
	}
	for range b.N {
		f := storetest.NewFleet(1, 3000, each)
		// One module in twenty is one that the history names, which is what real SBOMs
		// come to; stdlib is in every release.
		for i := 1; 20*i < len(f.Modules); i++ {
			f.Modules[20*i] = modules[i*7%len(modules)]
		}
		replayed := newFleet(b, f, 1000)
		replayed.known(b)
		took := make([]time.Duration, 0, len(commits))
		var largest time.Duration
		for _, commit := range commits {
			var records [][]byte
			for _, s := range commit {
				records = append(records, s.Record)
			}
			start := time.Now()
			replayed.apply(b, records)
			spent := time.Since(start)
			took = append(took, spent)
			if len(commit) > 500 {
				largest = max(largest, spent)
			}
			replayed.Advance(time.Minute)
		}
		slices.Sort(took)
		b.ReportMetric(float64(len(commits)), "commits")
		b.ReportMetric(float64(changes), "changes")
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-median")
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
		b.ReportMetric(float64(largest.Milliseconds()), "ms-largest")

		fresh := newFleet(b, f, 1000)
		var all [][]byte
		for _, raw := range latest {
			all = append(all, raw)
		}
		start := time.Now()
		fresh.apply(b, all)
		b.ReportMetric(float64(time.Since(start).Milliseconds()), "ms-anew")
		compare(b, replayed, fresh)
	}
}

// compare fails when two fleets do not have the same findings.
func compare(b *testing.B, got, want *fleet) {
	b.Helper()
	a, err := got.Ledger.AllCases(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	z, err := want.Ledger.AllCases(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	total := 0
	for i := range z {
		lines := func(c ledger.Case) (all []string) {
			for _, p := range c.Packages {
				for _, f := range p.Findings {
					all = append(all, fmt.Sprint(p.PURL, f.IDs, f.Severity, f.Fixed, f.Why))
				}
			}
			return all
		}
		have, need := lines(a[i]), lines(z[i])
		total += len(need)
		if !slices.Equal(have, need) {
			b.Fatalf("image %d: the history leaves %d findings, a fresh match %d", i, len(have), len(need))
		}
	}
	if total == 0 {
		b.Fatal("there is no finding to compare")
	}
	b.ReportMetric(float64(total), "findings")
}
