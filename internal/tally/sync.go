package tally

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tallyman-io/tallyman/internal/advisory"
	"github.com/tallyman-io/tallyman/internal/feed"
	"github.com/tallyman-io/tallyman/internal/ledger"
	"github.com/tallyman-io/tallyman/internal/release"
)

// Feeds fetches advisories; *feed.Client implements it.
type Feeds interface {
	Snapshot(ctx context.Context, ecosystem string, known feed.State) (*feed.Snapshot, error)
	Delta(ctx context.Context, ecosystem string, known feed.State, each func(feed.Record) error) (feed.State, error)
}

const (
	// wholeEvery is how often a feed is fetched as a whole although changes would do:
	// only then it shows what is gone.
	wholeEvery = 7 * 24 * time.Hour
	// At most so many records, of so many bytes, are taken in by one transaction.
	recordsAtOnce = 500
	bytesAtOnce   = 4 << 20
)

// Sync brings the advisories of an ecosystem up to date: by what changed since, or as a
// whole. A feed that is refused, or cannot be reached, leaves what is known as it is,
// with its age and the reason.
func (t *Tally) Sync(ctx context.Context, ecosystem string) error {
	known, err := t.feedState(ctx, ecosystem)
	if err != nil {
		return fmt.Errorf("sync %s: %w", ecosystem, err)
	}
	s := &syncing{t: t, feed: ledger.Feed{Ecosystem: ecosystem, Source: t.cfg.Source}, known: known}
	err = s.run(ctx)
	if err == nil {
		return nil
	}
	if ctx.Err() == nil {
		failed := ledger.Feed{
			Ecosystem: ecosystem, Source: t.cfg.Source, State: encodeState(known), Records: known.Records,
			TriedAt: t.now(), Reason: err.Error(),
		}
		err = errors.Join(err, t.cfg.Ledger.FinishSync(ctx, failed),
			t.progress(ctx, ledger.Progress{Step: release.StepSync, Subject: ecosystem, Ended: true, Failure: err.Error()}))
	}
	return fmt.Errorf("sync %s: %w", ecosystem, err)
}

// feedState is what is remembered of a feed. Of another source nothing is.
func (t *Tally) feedState(ctx context.Context, ecosystem string) (feed.State, error) {
	feeds, err := t.cfg.Ledger.Feeds(ctx)
	if err != nil {
		return feed.State{}, err
	}
	for i := range feeds {
		if f := &feeds[i]; f.Ecosystem == ecosystem && f.Source == t.cfg.Source {
			var state feed.State
			if err := json.Unmarshal([]byte(f.State), &state); err != nil {
				return feed.State{}, fmt.Errorf("what is remembered of the feed: %w", err)
			}
			return state, nil
		}
	}
	return feed.State{}, nil
}

func encodeState(s feed.State) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("encode the state of a feed: %v", err)) // numbers, strings and times can be encoded
	}
	return string(text)
}

// syncing is one run of Sync.
type syncing struct {
	t     *Tally
	feed  ledger.Feed
	known feed.State
	// pending are records to take in, and their bytes.
	pending []ledger.Published
	bytes   int
	done    int64
	total   int64
	changed int
	newest  time.Time
	// broken are records that cannot be read.
	broken int
}

func (s *syncing) run(ctx context.Context) error {
	if !s.known.FullAt.IsZero() && s.t.now().Sub(s.known.FullAt) < wholeEvery {
		err := s.delta(ctx)
		if !errors.Is(err, feed.ErrSnapshotNeeded) {
			return err
		}
		s.pending, s.bytes = nil, 0
	}
	return s.whole(ctx)
}

// delta takes in what changed, all at once.
func (s *syncing) delta(ctx context.Context) error {
	next, err := s.t.cfg.Feeds.Delta(ctx, s.feed.Ecosystem, s.known, func(r feed.Record) error {
		return s.add(r.Raw)
	})
	if errors.Is(err, feed.ErrNotModified) {
		next, err = s.known, nil
	}
	if err != nil {
		return err
	}
	return s.finish(ctx, next)
}

// whole takes in what differs of a complete feed. It was checked as a whole before; so
// a process that dies on the way leaves a feed that is partly newer, and not one that
// is partly there: the next run goes on.
func (s *syncing) whole(ctx context.Context) (err error) {
	snapshot, err := s.t.cfg.Feeds.Snapshot(ctx, s.feed.Ecosystem, s.known)
	if errors.Is(err, feed.ErrNotModified) {
		next := s.known
		next.FullAt = s.t.now()
		return s.finish(ctx, next)
	} else if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	digests, err := s.t.cfg.Ledger.KnownDigests(ctx, s.feed.Ecosystem)
	if err != nil {
		return err
	}
	s.total = int64(snapshot.Records())
	if err := snapshot.Each(ctx, func(r feed.Record) error {
		s.done++
		same := digests[r.ID] == "sha256:"+hex.EncodeToString(r.Digest[:])
		delete(digests, r.ID)
		if same {
			return nil
		}
		if err := s.add(r.Raw); err != nil {
			return err
		}
		if len(s.pending) >= recordsAtOnce || s.bytes >= bytesAtOnce {
			return s.apply(ctx)
		}
		return nil
	}); err != nil {
		return err
	}
	var broken []string
	s.broken, broken = snapshot.Broken()
	if s.broken > 0 {
		s.t.cfg.Log.Warn().Str("ecosystem", s.feed.Ecosystem).Int("broken", s.broken).Strs("records", broken).Msg("records cannot be read")
	} else if len(digests) > 0 {
		// Only when every record can be read is it known which are gone.
		gone := slices.Sorted(maps.Keys(digests))
		if _, err := s.t.cfg.Ledger.DropAdvisories(ctx, s.feed.Ecosystem, gone); err != nil {
			return err
		}
	}
	return s.finish(ctx, snapshot.Next())
}

// add keeps a record for the next apply. One that cannot be read as an advisory, though
// it is JSON, is logged and left out; what an earlier version said stays.
func (s *syncing) add(raw []byte) error {
	record, err := advisory.Parse(raw)
	if err != nil {
		s.t.cfg.Log.Warn().Err(err).Str("ecosystem", s.feed.Ecosystem).Msg("record left out")
		return nil //nolint:nilerr // logged, and no reason to refuse the others
	}
	if at := record.Newest(); at.After(s.newest) {
		s.newest = at
	}
	s.pending = append(s.pending, ledger.Published{Raw: raw, Record: record})
	s.bytes += len(raw)
	return nil
}

func (s *syncing) apply(ctx context.Context) error {
	applied, err := s.t.cfg.Ledger.ApplyAdvisories(ctx, s.feed.Ecosystem, s.pending)
	if err != nil {
		return err
	}
	s.changed += applied.Changed
	s.pending, s.bytes = s.pending[:0], 0
	return s.t.progress(ctx, ledger.Progress{Step: release.StepSync, Subject: s.feed.Ecosystem, Done: s.done, Total: s.total})
}

func (s *syncing) finish(ctx context.Context, next feed.State) error {
	now := s.t.now()
	s.feed.State, s.feed.Records, s.feed.Newest = encodeState(next), next.Records, s.newest
	s.feed.SyncedAt, s.feed.TriedAt = now, now
	applied, err := s.t.cfg.Ledger.Sync(ctx, ledger.Changes{Feed: s.feed, Records: s.pending})
	if err != nil {
		return err
	}
	s.changed += applied.Changed
	s.t.cfg.Log.Info().Str("ecosystem", s.feed.Ecosystem).Int("records", next.Records).Int("changed", s.changed).Msg("advisories fetched")
	return s.t.progress(ctx, ledger.Progress{
		Step: release.StepSync, Subject: s.feed.Ecosystem, Done: s.done, Total: s.total, Ended: true,
		Note: fmt.Sprintf("%d of %d advisories changed", s.changed, next.Records),
	})
}

func (t *Tally) progress(ctx context.Context, p ledger.Progress) error {
	if err := t.cfg.Ledger.RecordProgress(ctx, p); err != nil {
		return fmt.Errorf("record progress: %w", err)
	}
	return nil
}
