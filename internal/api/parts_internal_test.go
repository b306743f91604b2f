package api

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/api/wire"
)

func TestAPartGoesOnBehindItsLastItemWhateverComesAndGoesMeanwhile(t *testing.T) {
	t.Parallel()
	same := func(s *string) string { return *s }
	for name, c := range map[string]struct {
		meanwhile []string // what the list is when the second part is asked for
		want      []any    // the second part
	}{
		"nothing":                     {[]string{"a", "b", "c", "d"}, []any{"c", "d"}},
		"one comes in before":         {[]string{"A", "a", "b", "c", "d"}, []any{"c", "d"}},
		"one comes in behind":         {[]string{"a", "b", "bb", "c"}, []any{"bb", "c"}},
		"the last of the part went":   {[]string{"a", "c", "d"}, []any{"c", "d"}},
		"everything behind went":      {[]string{"a", "b"}, []any{}},
		"everything went":             {nil, []any{}},
		"the last of a sort by age":   {[]string{"z", "b", "a"}, []any{"a"}},
		"all but one behind went too": {[]string{"d"}, []any{"d"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, err := part(&page{Limit: 2}, "letters", []string{"a", "b", "c", "d"}, same, same)
			if err != nil || first.Next == nil || *first.Total != 4 || !slices.Equal(first.Items, []any{"a", "b"}) {
				t.Fatalf("first: got %+v (%v), want a and b of 4", first, err)
			}
			second, err := part(&page{Limit: 2, Cursor: *first.Next}, "letters", c.meanwhile, same, same)
			if err != nil || second.Next != nil || *second.Total != len(c.meanwhile) {
				t.Fatalf("second: got %+v (%v), want the last of %d", second, err, len(c.meanwhile))
			}
			if diff := cmp.Diff(c.want, second.Items); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if _, err := part(&page{Limit: 2, Cursor: *first.Next}, "numbers", c.meanwhile, same, same); !errors.Is(err, account.ErrCursor) {
				t.Errorf("in another list: got %v, want %v", err, account.ErrCursor)
			}
		})
	}
	first, err := part(&page{Limit: 2}, "letters", []string{"z", "b", "a"}, same, same)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := part(&page{Limit: 2, Cursor: *first.Next}, "letters", []string{"z", "a"}, same, same); !errors.Is(err, account.ErrCursor) {
		t.Errorf("behind one that is gone, in another order: got %v, want %v", err, account.ErrCursor)
	}
	for _, cursor := range []string{"!", "bGV0dGVycw", "x"} {
		if _, err := part(&page{Limit: 2, Cursor: cursor}, "letters", []string{"a"}, same, same); !errors.Is(err, account.ErrCursor) {
			t.Errorf("cursor %q: got %v, want %v", cursor, err, account.ErrCursor)
		}
	}
}

func TestWhatIsSentOfAListHasTheMembersThatTheDocumentSays(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(string(encode(wire.List[any]{})), string(encode(wire.Part{}))); diff != "" {
		t.Errorf("(-as in the document +as sent):\n%s", diff)
	}
}
