package dossier

import (
	"bytes"
	"errors"
	"os"
	"testing"
)

// FuzzFile feeds the reader whatever. It must neither panic nor take long, and what it
// takes for whole is so byte by byte.
func FuzzFile(f *testing.F) {
	whole, err := os.ReadFile(craft(f).write())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add([]byte("\x28\xb5\x2f\xfd"))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := read("fuzz", bytes.NewReader(b), int64(len(b)), Limits{Size: 1 << 20, Entries: 100})
		if err != nil {
			return
		}
		checked, err := file.Check(t.Context(), nil)
		if err != nil {
			return
		}
		if _, err := file.Trust(checked.Manifest); err != nil && !errors.Is(err, ErrNoTrust) && checked.Manifest.Trust == "" {
			t.Errorf("trust: %v", err)
		}
	})
}

// FuzzTable is what a file that gets past the hash of its table could do.
func FuzzTable(f *testing.F) {
	f.Add([]byte(`{"schema":"`+tableSchema+`","entries":[],"end":{"offset":0,"packed":1,"sha256":""}}`), int64(10))
	f.Fuzz(func(t *testing.T, b []byte, end int64) {
		parsed, err := parseTable(b)
		if err != nil || parsed.check(Limits{}.withDefaults(), end) != nil {
			return
		}
		for _, e := range parsed.Entries {
			if e.Offset < 0 || e.Packed <= 0 || e.Offset+e.Packed > end || checkName(e.Name) != nil {
				t.Errorf("let through %+v with the table at %d", e, end)
			}
		}
	})
}

// FuzzManifest reads dossier.json.
func FuzzManifest(f *testing.F) {
	c := craft(f)
	c.own()
	f.Add(c.encode(c.manifest))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseManifest(b)
		if err != nil {
			return
		}
		if again, err := encode(m); err != nil || !bytes.Equal(again, b) {
			t.Errorf("read and written again: got %q, %v; want %q", again, err, b)
		}
	})
}
