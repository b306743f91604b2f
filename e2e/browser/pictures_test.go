package browser_test

import (
	"bytes"
	"image"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// pictured are the pages that the README shows, with the height that is kept of them where
// they are wide, and where they are narrow.
func pictured() map[string]struct{ wide, narrow int } {
	return map[string]struct{ wide, narrow int }{
		"overview": {640, 844}, "component": {1300, 844}, "release": {775, 844},
	}
}

// mostBytes is what all pictures may have together: whoever clones the repository gets each of their versions.
const mostBytes = 1_500_000

// made are the files of the pictures, with the height of each.
func made() map[string]int {
	all := make(map[string]int)
	for name, height := range pictured() {
		for _, a := range appearances() {
			file := filepath.Base(shotName("", name, a))
			if all[file] = height.wide; a.width < 600 {
				all[file] = height.narrow
			}
		}
	}
	return all
}

var pictureOfREADME = regexp.MustCompile(`docs/images/([^"' )]+)`)

// named are the files of pictures that the README shows.
func named(t *testing.T) map[string]bool {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]bool)
	for _, m := range pictureOfREADME.FindAllSubmatch(readme, -1) {
		all[string(m[1])] = true
	}
	return all
}

func TestTheREADMEShowsThePicturesThatAreMade(t *testing.T) {
	names, heights := named(t), made()
	for file := range names {
		if heights[file] == 0 {
			t.Errorf("README.md shows docs/images/%s, which make pictures does not make", file)
		}
	}
	dir := filepath.Join("..", "..", "docs", "images")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	total := int64(0)
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if total += info.Size(); !names[e.Name()] {
			t.Errorf("docs/images/%s: nothing shows it", e.Name())
		}
		delete(names, e.Name())
	}
	for file := range names {
		t.Errorf("README.md shows docs/images/%s, which is not there: make pictures", file)
	}
	if total > mostBytes {
		t.Errorf("docs/images has %d bytes, want at most %d", total, mostBytes)
	}
}

// keepPictures cuts the README's pictures out of those in a folder, and writes them to
// TALLYMAN_PICTURES where that is set. One that the README shows has to have been taken.
func keepPictures(t *testing.T, dir string) {
	t.Helper()
	heights := made()
	for file := range named(t) {
		shot, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Errorf("README.md shows docs/images/%s, which was not taken: %v", file, err)
			continue
		}
		picture, err := cut(shot, heights[file])
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if to := os.Getenv("TALLYMAN_PICTURES"); to != "" {
			if err := os.WriteFile(filepath.Join(to, file), picture, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// cut is the upper part of a picture.
func cut(shot []byte, height int) ([]byte, error) {
	whole, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		return nil, err
	}
	size := whole.Bounds()
	part := image.NewRGBA(image.Rect(0, 0, size.Dx(), min(size.Dy(), height)))
	draw.Draw(part, part.Bounds(), whole, size.Min, draw.Src)
	var b bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&b, part); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}
