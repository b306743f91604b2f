package registry

import (
	"testing"
	"time"
)

func TestASessionStartsAnewAfterAWhile(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.May, 1, 12, 0, 0, 0, time.UTC)
	s := &session{now: func() time.Time { return now }}
	first, err := s.puller()
	if err != nil {
		t.Fatal(err)
	}
	now = now.Add(sessionAge - time.Second)
	if again, err := s.puller(); err != nil || again != first {
		t.Errorf("before its time: got another session, %v", err)
	}
	now = now.Add(time.Second)
	if again, err := s.puller(); err != nil || again == first {
		t.Errorf("after its time: got the same session, %v", err)
	}
}
