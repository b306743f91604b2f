package tally_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tallyman-io/tallyman/internal/tally/tallytest"
)

// BenchmarkSync takes in all feeds of the folder that TALLYMAN_DATA names.
func BenchmarkSync(b *testing.B) {
	data := os.Getenv("TALLYMAN_DATA")
	if data == "" {
		b.Skip("TALLYMAN_DATA names no folder of advisories")
	}
	zips, err := filepath.Glob(filepath.Join(data, "osv", "*", "all.zip"))
	if err != nil {
		b.Fatal(err)
	}
	for range b.N {
		bench := tallytest.New(b, "sqlite://"+b.TempDir()+"/t.db", tallytest.Options{FeedDir: filepath.Join(data, "osv"), RealTime: true})
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
