package advisory

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"
)

// Database is an open advisory database. It does not change; an import puts
// another file in its place, which the next Open sees. It may be used by several
// goroutines at once.
type Database struct {
	file       *os.File
	data       []byte // the whole file
	unmap      func() error
	header     header
	meta       Meta
	ecosystems map[string]uint32
	families   map[string]bool // those that a feed was imported for
}

// Open opens a database. It checks the header, not the whole file; see
// [Database.Verify].
func Open(file string) (*Database, error) {
	f, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("open %s: %w", file, ErrNoDatabase)
	} else if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadDatabase, err)
	}
	db, err := open(f)
	if err != nil {
		f.Close() //nolint:errcheck // the other error says more
		return nil, fmt.Errorf("open %s: %w", file, err)
	}
	return db, nil
}

func open(f *os.File) (*Database, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadDatabase, err)
	}
	if !info.Mode().IsRegular() {
		return nil, badDatabase("expected a regular file")
	}
	head := make([]byte, headerSize)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: %w", ErrBadDatabase, err)
	}
	db := &Database{file: f, ecosystems: make(map[string]uint32), families: make(map[string]bool)}
	if db.header, err = decodeHeader(head[:n], info.Size()); err != nil {
		return nil, err
	}
	if db.data, db.unmap, err = mapFile(f, info.Size()); err != nil {
		return nil, fmt.Errorf("map: %w", err)
	}
	if err := json.Unmarshal(db.section(sectionMeta), &db.meta); err != nil {
		db.unmap() //nolint:errcheck // the other error says more
		return nil, badDatabase("its description cannot be read: %v", err)
	}
	for i, e := range db.meta.Ecosystems {
		db.ecosystems[e] = uint32(i)
	}
	for _, feed := range db.meta.Feeds {
		db.families[feed.Ecosystem] = true
	}
	return db, nil
}

// Close frees the map. Nothing that was returned refers to it.
func (db *Database) Close() error {
	if err := errors.Join(db.unmap(), db.file.Close()); err != nil {
		return fmt.Errorf("close the advisory database: %w", err)
	}
	return nil
}

// Meta says what the database holds.
func (db *Database) Meta() Meta { return db.meta }

// Digest identifies the data: equal data have equal digests, whenever they were
// imported.
func (db *Database) Digest() string { return "sha256:" + hex.EncodeToString(db.header.digest[:]) }

// Coverage tells which ecosystems the database has advisories of.
func (db *Database) Coverage() Coverage {
	c := Coverage{Families: maps.Clone(db.families), Ecosystems: make(map[string]bool, len(db.ecosystems))}
	for e := range db.ecosystems {
		c.Ecosystems[e] = true
	}
	return c
}

// Built is when the data were imported.
func (db *Database) Built() time.Time { return db.header.built }

// Newest is when the newest record last changed; zero when no record says.
func (db *Database) Newest() time.Time {
	var newest time.Time
	for _, f := range db.meta.Feeds {
		if f.Newest.After(newest) {
			newest = f.Newest
		}
	}
	return newest
}

// Records counts the records of all feeds.
func (db *Database) Records() int {
	n := 0
	for _, f := range db.meta.Feeds {
		n += f.Records
	}
	return n
}

// Verify reads the whole file and compares it with its digest.
func (db *Database) Verify() error {
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(db.file, headerSize, int64(db.header.size-headerSize))); err != nil { //nolint:gosec // checked
		return fmt.Errorf("verify the advisory database: %w", err)
	}
	if found := sum.Sum(nil); !slices.Equal(found, db.header.digest[:]) {
		return badDatabase("expected digest %s, found sha256:%x", db.Digest(), found)
	}
	return nil
}

func (db *Database) section(i int) []byte {
	s := db.header.sections[i]
	return db.data[s.offset : s.offset+s.size : s.offset+s.size]
}

// affected returns the entries of a package in an ecosystem, and how many.
func (db *Database) affected(ecosystem uint32, name string) (cursor, int, error) {
	index, packages := db.section(sectionIndex), db.section(sectionPackages)
	slots := len(index) / slotSize
	if slots == 0 {
		return cursor{}, 0, nil
	}
	hash := hashKey(ecosystem, name)
	slot := int(hash & uint64(slots-1)) //nolint:gosec // below slots
	for range slots {
		s := index[slot*slotSize : (slot+1)*slotSize]
		offset := binary.LittleEndian.Uint64(s[8:])
		if offset == 0 {
			return cursor{}, 0, nil
		}
		if offset >= uint64(len(packages)) {
			return cursor{}, 0, badDatabase("its index is damaged")
		}
		if binary.LittleEndian.Uint64(s) == hash {
			c := cursor{b: packages[offset:]}
			if uint64(ecosystem) == c.uint() && name == string(c.bytes()) {
				n := c.count()
				if c.damaged {
					return cursor{}, 0, badDatabase("its packages are damaged")
				}
				return c, n, nil
			}
		}
		slot = (slot + 1) % slots
	}
	return cursor{}, 0, nil
}

// advisory reads what is kept of an advisory.
func (db *Database) advisory(number uint64) (Advisory, error) {
	offsets, advisories := db.section(sectionOffsets), db.section(sectionAdvisories)
	if number >= uint64(len(offsets)/4) {
		return Advisory{}, badDatabase("it has no advisory number %d", number)
	}
	offset := binary.LittleEndian.Uint32(offsets[4*number:])
	if uint64(offset) > uint64(len(advisories)) {
		return Advisory{}, badDatabase("its advisories are damaged")
	}
	c := cursor{b: advisories[offset:]}
	a := Advisory{ID: c.string(), Modified: c.time(), Published: c.time()}
	a.Severity = Severity{Level: Level(c.byte()), Tenths: c.byte(), By: c.string(), Through: c.string()}
	a.Summary = c.string()
	for range c.count() {
		a.Aliases = append(a.Aliases, c.string())
	}
	if c.damaged {
		return Advisory{}, badDatabase("its advisories are damaged")
	}
	return a, nil
}
