package feed

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/tallyman-io/tallyman/internal/osvzip"
)

// listed is a line of modified_id.csv.
type listed struct {
	modified time.Time
	id       string
}

// list is what modified_id.csv says.
type list struct {
	total int
	// changed has what was modified at or after the cursor, by id; it is nil when that
	// is more than maxDelta.
	changed map[string]time.Time
}

// readList reads all of a list, which OSV writes newest first. It leans neither on
// that order nor on the end having arrived: one that is short would hide changes.
func readList(ctx context.Context, from io.Reader, cursor time.Time) (list, error) {
	l := list{changed: make(map[string]time.Time)}
	lines := bufio.NewReaderSize(contextReader{ctx, from}, 64<<10)
	for {
		line, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF) && len(line) == 0:
			return l, nil
		case errors.Is(err, io.EOF):
			return list{}, fmt.Errorf("line %d: %w: it does not end", l.total+1, ErrPartial)
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return list{}, err
		}
		entry, parse := parseLine(line)
		if err != nil || parse != nil {
			return list{}, fmt.Errorf("line %d: %w: expected <RFC 3339 time>,<ID>, found %.80q", l.total+1, ErrRefused, line)
		}
		l.total++
		l.add(entry, cursor)
	}
}

func (l *list) add(entry listed, cursor time.Time) {
	if l.changed == nil || entry.modified.Before(cursor) || !entry.modified.After(l.changed[entry.id]) {
		return
	}
	if l.changed[entry.id] = entry.modified; len(l.changed) > maxDelta {
		l.changed = nil
	}
}

func parseLine(line []byte) (listed, error) {
	modified, id, ok := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(","))
	if !ok || !osvzip.ValidID(string(id)) {
		return listed{}, errors.New("no id")
	}
	at, err := time.Parse(time.RFC3339, string(modified))
	if err != nil {
		return listed{}, err
	}
	return listed{at.UTC(), string(id)}, nil
}

// sorted returns what has changed, the oldest first.
func (l *list) sorted() []listed {
	changes := make([]listed, 0, len(l.changed))
	for id, modified := range l.changed {
		changes = append(changes, listed{modified, id})
	}
	slices.SortFunc(changes, func(a, b listed) int {
		return cmp.Or(a.modified.Compare(b.modified), cmp.Compare(a.id, b.id))
	})
	return changes
}
