package advisory

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// Feed is what came from one zip file.
type Feed struct {
	// Ecosystem is the name of its folder.
	Ecosystem string `json:"ecosystem"`
	Records   int    `json:"records"`
	Withdrawn int    `json:"withdrawn"`
	Broken    int    `json:"broken"`
	// Newest is when a record last changed; zero when none says.
	Newest time.Time `json:"newest,omitzero"`
	// RawOffset is where its records begin in the raw section.
	RawOffset uint64 `json:"raw_offset"`
}

// Meta describes what a database holds.
type Meta struct {
	Feeds []Feed `json:"feeds"`
	// Ecosystems are those of the affected packages, with their releases. Their
	// position is their number in the file.
	Ecosystems []string `json:"ecosystems"`
}

// maxSummary bounds what is kept of a summary, in bytes.
const maxSummary = 300

// draft is an advisory of the database in the making.
type draft struct {
	id                  string
	newest, published   time.Time
	aliases, upstream   []string
	summary             string
	severity            Severity
	crc                 uint32
	withdrawn, replaced bool
}

type key struct {
	ecosystem uint32
	name      string
}

// builder collects records and writes the file.
type builder struct {
	meta       Meta
	ecosystems map[string]uint32
	drafts     []draft
	byID       map[string]uint32 // of the current feed
	ids        map[string]struct{}
	packages   map[key][]entryBytes
	raw        *os.File
	rawOut     *bufio.Writer // to raw
	rawSize    uint64
}

// entryBytes is an affected package in the file's form, and whose it is.
type entryBytes struct {
	advisory uint32
	data     []byte
}

func newBuilder(raw *os.File) *builder {
	return &builder{
		ecosystems: make(map[string]uint32), ids: make(map[string]struct{}),
		packages: make(map[key][]entryBytes), raw: raw, rawOut: bufio.NewWriterSize(raw, 64<<10),
	}
}

// prepared is a record ready to be added: what can be done without the builder.
type prepared struct {
	draft   draft
	entries []preparedEntry
	err     error
}

type preparedEntry struct {
	ecosystem, name string
	data            []byte
}

// prepare reads a record of an ecosystem's feed. A feed speaks for its own ecosystem:
// what else a record affects is told by that one's feed, if it was imported.
func prepare(ecosystem string, raw []byte, crc uint32) prepared {
	record, err := Parse(raw)
	if err != nil {
		return prepared{err: err}
	}
	p := prepared{draft: draft{
		id: record.ID, newest: record.Newest(), published: record.Published.Time, aliases: record.Aliases, upstream: record.Upstream,
		summary: record.ShortSummary(), severity: record.OwnSeverity(), crc: crc, withdrawn: record.IsWithdrawn(),
	}}
	if p.draft.withdrawn {
		return p
	}
	for _, e := range record.Entries(ecosystem) {
		p.entries = append(p.entries, preparedEntry{e.Ecosystem, e.Name, e.Data})
	}
	return p
}

// ShortSummary is the summary, cut to a few lines.
func (r *Record) ShortSummary() string {
	return strings.ToValidUTF8(r.Summary[:min(len(r.Summary), maxSummary)], "")
}

// encodeAffected returns nil when nothing could ever match.
func encodeAffected(a *Affected) []byte {
	spans := spansOf(a)
	if len(spans) == 0 && len(a.Versions) == 0 {
		return nil
	}
	var w writer
	w.int(len(spans))
	for _, s := range spans {
		if s.kind == "SEMVER" {
			w.byte(0)
		} else {
			w.byte(1)
		}
		w.int(len(s.events))
		for _, e := range s.events {
			w.byte(byte(e.kind))
			if e.at == nil {
				w.string("")
			} else {
				w.string(e.at.text)
			}
		}
	}
	w.int(len(a.Versions))
	for _, v := range a.Versions {
		w.string(v)
	}
	return bytes.Clone(w.b) // without what the writer grew ahead
}

// spansOf returns the ranges of versions, sorted. A range whose events cannot be
// compared keeps its order: whoever evaluates it meets the same error.
func spansOf(a *Affected) []span {
	var spans []span
	f := family(a.Package.Ecosystem)
	for _, r := range a.Ranges {
		if r.Type == "GIT" {
			continue
		}
		s := span{kind: r.Type}
		for _, e := range r.Events {
			if e.Introduced == "0" {
				s.events = append(s.events, event{introduced, nil})
			} else if e.Introduced != "" {
				s.events = append(s.events, event{introduced, newVersion(f, e.Introduced)})
			}
			if e.Fixed != "" {
				s.events = append(s.events, event{fixed, newVersion(f, e.Fixed)})
			}
			if e.LastAffected != "" {
				s.events = append(s.events, event{lastAffected, newVersion(f, e.LastAffected)})
			}
			if e.Limit != "" && e.Limit != "*" {
				s.events = append(s.events, event{limit, newVersion(f, e.Limit)})
			}
		}
		sortEvents(s.events) //nolint:errcheck // see above
		if len(s.events) > 0 {
			spans = append(spans, s)
		}
	}
	return spans
}

// add takes in a record of the current feed. Of two records with one id the one that
// changed later counts; when neither did, both do.
func (b *builder) add(p prepared) {
	index := uint32(len(b.drafts)) //nolint:gosec // bounded by maxRecords
	if known, ok := b.byID[p.draft.id]; ok {
		old := &b.drafts[known]
		switch {
		case p.draft.newest.Before(old.newest), p.draft.newest.Equal(old.newest) && p.draft.crc == old.crc:
			return
		case p.draft.newest.Equal(old.newest):
			old.withdrawn = old.withdrawn && p.draft.withdrawn
			index = known
		default:
			old.replaced = true
		}
	}
	if int(index) == len(b.drafts) {
		b.drafts = append(b.drafts, p.draft)
		b.ids[p.draft.id] = struct{}{}
		b.byID[p.draft.id] = index
	}
	for _, e := range p.entries {
		number, ok := b.ecosystems[e.ecosystem]
		if !ok {
			number = uint32(len(b.ecosystems)) //nolint:gosec // a few hundred
			b.ecosystems[e.ecosystem] = number
			b.meta.Ecosystems = append(b.meta.Ecosystems, e.ecosystem)
		}
		k := key{number, e.name}
		b.packages[k] = append(b.packages[k], entryBytes{index, e.data})
	}
}

// scoreThroughAliases gives records without a severity the worst one of the records
// that speak of the same vulnerability.
func (b *builder) scoreThroughAliases() {
	type source struct {
		severity Severity
		id       string
	}
	best := make(map[string]source)
	for i := range b.drafts {
		d := &b.drafts[i]
		if d.severity.By == "" || d.withdrawn || d.replaced {
			continue
		}
		for _, id := range append([]string{d.id}, d.aliases...) {
			if known, ok := best[id]; !ok || d.severity.Worse(known.severity) {
				best[id] = source{d.severity, d.id}
			}
		}
	}
	for i := range b.drafts {
		d := &b.drafts[i]
		if d.severity.By != "" {
			continue
		}
		for _, ids := range [][]string{append([]string{d.id}, d.aliases...), d.upstream} {
			for _, id := range ids {
				if s, ok := best[id]; ok && (d.severity.By == "" || s.severity.Worse(d.severity)) {
					d.severity = s.severity
					d.severity.Through = s.id
				}
			}
			if d.severity.By != "" {
				break
			}
		}
	}
}

// write writes the whole database to out, whose position is at its start.
func (b *builder) write(out *os.File, built time.Time) (header, error) {
	b.scoreThroughAliases()
	index, packages := b.encodePackages()
	offsets, advisories := b.encodeAdvisories()
	meta, err := json.Marshal(b.meta)
	if err != nil {
		return header{}, fmt.Errorf("encode the description: %w", err)
	}
	h := header{built: built, size: headerSize}
	for i, size := range []int{len(meta), len(index), len(packages), len(offsets), len(advisories)} {
		h.sections[i] = section{h.size, uint64(size)} //nolint:gosec // a length
		h.size += uint64(size)                        //nolint:gosec // a length
	}
	h.sections[sectionRaw] = section{h.size, b.rawSize}
	h.size += b.rawSize
	if _, err := out.Seek(headerSize, io.SeekStart); err != nil {
		return header{}, fmt.Errorf("write: %w", err)
	}
	sum := sha256.New()
	w := bufio.NewWriterSize(io.MultiWriter(out, sum), 1<<20)
	for _, part := range [][]byte{meta, index, packages, offsets, advisories} {
		w.Write(part) //nolint:errcheck // Flush tells
	}
	if err := b.rawOut.Flush(); err != nil {
		return header{}, fmt.Errorf("keep the records: %w", err)
	}
	if _, err := b.raw.Seek(0, io.SeekStart); err != nil {
		return header{}, fmt.Errorf("read back the records: %w", err)
	}
	if n, err := io.Copy(w, b.raw); err != nil {
		return header{}, fmt.Errorf("copy the records: %w", err)
	} else if uint64(n) != b.rawSize { //nolint:gosec // a length
		return header{}, fmt.Errorf("copy the records: expected %d bytes, found %d", b.rawSize, n)
	}
	if err := w.Flush(); err != nil {
		return header{}, fmt.Errorf("write: %w", err)
	}
	sum.Sum(h.digest[:0])
	if _, err := out.WriteAt(h.encode(), 0); err != nil {
		return header{}, fmt.Errorf("write the header: %w", err)
	}
	return h, nil
}

func (b *builder) encodePackages() (index, packages []byte) {
	keys := make([]key, 0, len(b.packages))
	size := 1
	for k, entries := range b.packages {
		keys = append(keys, k)
		size += len(k.name) + 3*binary.MaxVarintLen32
		for _, e := range entries {
			size += len(e.data) + 2*binary.MaxVarintLen32
		}
	}
	slices.SortFunc(keys, func(x, y key) int {
		if x.ecosystem != y.ecosystem {
			return int(x.ecosystem) - int(y.ecosystem)
		}
		return strings.Compare(x.name, y.name)
	})
	slots := 2
	for slots < 2*len(keys) {
		slots *= 2
	}
	index = make([]byte, slots*slotSize)
	w := writer{b: make([]byte, 0, size)}
	w.byte(0) // no package is at offset 0, which marks a free slot
	for _, k := range keys {
		hash := hashKey(k.ecosystem, k.name)
		slot := int(hash & uint64(slots-1)) //nolint:gosec // below slots
		for binary.LittleEndian.Uint64(index[slot*slotSize+8:]) != 0 {
			slot = (slot + 1) % slots
		}
		binary.LittleEndian.PutUint64(index[slot*slotSize:], hash)
		binary.LittleEndian.PutUint64(index[slot*slotSize+8:], uint64(len(w.b)))
		entries := slices.DeleteFunc(b.packages[k], func(e entryBytes) bool { return b.drafts[e.advisory].replaced })
		w.uint(uint64(k.ecosystem))
		w.string(k.name)
		w.int(len(entries))
		for _, e := range entries {
			w.uint(uint64(e.advisory))
			w.bytes(e.data)
		}
	}
	b.packages = nil // so that what follows has their memory
	return index, w.b
}

func (b *builder) encodeAdvisories() (offsets, advisories []byte) {
	size := 0
	for i := range b.drafts {
		d := &b.drafts[i]
		size += len(d.id) + len(d.summary) + len(d.severity.By) + len(d.severity.Through) + 64
		for _, alias := range d.aliases {
			size += len(alias) + binary.MaxVarintLen16
		}
	}
	offsets = make([]byte, 0, 4*len(b.drafts))
	w := writer{b: make([]byte, 0, size)}
	for i := range b.drafts {
		d := &b.drafts[i]
		offsets = binary.LittleEndian.AppendUint32(offsets, uint32(len(w.b))) //nolint:gosec // far below 4 GiB
		w.string(d.id)
		w.time(d.newest)
		w.time(d.published)
		w.byte(byte(d.severity.Level))
		w.byte(d.severity.Tenths)
		w.string(d.severity.By)
		w.string(d.severity.Through)
		w.string(d.summary)
		w.int(len(d.aliases))
		for _, alias := range d.aliases {
			w.string(alias)
		}
	}
	return offsets, w.b
}
