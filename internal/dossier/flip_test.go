package dossier_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/tallyman-io/tallyman/internal/dossier"
	"github.com/tallyman-io/tallyman/internal/registry/registrytest"
)

// part is a stretch of a file, as its table of contents has it.
type part struct {
	name       string
	start, end int64
}

const tableOfContents = "table of contents"

// parts reads the table of contents, by itself: docs/dossier.md has the form.
func parts(t testing.TB, b []byte) []part {
	t.Helper()
	const foot = 8 + 32 + 8
	size := int64(len(b))
	length := int64(binary.LittleEndian.Uint32(b[size-foot:])) // of eight bytes, but short
	var table struct {
		Entries []struct {
			Name           string
			Offset, Packed int64
		}
		End struct{ Offset, Packed int64 }
	}
	start := size - foot - length
	if err := json.Unmarshal(b[start:start+length], &table); err != nil {
		t.Fatal(err)
	}
	var all []part
	for _, e := range table.Entries {
		all = append(all, part{e.Name, e.Offset, e.Offset + e.Packed})
	}
	return append(all, part{"end of the archive", table.End.Offset, table.End.Offset + table.End.Packed}, part{tableOfContents, start - 8, size})
}

// damage checks a file, and returns what is told of.
func damage(t testing.TB, path string) []string {
	t.Helper()
	f, err := dossier.Open(path, dossier.Limits{})
	if err == nil {
		_, err = f.Check(t.Context(), nil)
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	var told *dossier.DamageError
	if err == nil || !errors.As(err, &told) || !errors.Is(err, dossier.ErrDamaged) {
		t.Fatalf("got %v, want %v", err, dossier.ErrDamaged)
	}
	var names []string
	for _, p := range told.Problems {
		names = append(names, p.Entry)
	}
	return names
}

// Acceptance: any flipped byte is detected, and what it belongs to is named, alone.
// Every byte of the file is in one of the parts, the parts are looked at at their
// borders, where the structures of Zstandard and of the table stand, and at random.
func TestAFlippedByteIsDetectedAndNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registrytest.NewWithReferrers(t))
	path, _ := w.create()
	whole := readFile(t, path)
	all := parts(t, whole)
	var at int64
	for _, p := range all {
		if p.start != at {
			t.Fatalf("%s starts at %d, want %d: bytes between belong to nothing", p.name, p.start, at)
		}
		at = p.end
	}
	if at != int64(len(whole)) {
		t.Fatalf("parts end at %d, want %d", at, len(whole))
	}

	seed := rand.Uint64() //nolint:gosec // which bytes a test flips is no secret
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // the same
	flipped := filepath.Join(t.TempDir(), "flipped.dossier")
	count := 0
	flip := func(p part, offset int64, mask byte) {
		count++
		b := bytes.Clone(whole)
		b[offset] ^= mask
		if err := os.WriteFile(flipped, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if names := damage(t, flipped); len(names) != 1 || names[0] != p.name {
			t.Errorf("byte %d (%d of %s) with %#02x: told of %q, want %q alone", offset, offset-p.start, p.name, mask, names, p.name)
		}
	}
	for _, p := range all {
		const head, tail = 12, 6
		for offset := p.start; offset < p.end; offset++ {
			if offset >= p.start+head && offset < p.end-tail {
				continue
			}
			flip(p, offset, 1<<random.IntN(8))
		}
		for range 6 {
			flip(p, p.start+random.Int64N(p.end-p.start), 1+byte(random.UintN(255))) //nolint:gosec // below 255
		}
	}
	// The header of the first frame, each bit.
	for offset := range int64(12) {
		for bit := range 8 {
			flip(all[0], offset, 1<<bit)
		}
	}
	t.Logf("%d flips in %d parts of %d bytes", count, len(all), len(whole))
}

// A byte that is gone or put in is as bad as one that is another.
func TestAFileThatIsCutOrGrownIsDamaged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, registrytest.New(t))
	path, _ := w.create()
	whole := readFile(t, path)
	all := parts(t, whole)
	changed := filepath.Join(t.TempDir(), "changed.dossier")
	for name, b := range map[string][]byte{
		"the last byte is gone":        whole[:len(whole)-1],
		"the table is gone":            whole[:all[len(all)-1].start],
		"half is gone":                 whole[:len(whole)/2],
		"the first byte is gone":       whole[1:],
		"a byte is put behind":         append(bytes.Clone(whole), 0),
		"zeros are put behind":         append(bytes.Clone(whole), make([]byte, 4096)...),
		"a byte is put before":         append([]byte{0}, whole...),
		"another dossier is behind":    append(bytes.Clone(whole), whole...),
		"a skippable frame is behind":  append(bytes.Clone(whole), 0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 7),
		"a skippable frame is between": append(append(bytes.Clone(whole[:all[1].start]), 0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 7), whole[all[1].start:]...),
		"one entry is gone":            append(bytes.Clone(whole[:all[1].start]), whole[all[1].end:]...),
		"nothing is there":             {},
		"it is text":                   []byte("This is no dossier, but a text that is long enough for a table of contents."),
		"it is zeros":                  make([]byte, 1024),
	} {
		if err := os.WriteFile(changed, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if names := damage(t, changed); len(names) != 1 || names[0] != tableOfContents {
			t.Errorf("%s: told of %q, want %q", name, names, tableOfContents)
		}
	}
}
