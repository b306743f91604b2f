package api_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tallyman-io/tallyman/internal/store/storetest"
	"github.com/tallyman-io/tallyman/internal/tally/tallytest"
)

// items are those of a list, in parts of one.
func (b *kept) items(t *testing.T, path, sort string) []any {
	t.Helper()
	path, query, _ := strings.Cut(path, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	values.Set("sort", sort)
	values.Set("limit", "1")
	var all []any
	for len(all) < 50 {
		body, _ := b.get(t, path+"?"+values.Encode())
		list, ok := body["items"].([]any)
		if !ok || len(list) > 1 {
			t.Fatalf("%s: got %v", path, body)
		}
		all = append(all, list...)
		cursor, ok := body["next"].(string)
		if !ok {
			return all
		}
		values.Set("cursor", cursor)
	}
	t.Fatalf("%s: it has no end", path)
	return nil
}

// What is sorted by a word is turned round by a minus before it, and is in the same order
// without either where the word is the default.
func TestAMinusTurnsAListRound(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, url string) {
		b := keep(t, url)
		for _, list := range []struct {
			path, by string
			other    bool // not the default
		}{
			{path: base + "/releases", by: "seen"},
			{path: b.component + "/releases", by: "version"},
			{path: b.component + "/releases", by: "seen", other: true},
			{path: b.component + "/kpis", by: "version"},
			{path: base + "/advisories", by: "modified"},
			{path: base + "/advisories", by: "published", other: true},
			{path: base + "/advisories", by: "id", other: true},
			{path: base + "/activity", by: "at"},
			{path: base + "/search?q=" + tallytest.Path, by: "seen"},
			{path: base + "/search?q=example.com/a", by: "seen"},
		} {
			want := b.items(t, list.path, list.by)
			if len(want) < 2 {
				t.Errorf("%s by %s: got %d items, want some to be put in order", list.path, list.by, len(want))
			}
			if !list.other {
				if diff := cmp.Diff(want, b.items(t, list.path, "")); diff != "" {
					t.Errorf("%s without an order (-by %s +got):\n%s", list.path, list.by, diff)
				}
			}
			slices.Reverse(want)
			if diff := cmp.Diff(want, b.items(t, list.path, "-"+list.by)); diff != "" {
				t.Errorf("%s by -%s (-turned round +got):\n%s", list.path, list.by, diff)
			}
		}
		// Of these there is one, or words for another list.
		for path, status := range map[string]int{
			"/advisories/GO-CRITICAL/releases?sort=-seen": http.StatusOK, "/findings?sort=-at": http.StatusOK,
			"/advisories/GO-CRITICAL/releases?sort=-at": http.StatusBadRequest, "/findings?sort=-seen": http.StatusBadRequest, "/releases?sort=version": http.StatusBadRequest,
		} {
			if w := b.server.do(t, http.MethodGet, base+path, nil); w.Code != status {
				t.Errorf("%s: got %d, want %d", path, w.Code, status)
			}
		}
	})
}
