package dossier

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
)

// tableSchema names the form of the table of contents, and so of the file.
const tableSchema = "https://github.com/tallyman-io/tallyman/dossier-table/v1"

// The table of contents is the user data of a skippable frame (RFC 8878, section
// 3.1.2) at the end of the file: the table in JSON, its length, the SHA-256 of the
// frame up to there, and a mark. All integers are little-endian.
const (
	skippableMagic = 0x184D2A5D
	skippableHead  = 8
	tableMark      = "TALLYDOS"
	tableFoot      = 8 + sha256.Size + 8
	// maxTable bounds the table, in bytes.
	maxTable = 16 << 20
)

// What stands in a file beside the entries of the tar.
const (
	partTable = "table of contents"
	partEnd   = "end of the archive"
)

// table is the table of contents.
type table struct {
	Schema  string  `json:"schema"`
	Entries []entry `json:"entries"`
	End     frame   `json:"end"`
}

// entry is a file in the tar.
type entry struct {
	Name string `json:"name"`
	// Size is that of its content, in bytes.
	Size int64 `json:"size"`
	frame
}

// frame is a Zstandard frame in the file.
type frame struct {
	// Offset and Packed are where it starts, and its length, in bytes.
	Offset int64 `json:"offset"`
	Packed int64 `json:"packed"`
	// SHA256 is the hash of the frame as it stands in the file, in hexadecimal digits.
	SHA256 string `json:"sha256"`
}

func (f frame) problem(name string, err error) Problem {
	return Problem{Entry: name, Offset: f.Offset, Length: f.Packed, Err: err}
}

// Limits bound what is read of a file. Zero is the default.
type Limits struct {
	// Size bounds the sum of the sizes of all entries, uncompressed, in bytes; 64 GiB.
	Size int64
	// Entries bounds how many there are; 10 000.
	Entries int
}

func (l Limits) withDefaults() Limits {
	if l.Size <= 0 {
		l.Size = 64 << 30
	}
	if l.Entries <= 0 {
		l.Entries = 10_000
	}
	return l
}

// frame returns the skippable frame that a table is kept in.
func (t *table) frame() ([]byte, error) {
	content, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	if len(content) > maxTable {
		return nil, fmt.Errorf("%s: expected at most %d bytes, found %d", partTable, maxTable, len(content))
	}
	b := binary.LittleEndian.AppendUint32(nil, skippableMagic)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(content)+tableFoot)) //nolint:gosec // bounded above
	b = append(b, content...)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(content)))
	sum := sha256.Sum256(b)
	b = append(b, sum[:]...)
	return append(b, tableMark...), nil
}

// readTable finds the table at the end of a file. The error says what is wrong with
// it as a whole.
func readTable(r io.ReaderAt, size int64) (table, int64, error) {
	var foot [tableFoot]byte
	if size < skippableHead+tableFoot {
		return table{}, 0, fmt.Errorf("expected at least %d bytes, found a file of %d", skippableHead+tableFoot, size)
	}
	if err := readAt(r, foot[:], size-tableFoot); err != nil {
		return table{}, 0, err
	}
	if mark := foot[8+sha256.Size:]; string(mark) != tableMark {
		return table{}, 0, fmt.Errorf("expected the mark %q at the end of the file, found %q: "+
			"it is cut short, followed by something, compressed anew, or no dossier", tableMark, mark)
	}
	length := binary.LittleEndian.Uint64(foot[:8])
	if length > maxTable || int64(length) > size-skippableHead-tableFoot {
		return table{}, 0, fmt.Errorf("expected a length of at most %d bytes and of no more than the file, found %d", maxTable, length)
	}
	at := size - tableFoot - int64(length) - skippableHead
	whole := make([]byte, size-at)
	if err := readAt(r, whole, at); err != nil {
		return table{}, 0, err
	}
	covered := whole[:len(whole)-sha256.Size-len(tableMark)]
	if found := sha256.Sum256(covered); !bytes.Equal(found[:], foot[8:8+sha256.Size]) {
		return table{}, 0, fmt.Errorf("expected sha256 %x, found %x", foot[8:8+sha256.Size], found)
	}
	if magic := binary.LittleEndian.Uint32(whole); magic != skippableMagic {
		return table{}, 0, fmt.Errorf("expected a skippable frame with magic number %#x, found %#x", skippableMagic, magic)
	}
	if found := binary.LittleEndian.Uint32(whole[4:]); int64(found) != int64(length)+tableFoot {
		return table{}, 0, fmt.Errorf("expected a skippable frame of %d bytes, found %d", int64(length)+tableFoot, found)
	}
	t, err := parseTable(whole[skippableHead : skippableHead+int64(length)])
	return t, at, err
}

func parseTable(b []byte) (table, error) {
	var t table
	if err := json.Unmarshal(b, &t); err != nil {
		return table{}, fmt.Errorf("expected JSON: %w", err)
	}
	if t.Schema != tableSchema {
		return table{}, fmt.Errorf("%w: expected %s, found %.100q", ErrVersion, tableSchema, t.Schema)
	}
	if again, err := json.Marshal(t); err != nil || !bytes.Equal(again, b) {
		return table{}, errors.New("expected the form that tallyman writes, found another")
	}
	return t, nil
}

// check holds a table against the limits and the rules: names that are allowed, each
// once, in order, one frame behind the other from the start of the file to end.
func (t *table) check(limits Limits, end int64) error {
	if len(t.Entries) > limits.Entries {
		return fmt.Errorf("%w: expected at most %d entries, found %d", ErrLimit, limits.Entries, len(t.Entries))
	}
	left, at := limits.Size, int64(0)
	for i, e := range t.Entries {
		if err := checkName(e.Name); err != nil {
			return err
		}
		if i > 0 && e.Name == t.Entries[i-1].Name {
			return fmt.Errorf("entry %q: expected once, found again", e.Name)
		}
		if i > 0 && e.Name < t.Entries[i-1].Name {
			return fmt.Errorf("entry %q: expected in the order of names, found behind %q", e.Name, t.Entries[i-1].Name)
		}
		if e.Size < 0 || e.Size > left {
			return fmt.Errorf("%w: entry %q: expected at most %d bytes in all, found an entry of %d with %d left", ErrLimit, e.Name, limits.Size, e.Size, left)
		}
		left -= e.Size
		if err := e.follows(e.Name, &at, end); err != nil {
			return err
		}
	}
	if err := t.End.follows(partEnd, &at, end); err != nil {
		return err
	}
	if at != end {
		return fmt.Errorf("expected to cover the file up to byte %d, found it covers %d", end, at)
	}
	return nil
}

// follows moves at behind the frame.
func (f frame) follows(name string, at *int64, end int64) error {
	if f.Offset != *at || f.Packed <= 0 || f.Packed > end-*at {
		return fmt.Errorf("%s: expected from byte %d, and at most up to byte %d, found %d bytes from byte %d", name, *at, end, f.Packed, f.Offset)
	}
	if b, err := hex.DecodeString(f.SHA256); err != nil || len(b) != sha256.Size {
		return fmt.Errorf("%s: expected a sha256, found %.100q", name, f.SHA256)
	}
	*at += f.Packed
	return nil
}

const (
	nameVersion = "oci-layout"
	nameIndex   = "index.json"
	folderBlobs = "blobs/sha256/"
)

var blobName = regexp.MustCompile(`^` + folderBlobs + `[0-9a-f]{64}$`)

// checkName lets nothing through that could lead out of a folder.
func checkName(name string) error {
	if name == nameVersion || name == nameIndex || blobName.MatchString(name) {
		return nil
	}
	return fmt.Errorf("entry %.200q: expected %s, %s or %s and 64 hexadecimal digits", name, nameVersion, nameIndex, folderBlobs)
}

func readAt(r io.ReaderAt, b []byte, offset int64) error {
	n, err := r.ReadAt(b, offset)
	if n == len(b) {
		return nil
	}
	return fmt.Errorf("expected %d bytes from byte %d, found %d: %w", len(b), offset, n, err)
}
