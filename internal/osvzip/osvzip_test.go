package osvzip_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/osvzip"
)

func TestValidID(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{
		"GO-2024-0001": true, "RHSA-2023:1234": true, "openSUSE-SU-2020:1.2_3+b": true, strings.Repeat("a", 256): true,
		"": false, ".": false, "..": false, "-x": false, "a/b": false, `a\b`: false, "a b": false, "a\x00": false, "ä": false,
		"a%2f": false, strings.Repeat("a", 257): false,
	} {
		if got := osvzip.ValidID(id); got != want {
			t.Errorf("%q: got %t, want %t", id, got, want)
		}
	}
}

func TestTooBroken(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		broken, readable int
		want             bool
	}{
		{0, 0, false},
		{1, 1, false},
		{2, 1, true},
		{10, 90, false},
		{11, 1088, true},
		{11, 1089, false},
	} {
		if got := osvzip.TooBroken(c.broken, c.readable); got != c.want {
			t.Errorf("%d of %d: got %t, want %t", c.broken, c.broken+c.readable, got, c.want)
		}
	}
}

// FuzzOpen reads files that are damaged anywhere: errors are answers, panics are not,
// and no name that leads elsewhere gets through.
func FuzzOpen(f *testing.F) {
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for _, name := range []string{"GO-1.json", "a/GO-2.json", "b/", "../x.json"} {
		w, err := z.Create(name)
		if err != nil {
			f.Fatal(err)
		}
		if !strings.HasSuffix(name, "/") {
			fmt.Fprint(w, `{"id":"GO-1"}`)
		}
	}
	if err := z.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Add(bytes.ReplaceAll(out.Bytes(), []byte("../x.json"), []byte("a.x.json.")))
	f.Fuzz(func(t *testing.T, raw []byte) {
		name := filepath.Join(t.TempDir(), "all.zip")
		if err := os.WriteFile(name, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		a, err := osvzip.Open(name)
		if err != nil {
			return
		}
		defer a.Close()
		for _, r := range a.Records {
			if !filepath.IsLocal(r.Name) {
				t.Errorf("let %q through", r.Name)
			}
			if text, err := osvzip.Read(r); err == nil && uint64(len(text)) != r.UncompressedSize64 {
				t.Errorf("%s: read %d bytes of %d", r.Name, len(text), r.UncompressedSize64)
			}
		}
	})
}
