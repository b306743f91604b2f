package advisory_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tallyman-io/tallyman/internal/advisory"
)

func TestImportRefusesAndKeepsWhatThereIs(t *testing.T) {
	t.Parallel()
	many := func(n int) map[string]string {
		records := map[string]string{}
		for i := range n {
			id := fmt.Sprintf("GO-%d", i)
			records[id+".json"] = record(id, "Go", "example.com/a", `{"introduced":"0"}`, "")
		}
		return records
	}
	for name, c := range map[string]struct {
		feeds feeds
		raw   map[string][]byte
		says  string
	}{
		"nothing":              {says: "expected <Ecosystem>/all.zip in it, found none"},
		"no zip":               {raw: map[string][]byte{"Go/all.zip": []byte("hello")}, says: "refused: zip: not a valid zip file"},
		"a path upwards":       {feeds: feeds{"Go": {"../../etc/passwd.json": "{}"}}, says: `an entry named "../../etc/passwd.json" leads out of its folder`},
		"an absolute path":     {feeds: feeds{"Go": {"/etc/passwd.json": "{}"}}, says: "leads out of its folder"},
		"a path of Windows":    {feeds: feeds{"Go": {`..\x.json`: "{}"}}, says: "leads out of its folder"},
		"mostly broken":        {feeds: feeds{"Go": {"a.json": "{", "b.json": "[]", "c.json": `{"id":"C"}`}}, says: "2 of 3 records cannot be read, the first: Go/"},
		"a record too large":   {feeds: feeds{"Go": {"a.json": strings.Repeat(" ", 65<<20)}}, says: "a.json: expected at most 67108864 bytes"},
		"a zip bomb":           {feeds: feeds{"Go": {"a.json": strings.Repeat(" ", 8<<20)}}, says: "a zip bomb"},
		"the same name twice":  {raw: map[string][]byte{"Go/all.zip": twice(t)}, says: `two entries are named "a.json"`},
		"a folder for a zip":   {raw: map[string][]byte{"Go/all.zip/x": nil}, says: "refused: expected a regular file"},
		"shrunken":             {feeds: feeds{"Go": many(80)}, says: "Go shrank from 100 records to 80"},
		"an ecosystem is gone": {feeds: feeds{"npm": {"a.json": `{"id":"A"}`}}, says: "Go shrank from 100 records to 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "advisories.db")
			if _, err := advisory.Import(t.Context(), feeds{"Go": many(100)}.write(t, t.TempDir()), file, options(false)); err != nil {
				t.Fatal(err)
			}
			before, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			dir := c.feeds.write(t, t.TempDir())
			for path, content := range c.raw {
				writeFile(t, filepath.Join(dir, path), content)
			}
			if _, err := advisory.Import(t.Context(), dir, file, options(false)); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want an error that says %q", err, c.says)
			}
			after, err := os.ReadFile(file)
			if err != nil || !bytes.Equal(before, after) {
				t.Errorf("the database changed (%v)", err)
			}
			entries, err := os.ReadDir(filepath.Dir(file))
			if err != nil || len(entries) != 1 {
				t.Errorf("files were left: %v (%v)", entries, err)
			}
			if strings.Contains(c.says, "shrank") {
				if _, err := advisory.Import(t.Context(), dir, file, options(true)); err != nil {
					t.Errorf("forced: %v", err)
				}
			}
		})
	}
}

func twice(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for range 2 {
		if _, err := z.Create("a.json"); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// A zip whose directory lies about the size is not unpacked beyond the bound.
func TestImportOfALyingZip(t *testing.T) {
	t.Parallel()
	dir := feeds{"Go": {"a.json": strings.Repeat(" ", 1<<20), "b.json": `{"id":"B"}`, "c.json": `{"id":"C"}`}}.write(t, t.TempDir())
	name := filepath.Join(dir, "Go", "all.zip")
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	raw = bytes.ReplaceAll(raw, binary.LittleEndian.AppendUint32(nil, 1<<20), binary.LittleEndian.AppendUint32(nil, 10))
	writeFile(t, name, raw)
	report, err := advisory.Import(t.Context(), dir, filepath.Join(t.TempDir(), "db"), options(false))
	if err != nil {
		t.Fatal(err)
	}
	if f := report.Meta.Feeds[0]; f.Records != 2 || f.Broken != 1 || !strings.Contains(report.Broken[0], "Go/a.json: ") {
		t.Errorf("got %+v, %q; want the lying record named and left out", f, report.Broken)
	}
}

func TestImportNamesBrokenRecords(t *testing.T) {
	t.Parallel()
	f := feeds{"Go": {"bad.json": `{"id":`, "anonymous.json": `{}`, "readme.txt": "x"}}
	for i := range 10 {
		f["Go"][fmt.Sprintf("%d.json", i)] = fmt.Sprintf(`{"id":"GO-%d"}`, i)
	}
	report, err := advisory.Import(t.Context(), f.write(t, t.TempDir()), filepath.Join(t.TempDir(), "db"), options(false))
	if err != nil {
		t.Fatal(err)
	}
	if feed := report.Meta.Feeds[0]; feed.Records != 10 || feed.Broken != 2 || len(report.Broken) != 2 {
		t.Errorf("got %+v, %q; want 10 records and 2 named", feed, report.Broken)
	}
}
