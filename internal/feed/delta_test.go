package feed_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/feed"
)

func at(minutes int) time.Time {
	return time.Date(2026, 1, 1, 0, minutes, 0, 0, time.UTC)
}

// change is a line of the list.
type change struct {
	id      string
	minutes int
}

// publish puts a list of changes, newest first as OSV does, and their records.
func (b *bucket) publish(changes ...change) {
	slices.SortStableFunc(changes, func(x, y change) int { return y.minutes - x.minutes })
	var list strings.Builder
	for _, c := range changes {
		fmt.Fprintf(&list, "%s,%s\n", stamp(c.minutes), c.id)
		b.put("/Go/"+c.id+".json", []byte(record(c.id, stamp(c.minutes))))
	}
	b.put("/Go/modified_id.csv", []byte(list.String()))
}

// apply takes a delta and returns the ids in the order of their coming.
func apply(t testing.TB, s *source, known feed.State) ([]string, feed.State, error) {
	t.Helper()
	var ids []string
	next, err := s.Delta(t.Context(), "Go", known, func(r feed.Record) error {
		if !strings.Contains(string(r.Raw), `"id":"`+r.ID+`"`) {
			t.Errorf("%s has %s", r.ID, r.Raw)
		}
		ids = append(ids, r.ID)
		return nil
	})
	s.clean(t)
	return ids, next, err
}

func TestDeltaHandsOutWhatChanged(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	b.put("/Go/all.zip", zipOf(t, many(5))) // GO-0 at 0 to GO-4 at 4
	s := newSource(t, b.URL, nil)
	_, known := take(t, s, "Go", feed.State{})
	b.requests()

	b.publish(change{"GO-0", 0}, change{"GO-1", 1}, change{"GO-2", 9}, change{"GO-3", 3}, change{"GO-4", 4}, change{"GO-5", 4}, change{"GO-6", 7})
	ids, next, err := apply(t, s, known)
	if err != nil {
		t.Fatal(err)
	}
	// GO-4 was applied before; GO-5 shares its moment, and must not be lost.
	if diff := cmp.Diff([]string{"GO-4", "GO-5", "GO-6", "GO-2"}, ids); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
	want := feed.State{Zip: known.Zip, List: next.List, Records: 7, Cursor: at(9), FullAt: now, SyncedAt: now}
	if diff := cmp.Diff(want, next); diff != "" || next.List.ETag == "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
	b.requests()
	if _, _, err := apply(t, s, next); !errors.Is(err, feed.ErrNotModified) {
		t.Errorf("again: got %v, want %v", err, feed.ErrNotModified)
	}
	if diff := cmp.Diff([]string{"/Go/modified_id.csv If-None-Match"}, b.requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestDeltaNeedsNoOrder(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	b.publish(change{"GO-1", 1}, change{"GO-2", 2})
	b.put("/Go/modified_id.csv", []byte(stamp(1)+",GO-1\r\n"+stamp(2)+",GO-2\r\n"+stamp(1)+",GO-2\r\n"))
	ids, _, err := apply(t, newSource(t, b.URL, nil), feed.State{Cursor: at(1), Records: 2})
	if diff := cmp.Diff([]string{"GO-1", "GO-2"}, ids); diff != "" || err != nil {
		t.Errorf("ids (-want +got):\n%s%v", diff, err)
	}
}

func TestDeltaIsNotFooledByADateToCome(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	b.publish(change{"GO-1", 1}, change{"GO-2", 2}, change{"GO-9", 60 * 24 * 3650})
	ids, next, err := apply(t, newSource(t, b.URL, nil), feed.State{Cursor: at(1), Records: 3})
	if err != nil || len(ids) != 3 || !next.Cursor.Equal(at(2)) {
		t.Errorf("got %v, cursor %s, %v; want all three and a cursor that does not hide what comes", ids, next.Cursor, err)
	}
}

func TestDeltaAsksForASnapshot(t *testing.T) {
	t.Parallel()
	lines := func(n int) string {
		var list strings.Builder
		for i := range n {
			fmt.Fprintf(&list, "%s,GO-%d\n", stamp(n-i), n-i)
		}
		return list.String()
	}
	for name, c := range map[string]struct {
		list  string
		known feed.State
		says  string
	}{
		"no list":                 {"", feed.State{Cursor: at(1)}, "/Go/modified_id.csv: not found"},
		"too many changes":        {lines(1002), feed.State{Cursor: at(1)}, "more than 1000 records have changed since 2026-01-01T00:01:00Z"},
		"the list shrank":         {lines(80), feed.State{Cursor: at(80), Records: 100}, "the list has 80 records, there were 100"},
		"no cursor":               {lines(3), feed.State{Records: 3}, "no record says when it was modified"},
		"a record that is not":    {lines(3), feed.State{Cursor: at(3)}, "GO-3 is listed, and is not there: "},
		"nothing is known at all": {lines(3), feed.State{}, "no record says when it was modified"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBucket(t)
			if c.list != "" {
				b.put("/Go/modified_id.csv", []byte(c.list))
			}
			ids, next, err := apply(t, newSource(t, b.URL, nil), c.known)
			if !errors.Is(err, feed.ErrSnapshotNeeded) || !strings.Contains(err.Error(), c.says) || len(ids) > 0 {
				t.Errorf("got %v after %v, want %v that says %q", err, ids, feed.ErrSnapshotNeeded, c.says)
			}
			if diff := cmp.Diff(c.known, next); diff != "" {
				t.Errorf("state (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDeltaRefuses(t *testing.T) {
	t.Parallel()
	good := stamp(1) + ",GO-1\n"
	for name, c := range map[string]struct {
		list, record string
		faults       []http.HandlerFunc
		is           error
		says         string
	}{
		"a page instead":        {"<html>\n", "", nil, feed.ErrRefused, `line 1: refused: expected <RFC 3339 time>,<ID>, found "<html>\n"`},
		"a line too short":      {good + stamp(1) + "\n", "", nil, feed.ErrRefused, "line 2: "},
		"no time":               {"yesterday,GO-1\n", "", nil, feed.ErrRefused, "line 1: "},
		"a path for an id":      {stamp(2) + ",../../x\n", "", nil, feed.ErrRefused, "line 1: "},
		"a path of Windows":     {stamp(2) + `,..\x` + "\n", "", nil, feed.ErrRefused, "line 1: "},
		"an id with a query":    {stamp(2) + ",x?y\n", "", nil, feed.ErrRefused, "line 1: "},
		"an endless line":       {strings.Repeat("x", 1<<20), "", nil, feed.ErrRefused, "line 1: "},
		"a line that ends not":  {good + stamp(2), "", nil, feed.ErrPartial, "line 2: refused: partial: it does not end"},
		"always cut":            {good, "", times(5, cut([]byte(good), "")), feed.ErrPartial, "expected 26 bytes, found 13"},
		"another's record":      {good, record("GO-2", ""), nil, feed.ErrRefused, `/Go/GO-1.json: refused: expected id "GO-1", found "GO-2"`},
		"a record that is none": {good, "<html>", nil, feed.ErrRefused, "/Go/GO-1.json: refused: invalid character '<'"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBucket(t)
			b.put("/Go/modified_id.csv", []byte(c.list))
			if c.record != "" {
				b.put("/Go/GO-1.json", []byte(c.record))
			}
			b.fail(c.faults...)
			known := feed.State{Cursor: at(1)}
			ids, next, err := apply(t, newSource(t, b.URL, nil), known)
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) || len(ids) > 0 {
				t.Errorf("got %v after %v, want %v that says %q", err, ids, c.is, c.says)
			}
			if diff := cmp.Diff(known, next); diff != "" {
				t.Errorf("state (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDeltaCursorStaysBehindWhatWasNotApplied(t *testing.T) {
	t.Parallel()
	b := newBucket(t)
	var changes []change
	for i := range 40 {
		changes = append(changes, change{fmt.Sprintf("GO-%02d", i), i})
	}
	b.publish(changes...)
	s := newSource(t, b.URL, nil)
	errFull := errors.New("disk full")
	n := 0
	next, err := s.Delta(t.Context(), "Go", feed.State{Cursor: at(0), Records: 40}, func(feed.Record) error {
		if n++; n == 21 {
			return errFull
		}
		return nil
	})
	if !errors.Is(err, errFull) || !next.Cursor.Equal(at(19)) || next.List != (feed.Version{}) {
		t.Errorf("got %v, %+v; want the cursor of the twentieth record", err, next)
	}
	ids, next, err := apply(t, s, next)
	if err != nil || len(ids) != 21 || ids[0] != "GO-19" || !next.Cursor.Equal(at(39)) {
		t.Errorf("after that: got %v, %+v, %v", ids, next, err)
	}
	if b.most > 4 {
		t.Errorf("%d requests at the same time, want at most 4", b.most)
	}
}

func TestDeltaOfAFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSource(t, "file://"+dir, nil)
	known := feed.State{Cursor: at(1), Records: 2}
	if _, _, err := apply(t, s, known); !errors.Is(err, feed.ErrSnapshotNeeded) {
		t.Errorf("no list: got %v", err)
	}
	writeFile(t, dir+"/Go/modified_id.csv", []byte(stamp(2)+",GO-2\n"+stamp(0)+",GO-0\n"))
	writeFile(t, dir+"/Go/GO-2.json", []byte(record("GO-2", "")))
	ids, next, err := apply(t, s, known)
	if err != nil || len(ids) != 1 || !next.Cursor.Equal(at(2)) {
		t.Errorf("got %v, %+v, %v", ids, next, err)
	}
	if _, _, err := apply(t, s, next); !errors.Is(err, feed.ErrNotModified) {
		t.Errorf("again: got %v", err)
	}
}
