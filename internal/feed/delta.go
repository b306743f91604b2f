package feed

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// maxChanges is how many records are fetched one by one.
	maxChanges = 1000
	// maxDelta bounds their bytes, and maxList those of the list.
	maxDelta = 64 << 20
	maxList  = 256 << 20
	maxLine  = 1024
	// fetchesAtOnce bounds the requests that run at a time.
	fetchesAtOnce = 4
)

// change is a line of modified_id.csv.
type change struct {
	at time.Time
	id string
}

// Delta hands out the records that changed since, by the list of the source. Those that
// changed at the very time of the last change are handed out again: more may have changed
// then. When all were, it returns what to remember.
//
// It returns ErrNotModified when nothing changed, and ErrTooMany or ErrNoDelta when a
// snapshot is called for: so when the list is a tenth shorter than the feed was, which
// the snapshot then refuses, or not. Nothing is handed out unless all of it is there.
func (c *Client) Delta(ctx context.Context, ecosystem string, known State, each func(Record) error) (State, error) {
	next, records, err := c.delta(ctx, ecosystem, known)
	if err != nil {
		return State{}, fmt.Errorf("fetch changes of %s: %w", ecosystem, err)
	}
	for _, r := range records {
		if err := each(r); err != nil {
			return State{}, err
		}
	}
	return next, nil
}

func (c *Client) delta(ctx context.Context, ecosystem string, known State) (State, []Record, error) {
	if known.Cursor.IsZero() {
		return State{}, nil, ErrNoDelta
	}
	list, tag, err := c.list(ctx, ecosystem, known.ListETag)
	if err != nil {
		return State{}, nil, err
	}
	if len(list)*10 < known.Records*9 {
		return State{}, nil, fmt.Errorf("%w: modified_id.csv lists %d records, %d were known", ErrTooMany, len(list), known.Records)
	}
	next := known
	next.ListETag, next.Records = tag, len(list)
	var ids []string
	for _, change := range list {
		if change.at.Before(known.Cursor) {
			continue
		}
		if ids = append(ids, change.id); len(ids) > maxChanges {
			return State{}, nil, fmt.Errorf("%w: more than %d", ErrTooMany, maxChanges)
		}
		if change.at.After(next.Cursor) {
			next.Cursor = change.at
		}
	}
	records, err := c.records(ctx, ecosystem, ids)
	return next, records, err
}

// records fetches single records, and keeps their order.
func (c *Client) records(ctx context.Context, ecosystem string, ids []string) ([]Record, error) {
	records := make([]Record, len(ids))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(fetchesAtOnce)
	for i, id := range ids {
		group.Go(func() error {
			raw, err := c.record(ctx, ecosystem, id)
			records[i] = Record{ID: id, Raw: raw}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err //nolint:wrapcheck // it names the record
	}
	total := 0
	for _, r := range records {
		if total += len(r.Raw); total > maxDelta {
			return nil, fmt.Errorf("%w: of more than %d bytes", ErrTooMany, maxDelta)
		}
	}
	return records, nil
}

func (c *Client) record(ctx context.Context, ecosystem, id string) ([]byte, error) {
	var raw []byte
	_, err := c.fetch(ctx, ecosystem, id+".json", "", maxRecord, func(in io.Reader) (err error) {
		raw, err = io.ReadAll(in)
		return err //nolint:wrapcheck // the caller names it
	})
	if err != nil {
		return nil, fmt.Errorf("%s, which modified_id.csv lists: %w", id, err)
	}
	found, err := idOf(raw)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %s.json: %w", ErrRefused, id, err)
	case found != id:
		return nil, fmt.Errorf("%w: %s.json: expected the id %s, found %s", ErrRefused, id, id, shorten(found))
	}
	return raw, nil
}

// list reads modified_id.csv. ErrNoDelta says that there is none.
func (c *Client) list(ctx context.Context, ecosystem, known string) (changes []change, tag string, err error) {
	tag, err = c.fetch(ctx, ecosystem, "modified_id.csv", known, maxList, func(in io.Reader) (err error) {
		changes, err = parseList(in)
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", ErrNoDelta
	}
	if err != nil && !errors.Is(err, ErrNotModified) {
		err = fmt.Errorf("modified_id.csv: %w", err)
	}
	return changes, tag, err
}

// parseList reads "<time>,<ID>" lines, in any order, each id once. The list of all
// ecosystems has "<time>,<Ecosystem>/<ID>", which is not what is read here.
func parseList(in io.Reader) ([]change, error) {
	var changes []change
	seen := make(map[string]bool)
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, maxLine), maxLine)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSuffix(lines.Text(), "\r")
		if line == "" {
			continue
		}
		text, id, ok := strings.Cut(line, ",")
		at, err := time.Parse(time.RFC3339Nano, text)
		if !ok || err != nil {
			return nil, fmt.Errorf("%w: line %d: expected <RFC 3339 time>,<ID>, found %q", ErrRefused, number, shorten(line))
		}
		if err := checkID(id); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if len(changes) >= maxRecords {
			return nil, fmt.Errorf("%w: expected at most %d lines, found more", ErrRefused, maxRecords)
		}
		if !seen[id] {
			seen[id] = true
			changes = append(changes, change{at: at.UTC(), id: id})
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, fmt.Errorf("%w: expected lines of at most %d bytes, found a longer one", ErrRefused, maxLine)
	} else if err != nil {
		return nil, err //nolint:wrapcheck // of the connection
	}
	return changes, nil
}
