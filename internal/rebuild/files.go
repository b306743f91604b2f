package rebuild

import (
	"bytes"
	"fmt"
	"io"
	"slices"
)

// comparer compares with limits. Its place is put into each difference.
type comparer struct {
	limits Limits
	// place has the image, platform, layer or archive.
	place Difference
	found []Difference
	// left counts the differences that there was no room for.
	left int
	// looks counts the files of one layer or archive whose bytes were looked at.
	looks int
}

// maxLooks bounds them: each look unpacks both sides once more.
const maxLooks = 8

// add notes a difference at the place.
func (c *comparer) add(level Level, file string, f field) *Difference {
	d := c.place
	d.Level, d.File, d.Field, d.Published, d.Rebuilt = level, file, f.path, f.published, f.rebuilt
	if len(c.found) >= c.limits.Differences {
		c.left++
		return &d
	}
	c.found = append(c.found, d)
	return &c.found[len(c.found)-1]
}

// archives compares two layers, or two archives, that are not the same bytes.
func (c *comparer) archives(level Level, published, rebuilt []byte) {
	before := len(c.found) + c.left
	c.looks = 0
	a, err := list(published, c.limits)
	if err != nil {
		c.add(level, "", field{"content", sum(published), sum(rebuilt)}).Shallow = "the published one: " + err.Error()
		return
	}
	b, err := list(rebuilt, c.limits)
	if err != nil {
		c.add(level, "", field{"content", sum(published), sum(rebuilt)}).Shallow = "the rebuilt one: " + err.Error()
		return
	}
	keys := slices.Clone(a.keys)
	for _, key := range b.keys {
		if a.entries[key] == nil {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(x, y entryKey) int {
		return compareKeys(x, y)
	})
	for _, key := range keys {
		one, other := a.entries[key], b.entries[key]
		switch {
		case other == nil:
			c.add(LevelFile, key.name, field{"file", describe(one), absent})
		case one == nil:
			c.add(LevelFile, key.name, field{"file", absent, describe(other)})
		default:
			c.entries(key, one, other, published, rebuilt)
		}
	}
	if len(c.found)+c.left == before {
		c.wrapping(level, a, b, published, rebuilt)
	}
}

func compareKeys(x, y entryKey) int {
	if x.name != y.name {
		return bytes.Compare([]byte(x.name), []byte(y.name))
	}
	return x.nth - y.nth
}

func describe(e *entry) string {
	return fmt.Sprintf("%s, mode %04o, %d bytes", kindOfEntry(e.header.Typeflag), e.header.Mode, e.header.Size)
}

// entries compares two files of one name.
func (c *comparer) entries(key entryKey, a, b *entry, published, rebuilt []byte) {
	for _, f := range compareHeaders(a.header, b.header) {
		c.add(LevelFile, key.name, f)
	}
	if a.sum == b.sum {
		return
	}
	if a.header.Size != b.header.Size {
		c.add(LevelFile, key.name, field{"size", fmt.Sprint(a.header.Size), fmt.Sprint(b.header.Size)})
	}
	if c.looks++; c.looks > maxLooks {
		c.add(LevelFile, key.name, field{"content", hashed(a), hashed(b)}).Shallow = fmt.Sprintf("the bytes of %d files are looked at", maxLooks)
		return
	}
	c.contents(key, a, b, published, rebuilt)
}

func hashed(e *entry) string { return fmt.Sprintf("sha256:%x", e.sum) }

// contents finds where the contents of two files part, and what Go binaries say.
func (c *comparer) contents(key entryKey, a, b *entry, published, rebuilt []byte) {
	difference := field{"content", hashed(a), hashed(b)}
	one, other, err := c.both(key, a, b, published, rebuilt)
	if err != nil {
		c.add(LevelFile, key.name, difference).Shallow = err.Error()
		return
	}
	if one == nil {
		parting, err := c.streams(key, published, rebuilt)
		d := c.add(LevelFile, key.name, difference)
		d.Bytes = parting
		if err != nil {
			d.Shallow = err.Error()
		}
		return
	}
	parting, err := firstDifference(bytes.NewReader(one), bytes.NewReader(other))
	if err == nil && parting != nil {
		parting.In = locate(one, other, parting.Offset)
	}
	told, golang := compareBinaries(one, other)
	d := c.add(LevelFile, key.name, difference)
	d.Bytes, d.golang = parting, golang
	for _, f := range told {
		c.add(LevelBinary, key.name, f)
	}
}

// both reads two files whole, or returns nil where that is more than is kept.
func (c *comparer) both(key entryKey, a, b *entry, published, rebuilt []byte) (one, other []byte, err error) {
	if a.header.Size > c.limits.Binary || b.header.Size > c.limits.Binary {
		return nil, nil, nil
	}
	one, other = []byte{}, []byte{}
	for _, side := range []struct {
		blob []byte
		to   *[]byte
	}{{published, &one}, {rebuilt, &other}} {
		err := open(side.blob, c.limits, key, func(r io.Reader) error {
			content, err := io.ReadAll(io.LimitReader(r, c.limits.Binary))
			*side.to = content
			return err
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return one, other, nil
}

// streams compares two files that are too large to be kept.
func (c *comparer) streams(key entryKey, published, rebuilt []byte) (parting *Bytes, err error) {
	err = open(published, c.limits, key, func(one io.Reader) error {
		return open(rebuilt, c.limits, key, func(other io.Reader) error {
			parting, err = firstDifference(one, other)
			return err
		})
	})
	return parting, err
}

// wrapping tells how two archives differ whose files are all equal: in their order, in
// how the tar is written, or in nothing but the compression.
func (c *comparer) wrapping(level Level, a, b *listing, published, rebuilt []byte) {
	for i := range min(len(a.keys), len(b.keys)) {
		if a.keys[i] != b.keys[i] {
			c.add(level, "", field{"order of files", a.keys[i].name, b.keys[i].name})
			return
		}
	}
	one, errOne := unpack(published, c.limits)
	other, errOther := unpack(rebuilt, c.limits)
	if errOne != nil || errOther != nil {
		return // both were unpacked before
	}
	defer one.Close()
	defer other.Close()
	parting, err := firstDifference(one, other)
	switch {
	case err != nil:
		c.add(level, "", field{"content", sum(published), sum(rebuilt)}).Shallow = err.Error()
	case parting != nil:
		c.add(level, "", field{"tar", "written otherwise", "with equal files"}).Bytes = parting
	default:
		d := c.add(level, "", field{"compression", compression(published), compression(rebuilt)})
		d.Bytes, _ = firstDifference(bytes.NewReader(published), bytes.NewReader(rebuilt))
	}
}

// compression names the compression of a blob, and how long it came out.
func compression(blob []byte) string {
	name := "none"
	switch {
	case bytes.HasPrefix(blob, []byte{0x1f, 0x8b}):
		name = "gzip"
	case bytes.HasPrefix(blob, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		name = "zstd"
	}
	return fmt.Sprintf("%s, %d bytes", name, len(blob))
}
