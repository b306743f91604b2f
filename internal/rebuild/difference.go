package rebuild

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Level is how deep a difference was found.
type Level string

const (
	// LevelIndex is the image index.
	LevelIndex Level = "index"
	// LevelManifest is the manifest of a platform.
	LevelManifest Level = "manifest"
	// LevelConfig is its configuration.
	LevelConfig Level = "config"
	// LevelLayer is a layer as a whole.
	LevelLayer Level = "layer"
	// LevelArchive is a file of the release page as a whole.
	LevelArchive Level = "archive"
	// LevelFile is a file in a layer or archive.
	LevelFile Level = "file"
	// LevelBinary is what a Go binary says of its build.
	LevelBinary Level = "binary"
)

// Difference is one thing that is not the same on both sides.
type Difference struct {
	// Image is the name of one, such as "web"; for a file of the release page it is empty and
	// Archive is its name.
	Image   string `json:"image,omitempty"`
	Archive string `json:"archive,omitempty"`
	// Platform is os/architecture; empty for the index itself.
	Platform string `json:"platform,omitempty"`
	Level    Level  `json:"level"`
	// Layer counts from 1, the lowest; 0 outside of layers. LayerBy is the step that
	// made it (image specification, config.md, "history").
	Layer   int    `json:"layer,omitempty"`
	LayerBy string `json:"layer_by,omitempty"`
	// File is the name in the layer or archive, as it stands there.
	File string `json:"file,omitempty"`
	// Field is what differs: created, config.Env[0], mode, mtime, content, …
	Field string `json:"field"`
	// Published and Rebuilt are what stands on each side; "absent" where nothing does.
	Published string `json:"published"`
	Rebuilt   string `json:"rebuilt"`
	// Bytes is where contents part.
	Bytes *Bytes `json:"bytes,omitempty"`
	// Shallow says why nobody looked deeper, when something stood in the way.
	Shallow string `json:"shallow,omitempty"`

	// base: the layer is known not to be made by the release's own Dockerfile.
	base bool
	// golang: the content is that of a Go binary on both sides.
	golang bool
}

// Bytes is the place where two contents part.
type Bytes struct {
	// Offset is that of the first byte that differs, from 0.
	Offset int64 `json:"offset"`
	// Published and Rebuilt are the bytes from there, in hexadecimal; empty where the
	// content has ended.
	Published string `json:"published_hex"`
	Rebuilt   string `json:"rebuilt_hex"`
	// In names the section of an ELF file, and the function of a Go binary.
	In string `json:"in,omitempty"`
}

// absent stands where one side has nothing.
const absent = "absent"

// Where names the place: image, platform, layer and file.
func (d *Difference) Where() string {
	var parts []string
	if d.Archive != "" {
		parts = append(parts, printable(d.Archive))
	}
	if d.Image != "" {
		parts = append(parts, d.Image)
	}
	if d.Platform != "" {
		parts = append(parts, printable(d.Platform))
	}
	switch {
	case d.Layer > 0:
		layer := "layer " + strconv.Itoa(d.Layer)
		if d.LayerBy != "" {
			layer += " (" + printable(d.LayerBy) + ")"
		}
		parts = append(parts, layer)
	case d.Level != LevelFile && d.Level != LevelBinary && d.Level != LevelArchive:
		parts = append(parts, string(d.Level))
	}
	if d.File != "" {
		parts = append(parts, printable(d.File))
	}
	return strings.Join(parts, " ")
}

// maxShown bounds a value in a report, in bytes.
const maxShown = 200

// printable makes foreign text fit for a terminal and a line: quoted when it has
// anything but printing characters, and not longer than a line.
func printable(s string) string {
	s = clip(s)
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// clip shortens a text that is longer than a report has room for.
func clip(s string) string {
	if len(s) <= maxShown {
		return s
	}
	cut := maxShown
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + fmt.Sprintf("… (%d bytes)", len(s))
}

// sorted orders differences by place; those of one place stay as they were found.
func sorted(all []Difference) []Difference {
	slices.SortStableFunc(all, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(a.Archive, b.Archive), cmp.Compare(a.Image, b.Image), cmp.Compare(a.Platform, b.Platform),
			cmp.Compare(a.Layer, b.Layer))
	})
	return all
}
