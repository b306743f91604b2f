package advisory

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"time"
)

const (
	// maxRawRecord bounds a record that is read back, in bytes; the feeds bound them as
	// they are imported.
	maxRawRecord = 64 << 20
	// pastNumbers is where the numbers of withdrawn advisories begin: those of the file
	// are below.
	pastNumbers = uint64(1) << 40
	// methodStored and methodDeflated are those of a zip file (APPNOTE.TXT 4.4.5).
	methodStored, methodDeflated = 0, 8
)

// Past is a database as of a time: the advisories that were known then, which are those
// published by then, also where they were withdrawn since. What each of them says is
// what the database has of it; how a record read before it was last changed, nobody kept.
// A record that does not say when it was published counts from when it last changed, and
// always when it says neither.
type Past struct {
	db *Database
	at time.Time
	// withdrawn are the records that were withdrawn after it, by package; advisories are
	// theirs.
	withdrawn  map[pastKey][]pastEntry
	advisories []Advisory
}

type pastKey struct{ ecosystem, name string }

type pastEntry struct {
	number uint64
	data   []byte
}

// AsOf returns the database as of a time. It reads the withdrawn records, which takes as
// long as unpacking the feeds that have some. The database must stay open.
func (db *Database) AsOf(at time.Time) (*Past, error) {
	p := &Past{db: db, at: at, withdrawn: make(map[pastKey][]pastEntry)}
	for _, feed := range db.meta.Feeds {
		if feed.Withdrawn == 0 {
			continue
		}
		if err := p.read(feed); err != nil {
			return nil, fmt.Errorf("read the withdrawn records of %s: %w", feed.Ecosystem, err)
		}
	}
	return p, nil
}

// At is the time that is looked back to.
func (p *Past) At() time.Time { return p.at }

// Matcher returns a matcher that knows what was known then. Like every matcher it must
// be used by one goroutine at a time; several may be of one past.
func (p *Past) Matcher() *Matcher {
	m := NewMatcher(p.db)
	m.past = p
	return m
}

// read takes in the records of a feed that were withdrawn after the time.
func (p *Past) read(feed Feed) error {
	raw := p.db.section(sectionRaw)
	if feed.RawOffset > uint64(len(raw)) {
		return badDatabase("its records of %s are damaged", feed.Ecosystem)
	}
	c := cursor{b: raw[feed.RawOffset:]}
	for range feed.Records {
		name, method := c.string(), c.uint()
		c.uint() // the checksum, which the import has compared
		size := c.uint()
		data := c.bytes()
		if c.damaged || size > maxRawRecord {
			return badDatabase("its records of %s are damaged", feed.Ecosystem)
		}
		content, err := unpack(method, data)
		if err != nil {
			return badDatabase("%s: %v", name, err)
		}
		if !bytes.Contains(content, []byte(`"withdrawn"`)) {
			continue
		}
		record, err := Parse(content)
		if err != nil {
			continue // left out by the import as well
		}
		if record.IsWithdrawn() && record.Withdrawn.After(p.at) {
			p.add(record, feed.Ecosystem)
		}
	}
	return nil
}

func unpack(method uint64, data []byte) ([]byte, error) {
	switch method {
	case methodStored:
		return data, nil
	case methodDeflated:
		return io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(data)), maxRawRecord))
	default:
		return nil, fmt.Errorf("expected a method of %d or %d, found %d", methodStored, methodDeflated, method)
	}
}

func (p *Past) add(record Record, feed string) {
	number := pastNumbers + uint64(len(p.advisories))
	p.advisories = append(p.advisories, Advisory{
		ID: record.ID, Modified: record.Newest(), Published: record.Published.Time, Severity: record.OwnSeverity(),
		Summary: record.ShortSummary(), Aliases: record.Aliases,
	})
	for _, e := range record.Entries(feed) {
		at := pastKey{e.Ecosystem, e.Name}
		p.withdrawn[at] = append(p.withdrawn[at], pastEntry{number, e.Data})
	}
}

// unpublished reports whether an advisory was not there yet.
func (p *Past) unpublished(a Advisory) bool {
	published := a.Published
	if published.IsZero() {
		published = a.Modified
	}
	return published.After(p.at)
}
