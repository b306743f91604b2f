package feed

import (
	"bytes"
	"testing"
	"time"

	"github.com/tallyman-io/tallyman/internal/osvzip"
)

func FuzzList(f *testing.F) {
	for _, seed := range []string{
		"", "2026-01-02T03:04:05.123456789Z,GO-1\n2026-01-01T00:00:00Z,GO-2\r\n", "2026-01-01T00:00:00Z,../x\n",
		"2026-01-01T00:00:00+01:00,A\n2026-01-01T00:00:00Z,A\n", "modified,id\n", ",\n", "2026-01-01T00:00:00Z,GO-1",
	} {
		f.Add([]byte(seed))
	}
	cursor := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, raw []byte) {
		l, err := readList(t.Context(), bytes.NewReader(raw), cursor)
		if err != nil {
			return
		}
		if lines := bytes.Count(raw, []byte("\n")); l.total != lines {
			t.Errorf("counted %d of %d lines", l.total, lines)
		}
		changes := l.sorted()
		for i, c := range changes {
			if !osvzip.ValidID(c.id) || c.modified.Before(cursor) || i > 0 && c.modified.Before(changes[i-1].modified) {
				t.Errorf("change %d: %+v", i, c)
			}
		}
	})
}
