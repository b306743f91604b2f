package api

import (
	"encoding/base64"
	"strings"

	"github.com/tallyman-io/tallyman/internal/account"
	"github.com/tallyman-io/tallyman/internal/api/wire"
)

// part is the part that is asked for of a list that was read as a whole. Keys name its
// items: a cursor is the key of the last item of a part, so that what comes in meanwhile
// moves nothing.
func part[A, T any](p *page, list string, items []A, key func(*A) string, each func(*A) T) (*wire.Part, error) {
	from, to, next, err := p.cut(list, len(items), func(i int) string { return key(&items[i]) })
	if err != nil {
		return nil, err
	}
	return wire.ListOf(account.List[A]{Items: items[from:to], Next: next, Total: len(items)}, each), nil
}

// partOf is an answer with what [part] returned.
func partOf(p *wire.Part, err error) (*answer, error) {
	if err != nil {
		return nil, err
	}
	return listed(p), nil
}

// cut is where a part of a list of so many items begins and ends. It begins behind the
// item that the cursor names; where that is gone, before the first whose key is greater, or
// nowhere when the list is not in order of its keys: something would be left out.
func (p *page) cut(list string, items int, key func(int) string) (from, to int, next string, err error) {
	if p.Cursor != "" {
		raw, err := base64.RawURLEncoding.DecodeString(p.Cursor)
		of, after, ok := strings.Cut(string(raw), "\x00")
		if err != nil || !ok || of != list {
			return 0, 0, "", account.ErrCursor
		}
		if from, ok = behind(after, items, key); !ok {
			return 0, 0, "", account.ErrCursor
		}
	}
	to = min(from+p.Limit, items)
	if to < items {
		next = base64.RawURLEncoding.EncodeToString([]byte(list + "\x00" + key(to-1)))
	}
	return from, to, next, nil
}

func behind(after string, items int, key func(int) string) (from int, ok bool) {
	from, ordered, next := items, true, ""
	for i := items - 1; i >= 0; i-- {
		k := key(i)
		if k == after {
			return i + 1, true
		}
		if k > after {
			from = i
		}
		ordered = ordered && (i == items-1 || k <= next)
		next = k
	}
	return from, ordered
}
