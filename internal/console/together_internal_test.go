package console

import (
	"errors"
	"testing"
)

func TestReadsAreDoneAtTheSameTimeAndFailInTheirOrder(t *testing.T) {
	t.Parallel()
	first, second := errors.New("first"), errors.New("second")
	met := make(chan struct{})
	if err := together(func() error { met <- struct{}{}; return nil }, func() error { <-met; return nil }); err != nil {
		t.Errorf("got %v, want none", err)
	}
	ended := make(chan struct{})
	err := together(func() error { <-ended; return first }, func() error { defer close(ended); return second })
	if !errors.Is(err, first) {
		t.Errorf("got %v, want the first of both", err)
	}
	read := false
	defer func() {
		if p := recover(); p != "lost" || !read {
			t.Errorf("got the panic %v, and the other read: %t; want it to be that of the caller, once all have ended", p, read)
		}
	}()
	err = together(func() error { panic("lost") }, func() error { read = true; return nil })
	t.Errorf("a panic was lost: got %v returned", err)
}
