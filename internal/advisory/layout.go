package advisory

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"
)

// The file, little-endian throughout:
//
//	header     magic, format, sizes, digest, time, sections; its own CRC-32 last
//	meta       Meta as JSON
//	index      a hash table of (ecosystem, name) to offsets in packages
//	packages   ecosystem, name, and for each advisory its ranges and versions
//	offsets    where in advisories each one begins, 4 bytes each
//	advisories id, times, severity, summary, aliases
//	raw        the records as they were published, still compressed
//
// Numbers in packages, advisories and raw are varints, strings have their length
// before them. Only what is looked up is ever read, so a part that is not needed
// costs disk and nothing else. format rises with every change of the layout.
const (
	magic  = "TALLYOSV"
	format = 1

	headerSize = 8 + 4 + 4 + 8 + 8 + 32 + sections*16 + 4
	slotSize   = 16
)

const (
	sectionMeta = iota
	sectionIndex
	sectionPackages
	sectionOffsets
	sectionAdvisories
	sectionRaw
	sections
)

type section struct{ offset, size uint64 }

type header struct {
	size     uint64 // of the whole file
	built    time.Time
	digest   [32]byte // SHA-256 of everything after the header
	sections [sections]section
}

// Errors of [Open].
var (
	// ErrNoDatabase: there is no file.
	ErrNoDatabase = errors.New("no advisory database")
	// ErrBadDatabase: the file is something else, incomplete, or of another version.
	ErrBadDatabase = errors.New("not a usable advisory database")
)

func badDatabase(problem string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrBadDatabase, fmt.Sprintf(problem, args...))
}

func (h *header) encode() []byte {
	b := make([]byte, 0, headerSize)
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint32(b, format)
	b = binary.LittleEndian.AppendUint32(b, headerSize)
	b = binary.LittleEndian.AppendUint64(b, h.size)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.built.Unix())) //nolint:gosec // read back the same way
	b = append(b, h.digest[:]...)
	for _, s := range h.sections {
		b = binary.LittleEndian.AppendUint64(b, s.offset)
		b = binary.LittleEndian.AppendUint64(b, s.size)
	}
	return binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

// decodeHeader checks everything that can be checked without reading the file.
func decodeHeader(b []byte, fileSize int64) (header, error) {
	var h header
	if len(b) < len(magic)+4 || string(b[:len(magic)]) != magic {
		return h, badDatabase("expected a file that begins with %s", magic)
	}
	if found := binary.LittleEndian.Uint32(b[8:]); found != format {
		hint := "import the data again"
		if found > format {
			hint = "it was made by a newer tallyman"
		}
		return h, badDatabase("expected format %d, found %d: %s", format, found, hint)
	}
	if len(b) < headerSize {
		return h, badDatabase("expected a header of %d bytes, found %d: the file is truncated", headerSize, len(b))
	}
	b = b[:headerSize]
	if sum := crc32.ChecksumIEEE(b[:headerSize-4]); sum != binary.LittleEndian.Uint32(b[headerSize-4:]) {
		return h, badDatabase("the header is damaged (checksum %08x)", sum)
	}
	h.size = binary.LittleEndian.Uint64(b[16:])
	if uint64(fileSize) != h.size { //nolint:gosec // a size is not negative
		return h, badDatabase("expected %d bytes, found %d: the file is truncated", h.size, fileSize)
	}
	h.built = time.Unix(int64(binary.LittleEndian.Uint64(b[24:])), 0).UTC() //nolint:gosec // as written
	copy(h.digest[:], b[32:])
	end := uint64(headerSize)
	for i := range h.sections {
		s := section{binary.LittleEndian.Uint64(b[64+16*i:]), binary.LittleEndian.Uint64(b[72+16*i:])}
		if s.offset != end || s.size > h.size-end {
			return h, badDatabase("section %d is outside the file", i)
		}
		end += s.size
		h.sections[i] = s
	}
	if end != h.size || h.sections[sectionIndex].size%slotSize != 0 {
		return h, badDatabase("the sections do not fill the file")
	}
	return h, nil
}

// hashKey is FNV-1a over the ecosystem's number and the name.
func hashKey(ecosystem uint32, name string) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211
	h := uint64(offset)
	for shift := 0; shift < 32; shift += 8 {
		h = (h ^ uint64(ecosystem>>shift&0xff)) * prime
	}
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * prime
	}
	return h
}

// writer appends what cursor reads.
type writer struct{ b []byte }

func (w *writer) uint(n uint64)   { w.b = binary.AppendUvarint(w.b, n) }
func (w *writer) int(n int)       { w.uint(uint64(n)) } //nolint:gosec // lengths and counts
func (w *writer) byte(c byte)     { w.b = append(w.b, c) }
func (w *writer) string(s string) { w.int(len(s)); w.b = append(w.b, s...) }
func (w *writer) bytes(b []byte)  { w.int(len(b)); w.b = append(w.b, b...) }
func (w *writer) time(t time.Time) {
	if t.IsZero() {
		w.uint(0)
		return
	}
	w.uint(uint64(t.Unix())) //nolint:gosec // after 1970
}

// cursor reads a part of the file. After anything that lies outside it, everything
// is zero and damaged is true.
type cursor struct {
	b       []byte
	damaged bool
}

func (c *cursor) fail() { c.b, c.damaged = nil, true }

func (c *cursor) uint() uint64 {
	n, size := binary.Uvarint(c.b)
	if size <= 0 {
		c.fail()
		return 0
	}
	c.b = c.b[size:]
	return n
}

// count reads how many things follow, each of at least one byte.
func (c *cursor) count() int {
	n := c.uint()
	if n > uint64(len(c.b)) {
		c.fail()
		return 0
	}
	return int(n) //nolint:gosec // at most len(c.b)
}

func (c *cursor) byte() byte {
	if len(c.b) == 0 {
		c.fail()
		return 0
	}
	b := c.b[0]
	c.b = c.b[1:]
	return b
}

// bytes returns a part of the file itself.
func (c *cursor) bytes() []byte {
	n := c.count()
	b := c.b[:n:n]
	c.b = c.b[n:]
	return b
}

func (c *cursor) string() string { return string(c.bytes()) }

func (c *cursor) time() time.Time {
	n := c.uint()
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(int64(n), 0).UTC() //nolint:gosec // as written
}
