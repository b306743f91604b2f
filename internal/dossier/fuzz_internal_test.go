package dossier

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
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

// FuzzSealed feeds the reader frames and a table of contents whose hashes are right, as
// somebody would make them who means harm.
func FuzzSealed(f *testing.F) {
	whole, err := os.ReadFile(craft(f).write())
	if err != nil {
		f.Fatal(err)
	}
	_, at, err := readTable(bytes.NewReader(whole), int64(len(whole)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole[:at], whole[at+skippableHead:len(whole)-tableFoot])
	f.Fuzz(func(t *testing.T, body, contents []byte) {
		var listed table
		if json.Unmarshal(contents, &listed) != nil {
			return
		}
		seal := func(f *frame) {
			if f.Offset >= 0 && f.Packed > 0 && f.Offset <= int64(len(body)) && f.Packed <= int64(len(body))-f.Offset {
				f.SHA256 = strings.TrimPrefix(string(digestOf(body[f.Offset:f.Offset+f.Packed])), "sha256:")
			}
		}
		for i := range listed.Entries {
			seal(&listed.Entries[i].frame)
		}
		seal(&listed.End)
		foot, err := listed.frame()
		if err != nil {
			return
		}
		b := append(bytes.Clone(body), foot...)
		file, err := read("fuzz", bytes.NewReader(b), int64(len(b)), Limits{Size: 1 << 20, Entries: 100})
		if err != nil {
			return
		}
		if _, err := file.Check(t.Context(), nil); err == nil && len(file.table.Entries) < 3 {
			t.Errorf("took for whole: %+v", file.table)
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
