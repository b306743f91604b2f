package badge

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files")

func TestBadgesAreAsTheGoldenFiles(t *testing.T) {
	for _, c := range []struct {
		name  string
		badge []byte
		says  string
	}{
		{"verdict-pass", Verdict("pass", ""), "tallyman: pass"},
		{"verdict-fail", Verdict("fail", ""), "tallyman: fail"},
		{"verdict-unknown", Verdict("unknown", ""), "tallyman: unknown"},
		{"verdict-unknown", Verdict(`"><script>`, ""), "tallyman: unknown"},
		{"critical-0", Critical(0, true, ""), "critical: 0"},
		{"critical-3", Critical(3, true, ""), "critical: 3"},
		{"critical-unknown", Critical(0, false, ""), "critical: unknown"},
		{"critical-unknown", Critical(-1, true, ""), "critical: unknown"},
		{"any", SVG("web & worker", "v1.2.3 <rc>", "of <yesterday>", Good), "web & worker: v1.2.3 <rc> (of <yesterday>)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join("testdata", c.name+".golden.svg")
			if *update {
				if err := os.WriteFile(path, c.badge, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(c.badge)); diff != "" {
				t.Errorf("%s is out of date; run: go test ./internal/badge -update\n%s", path, diff)
			}
			if got := wellBehaved(t, c.badge); got != c.says {
				t.Errorf("says %q, want %q", got, c.says)
			}
		})
	}
}

// wellBehaved checks what holds for every badge, and returns its title.
func wellBehaved(t *testing.T, badge []byte) string {
	t.Helper()
	var all struct {
		XMLName xml.Name
		Role    string `xml:"role,attr"`
		Label   string `xml:"aria-label,attr"`
		Title   string `xml:"title"`
	}
	if err := xml.Unmarshal(badge, &all); err != nil {
		t.Fatalf("not XML: %v\n%q", err, badge)
	}
	if all.XMLName.Local != "svg" || all.XMLName.Space != "http://www.w3.org/2000/svg" || all.Role != "img" || all.Label != all.Title || all.Title == "" {
		t.Errorf("got %+v, want an svg with the role img and its title as aria-label", all)
	}
	d := xml.NewDecoder(bytes.NewReader(badge))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all.Title
		}
		if err != nil {
			t.Fatal(err)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if name := start.Name.Local; !strings.Contains(" svg title g rect text ", " "+name+" ") {
			t.Errorf("there is an element %s", name)
		}
		for _, a := range start.Attr {
			if a.Name.Local == "style" || a.Name.Local == "class" || a.Name.Local == "href" || strings.HasPrefix(a.Name.Local, "on") {
				t.Errorf("%s has the attribute %s", start.Name.Local, a.Name.Local)
			}
		}
	}
}

func TestHostileTextStaysText(t *testing.T) {
	for _, s := range []string{
		"", `"><script>alert(1)</script>`, "' onload='x", "]]>&amp;&#0;", "a\x00\x1b\x7f\u0085", "\xff\xc3\x28\xed\xa0\x80", "\uFFFE\uFFFF\u202E", "版本", strings.Repeat("x", 10_000),
	} {
		badge := SVG(s, s, s, Bad)
		wellBehaved(t, badge)
		if len(badge) > 3000 {
			t.Errorf("%.20q: %d bytes", s, len(badge))
		}
	}
}

func FuzzSVG(f *testing.F) {
	f.Add("tallyman", "pass", 1)
	f.Add(`"><script>`, "\xff\x00\uFFFE", -1)
	f.Fuzz(func(t *testing.T, label, message string, tone int) {
		wellBehaved(t, SVG(label, message, message, Tone(tone)))
	})
}

func TestTextHasEnoughContrast(t *testing.T) {
	for _, colour := range []string{labelColour, Unknown.colour(), Good.colour(), Bad.colour()} {
		if got := contrastWithWhite(t, colour); got < 4.5 {
			t.Errorf("white on %s has a contrast of %.2f, want at least 4.5 (WCAG 2.2, 1.4.3)", colour, got)
		}
	}
}

// contrastWithWhite follows WCAG's definitions of relative luminance and contrast.
func contrastWithWhite(t *testing.T, colour string) float64 {
	t.Helper()
	var luminance float64
	for i, share := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(colour[1+2*i:3+2*i], 16, 8)
		if err != nil {
			t.Fatal(err)
		}
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		luminance += share * c
	}
	return 1.05 / (luminance + 0.05)
}
