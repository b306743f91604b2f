package webload_test

import (
	"testing"
	"time"
	"os"

	"github.com/tallyman-io/tallyman/internal/store"
	"github.com/tallyman-io/tallyman/internal/tally/tallytest"
)

func TestGenerate(t *testing.T) {
	path := os.Getenv("FLEET")
	s, err := store.Open(t.Context(), "sqlite://"+path, store.Options{})
	if err != nil { t.Fatal(err) }
	defer s.Close()
	start := time.Now()
	f := tallytest.NewFleet(20, 10000, 400, time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC))
	f.Told = func(n int) { t.Log(n, time.Since(start)) }
	if err := f.Keep(t.Context(), s, 1000); err != nil { t.Fatal(err) }
	t.Log("done", time.Since(start))
}
