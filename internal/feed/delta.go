package feed

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tallyman-io/tallyman/internal/osvzip"
)

const (
	// maxList bounds modified_id.csv, in bytes: about a hundred for each record.
	maxList = 512 << 20
	// maxDelta is how many records are fetched one by one before all of them at once
	// cost the source less.
	maxDelta = 1000
	// fetchers is how many single records are fetched at the same time.
	fetchers = 4
)

// Delta hands out the records that the source lists as modified at or after the
// cursor of known, the oldest first, one at a time. Those of the cursor's own moment
// come again, since others may share it. The state is what to keep when the records
// that were handed out were applied, also beside an error: then it is behind the first
// that was not. The error is [ErrNotModified] when the list is that of known, and
// [ErrSnapshotNeeded] when a thousand records changed, the list shrank, there is
// none, or it names a record that is not there.
func (c *Client) Delta(ctx context.Context, ecosystem string, known State, each func(Record) error) (State, error) {
	if err := checkEcosystem(ecosystem); err != nil {
		return known, err
	}
	next, err := c.delta(ctx, ecosystem, known, each)
	if err != nil {
		return next, fmt.Errorf("feed %s: %w", ecosystem, err)
	}
	return next, nil
}

func (c *Client) delta(ctx context.Context, ecosystem string, known State, each func(Record) error) (State, error) {
	if known.Cursor.IsZero() {
		return known, fmt.Errorf("%w: no record says when it was modified", ErrSnapshotNeeded)
	}
	list, version, err := c.list(ctx, path{ecosystem, "modified_id.csv"}, known)
	if err != nil {
		return known, err
	}
	if list.total*10 < known.Records*9 {
		return known, fmt.Errorf("%w: the list has %d records, there were %d", ErrSnapshotNeeded, list.total, known.Records)
	}
	if list.changed == nil {
		return known, fmt.Errorf("%w: more than %d records have changed since %s", ErrSnapshotNeeded, maxDelta, known.Cursor.Format(time.RFC3339))
	}
	next, now := known, c.config.Now()
	err = c.records(ctx, ecosystem, list.sorted(), func(change listed, record Record) error {
		if err := each(record); err != nil {
			return err
		}
		// What is dated ahead must not hide what comes until then.
		if change.modified.After(next.Cursor) && !change.modified.After(now) {
			next.Cursor = change.modified
		}
		return nil
	})
	if err != nil {
		return next, err
	}
	next.List, next.Records, next.SyncedAt = version, list.total, now
	return next, nil
}

func (c *Client) list(ctx context.Context, p path, known State) (list, Version, error) {
	file, err := c.temporaryFile()
	if err != nil {
		return list{}, Version{}, err
	}
	defer file.Close() //nolint:errcheck // its content does not matter any more
	sink := fileSink{file.File}
	version, err := c.fetch(ctx, p, known.List, maxList, sink)
	if errors.Is(err, errMissing) {
		return list{}, Version{}, fmt.Errorf("%w: %w", ErrSnapshotNeeded, err)
	} else if err != nil {
		return list{}, Version{}, err
	}
	if _, err := sink.Seek(0, 0); err != nil {
		return list{}, Version{}, err
	}
	l, err := readList(ctx, file, known.Cursor)
	if err != nil {
		return list{}, Version{}, fmt.Errorf("%s: %w", c.url(p), err)
	}
	return l, version, nil
}

// records fetches several records at a time and hands them out in order. At most
// fetchers of them are in memory.
func (c *Client) records(ctx context.Context, ecosystem string, changes []listed, do func(listed, Record) error) error {
	type answer struct {
		record Record
		err    error
	}
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	queue := make(chan chan answer, fetchers-2) // one more is being sent, one received
	group.Go(func() {
		defer close(queue)
		for _, change := range changes {
			slot := make(chan answer, 1)
			group.Go(func() {
				record, err := c.record(ctx, ecosystem, change.id)
				slot <- answer{record, err}
			})
			select {
			case queue <- slot:
			case <-ctx.Done():
				return
			}
		}
	})
	for _, change := range changes {
		slot, ok := <-queue
		if !ok {
			return context.Cause(ctx)
		}
		a := <-slot
		if a.err != nil {
			return a.err
		}
		if err := do(change, a.record); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) record(ctx context.Context, ecosystem, id string) (Record, error) {
	p := path{ecosystem, id + ".json"}
	var to memorySink
	_, err := c.fetch(ctx, p, Version{}, osvzip.MaxRecord, &to)
	if errors.Is(err, errMissing) {
		return Record{}, fmt.Errorf("%w: %s is listed, and is not there: %w", ErrSnapshotNeeded, id, err)
	} else if err != nil {
		return Record{}, err
	}
	if _, err := inspect(id, to.raw); err != nil {
		return Record{}, fmt.Errorf("%s: %w: %w", c.url(p), ErrRefused, err)
	}
	return Record{id, to.raw, sha256.Sum256(to.raw)}, nil
}
