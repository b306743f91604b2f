package store

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/tallyman-io/tallyman/internal/account"
)

// bookmark writes where a part of a list ends: the values that the list is sorted by, of
// its last item. The first value names the list, so that no other takes it.
func bookmark(list string, values ...string) string {
	raw, err := json.Marshal(append([]string{list}, values...))
	if err != nil {
		panic(fmt.Sprintf("encode a cursor: %v", err)) // strings can be encoded
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// readBookmark reads what [bookmark] wrote: n values, none for an empty cursor.
func readBookmark(text, list string, n int) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, account.ErrCursor
	}
	var values []string
	if json.Unmarshal(raw, &values) != nil || len(values) != n+1 || values[0] != list {
		return nil, account.ErrCursor
	}
	return values[1:], nil
}

// readNumbers is [readBookmark] of whole numbers.
func readNumbers(text, list string, n int) ([]int64, error) {
	values, err := readBookmark(text, list, n)
	if err != nil {
		return nil, err
	}
	numbers := make([]int64, len(values))
	for i, v := range values {
		if numbers[i], err = strconv.ParseInt(v, 10, 64); err != nil {
			return nil, account.ErrCursor
		}
	}
	return numbers, nil
}

// readStart is [readBookmark] of what a query begins after: a text for each text of begin,
// a whole number for each other value, and begin for an empty cursor.
func readStart(text, list string, begin ...any) ([]any, error) {
	values, err := readBookmark(text, list, len(begin))
	if err != nil || values == nil {
		return begin, err
	}
	for i, v := range values {
		if _, isText := begin[i].(string); !isText {
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil {
				return nil, account.ErrCursor
			}
			begin[i] = n
			continue
		}
		if strings.Contains(v, "\x00") { // PostgreSQL has no such text
			return nil, account.ErrCursor
		}
		begin[i] = v
	}
	return begin, nil
}

// way is the direction in which a list goes along its index: empty from its end, where what
// is newest or largest stands, and a minus from its beginning. It is put before the name of
// the list in its cursors: those of one direction are none of the other.
type way string

func wayOf(beginning bool) way {
	if beginning {
		return "-"
	}
	return ""
}

// list is the name of a list in this direction.
func (w way) list(name string) string { return string(w) + name }

// sql turns a text of SQL for the way from the end into that for this way.
func (w way) sql(text string) string {
	if w == "" {
		return text
	}
	return strings.NewReplacer("<>", "<>", "<=", ">=", ">=", "<=", "<", ">", " DESC", " ASC").Replace(text)
}

// compare turns the order of two values into that of the list.
func (w way) compare(c int) int {
	if w == "" {
		return -c
	}
	return c
}

func decimal(n int64) string { return strconv.FormatInt(n, 10) }

// limitOf is how many items are asked for.
func limitOf(p account.Page) int {
	switch {
	case p.Limit <= 0:
		return 50
	default:
		return min(p.Limit, account.MostItems)
	}
}

// cut takes a list of one item more than was asked for apart. The further item is only
// there to tell that there is another part, which next names by the last item.
func cut[T any](items []T, limit int, next func(last *T) string) account.List[T] {
	l := account.List[T]{Items: items, Total: -1}
	if len(items) > limit {
		l.Items = items[:limit]
		l.Next = next(&l.Items[limit-1])
	}
	return l
}

// slice is a part of a list that was read as a whole; its cursor is a position.
func slice[T any](items []T, list string, p account.Page) (account.List[T], error) {
	at, err := readNumbers(p.After, list, 1)
	if err != nil {
		return account.List[T]{}, err
	}
	from := 0
	if len(at) > 0 {
		from = int(max(0, min(at[0], int64(len(items)))))
	}
	to := min(from+limitOf(p), len(items))
	l := account.List[T]{Items: items[from:to], Total: len(items)}
	if to < len(items) {
		l.Next = bookmark(list, strconv.Itoa(to))
	}
	return l, nil
}
